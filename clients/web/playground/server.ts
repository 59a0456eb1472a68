// What the server says of itself, watched for as long as the page is open.
import type { TesseraClient } from "../src/index.js";
import { type ModelStatus, ServingState } from "../src/proto.js";
import { byId } from "./dom.js";

const AGAIN_MS = 2_000;

/** Calls `changed` with each new state, and once with undefined when the server is gone. */
export async function watchServer(client: TesseraClient, changed: (status: ModelStatus | undefined) => void): Promise<never> {
  for (;;) {
    try {
      for await (const status of client.watchModelInfo()) {
        drawState(status);
        changed(status);
      }
    } catch (error) {
      console.info("no news of the server", error);
    }
    drawGone();
    changed(undefined);
    await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
  }
}

function drawState(status: ModelStatus): void {
  const state = (ServingState[status.state] ?? "unknown").toLowerCase();
  const chip = byId("state", HTMLSpanElement);
  // Said again only when it changed: it is read aloud.
  if (chip.dataset["state"] !== state) {
    chip.dataset["state"] = state;
    chip.textContent = state;
  }
  const loading = status.state === ServingState.READY ? "" : ` ${status.stateMessage}`;
  byId("model", HTMLSpanElement).textContent = `${status.model}${loading}`;
  const { runningRequests = 0, queuedRequests = 0 } = status.load ?? {};
  byId("load", HTMLParagraphElement).textContent = `${runningRequests} running, ${queuedRequests} waiting`;
  byId("version", HTMLSpanElement).textContent =
    `Tessera ${status.serverVersion}, ${status.model} ${status.revision}.`;
}

function drawGone(): void {
  const chip = byId("state", HTMLSpanElement);
  chip.dataset["state"] = "gone";
  chip.textContent = "no connection";
  byId("load", HTMLParagraphElement).textContent = "";
}
