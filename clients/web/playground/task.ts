// What to read: a document type that the server has, a schema of one's own, or a question.
import type { Document } from "../src/index.js";
import { DocumentType, type ModelStatus } from "../src/proto.js";
import { byId, make } from "./dom.js";

const OWN = "schema";
const PROMPT = "prompt";

type What = Pick<Document, "documentType" | "jsonSchema" | "prompt" | "instructions">;

/** The part of the form that says what is wanted of the document. */
export class Task {
  readonly #select = byId("task", HTMLSelectElement);
  readonly #schema = byId("schema", HTMLTextAreaElement);
  readonly #changed: () => void;
  #status: ModelStatus | undefined;
  /** The document type that was chosen last: a schema of one's own begins as its. */
  #type = "";

  constructor(changed: () => void) {
    this.#changed = changed;
    this.#select.addEventListener("change", () => this.#choose());
    this.#schema.addEventListener("input", () => this.#check());
  }

  /** Takes over what the server offers. What was chosen stays. */
  offer(status: ModelStatus): void {
    const known = this.#types(this.#status).map(({ documentType }) => documentType).join();
    this.#status = status;
    const types = this.#types(status);
    if (this.#select.options.length > 0 && known === types.map(({ documentType }) => documentType).join()) return;
    const chosen = this.#select.value;
    const own = (status.capabilities?.jsonSchemaKeywords.length ?? 0) > 0;
    this.#select.replaceChildren(
      ...(types.length > 1 ? [make("option", { value: String(DocumentType.AUTO) }, "Fields of whatever it is")] : []),
      ...types.map(({ documentType }) => make("option", { value: String(documentType) }, `Fields of ${withArticle(typeName(documentType))}`)),
      ...(own ? [make("option", { value: OWN }, "Fields of a schema of mine")] : []),
      make("option", { value: PROMPT }, "Answer to a question of mine"),
    );
    this.#select.value = chosen || String(types[0]?.documentType ?? PROMPT);
    this.#choose();
  }

  /** Chooses a document type. */
  select(type: DocumentType): void {
    this.#select.value = String(type);
    this.#choose();
  }

  get isReady(): boolean {
    return this.#select.value !== OWN || this.#schema.validity.valid;
  }

  get what(): What {
    const instructions = byId("instructions", HTMLTextAreaElement).value;
    switch (this.#select.value) {
      case PROMPT:
        return { prompt: byId("prompt", HTMLTextAreaElement).value };
      case OWN:
        return { jsonSchema: this.#schema.value, instructions };
      default:
        return { documentType: Number(this.#select.value) as DocumentType, instructions };
    }
  }

  /** Names of the fields that the answer will have at its top, as far as they are known. */
  get names(): readonly string[] {
    if (this.#select.value !== OWN) return this.namesOf(Number(this.#select.value) as DocumentType);
    const schema = JSON.parse(this.#schema.value) as { properties?: Record<string, { type?: unknown }> };
    const leaves = Object.entries(schema.properties ?? {}).filter(([, { type }]) => type !== "array" && type !== "object");
    return leaves.map(([name]) => name);
  }

  /** Names of the fields of a document type. */
  namesOf(type: DocumentType): readonly string[] {
    return this.#types(this.#status).find(({ documentType }) => documentType === type)?.fields ?? [];
  }

  #types(status: ModelStatus | undefined) {
    return status?.capabilities?.builtInSchemas ?? [];
  }

  #choose(): void {
    const { value } = this.#select;
    byId("prompt-row", HTMLDivElement).hidden = value !== PROMPT;
    byId("instructions-row", HTMLDivElement).hidden = value === PROMPT;
    byId("schema-row", HTMLDivElement).hidden = value !== OWN;
    if (this.#types(this.#status).some(({ documentType }) => String(documentType) === value)) this.#type = value;
    if (value === OWN && this.#schema.value === "") this.#begin();
    this.#check();
  }

  /** A schema that works, to be changed. */
  #begin(): void {
    const type = this.#types(this.#status).find(({ documentType }) => String(documentType) === this.#type);
    if (type?.jsonSchema) this.#schema.value = JSON.stringify(JSON.parse(type.jsonSchema), null, 2);
  }

  /** Whether it is JSON; whether it is a schema that can be served, the server says, and where not. */
  #check(): void {
    const note = byId("schema-note", HTMLParagraphElement);
    const keywords = this.#status?.capabilities?.jsonSchemaKeywords ?? [];
    let wrong = "";
    try {
      const parsed: unknown = JSON.parse(this.#schema.value || "{}");
      if (typeof parsed !== "object" || parsed === null || Array.isArray(parsed)) wrong = "A schema is a JSON object.";
    } catch (error) {
      wrong = `Not JSON yet: ${(error as Error).message}`;
    }
    // What is not asked for must not stand in the way.
    this.#schema.setCustomValidity(this.#select.value === OWN ? wrong : "");
    note.textContent = wrong || `It may use ${keywords.join(", ")}.`;
    this.#changed();
  }
}

/** "an invoice" for "invoice" */
export function withArticle(name: string): string {
  return `${/^[aeiou]/.test(name) ? "an" : "a"} ${name}`;
}

/** "bank statement" */
export function typeName(type: DocumentType): string {
  return (DocumentType[type] ?? `type ${type}`).toLowerCase().replaceAll("_", " ");
}
