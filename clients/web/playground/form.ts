// The answer as a form that fills while the model writes.
import type { Check, ExtractedField } from "../src/proto.js";
import { byId, make } from "./dom.js";

/** Below this a value is worth a look. It is no promise: confidence is not calibrated everywhere. */
const DOUBT = 0.9;

/** One field of the form. */
interface Row {
  root: HTMLElement;
  value: HTMLTextAreaElement;
  trust: HTMLElement;
  normal: HTMLElement;
  done: boolean;
}

export class Form {
  readonly #root = byId("fields", HTMLDivElement);
  readonly #checks = byId("checks", HTMLUListElement);
  #rows = new Map<string, Row>();
  #made = 0;

  /** An empty form with the fields that the schema has, so that nothing moves while they fill. */
  reset(names: readonly string[]): void {
    this.#rows.clear();
    this.#root.replaceChildren();
    this.#checks.replaceChildren();
    this.#checks.hidden = true;
    for (const name of names) this.#row(`/${name.replaceAll("~", "~0").replaceAll("/", "~1")}`);
  }

  delta(pointer: string, text: string): void {
    const row = this.#row(pointer);
    if (row.done) return;
    row.root.classList.add("writing");
    row.root.classList.remove("empty");
    row.value.value += text;
    fit(row.value);
  }

  /** `page` says where the value is, in words; empty: that need not be said, or is not known. */
  complete(field: ExtractedField, page: string): void {
    const row = this.#row(field.pointer);
    row.done = true;
    row.root.classList.remove("writing", "empty");
    row.value.value = shown(field);
    row.root.classList.toggle("absent", isAbsent(field));
    row.trust.replaceChildren(...trust(field));
    const normal = normalized(field);
    const notes = [normal === undefined ? "" : `= ${normal}`, page].filter((note) => note !== "");
    row.normal.textContent = notes.join(", ");
    row.normal.hidden = notes.length === 0;
    fit(row.value);
  }

  /** A field that never completed has no value, whatever was written of it. */
  end(): void {
    for (const row of this.#rows.values()) {
      row.root.classList.remove("writing");
      if (!row.done && row.value.value !== "") {
        row.value.value = "";
        row.root.classList.add("empty");
        row.trust.replaceChildren(make("span", { class: "doubt" }, "not finished"));
        fit(row.value);
      }
    }
  }

  checks(checks: readonly Check[]): void {
    this.#checks.hidden = checks.length === 0;
    this.#checks.replaceChildren(
      ...checks.map((check) => {
        const names = check.pointers.map(title).join(", ");
        const text = check.passed ? `${names}: agree` : `${names}: ${check.message}`;
        return make("li", { class: check.passed ? "passed" : "failed" }, text);
      }),
    );
  }

  #row(pointer: string): Row {
    const known = this.#rows.get(pointer);
    if (known) return known;
    this.#made += 1;
    const id = `field-${this.#made}`;
    const value = make("textarea", { id, rows: "1", readonly: true, "data-pointer": pointer });
    const trust = make("div", { class: "trust" });
    const normal = make("div", { class: "normal", hidden: true });
    const label = make("label", { for: id, title: pointer }, title(pointer));
    const root = make("div", { class: "field empty" }, label, value, trust, normal);
    this.#root.append(root);
    const row = { root, value, trust, normal, done: false };
    this.#rows.set(pointer, row);
    return row;
  }
}

/** As tall as its text. */
function fit(area: HTMLTextAreaElement): void {
  area.style.height = "auto";
  area.style.height = `${area.scrollHeight + 2}px`;
}

/** "/LINE_ITEMS/0/PRICE" → "Line items › 1 › Price" */
export function title(pointer: string): string {
  const parts = pointer.split("/").slice(1).map((part) => part.replaceAll("~1", "/").replaceAll("~0", "~"));
  const words = parts.map((part) => {
    if (/^\d+$/.test(part)) return String(Number(part) + 1);
    const text = part.replaceAll("_", " ").toLowerCase().replace(/\b(gst|abn)\b/g, (word) => word.toUpperCase());
    return text.charAt(0).toUpperCase() + text.slice(1);
  });
  return words.join(" › ") || "Value";
}

function shown(field: ExtractedField): string {
  if (isAbsent(field)) return "not on the page";
  const { kind } = field.value ?? {};
  return kind?.case === "stringValue" ? kind.value : field.raw;
}

/** The page does not have it: null, or the word that the built-in documents use for it. */
function isAbsent(field: ExtractedField): boolean {
  return field.raw === "null" || field.raw === '"NOT_FOUND"';
}

function trust(field: ExtractedField): (Node | string)[] {
  if (field.confidence === undefined) return [];
  const percent = `${Math.floor(field.confidence * 1000) / 10} %`;
  const meter = make("meter", {
    min: "0", max: "1", low: "0.7", high: String(DOUBT), optimum: "1",
    value: String(field.confidence), "aria-label": `Confidence in ${title(field.pointer)}`,
  });
  meter.title = `confidence ${field.confidence.toFixed(4)}, least probable token ${field.minTokenProbability?.toFixed(4) ?? "unknown"}`;
  const doubted = field.confidence < DOUBT || (field.minTokenProbability ?? 1) < 0.5;
  return [meter, make("span", doubted ? { class: "doubt" } : {}, doubted ? `${percent}, look` : percent)];
}

/** The value in one form, where that says more than what was written. */
function normalized(field: ExtractedField): string | undefined {
  const kind = field.normalized?.kind;
  switch (kind?.case) {
    case "stringValue":
      return kind.value === shown(field) ? undefined : kind.value;
    case "boolValue":
      return String(kind.value) === shown(field) ? undefined : String(kind.value);
    case "numberValue":
      return String(kind.value) === field.raw ? undefined : String(kind.value);
    default:
      return undefined;
  }
}
