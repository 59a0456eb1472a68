//! Every metric by name, unit, buckets and meaning: no other place spells them.
//!
//! `gen_ai.*` and `rpc.*` are OpenTelemetry's (`GenAI` 1.41, RPC 1.44), `otel.sdk.*` its names for what
//! an exporter does; what has no name there is `tessera.*`. Advised buckets are all kept, so that
//! dashboards made for them work, and extended to where documents are.

/// What a metric is to whoever reads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// As it is now.
    Gauge,
    Histogram,
}

/// One metric.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spec {
    pub name: &'static str,
    pub kind: Kind,
    /// As UCUM has it: `s`, `By`, `{token}`.
    pub unit: &'static str,
    pub description: &'static str,
    /// Upper bounds; empty for other kinds.
    pub buckets: &'static [f64],
}

const fn counter(name: &'static str, unit: &'static str, description: &'static str) -> Spec {
    Spec { name, kind: Kind::Counter, unit, description, buckets: &[] }
}

const fn gauge(name: &'static str, unit: &'static str, description: &'static str) -> Spec {
    Spec { name, kind: Kind::Gauge, unit, description, buckets: &[] }
}

const fn histogram(
    name: &'static str,
    unit: &'static str,
    buckets: &'static [f64],
    description: &'static str,
) -> Spec {
    Spec { name, kind: Kind::Histogram, unit, description, buckets }
}

const REQUEST_SECONDS: &[f64] = &[
    0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92, 163.84,
    327.68, 655.36, 1310.72, 2621.44,
];
const FIRST_TOKEN_SECONDS: &[f64] = &[
    0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
    20.0, 40.0, 80.0, 160.0, 640.0, 2560.0,
];
const OUTPUT_TOKEN_SECONDS: &[f64] = &[
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5,
    5.0, 10.0,
];
const TOKENS: &[f64] = &[
    1.0,
    4.0,
    16.0,
    64.0,
    256.0,
    1024.0,
    4096.0,
    16384.0,
    65536.0,
    262_144.0,
    1_048_576.0,
    4_194_304.0,
    16_777_216.0,
    67_108_864.0,
];
const CALL_SECONDS: &[f64] = &[
    0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 20.0, 40.0,
    80.0, 160.0, 640.0, 2560.0,
];
const STEP_SECONDS: &[f64] =
    &[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
const BATCH: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0];

pub const REQUEST_DURATION: Spec = histogram(
    "gen_ai.server.request.duration",
    "s",
    REQUEST_SECONDS,
    "From the request's headers to its last event",
);
pub const TIME_TO_FIRST_TOKEN: Spec = histogram(
    "gen_ai.server.time_to_first_token",
    "s",
    FIRST_TOKEN_SECONDS,
    "From the request's headers to its first output token, of whole answers",
);
pub const TIME_PER_OUTPUT_TOKEN: Spec = histogram(
    "gen_ai.server.time_per_output_token",
    "s",
    OUTPUT_TOKEN_SECONDS,
    "Mean time between the output tokens of one whole answer",
);
pub const TOKEN_USAGE: Spec = histogram(
    "gen_ai.client.token.usage",
    "{token}",
    TOKENS,
    "Tokens of one whole answer, by gen_ai.token.type",
);
pub const CALL_DURATION: Spec = histogram(
    "rpc.server.call.duration",
    "s",
    CALL_SECONDS,
    "Calls, from their headers to the end of their stream",
);

pub const TOKENS_PROCESSED: Spec = counter(
    "tessera.tokens",
    "{token}",
    "Tokens of whole answers by gen_ai.token.type; image tokens are input tokens too",
);
pub const ANSWERS: Spec =
    counter("tessera.answers", "{answer}", "Whole answers by gen_ai.response.finish_reason");
pub const REJECTIONS: Spec =
    counter("tessera.rejections", "{request}", "Requests that were not taken, by error.type");
pub const PHASE_DURATION: Spec = histogram(
    "tessera.request.phase.duration",
    "s",
    REQUEST_SECONDS,
    "Where the time of whole answers went, by tessera.phase",
);

pub const FETCHES: Spec = counter(
    "tessera.fetch.files",
    "{file}",
    "Files fetched from URIs of requests; those with an error.type were not",
);
pub const FETCHED_BYTES: Spec = counter("tessera.fetch.size", "By", "Bytes of files fetched");
pub const FETCH_DURATION: Spec = histogram(
    "tessera.fetch.duration",
    "s",
    CALL_SECONDS,
    "Fetching one file, from the wait for its turn to its last byte, of those that came",
);

pub const PAGES: Spec = counter("tessera.preprocess.pages", "{page}", "Pages cut into tiles");
pub const TILES: Spec = counter("tessera.preprocess.tiles", "{tile}", "Tiles made of pages");
pub const DOCUMENT_PREPROCESSING: Spec = histogram(
    "tessera.preprocess.duration",
    "s",
    CALL_SECONDS,
    "Decoding, cutting and tokenising one document",
);

pub const STEPS: Spec = counter("tessera.engine.steps", "{step}", "Forward passes");
pub const STEP_DURATION: Spec =
    histogram("tessera.engine.step.duration", "s", STEP_SECONDS, "Forward passes");
pub const BATCH_SIZE: Spec = histogram(
    "tessera.engine.batch_size",
    "{request}",
    BATCH,
    "Requests that one forward pass moves on",
);
pub const STEP_TOKENS: Spec = counter(
    "tessera.engine.tokens",
    "{token}",
    "Tokens that forward passes took in, by tessera.phase: prefill, decode",
);
pub const RUNNING: Spec =
    gauge("tessera.engine.requests.running", "{request}", "Requests that have a slot");
pub const WAITING: Spec =
    gauge("tessera.engine.requests.waiting", "{request}", "Requests taken that have no slot yet");
pub const SLOTS: Spec = gauge("tessera.engine.slots", "{request}", "Requests that can run at once");
pub const KV_UTILIZATION: Spec =
    gauge("tessera.engine.kv_cache.utilization", "1", "Share of the KV cache in use");
pub const CANCELLATIONS: Spec = counter(
    "tessera.engine.cancellations",
    "{request}",
    "Requests whose reader left before the answer was whole",
);
pub const CANCEL_TO_FREE: Spec = histogram(
    "tessera.engine.cancel_to_free.duration",
    "s",
    STEP_SECONDS,
    "From a reader leaving to its slot and KV memory being free",
);
pub const PREEMPTIONS: Spec = counter(
    "tessera.engine.preemptions",
    "{request}",
    "Running requests that lost their KV memory to another one, to be resumed",
);
pub const PREFIX_QUERIES: Spec =
    counter("tessera.engine.prefix_cache.queries", "{token}", "Prompt tokens looked up");
pub const PREFIX_HITS: Spec =
    counter("tessera.engine.prefix_cache.hits", "{token}", "Prompt tokens found, not computed");
pub const ENCODER_QUERIES: Spec =
    counter("tessera.engine.encoder_cache.queries", "{tile}", "Tiles looked up");
pub const ENCODER_HITS: Spec =
    counter("tessera.engine.encoder_cache.hits", "{tile}", "Tiles found, not encoded");
pub const SPOILT_ANSWERS: Spec = counter(
    "tessera.engine.spoilt_answers",
    "{request}",
    "Answers that a guard ended, by error.type: GIBBERISH, REPETITION, NON_FINITE_LOGITS",
);

pub const MODEL_STATE: Spec = gauge(
    "tessera.model.state",
    "{state}",
    "1 for the state that the model is in, by tessera.state",
);
pub const DTYPE_FALLBACKS: Spec = gauge(
    "tessera.model.dtype_fallbacks",
    "{module}",
    "Modules in another dtype than asked for, by device and dtypes",
);
pub const DEVICE_MEMORY: Spec = gauge(
    "tessera.device.memory",
    "By",
    "Memory of a device by tessera.memory: total, free (after loading), weights, kv_cache",
);
pub const LINK_BANDWIDTH: Spec = gauge(
    "tessera.device.link.bandwidth",
    "By/s",
    "Copies between two devices as measured at start-up, by route; 0 where it was not measured",
);

pub const HEAP: Spec = gauge(
    "tessera.process.heap",
    "By",
    "Bytes that the program asked its allocator for and has not given back",
);

pub const SPANS_PROCESSED: Spec = counter(
    "otel.sdk.processor.span.processed",
    "{span}",
    "Spans queued for export; those with an error.type are lost",
);
pub const SPANS_EXPORTED: Spec = counter(
    "otel.sdk.exporter.span.exported",
    "{span}",
    "Spans sent; those with an error.type were refused or not taken in time",
);
pub const STEPS_ELIDED: Spec = counter(
    "tessera.trace.steps_elided",
    "{step}",
    "Generation steps of traced requests that have no span of their own",
);

/// Why an answer is none, as [`SPOILT_ANSWERS`] has it.
pub const SPOILT_REASONS: [&str; 3] = ["GIBBERISH", "NON_FINITE_LOGITS", "REPETITION"];

/// Why a request is not taken, as [`REJECTIONS`] has it: by its caller's rights and quotas, by what the server
/// has room for, by its state, by what is wrong with the request.
pub const REJECTION_REASONS: [&str; 19] = [
    "BATCH_FULL",
    "CREDENTIALS_INVALID",
    "CREDENTIALS_MISSING",
    "DRAINING",
    "FETCH_FAILED",
    "INVALID_FIELD",
    "LIMIT_EXCEEDED",
    "MALFORMED_MESSAGE",
    "MESSAGE_TIMEOUT",
    "METHOD_NOT_ALLOWED",
    "MODEL_FAILED",
    "MODEL_LOADING",
    "MODEL_NOT_FOUND",
    "MODEL_POISONED",
    "QUEUE_FULL",
    "QUOTA_IN_FLIGHT",
    "QUOTA_PER_MINUTE",
    "REQUEST_MEMORY_FULL",
    "UNIMPLEMENTED",
];

/// Why a file was not fetched, as [`FETCHES`] has it.
pub const FETCH_ERRORS: [&str; 10] = [
    "broken",
    "cancelled",
    "encoded",
    "late",
    "no_room",
    "no_turn",
    "redirect",
    "status",
    "too_large",
    "unreachable",
];

/// All of them, as the documentation lists them.
pub const ALL: &[Spec] = &[
    REQUEST_DURATION,
    TIME_TO_FIRST_TOKEN,
    TIME_PER_OUTPUT_TOKEN,
    TOKEN_USAGE,
    CALL_DURATION,
    TOKENS_PROCESSED,
    ANSWERS,
    REJECTIONS,
    PHASE_DURATION,
    FETCHES,
    FETCHED_BYTES,
    FETCH_DURATION,
    PAGES,
    TILES,
    DOCUMENT_PREPROCESSING,
    STEPS,
    STEP_DURATION,
    BATCH_SIZE,
    STEP_TOKENS,
    RUNNING,
    WAITING,
    SLOTS,
    KV_UTILIZATION,
    CANCELLATIONS,
    CANCEL_TO_FREE,
    PREEMPTIONS,
    PREFIX_QUERIES,
    PREFIX_HITS,
    ENCODER_QUERIES,
    ENCODER_HITS,
    SPOILT_ANSWERS,
    MODEL_STATE,
    DTYPE_FALLBACKS,
    DEVICE_MEMORY,
    LINK_BANDWIDTH,
    HEAP,
    SPANS_PROCESSED,
    SPANS_EXPORTED,
    STEPS_ELIDED,
];
