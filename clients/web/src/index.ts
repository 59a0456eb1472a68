/**
 * Client of Tessera for browsers, and for anything else that has `fetch`: gRPC-Web.
 * Node services may prefer `@tessera-server/client/node`: gRPC over HTTP/2.
 */
import { createGrpcWebTransport } from "@connectrpc/connect-web";
import { type ClientOptions, TesseraClient } from "./client.js";

export type { BatchDocument, BatchEvent } from "./batch.js";
export { type BatchOptions, type BatchResult, type CallOptions, type ClientOptions, type Extraction, TesseraClient } from "./client.js";
export type { ExtractEvent } from "./events.js";
export { type FieldViolation, IncompleteStreamError, TesseraError } from "./errors.js";
export { type Document, type DocumentTypeName, type FilePages, type PageFile, toRequest } from "./request.js";

/** Options of a gRPC-Web transport, beside those of the client. */
export type WebOptions = ClientOptions & Omit<Parameters<typeof createGrpcWebTransport>[0], "baseUrl">;

/** A client of the server at `baseUrl`: "http://localhost:50051". */
export function connect(baseUrl: string, options: WebOptions = {}): TesseraClient {
  const { token, timeoutMs, attempts, ...transport } = options;
  return new TesseraClient(createGrpcWebTransport({ ...transport, baseUrl }), {
    ...(token !== undefined && { token }),
    ...(timeoutMs !== undefined && { timeoutMs }),
    ...(attempts !== undefined && { attempts }),
  });
}
