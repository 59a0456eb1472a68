/** Client of Tessera for Node: gRPC over HTTP/2. Needs the package `@connectrpc/connect-node`. */
import { createGrpcTransport, type GrpcTransportOptions } from "@connectrpc/connect-node";
import { type ClientOptions, TesseraClient } from "./client.js";

export type { BatchDocument, BatchEvent } from "./batch.js";
export { type BatchOptions, type BatchResult, type CallOptions, type ClientOptions, type Extraction, TesseraClient } from "./client.js";
export type { ExtractEvent } from "./events.js";
export { type FieldViolation, IncompleteStreamError, TesseraError } from "./errors.js";
export { type Document, type DocumentTypeName, type FilePages, type PageFile, toRequest } from "./request.js";

/** Options of a gRPC transport, TLS among `nodeOptions`, beside those of the client. */
export type NodeOptions = ClientOptions & Omit<GrpcTransportOptions, "baseUrl">;

/** A client of the server at `baseUrl`: "http://localhost:50051", or "https://…" for TLS. */
export function connect(baseUrl: string, options: NodeOptions = {}): TesseraClient {
  const { token, timeoutMs, attempts, ...transport } = options;
  // Pings find a server that is gone without a word while it is silent.
  const keepalive = { pingIntervalMs: 30_000, pingTimeoutMs: 20_000 };
  const own = {
    ...(token !== undefined && { token }),
    ...(timeoutMs !== undefined && { timeoutMs }),
    ...(attempts !== undefined && { attempts }),
  };
  return new TesseraClient(createGrpcTransport({ ...keepalive, ...transport, baseUrl }), own, true);
}
