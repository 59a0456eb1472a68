// The playground: a document in, a form that fills. It is a client of the API like any other.
import { type CallOptions, connect, type Document, TesseraError } from "../src/index.js";
import { DocumentType, type ModelStatus, ServingState } from "../src/proto.js";
import { byId, make } from "./dom.js";
import { hideFailure, showFailure } from "./failure.js";
import { Form } from "./form.js";
import { Pages } from "./pages.js";
import { drawPlacement } from "./placement.js";
import { Reading } from "./reading.js";
import { watchServer } from "./server.js";

const PROMPT = "prompt";

const task = byId("task", HTMLSelectElement);
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
const reading = new Reading(form);
const pages = new Pages(ready);
let server: ModelStatus | undefined;
let running: AbortController | undefined;

function ready(): void {
  read.disabled = pages.files.length === 0 || running !== undefined || server?.state !== ServingState.READY;
  read.hidden = running !== undefined;
  cancel.hidden = running === undefined;
}

function changed(status: ModelStatus | undefined): void {
  const first = server === undefined;
  server = status;
  if (status) {
    if (first || task.options.length <= 1) drawTasks(status);
    drawLimits(status);
    drawPlacement(status);
  }
  ready();
}

function drawTasks(status: ModelStatus): void {
  const chosen = task.value;
  const types = status.capabilities?.builtInSchemas ?? [];
  task.replaceChildren(
    ...types.map(({ documentType }) => {
      const name = (DocumentType[documentType] ?? `type ${documentType}`).toLowerCase().replaceAll("_", " ");
      return make("option", { value: String(documentType) }, `Fields of a ${name}`);
    }),
    make("option", { value: PROMPT }, "Answer to a question of mine"),
  );
  if (chosen) task.value = chosen;
  choose();
}

function drawLimits(status: ModelStatus): void {
  const types = status.capabilities?.mediaTypes ?? [];
  if (types.length > 0) {
    byId("files", HTMLInputElement).accept = types.join(",");
    const names = types.map((type) => type.replace(/^.*\//, "").replace(/\+.*$/, "").toUpperCase());
    byId("accepted-types", HTMLSpanElement).textContent = `${names.join(", ")}; all pages are one document`;
  }
  const output = byId("max-output-tokens", HTMLInputElement);
  output.placeholder = output.max = String(status.limits?.maxOutputTokens ?? "");
  const tiles = byId("max-tiles", HTMLInputElement);
  tiles.placeholder = tiles.max = String(status.limits?.maxTilesPerPage ?? "");
}

function choose(): void {
  const asking = task.value === PROMPT;
  byId("prompt-row", HTMLDivElement).hidden = !asking;
  byId("instructions-row", HTMLDivElement).hidden = asking;
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
  if (task.value === PROMPT) {
    return { files: pages.files, generation, prompt: byId("prompt", HTMLTextAreaElement).value };
  }
  const instructions = byId("instructions", HTMLTextAreaElement).value;
  return { files: pages.files, generation, documentType: Number(task.value) as DocumentType, instructions };
}

/** Names of the fields that the answer will have. */
function names(): readonly string[] {
  const schemas = server?.capabilities?.builtInSchemas ?? [];
  return schemas.find(({ documentType }) => String(documentType) === task.value)?.fields ?? [];
}

async function run(): Promise<void> {
  if (running || pages.files.length === 0) return;
  const abort = new AbortController();
  running = abort;
  ready();
  cancel.focus({ preventScroll: true });
  hideFailure();
  reading.begin(names());
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
  task.value = String(DocumentType[type]);
  choose();
}

task.addEventListener("change", choose);
cancel.addEventListener("click", () => running?.abort());
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
