// What the server says of itself, watched for as long as the page is open.
import { type TesseraClient, TesseraError } from "../src/index.js";
import { ConfidenceMethod, type ModelStatus, ServingState } from "../src/proto.js";
import { byId } from "./dom.js";

const AGAIN_MS = 2_000;

/** Calls `changed` with each new state, and once with undefined when the server is gone. */
export async function watchServer(client: TesseraClient, changed: (status: ModelStatus | undefined) => void): Promise<never> {
  for (;;) {
    try {
      for await (const status of news(client)) {
        drawState(status);
        changed(status);
      }
    } catch (error) {
      console.info("no news of the server", error);
      const { code, message } = TesseraError.from(error);
      if (code === "UNAUTHENTICATED" || code === "PERMISSION_DENIED") {
        drawRefused(message);
        changed(undefined);
        // The same token would be refused again.
        await new Promise((resolve) => byId("token", HTMLInputElement).addEventListener("change", resolve, { once: true }));
        continue;
      }
    }
    drawChip("gone", "no connection", "");
    changed(undefined);
    await again();
  }
}

async function* news(client: TesseraClient): AsyncGenerator<ModelStatus, void, undefined> {
  try {
    yield* client.watchModelInfo();
    return;
  } catch (error) {
    if (TesseraError.from(error).code !== "PERMISSION_DENIED") throw error;
  }
  // Who may not watch may still ask.
  for (;;) {
    yield await client.modelInfo();
    await again();
  }
}

function again(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
}

/** The server answers, but not this page: it has to say who calls. */
function drawRefused(message: string): void {
  drawChip("refused", "token needed", `Give a token or an API key in the options (${message}).`);
  byId("options", HTMLDetailsElement).open = true;
}

function drawChip(state: string, word: string, more: string): void {
  const chip = byId("state", HTMLSpanElement);
  // Said again only when it changed: it is read aloud.
  if (chip.dataset["state"] !== state) {
    chip.dataset["state"] = state;
    chip.textContent = word;
  }
  byId("model", HTMLSpanElement).textContent = more;
  byId("load", HTMLParagraphElement).textContent = "";
}

function drawState(status: ModelStatus): void {
  const state = (ServingState[status.state] ?? "unknown").toLowerCase();
  const loading = status.state === ServingState.READY ? "" : ` ${status.stateMessage}`;
  drawChip(state, state, `${status.model}${loading}`);
  const { runningRequests = 0, queuedRequests = 0 } = status.load ?? {};
  byId("load", HTMLParagraphElement).textContent = `${runningRequests} running, ${queuedRequests} waiting`;
  byId("version", HTMLSpanElement).textContent =
    `Tessera ${status.serverVersion}, ${status.model} ${status.revision}.`;
  byId("confidence", HTMLSpanElement).textContent =
    status.capabilities?.confidenceMethod === ConfidenceMethod.CALIBRATED
      ? "Confidence is calibrated: among documents like those it was fitted to, nine of ten values at 90 % are right."
      : "Confidence is the model's own; look at what it doubts.";
}
