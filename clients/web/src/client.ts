// The client: documents in, typed events or the whole answer out.
import {
  type CallOptions as ConnectCallOptions,
  type Client,
  createClient,
  type Transport,
} from "@connectrpc/connect";
import { Answers, leaving } from "./answers.js";
import { batchByCalls, BatchCall, type BatchDocument, type BatchEvent } from "./batch.js";
import { IncompleteStreamError, TesseraError } from "./errors.js";
import { type ExtractEvent, known } from "./events.js";
import { type Accepted, type Completed, EventKind, type ExtractRequest, ExtractionService, type ModelStatus } from "./proto.js";
import { type Document, toRequest } from "./request.js";

/** The whole answer of a call that succeeded. */
export interface Extraction {
  accepted: Accepted;
  completed: Completed;
  /** The JSON object that the model wrote; undefined without a schema, or where there is none. */
  document: Record<string, unknown> | undefined;
}

export interface CallOptions {
  /** Ends the call, and with it the work on the server. */
  signal?: AbortSignal;
  /** Deadline of the whole call; the server keeps it, too. 0: none. Default: that of the client, 5 minutes. */
  timeoutMs?: number;
  /** Metadata: `traceparent`, `authorization`, … */
  headers?: HeadersInit;
}

/** Options of a batch. Without `timeoutMs` it has no deadline: it is as long as its caller makes it. */
export interface BatchOptions extends CallOptions {
  /** Documents on their way at once. Default: 16. */
  inFlight?: number;
}

/** The outcome of one document of a batch: `answer`, or `error`. */
export interface BatchResult extends Omit<BatchEvent, "event"> {
  readonly answer?: Extraction;
}

export interface ClientOptions {
  /** Bearer token, or how to get one for each call. */
  token?: string | (() => string | Promise<string>);
  /** Deadline of calls that name none, in ms. 0: none. Default: 5 minutes. */
  timeoutMs?: number;
  /** Calls that fail before their first message, and that the server says may be tried again, are tried so often. Default: 4. */
  attempts?: number;
}

const IN_FLIGHT = 16;
const TIMEOUT_MS = 5 * 60_000;
const ATTEMPTS = 4;
const BACKOFF_MS = 500;
const BACKOFF_MS_MAX = 5_000;

/** A client of one server. It holds no connection of its own: the transport does. */
export class TesseraClient {
  readonly #calls: Client<typeof ExtractionService>;
  readonly #options: ClientOptions;
  readonly #streamsRequests: boolean;

  /** `streamsRequests`: whether the transport can; gRPC over HTTP/2 can, gRPC-Web cannot. */
  constructor(transport: Transport, options: ClientOptions = {}, streamsRequests = false) {
    this.#calls = createClient(ExtractionService, transport);
    this.#options = options;
    this.#streamsRequests = streamsRequests;
  }

  /**
   * The events of one document, as they come; the last one is `completed`. Leaving the loop early, `return`, also
   * while `next` waits, and aborting the signal end the work on the server. Throws `TesseraError`.
   */
  stream(document: Document, options: CallOptions = {}): AsyncGenerator<ExtractEvent, void, undefined> {
    return leaving(options, (own) => this.#run(() => toRequest(document), own));
  }

  /** As `stream`, for a request of the protocol itself. */
  streamRequest(request: ExtractRequest, options: CallOptions = {}): AsyncGenerator<ExtractEvent, void, undefined> {
    return leaving(options, (own) => this.#run(() => request, own));
  }

  async *#run(
    prepare: () => ExtractRequest | Promise<ExtractRequest>,
    options: CallOptions,
  ): AsyncGenerator<ExtractEvent, void, undefined> {
    const request = await prepare();
    const timeoutMs = this.#timeoutMs(options);
    const deadline = timeoutMs === 0 ? Infinity : Date.now() + timeoutMs;
    for (let attempt = 1; ; attempt += 1) {
      const leave = new AbortController();
      // None left is not the 0 that stands for no deadline.
      const left = timeoutMs === 0 ? 0 : Math.max(1, deadline - Date.now());
      const call = await this.#call({ ...options, timeoutMs: left }, leave);
      const answers = new Answers(this.#calls.extract(request, call), leave);
      let [answered, completed] = [false, false];
      try {
        for (let response = await answers.next(); response; response = await answers.next()) {
          const event = known(response);
          if (!event) continue;
          completed = event.case === "completed";
          answered = true;
          yield event;
        }
        if (!completed) throw new IncompleteStreamError();
        return;
      } catch (error) {
        const failure = TesseraError.from(error, options.signal);
        const delay = retryDelay(failure, attempt);
        const last = attempt >= (this.#options.attempts ?? ATTEMPTS);
        if (answered || last || delay === undefined || Date.now() + delay >= deadline) throw failure;
        await sleep(delay, options.signal);
      } finally {
        answers.leave();
      }
    }
  }

  /** The whole answer for one document. Throws `TesseraError`. */
  async extract(document: Document, options: CallOptions = {}): Promise<Extraction> {
    let accepted: Accepted | undefined;
    let completed: Completed | undefined;
    // Nobody sees the pieces: they need not be sent.
    const quiet = { ...document, eventKinds: document.eventKinds ?? [EventKind.NONE] };
    for await (const event of this.stream(quiet, options)) {
      if (event.case === "accepted") accepted = event.value;
      if (event.case === "completed") completed = event.value;
    }
    if (!accepted || !completed) throw new IncompleteStreamError();
    return whole(accepted, completed);
  }

  /**
   * Reads many documents and returns each outcome as it comes, in no order. They are taken as there is
   * room: at most `inFlight` are on their way. A document that fails is a result with `error`, and the
   * others go on; only a failure of the whole is thrown. Over gRPC all of it is one call; browsers cannot
   * stream up, and there each document is a call of its own.
   */
  batch(documents: Iterable<BatchDocument> | AsyncIterable<BatchDocument>, options: BatchOptions = {}): AsyncGenerator<BatchResult, void, undefined> {
    return leaving(options, (own) => this.#results(documents, own));
  }

  async *#results(documents: Iterable<BatchDocument> | AsyncIterable<BatchDocument>, options: BatchOptions): AsyncGenerator<BatchResult, void, undefined> {
    const accepted = new Map<number, Accepted>();
    for await (const { event, ...about } of this.#batch(documents, options, true)) {
      if (event?.case === "accepted") accepted.set(about.index, event.value);
      if (event?.case !== "completed" && !about.error) continue;
      const begin = accepted.get(about.index);
      accepted.delete(about.index);
      if (event?.case !== "completed") yield about;
      else if (begin) yield { ...about, answer: whole(begin, event.value) };
      else yield { ...about, error: new IncompleteStreamError() };
    }
  }

  /** As `batch`, with all events of every document as they happen. */
  streamBatch(documents: Iterable<BatchDocument> | AsyncIterable<BatchDocument>, options: BatchOptions = {}): AsyncGenerator<BatchEvent, void, undefined> {
    return leaving(options, (own) => this.#batch(documents, own, false));
  }

  async *#batch(
    documents: Iterable<BatchDocument> | AsyncIterable<BatchDocument>,
    options: BatchOptions,
    quiet: boolean,
  ): AsyncGenerator<BatchEvent, void, undefined> {
    const { inFlight = IN_FLIGHT, ...call } = options;
    const end = call.timeoutMs ? Date.now() + call.timeoutMs : Infinity;
    const settings = { inFlight: Math.max(1, inFlight), attempts: this.#options.attempts ?? ATTEMPTS, end, quiet };
    if (this.#streamsRequests) {
      const leave = new AbortController();
      const batch = new BatchCall(documents, settings);
      yield* batch.run(this.#calls, await this.#call({ ...call, timeoutMs: call.timeoutMs ?? 0 }, leave), leave, call.signal);
      return;
    }
    const read = (document: BatchDocument, signal: AbortSignal) =>
      this.stream(document, { ...call, signal, ...(end !== Infinity && { timeoutMs: Math.max(1, end - Date.now()) }) });
    yield* batchByCalls(documents, read, settings, call.signal ?? new AbortController().signal);
  }

  /** What is loaded, where, in which dtype, and every limit that a refusal names. */
  async modelInfo(options: CallOptions = {}): Promise<ModelStatus> {
    try {
      const { status } = await this.#calls.modelInfo({}, await this.#call(options));
      if (status) return status;
    } catch (error) {
      throw TesseraError.from(error, options.signal);
    }
    throw new TesseraError("the answer holds no status", "DATA_LOSS");
  }

  /** As `modelInfo`, again after each change, until the server drains. Without a deadline of its own. */
  watchModelInfo(options: CallOptions = {}): AsyncGenerator<ModelStatus, void, undefined> {
    return leaving(options, (own) => this.#watch(own));
  }

  async *#watch(options: CallOptions): AsyncGenerator<ModelStatus, void, undefined> {
    const leave = new AbortController();
    const call = await this.#call({ ...options, timeoutMs: options.timeoutMs ?? 0 }, leave);
    const answers = new Answers(this.#calls.watchModelInfo({}, call), leave);
    try {
      for (let answer = await answers.next(); answer; answer = await answers.next()) {
        if (answer.status) yield answer.status;
      }
    } catch (error) {
      throw TesseraError.from(error, options.signal);
    } finally {
      answers.leave();
    }
  }

  /** What a call may take; 0: as long as it likes. */
  #timeoutMs(options: CallOptions): number {
    return options.timeoutMs ?? this.#options.timeoutMs ?? TIMEOUT_MS;
  }

  /** What goes with a call; `leave` ends it beside the caller's signal. */
  async #call(options: CallOptions, leave?: AbortController): Promise<ConnectCallOptions> {
    const headers = new Headers(options.headers);
    const { token } = this.#options;
    if (token !== undefined && !headers.has("authorization")) {
      headers.set("authorization", `Bearer ${typeof token === "string" ? token : await token()}`);
    }
    const timeoutMs = this.#timeoutMs(options);
    const signals = [options.signal, leave?.signal].filter((signal) => signal !== undefined);
    return {
      headers,
      // As Connect takes it: a whole number, and 0 for none.
      timeoutMs: timeoutMs === 0 ? 0 : Math.max(1, Math.ceil(timeoutMs)),
      ...(signals.length > 0 && { signal: AbortSignal.any(signals) }),
    };
  }
}

function whole(accepted: Accepted, completed: Completed): Extraction {
  const json = completed.documentJson;
  const document = json === undefined ? undefined : (JSON.parse(json) as Record<string, unknown>);
  return { accepted, completed, document };
}

/** How long to wait before the call is tried again; undefined: it must not be. */
function retryDelay(failure: TesseraError, attempt: number): number | undefined {
  const told = failure.retryAfterMs;
  if (failure.code === "UNAVAILABLE") return told ?? Math.min(BACKOFF_MS * 2 ** (attempt - 1), BACKOFF_MS_MAX);
  // A full queue says when to come back; without that, the call would fail again.
  return failure.code === "RESOURCE_EXHAUSTED" ? told : undefined;
}

function sleep(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const stopped = () => {
      clearTimeout(timer);
      reject(new TesseraError("the call was ended by its caller", "CANCELLED", {}, signal?.reason));
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", stopped);
      resolve();
    }, ms);
    if (signal?.aborted) stopped();
    else signal?.addEventListener("abort", stopped, { once: true });
  });
}
