// What to read, as people write it, turned into the request of the protocol.
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import {
  DocumentType,
  type EventKind,
  type ExtractRequest,
  ExtractRequestSchema,
  type ExtractionSchemaSchema,
  type GenerationOptionsSchema,
  Priority,
} from "./proto.js";

type KebabCase<S extends string> = S extends `${infer Head}_${infer Tail}` ? `${Lowercase<Head>}-${KebabCase<Tail>}` : Lowercase<S>;

/** Kinds of document that the protocol knows: "receipt", "bank-statement", … */
export type DocumentTypeName = KebabCase<Exclude<keyof typeof DocumentType, "UNSPECIFIED">>;

/** A page file: PNG, JPEG, WebP, TIFF, or what `ModelInfo` lists beside them. */
export type PageFile = Blob | ArrayBuffer | Uint8Array;

/** One document and what is wanted of it: a document type, a schema, or a prompt. */
export interface Document {
  /** All pages of all files, in this order, are one document. */
  files: readonly PageFile[];
  documentType?: DocumentTypeName | DocumentType;
  /** JSON Schema of the document, as text or as an object. */
  jsonSchema?: string | object;
  /** The schema message itself, for what the others cannot say. */
  schema?: MessageInitShape<typeof ExtractionSchemaSchema>;
  /** Answer this text freely instead. */
  prompt?: string;
  /** Advice to the model about the whole document; with `documentType` or `jsonSchema`. */
  instructions?: string;
  generation?: MessageInitShape<typeof GenerationOptionsSchema>;
  /** Unset: tokens, and fields where there is a schema. */
  eventKinds?: EventKind[];
  /** Who goes first when there is not room for all. Unset: interactive. */
  priority?: Priority;
  /** Names the call in logs and traces. Unset: the server makes one. */
  requestId?: string;
  model?: string;
}

/** The request for `document`. The server checks it: a wrong field fails the call and is named there. */
export async function toRequest(document: Document): Promise<ExtractRequest> {
  const files = await Promise.all(document.files.map(async (file) => ({ content: await bytes(file) })));
  return create(ExtractRequestSchema, {
    requestId: document.requestId ?? "",
    model: document.model ?? "",
    files,
    task: task(document),
    eventKinds: document.eventKinds ?? [],
    priority: document.priority ?? Priority.UNSPECIFIED,
    ...(document.generation && { generation: document.generation }),
  });
}

function task(document: Document): NonNullable<MessageInitShape<typeof ExtractRequestSchema>["task"]> {
  const given = [document.documentType, document.jsonSchema, document.schema, document.prompt];
  if (given.filter((value) => value !== undefined).length > 1) {
    throw new TypeError("give one of documentType, jsonSchema, schema and prompt");
  }
  if (document.prompt !== undefined) return { case: "prompt", value: document.prompt };
  if (document.schema !== undefined) return { case: "schema", value: document.schema };
  const instructions = document.instructions ?? "";
  if (document.jsonSchema !== undefined) {
    const { jsonSchema } = document;
    const text = typeof jsonSchema === "string" ? jsonSchema : JSON.stringify(jsonSchema);
    return { case: "schema", value: { source: { case: "jsonSchema", value: text }, instructions } };
  }
  if (document.documentType === undefined) return { case: undefined };
  const source = { case: "documentType" as const, value: documentType(document.documentType) };
  return { case: "schema", value: { source, instructions } };
}

function documentType(given: DocumentTypeName | DocumentType): DocumentType {
  if (typeof given !== "string") return given;
  // By its name in the protocol, so that types of a newer protocol are known with it.
  const known = DocumentType[given.toUpperCase().replaceAll("-", "_") as keyof typeof DocumentType];
  if (known === undefined || known === DocumentType.UNSPECIFIED) {
    const names = Object.values(DocumentType).filter((name) => typeof name === "string" && name !== "UNSPECIFIED");
    const list = names.map((name) => String(name).toLowerCase().replaceAll("_", "-")).join(", ");
    throw new TypeError(`unknown document type ${JSON.stringify(given)}: give one of ${list}`);
  }
  return known;
}

async function bytes(file: PageFile): Promise<Uint8Array> {
  if (file instanceof Uint8Array) return file;
  if (file instanceof ArrayBuffer) return new Uint8Array(file);
  return new Uint8Array(await file.arrayBuffer());
}
