// Many documents over one call, or by a call for each where the transport cannot stream up.
import type { CallOptions as ConnectCallOptions, Client } from "@connectrpc/connect";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { Answers } from "./answers.js";
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

const ROUSED = Symbol("roused");

interface Entry {
  index: number;
  document: BatchDocument;
  request: ExtractRequest;
  attempt: number;
  answered: boolean;
  stopped: () => void;
  /** Runs while the document waits to be sent again: the server does not have it. */
  waits?: ReturnType<typeof setTimeout> | undefined;
}

/** Settings of both ways. */
export interface BatchSettings {
  inFlight: number;
  attempts: number;
  /** In ms, as `Date.now()`: no document is sent again then, or later. */
  end: number;
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
  /** Outcomes that are not of the server, until they are read. */
  readonly #told: BatchEvent[] = [];
  #taken = 0;
  #drained = false;
  #ended = false;
  #broken: { error: unknown } | undefined;
  /** The source was asked for a document, and has none yet. */
  #asked = false;
  /** For the one that sends, and the one that reads: look again. */
  #wake = () => {};
  #rouse = () => {};

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
    const answers = new Answers(calls.batchExtract(this.#messages(leave), call), leave);
    let failure: { error: unknown } | undefined;
    let done = false;
    try {
      for (let pending: Promise<BatchExtractResponse | undefined> | undefined; ; ) {
        yield* this.#takeTold();
        if (failure || done) break;
        const roused = new Promise<typeof ROUSED>((resolve) => (this.#rouse = () => resolve(ROUSED)));
        pending ??= answers.next();
        let message: BatchExtractResponse | typeof ROUSED | undefined;
        try {
          message = await Promise.race([pending, roused]);
        } catch (error) {
          failure = { error };
          continue;
        }
        if (message === ROUSED) continue;
        pending = undefined;
        done = message === undefined;
        const event = message && this.#heard(message);
        this.#wake();
        if (event) yield event;
      }
    } finally {
      this.#ended = true;
      answers.leave();
      this.#wake();
      for (const entry of [...this.#open.values()]) this.#close(entry, false);
    }
    if (this.#broken) throw this.#broken.error;
    if (failure) throw TesseraError.from(failure.error, signal);
    if (!this.#drained || this.#open.size > 0) throw new IncompleteStreamError();
  }

  *#takeTold(): Generator<BatchEvent, void, undefined> {
    for (let event = this.#told.shift(); event; event = this.#told.shift()) {
      this.#wake();
      yield event;
    }
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
        if (!this.#asked && !this.#drained && this.#hasRoom()) void this.#take(leave);
        await changed;
      }
    } finally {
      await ended(this.#documents, this.#asked);
    }
  }

  /** Outcomes that nobody has read yet take room, too. */
  #hasRoom(): boolean {
    return this.#open.size + this.#told.length < this.#settings.inFlight;
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
      const entry: Entry = { index, document: value, request, attempt: 1, answered: false, stopped: () => this.#stop(entry) };
      signal?.addEventListener("abort", entry.stopped, { once: true });
      this.#open.set(requestId, entry);
      this.#outbox.push({ message: { case: "extract", value: request } });
    } catch (error) {
      this.#tell({ index, requestId, document: value, error: asError(error) });
    }
  }

  #tell(outcome: BatchEvent): void {
    this.#told.push(outcome);
    this.#rouse();
  }

  /** Its own signal stops a document. */
  #stop(entry: Entry): void {
    const { index, document } = entry;
    const { requestId } = entry.request;
    if (entry.waits === undefined) {
      this.#outbox.push({ message: { case: "cancelRequestId", value: requestId } });
    } else {
      // The server knows nothing of it.
      this.#close(entry);
      this.#tell({ index, requestId, document, error: cancelled(document.signal) });
    }
    this.#wake();
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
    if (Date.now() + error.retryAfterMs >= this.#settings.end) return false;
    entry.attempt += 1;
    entry.waits = setTimeout(() => {
      entry.waits = undefined;
      this.#outbox.push({ message: { case: "extract", value: entry.request } });
      this.#wake();
    }, error.retryAfterMs);
    return true;
  }

  /** The document is done, unless the whole batch ends without it. */
  #close(entry: Entry, done = true): void {
    if (done) this.#open.delete(entry.request.requestId);
    clearTimeout(entry.waits);
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
  // `unread` is how many outcomes nobody has read yet: they take room, too.
  let [taken, unread, asked, drained] = [0, 0, false, false];
  let broken: { error: unknown } | undefined;
  const heard = (event: BatchEvent) => {
    inbox.push(event);
    if (isOutcome(event)) unread += 1;
    wake();
  };
  const one = async (given: BatchDocument, index: number) => {
    const document = inBatch(given, index, settings.quiet);
    const about = { index, requestId: document.requestId, document: given };
    try {
      const own = given.signal ? AbortSignal.any([given.signal, all]) : all;
      for await (const event of read(document, own)) {
        heard({ ...about, event });
      }
    } catch (error) {
      heard({ ...about, error: asError(error) });
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
      if (!asked && !drained && running.size + unread < settings.inFlight) void take();
      const event = inbox.shift();
      if (event) {
        if (isOutcome(event)) unread -= 1;
        yield event;
        continue;
      }
      if (broken) throw broken.error;
      if (signal.aborted) throw cancelled(signal);
      if (drained && running.size === 0) return;
      await changed;
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

/** Nothing follows for its document. */
function isOutcome({ event, error }: BatchEvent): boolean {
  return error !== undefined || event?.case === "completed";
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}

function cancelled(signal: AbortSignal | undefined): TesseraError {
  return new TesseraError("the document was stopped by its caller", "CANCELLED", {}, signal?.reason);
}
