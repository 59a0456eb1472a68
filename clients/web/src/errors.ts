// Failures: the status of a call with the details that Tessera sends.
import { BinaryReader } from "@bufbuild/protobuf/wire";
import { Code, ConnectError } from "@connectrpc/connect";
import type { ExtractError } from "./proto.js";

/** A field of the request that is wrong, and how. */
export interface FieldViolation {
  field: string;
  description: string;
}

/** A call that failed. What came before stays true; `code` and `reason` say why it ended. */
export class TesseraError extends Error {
  override readonly name: string = "TesseraError";
  /** As gRPC has it: "INVALID_ARGUMENT", "UNAVAILABLE", … */
  readonly code: string;
  /** `google.rpc.ErrorInfo`: "QUEUE_FULL", "INVALID_FIELD", … Empty: the server sent none. */
  readonly reason: string;
  /** Of `ErrorInfo`: limits, values, steps; `wrong_fields` where more are wrong than are named. */
  readonly metadata: Readonly<Record<string, string>>;
  /** `google.rpc.BadRequest`: the fields that are wrong, at most 12. */
  readonly violations: readonly FieldViolation[];
  /** `google.rpc.RetryInfo`: when the same call may succeed. Undefined: it would fail again. */
  readonly retryAfterMs: number | undefined;

  constructor(message: string, code: string, details: Partial<Details> = {}, cause?: unknown) {
    super(message, { cause });
    this.code = code;
    this.reason = details.reason ?? "";
    this.metadata = details.metadata ?? {};
    this.violations = details.violations ?? [];
    this.retryAfterMs = details.retryAfterMs;
  }

  /** What a call threw, as one of these; `signal` is the one with which its caller could end it. */
  static from(error: unknown, signal?: AbortSignal): TesseraError {
    if (error instanceof TesseraError) return error;
    const status = ConnectError.from(error);
    const code = isUnreached(status, signal) ? Code.Unavailable : status.code;
    return new TesseraError(status.rawMessage.trim(), codeName(code), details(status), error);
  }

  /** Of a document of a batch: the same that a call of its own would have thrown. */
  static ofDocument(error: ExtractError): TesseraError {
    const { retryAfter, fields, reason, metadata } = error;
    const told = error.violations.map(({ field, description }) => ({ field, description }));
    // An older server names the fields only; its message says what is wrong with them.
    const violations = told.length > 0 ? told : fields.map((field) => ({ field, description: "" }));
    const retryAfterMs = retryAfter && Number(retryAfter.seconds) * 1000 + retryAfter.nanos / 1e6;
    return new TesseraError(error.message, codeName(error.code), { reason, metadata, violations, retryAfterMs });
  }
}

/** The stream ended with OK but without `completed`: the answer is not whole. */
export class IncompleteStreamError extends TesseraError {
  override readonly name = "IncompleteStreamError";

  constructor() {
    super("the stream ended without `completed`", "DATA_LOSS");
  }
}

interface Details {
  reason: string;
  metadata: Record<string, string>;
  violations: FieldViolation[];
  retryAfterMs: number | undefined;
}

/** Names that Node and OpenSSL give to what is wrong with a certificate or a handshake. */
const UNTRUSTED = /^(ERR_SSL_|ERR_TLS_|CERT_|CRL_|UNABLE_TO_|SELF_SIGNED_|DEPTH_ZERO_|INVALID_(CA|PURPOSE)|HOSTNAME_)/;

/**
 * A connection that was not made, or closed under the call. gRPC calls that UNAVAILABLE everywhere; Connect
 * says INTERNAL of TLS, and CANCELLED where nobody cancelled.
 */
function isUnreached(status: ConnectError, signal: AbortSignal | undefined): boolean {
  const code = (status.cause as { code?: unknown } | undefined)?.code;
  if (status.code === Code.Internal) return typeof code === "string" && UNTRUSTED.test(code);
  return status.code === Code.Canceled && !signal?.aborted && status.rawMessage.startsWith("http/2 stream closed");
}

/** "INVALID_ARGUMENT" for `Code.InvalidArgument`. Connect spells one of them with one L. */
function codeName(code: Code): string {
  const name = Code[code] ?? "Unknown";
  return code === Code.Canceled ? "CANCELLED" : name.replace(/(?<=.)([A-Z])/g, "_$1").toUpperCase();
}

/** Three messages of google/rpc/error_details.proto; reading them takes no generated code. */
function details(status: ConnectError): Details {
  const found: Details = { reason: "", metadata: {}, violations: [], retryAfterMs: undefined };
  for (const detail of status.details) {
    if (!("type" in detail) || !(detail.value instanceof Uint8Array)) continue;
    const read = READERS[detail.type];
    read?.(detail.value, found);
  }
  return found;
}

const READERS: Record<string, (bytes: Uint8Array, into: Details) => void> = {
  "google.rpc.ErrorInfo": (bytes, into) => {
    fields(bytes, {
      1: (reader) => (into.reason = reader.string()),
      3: (reader) => {
        let key = "";
        let value = "";
        fields(reader.bytes(), {
          1: (entry) => (key = entry.string()),
          2: (entry) => (value = entry.string()),
        });
        into.metadata[key] = value;
      },
    });
  },
  "google.rpc.BadRequest": (bytes, into) => {
    fields(bytes, {
      1: (reader) => {
        const violation = { field: "", description: "" };
        fields(reader.bytes(), {
          1: (entry) => (violation.field = entry.string()),
          2: (entry) => (violation.description = entry.string()),
        });
        into.violations.push(violation);
      },
    });
  },
  "google.rpc.RetryInfo": (bytes, into) => {
    fields(bytes, {
      1: (reader) => {
        let ms = 0;
        fields(reader.bytes(), {
          1: (duration) => (ms += Number(duration.int64()) * 1000),
          2: (duration) => (ms += duration.int32() / 1e6),
        });
        into.retryAfterMs = ms;
      },
    });
  },
};

/** Hands each known field of a message to its reader and skips the others. */
function fields(bytes: Uint8Array, readers: Record<number, (reader: BinaryReader) => void>): void {
  const reader = new BinaryReader(bytes);
  while (reader.pos < reader.len) {
    const [number, wireType] = reader.tag();
    const read = readers[number];
    if (read) read(reader);
    else reader.skip(wireType);
  }
}
