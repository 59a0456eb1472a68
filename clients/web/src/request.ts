// What to read, as people write it, turned into the request of the protocol.
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import {
  DocumentType,
  type EventKind,
  type ExtractRequest,
  ExtractRequestSchema,
  type ExtractionSchemaSchema,
  type GenerationOptionsSchema,
} from "./proto.js";

/** Kinds of document that every server knows. */
export type DocumentTypeName = "receipt" | "invoice" | "bank-statement";

/** A page file: PNG, JPEG, WebP, TIFF, or what `ModelInfo` lists beside them. */
export type PageFile = Blob | ArrayBuffer | Uint8Array;

/** One document and what is wanted of it: a document type, a schema, or a prompt. */
export interface Document {
  /** All pages of all files, in this order, are one document. */
  files: readonly PageFile[];
  documentType?: DocumentTypeName | DocumentType;
  /** The schema message itself, for what `documentType` cannot say. */
  schema?: MessageInitShape<typeof ExtractionSchemaSchema>;
  /** Answer this text freely instead. */
  prompt?: string;
  /** Advice to the model about the whole document; with a document type. */
  instructions?: string;
  generation?: MessageInitShape<typeof GenerationOptionsSchema>;
  /** Unset: tokens, and fields where there is a schema. */
  eventKinds?: EventKind[];
  /** Names the call in logs and traces. Unset: the server makes one. */
  requestId?: string;
  model?: string;
}

const DOCUMENT_TYPES: Record<DocumentTypeName, DocumentType> = {
  receipt: DocumentType.RECEIPT,
  invoice: DocumentType.INVOICE,
  "bank-statement": DocumentType.BANK_STATEMENT,
};

/** The request for `document`. The server checks it: a wrong field fails the call and is named there. */
export async function toRequest(document: Document): Promise<ExtractRequest> {
  const files = await Promise.all(document.files.map(async (file) => ({ content: await bytes(file) })));
  return create(ExtractRequestSchema, {
    requestId: document.requestId ?? "",
    model: document.model ?? "",
    files,
    task: task(document),
    eventKinds: document.eventKinds ?? [],
    ...(document.generation && { generation: document.generation }),
  });
}

function task(document: Document): NonNullable<MessageInitShape<typeof ExtractRequestSchema>["task"]> {
  const given = [document.documentType, document.schema, document.prompt];
  if (given.filter((value) => value !== undefined).length > 1) {
    throw new TypeError("give one of documentType, schema and prompt");
  }
  if (document.prompt !== undefined) return { case: "prompt", value: document.prompt };
  if (document.schema !== undefined) return { case: "schema", value: document.schema };
  if (document.documentType === undefined) return { case: undefined };
  const source = { case: "documentType" as const, value: documentType(document.documentType) };
  return { case: "schema", value: { source, instructions: document.instructions ?? "" } };
}

function documentType(given: DocumentTypeName | DocumentType): DocumentType {
  if (typeof given !== "string") return given;
  const known = DOCUMENT_TYPES[given];
  if (known === undefined) {
    throw new TypeError(`unknown document type ${JSON.stringify(given)}: give one of ${Object.keys(DOCUMENT_TYPES).join(", ")}`);
  }
  return known;
}

async function bytes(file: PageFile): Promise<Uint8Array> {
  if (file instanceof Uint8Array) return file;
  if (file instanceof ArrayBuffer) return new Uint8Array(file);
  return new Uint8Array(await file.arrayBuffer());
}
