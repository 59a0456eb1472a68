//! The one table of options: flags, variables, file keys, defaults and help all come from here.

/// One option of `tessera serve`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    Model,
    Weights,
    Devices,
    Replicas,
    DeviceMap,
    MaxMemory,
    Dtype,
    DtypePolicy,
    DtypeOverride,
    Quantize,
    Embedding,
    Verify,
    PromptStyle,
    SystemMessage,
    Prompts,
    Calibration,
    Slots,
    SlotTokens,
    KvTokens,
    PrefixCache,
    PrefillChunk,
    Queue,
    QueueTokens,
    MaxTiles,
    MaxOutputTokens,
    IntakeThreads,
    Guard,
    GuardBangRatio,
    GuardRepeat,
    GuardUnsure,
    PoisonLimit,
    Listen,
    DrainTimeout,
    DrainPropagation,
    NoReflection,
    AdminListen,
    CorsOrigin,
    AllowedHosts,
    NoPlayground,
    Watchdog,
    TlsCert,
    TlsKey,
    TlsClientCa,
    TlsClientAuth,
    AccessFile,
    ClientInFlight,
    ClientPerMinute,
    RequestMemory,
    ReceiveTimeout,
    MaxConnections,
    ConnectionAge,
    FetchFrom,
    FetchNetworks,
    FetchCa,
    FetchTimeout,
    FetchAtOnce,
    LogLevel,
    LogFormat,
    OtlpEndpoint,
    OtlpProtocol,
    OtlpSignals,
    TraceSampleRatio,
    TraceLevel,
    TraceLevelMax,
    TraceSteps,
    TraceDir,
    TraceContent,
    TraceVllmNames,
    MetricsVllmNames,
}

/// What is to know of an option before its value is understood.
#[derive(Debug, Clone, Copy)]
pub struct Spec {
    pub key: Key,
    /// As in `--name` and in the file; `TESSERA_NAME` in the environment.
    pub name: &'static str,
    pub heading: &'static str,
    /// Empty for a switch.
    pub value_name: &'static str,
    /// Read as if it had been typed; empty: not set.
    pub default: &'static str,
    pub help: &'static str,
}

impl Spec {
    const fn new(key: Key, name: &'static str, heading: &'static str) -> Self {
        Self { key, name, heading, value_name: "", default: "", help: "" }
    }

    const fn takes(mut self, value_name: &'static str, default: &'static str) -> Self {
        self.value_name = value_name;
        self.default = default;
        self
    }

    const fn help(mut self, help: &'static str) -> Self {
        self.help = help;
        self
    }

    pub fn is_switch(&self) -> bool {
        self.value_name.is_empty()
    }

    /// Whether it says what is loaded and how much room is made for requests.
    pub fn is_for_loading(&self) -> bool {
        [MODEL, REQUESTS].contains(&self.heading)
    }
}

pub const MODEL: &str = "Model";
const REQUESTS: &str = "Requests";
const GUARD: &str = "Answers that are none";
const SERVER: &str = "Server";
const ACCESS: &str = "Who may call";
const FETCH: &str = "Files by URI";
const TELEMETRY: &str = "Logs, metrics and traces";

/// All options, in the order that `--help` shows.
pub const ALL: [Spec; 69] = [
    Spec::new(Key::Model, "model", MODEL)
        .takes("DIR", crate::checkpoint::EMBEDDED_NAME)
        .help("Model directory with config.json and *.safetensors; tessera-tiny is built in"),
    Spec::new(Key::Weights, "weights", MODEL).takes("SOURCE", "file").help(
        "file: the model's own; random:SEED: made up, to try sizes and speed; fake: none, for load tests",
    ),
    Spec::new(Key::Devices, "devices", MODEL)
        .takes("LIST", "auto")
        .help("cuda:0,cuda:1 or cpu, with commas; auto: all GPUs this build can use, else the CPU"),
    Spec::new(Key::Replicas, "replicas", MODEL)
        .takes("N", "1")
        .help("Models behind this endpoint, each on its own part of the devices; slots, kv-tokens: of each"),
    Spec::new(Key::DeviceMap, "device-map", MODEL).takes("MAP", "auto").help(
        "auto, balanced, balanced_low_0, sequential, internvl, one device, or FILE.json: what goes where",
    ),
    Spec::new(Key::MaxMemory, "max-memory", MODEL)
        .takes("LIST", "")
        .help("Most memory to use on a device: 0=20GiB,1=22GiB,cpu=32GiB; unset: what is free"),
    Spec::new(Key::Dtype, "dtype", MODEL)
        .takes("DTYPE", "auto")
        .help("f32, bf16, f16, or auto: the best that each device computes reliably"),
    Spec::new(Key::DtypePolicy, "dtype-policy", MODEL)
        .takes("POLICY", "fallback")
        .help("Where a dtype cannot be had: fallback uses and reports the nearest, strict refuses"),
    Spec::new(Key::DtypeOverride, "dtype-override", MODEL)
        .takes("LIST", "")
        .help("Dtypes of single modules: vision=f32,language.layers.0-3=f32,lm_head=f32"),
    Spec::new(Key::Quantize, "quantize", MODEL)
        .takes("FORMAT", "none")
        .help("Decoder matrices in half the memory of bf16: q8, 8-bit integers; fp8, 8-bit floats, on H100 and H200; or none"),
    Spec::new(Key::Embedding, "embedding", MODEL)
        .takes("PLACE", "device")
        .help("device, or host: a GPU gets the rows that it needs from the host's memory, which has the table"),
    Spec::new(Key::Verify, "verify", MODEL).takes("CHECKS", "probe").help(
        "probe: placement, dtypes and a test page; full: also every weight, bit for bit; or none",
    ),
    Spec::new(Key::PromptStyle, "prompt-style", MODEL)
        .takes("STYLE", "auto")
        .help("internvl2_5, hf_template, or auto: what the model's files ask for"),
    Spec::new(Key::SystemMessage, "system-message", MODEL)
        .takes("TEXT", "")
        .help("System message of every prompt; unset: the model's own"),
    Spec::new(Key::Prompts, "prompts", MODEL)
        .takes("DIR", "")
        .help("Templates of questions to use instead of the built-in ones, such as receipt.json.jinja"),
    Spec::new(Key::Calibration, "calibration", MODEL)
        .takes("SWITCH", "on")
        .help("on: the model's calibration.json maps confidences, where it has one; off: they stay the model's own"),
    Spec::new(Key::Slots, "slots", REQUESTS)
        .takes("N", "4")
        .help("Requests that run at once, as far as the KV cache has room for them"),
    Spec::new(Key::SlotTokens, "slot-tokens", REQUESTS)
        .takes("N", "8192")
        .help("Context of one request, pages and answer together; at most the model's own"),
    Spec::new(Key::KvTokens, "kv-tokens", REQUESTS)
        .takes("N", "auto")
        .help("Tokens of all requests together that the KV cache holds; auto: slots times slot-tokens"),
    Spec::new(Key::PrefixCache, "prefix-cache", REQUESTS)
        .takes("SWITCH", "on")
        .help("on: keep what prompts and pages became for requests that begin alike; off: do not"),
    Spec::new(Key::PrefillChunk, "prefill-chunk", REQUESTS)
        .takes("N", "auto")
        .help("Most prompt tokens taken in per step; fewer keep running answers flowing; auto: 1024 on GPUs from compute capability 9.0 on, else 512"),
    Spec::new(Key::Queue, "queue", REQUESTS)
        .takes("N", "64")
        .help("Requests that may wait; more are refused with a time to come back"),
    Spec::new(Key::QueueTokens, "queue-tokens", REQUESTS)
        .takes("N", "auto")
        .help("Prompt tokens of all requests that wait; more are refused; auto: queue times slot-tokens"),
    Spec::new(Key::MaxTiles, "max-tiles", REQUESTS)
        .takes("N", "auto")
        .help("Most tiles a page is cut into; auto: as the model was trained"),
    Spec::new(Key::MaxOutputTokens, "max-output-tokens", REQUESTS)
        .takes("N", "1024")
        .help("Longest answer a request may ask for"),
    Spec::new(Key::IntakeThreads, "intake-threads", REQUESTS)
        .takes("N", "auto")
        .help("Threads that decode and cut pages; auto: half the cores"),
    Spec::new(Key::Guard, "guard", GUARD)
        .takes("SWITCH", "on")
        .help("on: end an answer that is gibberish or a loop; off: send whatever the model says"),
    Spec::new(Key::GuardBangRatio, "guard-bang-ratio", GUARD)
        .takes("RATIO", "0.3")
        .help("Gibberish: more than this share of an answer's last 64 characters is `!`; 1: never"),
    Spec::new(Key::GuardRepeat, "guard-repeat", GUARD)
        .takes("N", "256")
        .help("Loop: the same tokens N times in a row for each page; above the lines of a page"),
    Spec::new(Key::GuardUnsure, "guard-unsure", GUARD)
        .takes("P", "0.1")
        .help("Loop: after a few rounds, where the model gave its tokens less than this probability; 0: never"),
    Spec::new(Key::PoisonLimit, "poison-limit", GUARD).takes("N", "3").help(
        "Spoilt answers in a row after which no more requests are taken until a restart; 0: never",
    ),
    Spec::new(Key::Listen, "listen", SERVER)
        .takes("ADDR", "127.0.0.1:50051")
        .help("Address and port; 0.0.0.0:50051 to be reached from other machines"),
    Spec::new(Key::DrainTimeout, "drain-timeout", SERVER)
        .takes("TIME", "30s")
        .help("After SIGTERM: how long running answers may take to end"),
    Spec::new(Key::DrainPropagation, "drain-propagation", SERVER)
        .takes("TIME", "0s")
        .help("After SIGTERM: how long to still accept while others learn of it; 5s in a mesh"),
    Spec::new(Key::NoReflection, "no-reflection", SERVER)
        .help("Do not describe the API to tools like grpcurl"),
    Spec::new(Key::AdminListen, "admin-listen", SERVER)
        .takes("ADDR", "")
        .help("Serve metrics and the log level over HTTP here, for operators: 127.0.0.1:9464"),
    Spec::new(Key::CorsOrigin, "cors-origin", SERVER)
        .takes("LIST", "")
        .help("Origins whose pages may call by gRPC-Web: https://app.example.com, or *"),
    Spec::new(Key::AllowedHosts, "allowed-hosts", SERVER)
        .takes("LIST", "")
        .help("Names by which browsers may call, beside IP addresses and localhost; * for any"),
    Spec::new(Key::NoPlayground, "no-playground", SERVER)
        .help("Do not serve the page at / that reads documents in a browser"),
    Spec::new(Key::Watchdog, "watchdog", SERVER)
        .takes("TIME", "10m")
        .help("A step that runs for longer is stuck: the process ends, to be started anew; 0s: never"),
    Spec::new(Key::TlsCert, "tls-cert", ACCESS)
        .takes("FILE", "")
        .help("Serve TLS with this certificate chain in PEM; read again when it changes"),
    Spec::new(Key::TlsKey, "tls-key", ACCESS)
        .takes("FILE", "")
        .help("Private key of --tls-cert in PEM"),
    Spec::new(Key::TlsClientCa, "tls-client-ca", ACCESS)
        .takes("FILE", "")
        .help("Mutual TLS: clients need a certificate of one of these authorities, in PEM"),
    Spec::new(Key::TlsClientAuth, "tls-client-auth", ACCESS)
        .takes("MODE", "require")
        .help("require, or request: with --tls-client-ca, whether a client may come without one"),
    Spec::new(Key::AccessFile, "access-file", ACCESS)
        .takes("FILE", "")
        .help("TOML file of API keys, token issuers and rules; unset: everybody may call everything"),
    Spec::new(Key::ClientInFlight, "client-in-flight", ACCESS)
        .takes("N", "0")
        .help("Documents that one address may have open, in batches too, where no access file has quotas; 0: any"),
    Spec::new(Key::ClientPerMinute, "client-per-minute", ACCESS)
        .takes("N", "0")
        .help("Documents that one address may begin per minute, likewise; 0: any"),
    Spec::new(Key::RequestMemory, "request-memory", ACCESS)
        .takes("SIZE", "2GiB")
        .help("Bytes of all requests that arrive, wait and run; more are refused"),
    Spec::new(Key::ReceiveTimeout, "receive-timeout", ACCESS)
        .takes("TIME", "30s")
        .help("Longest silence in the middle of a request's message, after which its call ends"),
    Spec::new(Key::MaxConnections, "max-connections", ACCESS)
        .takes("N", "10000")
        .help("Connections at once; more are closed at once"),
    Spec::new(Key::ConnectionAge, "connection-age", ACCESS)
        .takes("TIME", "0s")
        .help("After it a connection is told to go, give or take a tenth; 0s: never; not in a mesh"),
    Spec::new(Key::FetchFrom, "fetch-from", FETCH).takes("LIST", "").help(
        "Origins that requests may name files of, for the server to fetch: https://docs.example.com; unset: none",
    ),
    Spec::new(Key::FetchNetworks, "fetch-networks", FETCH)
        .takes("LIST", "")
        .help("Networks that are not public and where origins may be all the same: 10.20.0.0/16"),
    Spec::new(Key::FetchCa, "fetch-ca", FETCH)
        .takes("FILE", "")
        .help("Authorities that may sign for origins, beside the machine's own, in PEM"),
    Spec::new(Key::FetchTimeout, "fetch-timeout", FETCH)
        .takes("TIME", "30s")
        .help("Longest time that the files of one request may take to come"),
    Spec::new(Key::FetchAtOnce, "fetch-at-once", FETCH)
        .takes("N", "16")
        .help("Files that are fetched at once; more wait, within fetch-timeout"),
    Spec::new(Key::LogLevel, "log-level", TELEMETRY).takes("LEVEL", "info").help(
        "error, warn, info, debug, trace or off; also per module: info,tessera::engine=debug",
    ),
    Spec::new(Key::LogFormat, "log-format", TELEMETRY)
        .takes("FORMAT", "text")
        .help("text, or json: one object per line"),
    Spec::new(Key::OtlpEndpoint, "otlp-endpoint", TELEMETRY)
        .takes("URL", "")
        .help("Send OpenTelemetry traces and metrics to this collector: http://127.0.0.1:4317"),
    Spec::new(Key::OtlpProtocol, "otlp-protocol", TELEMETRY)
        .takes("PROTOCOL", "grpc")
        .help("grpc, mostly on port 4317, or http: protobuf over HTTP, mostly on port 4318"),
    Spec::new(Key::OtlpSignals, "otlp-signals", TELEMETRY)
        .takes("LIST", "traces,metrics")
        .help("What to send there: traces, metrics, or both with a comma"),
    Spec::new(Key::TraceSampleRatio, "trace-sample-ratio", TELEMETRY)
        .takes("RATIO", "1")
        .help("Share of requests to trace, 0 to 1, where the caller did not decide"),
    Spec::new(Key::TraceLevel, "trace-level", TELEMETRY)
        .takes("LEVEL", "2")
        .help("0: nothing, 1: phases, 2: each generation step, 3: engine and devices, 4: numbers"),
    Spec::new(Key::TraceLevelMax, "trace-level-max", TELEMETRY)
        .takes("LEVEL", "3")
        .help("The most that a request may ask for with the metadata x-trace-level"),
    Spec::new(Key::TraceSteps, "trace-steps", TELEMETRY)
        .takes("N", "all")
        .help("Generation steps with a span of their own: all, or the first N and those that say most"),
    Spec::new(Key::TraceDir, "trace-dir", TELEMETRY)
        .takes("DIR", "")
        .help("Write spans to files here, for `tessera trace`; with or without a collector"),
    Spec::new(Key::TraceContent, "trace-content", TELEMETRY)
        .takes("WHAT", "off")
        .help("Of what documents say, in traces: off, redacted (the answer's form), or whole"),
    Spec::new(Key::TraceVllmNames, "trace-vllm-names", TELEMETRY)
        .help("Give a request's span vLLM's attributes too (gen_ai.latency.*), for its dashboards"),
    Spec::new(Key::MetricsVllmNames, "metrics-vllm-names", TELEMETRY)
        .help("Show metrics under vLLM's names too (vllm:num_requests_waiting), for its routers"),
];

/// The flag and variable that name the file itself; it cannot be a key inside it.
pub const CONFIG_FLAG: &str = "config";

const ENV_PREFIX: &str = "TESSERA_";

/// `TESSERA_SLOT_TOKENS` for `slot-tokens`.
pub fn env_name(name: &str) -> String {
    format!("{ENV_PREFIX}{}", name.to_uppercase().replace('-', "_"))
}

/// The option that `name` is most likely meant to be.
pub fn nearest(name: &str) -> Option<&'static str> {
    let plain = name.trim().to_lowercase().replace(['_', ' '], "-");
    ALL.iter()
        .map(|spec| (strsim::damerau_levenshtein(&plain, spec.name), spec.name))
        .min()
        // Beyond a third of its letters it is another word.
        .filter(|(distance, name)| distance * 3 <= name.len().max(3))
        .map(|(_, name)| name)
}

impl Key {
    pub fn spec(self) -> &'static Spec {
        // `table_is_in_order` proves that every key has its line.
        &ALL[self as usize]
    }

    pub fn name(self) -> &'static str {
        self.spec().name
    }

    pub fn from_name(name: &str) -> Option<Self> {
        ALL.iter().find(|spec| spec.name == name).map(|spec| spec.key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_is_in_order() {
        for (index, spec) in ALL.iter().enumerate() {
            assert_eq!(spec.key as usize, index, "{}", spec.name);
            assert_eq!(Key::from_name(spec.name), Some(spec.key));
            assert!(!spec.help.is_empty() && !spec.help.ends_with('.'), "{}", spec.name);
        }
        assert_eq!(Key::MetricsVllmNames as usize + 1, ALL.len());
    }

    #[test]
    fn near_misses_find_their_option() {
        assert_eq!(nearest("slot_tokens"), Some("slot-tokens"));
        assert_eq!(nearest("LISTEN"), Some("listen"));
        assert_eq!(nearest("modle"), Some("model"));
        assert_eq!(nearest("max-output-token"), Some("max-output-tokens"));
        assert_eq!(nearest("temperature"), None);
    }
}
