// What to read, as people write it, turned into the request of the protocol.
import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { TesseraError } from "./errors.js";
import {
  type AnswerStyle,
  DocumentType,
  type EventKind,
  type ExtractRequest,
  ExtractRequestSchema,
  type ExtractionSchemaSchema,
  type GenerationOptionsSchema,
  type InputFileSchema,
  Priority,
} from "./proto.js";

/** `Limits.max_request_bytes` of a server. */
const REQUEST_BYTES_MAX = 64 * 1024 * 1024;
/** What a message may have beside its files, and what a batch puts around it. */
const AROUND_FILES = 1024 * 1024;
const AROUND_MESSAGE = 16;

type KebabCase<S extends string> = S extends `${infer Head}_${infer Tail}` ? `${Lowercase<Head>}-${KebabCase<Tail>}` : Lowercase<S>;

/** Kinds of document that the protocol knows: "receipt", "bank-statement", … */
export type DocumentTypeName = KebabCase<Exclude<keyof typeof DocumentType, "UNSPECIFIED">>;

/**
 * A page file: PNG, JPEG, WebP, TIFF, or what `ModelInfo` lists beside them. A `URL` is for the server to fetch, of an
 * origin in `capabilities.uriOrigins` of `ModelInfo`; by default a server fetches nothing.
 */
export type PageFile = Blob | ArrayBuffer | Uint8Array | URL;

/** Some pages of a PDF or multi-page TIFF. */
export interface FilePages {
  file: PageFile;
  /** In this order, each at most once; the first is 1. Unset: all. */
  pages?: readonly number[];
  /** At which pages of a PDF are rendered, 24 to 600. Unset: the server's choice, 200. */
  dpi?: number;
}

/** One document and what is wanted of it: a document type, a schema, or a prompt. */
export interface Document {
  /** All pages of all files, in this order, are one document. */
  files: readonly (PageFile | FilePages)[];
  documentType?: DocumentTypeName | DocumentType;
  /** JSON Schema of the document, as text or as an object. */
  jsonSchema?: string | object;
  /** The schema message itself, for what the others cannot say. */
  schema?: MessageInitShape<typeof ExtractionSchemaSchema>;
  /** Answer this text freely instead. */
  prompt?: string;
  /** Advice to the model about the whole document; with `documentType` or `jsonSchema`. */
  instructions?: string;
  /** How the model writes; with `documentType` or `jsonSchema`. Unset: JSON. */
  answerStyle?: AnswerStyle;
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
  const files = await Promise.all(document.files.map(input));
  const request = create(ExtractRequestSchema, {
    requestId: document.requestId ?? "",
    model: document.model ?? "",
    files,
    task: task(document),
    eventKinds: document.eventKinds ?? [],
    priority: document.priority ?? Priority.UNSPECIFIED,
    ...(document.generation && { generation: document.generation }),
  });
  checkSize(request);
  return request;
}

/** No server takes a larger message, and over a call that documents share it would end the call for all. */
function checkSize(request: ExtractRequest): void {
  const pages = request.files.reduce((sum, { content }) => sum + content.length, 0);
  if (pages < REQUEST_BYTES_MAX - AROUND_FILES) return;
  const size = toBinary(ExtractRequestSchema, request).length;
  if (size <= REQUEST_BYTES_MAX - AROUND_MESSAGE) return;
  const description = `${size} bytes are more than max_request_bytes, ${REQUEST_BYTES_MAX}: send fewer pages, or smaller ones`;
  throw new TesseraError(`files: ${description}`, "INVALID_ARGUMENT", {
    reason: "LIMIT_EXCEEDED",
    metadata: { limit: "max_request_bytes", limit_value: String(REQUEST_BYTES_MAX), value: String(size) },
    violations: [{ field: "files", description }],
  });
}

function task(document: Document): NonNullable<MessageInitShape<typeof ExtractRequestSchema>["task"]> {
  const given = [document.documentType, document.jsonSchema, document.schema, document.prompt];
  if (given.filter((value) => value !== undefined).length > 1) {
    throw new TypeError("give one of documentType, jsonSchema, schema and prompt");
  }
  const advice = { instructions: document.instructions ?? "", ...(document.answerStyle && { answerStyle: document.answerStyle }) };
  if ((advice.instructions || advice.answerStyle) && (document.prompt !== undefined || document.schema !== undefined)) {
    const name = advice.instructions ? "instructions" : "answerStyle";
    const where = document.prompt !== undefined ? "the prompt itself" : "the schema's own fields";
    throw new TypeError(`${name} goes with documentType or jsonSchema: say it in ${where}`);
  }
  if (document.prompt !== undefined) return { case: "prompt", value: document.prompt };
  if (document.schema !== undefined) return { case: "schema", value: document.schema };
  if (document.jsonSchema !== undefined) {
    const { jsonSchema } = document;
    const text = typeof jsonSchema === "string" ? jsonSchema : JSON.stringify(jsonSchema);
    return { case: "schema", value: { source: { case: "jsonSchema", value: text }, ...advice } };
  }
  if (document.documentType === undefined) return { case: undefined };
  const source = { case: "documentType" as const, value: documentType(document.documentType) };
  return { case: "schema", value: { source, ...advice } };
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

async function input(given: PageFile | FilePages): Promise<MessageInitShape<typeof InputFileSchema>> {
  if (!("file" in given)) return source(given);
  return { ...(await source(given.file)), pages: [...(given.pages ?? [])], ...(given.dpi !== undefined && { dpi: given.dpi }) };
}

async function source(file: PageFile): Promise<{ uri: string } | { content: Uint8Array }> {
  return file instanceof URL ? { uri: file.href } : { content: await bytes(file) };
}

async function bytes(file: Exclude<PageFile, URL>): Promise<Uint8Array> {
  if (file instanceof Uint8Array) return file;
  if (file instanceof ArrayBuffer) return new Uint8Array(file);
  return new Uint8Array(await file.arrayBuffer());
}
