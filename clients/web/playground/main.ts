// The playground: a document in, a form that fills. It is a client of the API like any other.
import { type CallOptions, connect, type Document, TesseraError } from "../src/index.js";
import { DocumentType, type ModelStatus, ServingState } from "../src/proto.js";
import { byId } from "./dom.js";
import { hideFailure, showFailure } from "./failure.js";
import { Form } from "./form.js";
import { Pages } from "./pages.js";
import { drawPlacement } from "./placement.js";
import { Reading } from "./reading.js";
import { watchServer } from "./server.js";
import { Task } from "./task.js";

const read = byId("read", HTMLButtonElement);
const cancel = byId("cancel", HTMLButtonElement);
const token = byId("token", HTMLInputElement);

// Retries are for programs: a person sees the failure and its button.
const client = connect(location.origin, {
  attempts: 1,
  interceptors: [
    (next) => (request) => {
      if (token.value) request.header.set("authorization", `Bearer ${token.value}`);
      return next(request);
    },
  ],
});

const form = new Form();
const pages = new Pages(ready);
const task = new Task(ready);
const reading = new Reading(form, (type) => task.namesOf(type));
let server: ModelStatus | undefined;
let running: AbortController | undefined;

function ready(): void {
  const can = pages.files.length > 0 && task.isReady && server?.state === ServingState.READY;
  read.disabled = !can || running !== undefined;
  read.hidden = running !== undefined;
  cancel.hidden = running === undefined;
}

function changed(status: ModelStatus | undefined): void {
  server = status;
  if (status) {
    task.offer(status);
    drawLimits(status);
    drawPlacement(status);
  }
  ready();
}

function drawLimits(status: ModelStatus): void {
  const types = status.capabilities?.mediaTypes ?? [];
  if (types.length > 0) {
    byId("files", HTMLInputElement).accept = types.join(",");
    const names = types.map((type) => type.replace(/^.*\//, "").replace(/\+.*$/, "").toUpperCase().replace("WEBP", "WebP"));
    byId("accepted-types", HTMLSpanElement).textContent = `${names.join(", ")}; all pages are one document`;
  }
  const output = byId("max-output-tokens", HTMLInputElement);
  output.placeholder = output.max = String(status.limits?.maxOutputTokens ?? "");
  const tiles = byId("max-tiles", HTMLInputElement);
  tiles.placeholder = tiles.max = String(status.limits?.maxTilesPerPage ?? "");
}

/** A number that was typed; undefined: none was. */
function number(id: string): number | undefined {
  const { value } = byId(id, HTMLInputElement);
  return value === "" ? undefined : Number(value);
}

function document_(): Document {
  const maxOutputTokens = number("max-output-tokens");
  const maxTilesPerPage = number("max-tiles");
  const temperature = number("temperature");
  const generation = {
    ...(maxOutputTokens !== undefined && { maxOutputTokens }),
    ...(maxTilesPerPage !== undefined && { maxTilesPerPage }),
    ...(temperature !== undefined && { temperature }),
  };
  return { files: pages.files, generation, ...task.what };
}

async function run(): Promise<void> {
  if (read.disabled) return;
  const abort = new AbortController();
  running = abort;
  ready();
  cancel.focus({ preventScroll: true });
  hideFailure();
  reading.begin(task.names);
  // On a phone the answer is below what was asked.
  const narrow = matchMedia("(max-width: 52rem)").matches;
  byId("answer", HTMLElement).scrollIntoView({ block: narrow ? "start" : "nearest" });
  const timeout = number("timeout");
  const options: CallOptions = { signal: abort.signal, ...(timeout !== undefined && { timeoutMs: timeout * 1000 }) };
  try {
    for await (const event of client.stream(document_(), options)) reading.show(event);
  } catch (error) {
    if (abort.signal.aborted) {
      reading.stop("Cancelled. The server has stopped reading.");
    } else {
      reading.stop("It failed.");
      showFailure(TesseraError.from(error), () => void run());
    }
  } finally {
    running = undefined;
    ready();
    read.focus({ preventScroll: true });
  }
}

async function sample(name: string): Promise<void> {
  const answer = await fetch(`/samples/${name}.png`);
  pages.replace([new File([await answer.blob()], `${name}.png`, { type: "image/png" })]);
  const type = name.replaceAll("-", "_").toUpperCase() as keyof typeof DocumentType;
  task.select(DocumentType[type]);
}

cancel.addEventListener("click", () => running?.abort());
// A wrong number in options that are folded away could not be seen.
byId("options", HTMLDetailsElement).addEventListener("invalid", ({ currentTarget }) => ((currentTarget as HTMLDetailsElement).open = true), true);
byId("ask", HTMLFormElement).addEventListener("submit", (event) => {
  event.preventDefault();
  void run();
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") running?.abort();
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && !read.disabled) void run();
});
for (const button of document.querySelectorAll<HTMLButtonElement>("[data-sample]")) {
  button.addEventListener("click", () => void sample(button.dataset["sample"] ?? ""));
}
void watchServer(client, changed);
