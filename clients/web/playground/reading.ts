// One document being read: events in, the answer's half of the page out.
import type { Duration } from "@bufbuild/protobuf/wkt";
import { toJson } from "@bufbuild/protobuf";
import type { ExtractEvent } from "../src/index.js";
import { type Accepted, type Completed, CompletedSchema, type DocumentType, type ExtractedField, FinishReason, PageEvidence, Phase, type Progress, Repair } from "../src/proto.js";
import { bar, byId, make, type Part } from "./dom.js";
import type { Form } from "./form.js";
import { typeName, withArticle } from "./task.js";

const ORDER = ["queue", "vision", "prefill", "decode"] as const;
const PHASES: Partial<Record<Phase, (typeof ORDER)[number]>> = {
  [Phase.QUEUED]: "queue",
  [Phase.VISION]: "vision",
  [Phase.PREFILL]: "prefill",
  [Phase.DECODE]: "decode",
};

export class Reading {
  readonly #form: Form;
  readonly #namesOf: (type: DocumentType) => readonly string[];
  readonly #status = byId("status", HTMLParagraphElement);
  readonly #answer = byId("answer", HTMLElement);
  readonly #text = byId("text", HTMLPreElement);
  readonly #tiles = byId("tiles", HTMLSpanElement);
  readonly #tilesRow = byId("tiles-row", HTMLParagraphElement);
  #accepted: Accepted | undefined;
  #phase = "";
  #tokens = 0;
  #firstToken = 0;
  #download = "";

  constructor(form: Form, namesOf: (type: DocumentType) => readonly string[]) {
    this.#form = form;
    this.#namesOf = namesOf;
  }

  begin(names: readonly string[]): void {
    this.#accepted = undefined;
    this.#phase = "";
    this.#tokens = 0;
    this.#firstToken = 0;
    this.#form.reset(names);
    this.#text.textContent = "";
    this.#answer.setAttribute("aria-busy", "true");
    byId("rate", HTMLSpanElement).textContent = "";
    byId("summary", HTMLDivElement).hidden = true;
    byId("raw", HTMLDetailsElement).hidden = false;
    byId("phases", HTMLOListElement).hidden = false;
    this.#tilesRow.hidden = true;
    this.#mark("");
    this.say("Sending the document.");
  }

  show(event: ExtractEvent): void {
    switch (event.case) {
      case "accepted":
        this.#accept(event.value);
        break;
      case "documentType":
        this.#form.reset(this.#namesOf(event.value.documentType));
        this.say(`It is ${withArticle(typeName(event.value.documentType))}.`);
        break;
      case "progress":
        this.#progress(event.value);
        break;
      case "tokenDelta":
        this.#enter("decode", "Reading: the answer is being written.");
        this.#text.append(event.value.text);
        this.#text.scrollTop = this.#text.scrollHeight;
        this.#count(event.value.tokenCount);
        break;
      case "fieldDelta":
        this.#form.delta(event.value.pointer, event.value.text);
        break;
      case "fieldCompleted":
        this.#form.complete(event.value, this.#pageOf(event.value));
        break;
      case "completed":
        this.#complete(event.value);
        break;
    }
  }

  /** Ends what did not complete; `word` says how it ended. */
  stop(word: string): void {
    this.#form.end();
    if (!this.#accepted) {
      // Refused: nothing will come into this form.
      this.#form.reset([]);
      byId("phases", HTMLOListElement).hidden = true;
      byId("raw", HTMLDetailsElement).hidden = true;
    }
    this.#mark("");
    this.#answer.setAttribute("aria-busy", "false");
    this.say(word);
  }

  say(text: string): void {
    if (this.#status.textContent !== text) this.#status.textContent = text;
  }

  #accept(accepted: Accepted): void {
    this.#accepted = accepted;
    const pages = accepted.tilesPerPage.map((tiles) => {
      return make("span", { class: "page" }, ...Array.from({ length: tiles }, () => make("i")));
    });
    this.#tiles.replaceChildren(...pages);
    this.#tilesRow.hidden = false;
    this.#encoded(0);
  }

  #progress(progress: Progress): void {
    const phase = PHASES[progress.phase] ?? "";
    const tiles = this.#tileCount();
    const waiting = progress.queuePosition === undefined ? "" : `, ${progress.queuePosition} before this one`;
    this.#enter(phase, {
      queue: `Waiting in the queue${waiting}.`,
      vision: `Reading: ${tiles} ${tiles === 1 ? "tile" : "tiles"} through the vision encoder.`,
      prefill: "Reading: the model takes the prompt in.",
      decode: "Reading: the answer is being written.",
      "": "Reading.",
    }[phase]);
    this.#encoded(phase === "prefill" || phase === "decode" ? tiles : progress.encodedTiles);
  }

  #enter(phase: (typeof ORDER)[number] | "", word: string): void {
    if (phase === this.#phase) return;
    this.#phase = phase;
    this.#mark(phase);
    this.say(word);
  }

  #mark(phase: string): void {
    const at = ORDER.findIndex((name) => name === phase);
    for (const item of byId("phases", HTMLOListElement).children) {
      const index = ORDER.findIndex((name) => name === (item as HTMLElement).dataset["phase"]);
      item.classList.toggle("done", index < at);
      if (index === at && at >= 0) item.setAttribute("aria-current", "step");
      else item.removeAttribute("aria-current");
    }
  }

  /** "page 2" where there are several, and the server says which; "likely page 2" where the model looked there. */
  #pageOf({ page, pageEvidence }: ExtractedField): string {
    if (page === undefined || (this.#accepted?.pages.length ?? 0) < 2) return "";
    return `${pageEvidence === PageEvidence.ATTENTION ? "likely " : ""}page ${page + 1}`;
  }

  #tileCount(): number {
    return this.#accepted?.tilesPerPage.reduce((sum, tiles) => sum + tiles, 0) ?? 0;
  }

  #encoded(count: number): void {
    const all = this.#tiles.querySelectorAll("i");
    all.forEach((tile, index) => tile.classList.toggle("done", index < count));
    const told = `${count} of ${all.length} ${all.length === 1 ? "tile" : "tiles"} encoded`;
    this.#tiles.setAttribute("aria-label", told);
    byId("tiles-note", HTMLSpanElement).textContent = told;
  }

  #count(tokens: number): void {
    this.#tokens += tokens;
    this.#firstToken ||= performance.now();
    const seconds = (performance.now() - this.#firstToken) / 1000;
    const rate = seconds > 0.2 ? `, ${(this.#tokens / seconds).toFixed(0)} a second` : "";
    byId("rate", HTMLSpanElement).textContent = `${this.#tokens} ${this.#tokens === 1 ? "token" : "tokens"}${rate}`;
  }

  #complete(completed: Completed): void {
    this.#form.end();
    this.#form.checks(completed.checks);
    this.#encoded(this.#tileCount());
    for (const item of byId("phases", HTMLOListElement).children) {
      item.classList.add("done");
      item.removeAttribute("aria-current");
    }
    this.#answer.setAttribute("aria-busy", "false");
    this.#summary(completed);
    const fields = completed.fields.length;
    const cut = completed.finishReason === FinishReason.LENGTH ? " It was cut at its longest length." : "";
    const none = completed.documentError ? ` No document: ${completed.documentError}.` : "";
    const what = fields > 0 ? `${fields} ${fields === 1 ? "field" : "fields"}` : "the answer is below";
    this.say(`Done: ${what}, ${secondsText(completed.timings?.total)}.${cut}${none}`);
    if (fields === 0) byId("raw", HTMLDetailsElement).open = true;
  }

  #summary(completed: Completed): void {
    const times = completed.timings;
    const part = (label: string, time: Duration | undefined, tone: Part["tone"]): Part => ({
      label, size: seconds(time), shown: secondsText(time), tone,
    });
    byId("times", HTMLDivElement).replaceWith(
      make("div", { id: "times" }, ...bar("Time", [
        part("queue", times?.queue, 1),
        part("pages", times?.preprocess, 2),
        part("vision", times?.vision, 3),
        part("prompt", times?.prefill, 4),
        part("answer", times?.decode, 5),
      ])),
    );
    const usage = completed.usage;
    const decoding = seconds(times?.decode);
    const facts: [string, string][] = [
      ["First token", secondsText(times?.timeToFirstToken)],
      ["Whole answer", secondsText(times?.total)],
      ["Input tokens", `${usage?.inputTokens ?? 0}, ${usage?.imageTokens ?? 0} of pages`],
      ["Output tokens", String(usage?.outputTokens ?? 0)],
      ["Tokens a second", decoding > 0 ? ((usage?.outputTokens ?? 0) / decoding).toFixed(1) : "–"],
      ["Finish", (FinishReason[completed.finishReason] ?? "unknown").toLowerCase()],
      ...(completed.repairs.length > 0 ? [["Mended", completed.repairs.map(repairName).join(", ")] as [string, string]] : []),
      ["Request id", this.#accepted?.requestId ?? ""],
      ["Trace id", this.#accepted?.traceId || "not traced"],
    ];
    byId("facts", HTMLDListElement).replaceChildren(
      ...facts.map(([name, value]) => make("div", {}, make("dt", {}, name), make("dd", {}, value))),
    );
    this.#offer(completed);
    byId("summary", HTMLDivElement).hidden = false;
  }

  #offer(completed: Completed): void {
    const json = completed.documentJson ?? JSON.stringify(toJson(CompletedSchema, completed), null, 2);
    URL.revokeObjectURL(this.#download);
    this.#download = URL.createObjectURL(new Blob([json], { type: "application/json" }));
    byId("download", HTMLAnchorElement).href = this.#download;
    const copy = byId("copy", HTMLButtonElement);
    copy.onclick = async () => {
      await navigator.clipboard.writeText(json);
      this.say("Copied.");
    };
    // Browsers give the clipboard to pages of this machine and of https only.
    copy.hidden = !window.isSecureContext;
  }
}

function repairName(repair: Repair): string {
  return (Repair[repair] ?? String(repair)).toLowerCase().replaceAll("_", " ");
}

function seconds(time: Duration | undefined): number {
  return time ? Number(time.seconds) + time.nanos / 1e9 : 0;
}

function secondsText(time: Duration | undefined): string {
  const value = seconds(time);
  return value < 1 ? `${Math.round(value * 1000)} ms` : `${value.toFixed(2)} s`;
}
