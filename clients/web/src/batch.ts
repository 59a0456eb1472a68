// Many documents over one call, or by a call for each where the transport cannot stream up.
import type { CallOptions as ConnectCallOptions, Client } from "@connectrpc/connect";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { IncompleteStreamError, TesseraError } from "./errors.js";
import { type ExtractEvent, known } from "./events.js";
import { type BatchExtractRequestSchema, type BatchExtractResponse, EventKind, type ExtractRequest, type ExtractionService, Priority } from "./proto.js";
import { type Document, toRequest } from "./request.js";

/** One document of a batch. */
export interface BatchDocument extends Document {
  /** Stops this document: its outcome is an error with `code` "CANCELLED". */
  signal?: AbortSignal;
}

/** What happened to one document. `completed` or an error is its last. */
export interface BatchEvent {
  /** Which one it was of those given, from 0. */
  readonly index: number;
  readonly requestId: string;
  /** What was given. */
  readonly document: BatchDocument;
  readonly event?: ExtractEvent;
  /** A `TesseraError`, or why no request could be made of the document. */
  readonly error?: Error;
}

type Documents = Iterable<BatchDocument> | AsyncIterable<BatchDocument>;
type Message = MessageInitShape<typeof BatchExtractRequestSchema>;

interface Entry {
  index: number;
  document: BatchDocument;
  request: ExtractRequest;
  attempt: number;
  answered: boolean;
  stopped: () => void;
}

/** Settings of both ways. */
export interface BatchSettings {
  inFlight: number;
  attempts: number;
  /** Nobody sees the pieces: they need not be sent. */
  quiet: boolean;
}

/** The document with what a batch says for all: nobody waits for one of them. */
function inBatch(document: BatchDocument, index: number, quiet: boolean): BatchDocument & { requestId: string } {
  const eventKinds = document.eventKinds ?? (quiet ? [EventKind.NONE] : []);
  const requestId = document.requestId || `document-${index + 1}`;
  return { ...document, eventKinds, requestId, priority: document.priority ?? Priority.BATCH };
}

/** A batch over one `BatchExtract` call. */
export class BatchCall {
  readonly #settings: BatchSettings;
  readonly #documents: AsyncIterator<BatchDocument>;
  readonly #open = new Map<string, Entry>();
  readonly #outbox: Message[] = [];
  /** Documents of which no request could be made. */
  #unsent: BatchEvent[] = [];
  #taken = 0;
  #drained = false;
  #ended = false;
  #broken: { error: unknown } | undefined;
  /** The source was asked for a document, and has none yet. */
  #asked = false;
  #wake = () => {};

  constructor(documents: Documents, settings: BatchSettings) {
    this.#documents = each(documents);
    this.#settings = settings;
  }

  /** `leave` ends the call beside the caller's `signal`. */
  async *run(
    calls: Client<typeof ExtractionService>,
    call: ConnectCallOptions,
    leave: AbortController,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<BatchEvent, void, undefined> {
    let done = false;
    try {
      for await (const message of calls.batchExtract(this.#messages(leave), call)) {
        yield* this.#takeUnsent();
        const event = this.#heard(message);
        this.#wake();
        if (event) yield event;
      }
      yield* this.#takeUnsent();
      done = this.#drained && this.#open.size === 0;
    } catch (error) {
      if (this.#broken) throw this.#broken.error;
      throw TesseraError.from(error, signal);
    } finally {
      this.#ended = true;
      leave.abort();
      this.#wake();
      for (const entry of this.#open.values()) entry.document.signal?.removeEventListener("abort", entry.stopped);
    }
    if (this.#broken) throw this.#broken.error;
    if (!done) throw new IncompleteStreamError();
  }

  #takeUnsent(): BatchEvent[] {
    const found = this.#unsent;
    this.#unsent = [];
    return found;
  }

  /** What is sent, as the transport asks for it. */
  async *#messages(leave: AbortController): AsyncGenerator<Message, void, undefined> {
    try {
      while (!this.#ended && !this.#broken && !(this.#drained && this.#open.size === 0)) {
        const changed = new Promise<void>((resolve) => (this.#wake = resolve));
        const message = this.#outbox.shift();
        if (message) {
          yield message;
          continue;
        }
        // Not waited for alone: what is sent meanwhile may be what its source waits for.
        if (!this.#asked && !this.#drained && this.#open.size < this.#settings.inFlight) void this.#take(leave);
        await changed;
      }
    } finally {
      await ended(this.#documents, this.#asked);
    }
  }

  /** Puts the next document's message into the outbox, unless it became none or there is no more. */
  async #take(leave: AbortController): Promise<void> {
    this.#asked = true;
    try {
      const next = await this.#documents.next();
      if (next.done) this.#drained = true;
      else if (!this.#ended) await this.#begin(next.value);
    } catch (error) {
      // The caller's own: it must reach who reads.
      this.#broken = { error };
      leave.abort();
    } finally {
      this.#asked = false;
      this.#wake();
    }
  }

  async #begin(value: BatchDocument): Promise<void> {
    const index = this.#taken;
    this.#taken += 1;
    const document = inBatch(value, index, this.#settings.quiet);
    const { requestId, signal } = document;
    try {
      const request = await toRequest(document);
      if (this.#ended) return;
      if (this.#open.has(requestId)) throw new TypeError(`requestId ${JSON.stringify(requestId)} is on its way already: each needs its own`);
      if (signal?.aborted) throw cancelled(signal);
      const stopped = () => {
        this.#outbox.push({ message: { case: "cancelRequestId", value: requestId } });
        this.#wake();
      };
      signal?.addEventListener("abort", stopped, { once: true });
      this.#open.set(requestId, { index, document: value, request, attempt: 1, answered: false, stopped });
      this.#outbox.push({ message: { case: "extract", value: request } });
    } catch (error) {
      this.#unsent.push({ index, requestId, document: value, error: asError(error) });
    }
  }

  #heard({ requestId, outcome }: BatchExtractResponse): BatchEvent | undefined {
    const entry = this.#open.get(requestId);
    if (!entry) return undefined;
    const { index, document } = entry;
    if (outcome.case === "error") {
      const error = TesseraError.ofDocument(outcome.value);
      if (this.#sendsAgain(entry, error)) return undefined;
      this.#close(entry);
      return { index, requestId, document, error };
    }
    const event = outcome.case === "response" ? known(outcome.value) : undefined;
    if (!event) return undefined;
    entry.answered = true;
    if (event.case === "completed") this.#close(entry);
    return { index, requestId, document, event };
  }

  /** As a call of its own would be: what has answered never is. */
  #sendsAgain(entry: Entry, error: TesseraError): boolean {
    const final = entry.answered || entry.document.signal?.aborted || entry.attempt >= this.#settings.attempts;
    const again = error.code === "RESOURCE_EXHAUSTED" || error.code === "UNAVAILABLE";
    if (final || !again || error.retryAfterMs === undefined) return false;
    entry.attempt += 1;
    setTimeout(() => {
      if (this.#ended || this.#open.get(entry.request.requestId) !== entry) return;
      this.#outbox.push({ message: { case: "extract", value: entry.request } });
      this.#wake();
    }, error.retryAfterMs);
    return true;
  }

  #close(entry: Entry): void {
    this.#open.delete(entry.request.requestId);
    entry.document.signal?.removeEventListener("abort", entry.stopped);
  }
}

/** Reads one document by a call of its own. */
export type ReadOne = (document: Document, signal: AbortSignal) => AsyncIterable<ExtractEvent>;

/** A batch by a call for each document, so many at once. */
export async function* batchByCalls(documents: Documents, read: ReadOne, settings: BatchSettings, signal: AbortSignal): AsyncGenerator<BatchEvent, void, undefined> {
  const source = each(documents);
  const inbox: BatchEvent[] = [];
  const running = new Set<Promise<void>>();
  const leave = new AbortController();
  const all = AbortSignal.any([signal, leave.signal]);
  let wake = () => {};
  let [taken, asked, drained] = [0, false, false];
  let broken: { error: unknown } | undefined;
  const one = async (given: BatchDocument, index: number) => {
    const document = inBatch(given, index, settings.quiet);
    const about = { index, requestId: document.requestId, document: given };
    try {
      const own = given.signal ? AbortSignal.any([given.signal, all]) : all;
      for await (const event of read(document, own)) {
        inbox.push({ ...about, event });
        wake();
      }
    } catch (error) {
      inbox.push({ ...about, error: asError(error) });
    }
  };
  const take = async () => {
    asked = true;
    try {
      const { done, value } = await source.next();
      drained = done === true;
      if (done || leave.signal.aborted) return;
      const work = one(value, taken).finally(() => {
        running.delete(work);
        wake();
      });
      running.add(work);
      taken += 1;
    } catch (error) {
      // The caller's own: it must reach who reads.
      broken = { error };
    } finally {
      asked = false;
      wake();
    }
  };
  const stopped = () => wake();
  signal.addEventListener("abort", stopped);
  try {
    for (;;) {
      const changed = new Promise<void>((resolve) => (wake = resolve));
      // Not waited for alone: a source may be slow, or wait for the outcome of an earlier document.
      if (!asked && !drained && running.size < settings.inFlight) void take();
      const events = inbox.splice(0);
      yield* events;
      if (broken) throw broken.error;
      if (signal.aborted) throw cancelled(signal);
      if (drained && running.size === 0 && inbox.length === 0) return;
      if (events.length === 0) await changed;
    }
  } finally {
    signal.removeEventListener("abort", stopped);
    leave.abort();
    await ended(source, asked);
  }
}

/** Ends a source; one that was asked and has not answered does so when it likes, and is not waited for. */
async function ended(source: AsyncIterator<BatchDocument>, asked: boolean): Promise<void> {
  const end = source.return?.();
  if (asked) end?.catch(() => {});
  else await end;
}

async function* each(documents: Documents): AsyncGenerator<BatchDocument, void, undefined> {
  yield* documents;
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}

function cancelled(signal: AbortSignal): TesseraError {
  return new TesseraError("the document was stopped by its caller", "CANCELLED", {}, signal.reason);
}
