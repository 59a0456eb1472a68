//! From [`Low`] to [`Config`]: reads every value and goes on after a mistake, so that one start shows
//! all of them.

mod access;
mod fetch;
mod idle;
mod model;

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::str::FromStr;

use tracing_subscriber::EnvFilter;

use super::checked::{Config, ModelConfig, RequestConfig, ServerConfig};
use super::low::{Given, Low};
use super::options::Key;
use super::problem::{Problem, Problems};
use super::value::{self, Wrong};
use crate::engine::GuardConfig;
use crate::limits;
use crate::placement::DeviceMap;
use crate::preprocess::PdfRenderer;
use crate::telemetry::spans::{Content, ParseLevelError, TraceOptions};
use crate::telemetry::{self, LogFormat, Otlp, Protocol, Signals, TraceConfig};

/// The longest context of any model this program reads; a bound for typing errors.
const SLOT_TOKENS: RangeInclusive<usize> = 64..=1 << 20;

/// Below it, ordinary columns of a document would be loops.
const GUARD_REPEATS: RangeInclusive<usize> = 16..=1 << 20;

/// The configuration, or every mistake in it.
pub fn check(low: &Low) -> Result<Config, Problems> {
    let mut reader = Reader { low, problems: low.problems.clone() };
    let model = model::model(&mut reader);
    let requests = requests(&mut reader);
    let guard = guard(&mut reader);
    let server = server(&mut reader);
    let telemetry = telemetry(&mut reader);
    if let Some(requests) = &requests {
        reader.relations(requests);
    }
    if let Some(model) = &model {
        reader.replicas(model);
    }
    if let Some(server) = &server {
        reader.ports(server);
    }
    match (model, requests, guard, server, telemetry) {
        (Some(model), Some(requests), Some(guard), Some(server), Some(telemetry))
            if reader.problems.is_empty() =>
        {
            let pdf = PdfRenderer::default();
            let mut warnings = low.warnings.clone();
            warnings.extend(model::warnings(&model));
            warnings.extend(access::warnings(&server));
            warnings.extend(server.fetch.iter().flat_map(crate::fetch::Config::warnings));
            warnings.extend(idle::warnings(low, &model, &guard, &server, &telemetry));
            Ok(Config { model, requests, guard, server, telemetry, pdf, warnings })
        }
        _ => Err(Problems(reader.problems)),
    }
}

/// Reads values and collects what is wrong with them.
struct Reader<'a> {
    low: &'a Low,
    problems: Vec<Problem>,
}

impl Reader<'_> {
    /// None: not set and without default, or wrong, which is noted.
    fn read<T>(&mut self, key: Key, parse: impl Fn(&str) -> Result<T, Wrong>) -> Option<T> {
        let given = self.low.get(key)?;
        match parse(&given.text) {
            Ok(value) => Some(value),
            Err(wrong) => {
                self.note(given, wrong);
                None
            }
        }
    }

    /// As [`read`](Self::read) where unset is a value of its own: none only where it is wrong.
    #[expect(clippy::option_option, reason = "the outer level is `wrong`, the inner one `unset`")]
    fn read_or_unset<T>(
        &mut self,
        key: Key,
        parse: impl Fn(&str) -> Result<T, Wrong>,
    ) -> Option<Option<T>> {
        if self.low.get(key).is_none() {
            return Some(None);
        }
        self.read(key, parse).map(Some)
    }

    fn note(&mut self, given: Given, wrong: Wrong) {
        self.problems.push(Problem {
            source: given.source,
            found: Some(given.text),
            reason: wrong.reason,
            remedy: wrong.remedy,
        });
    }

    /// What each value may be only in sight of another.
    fn relations(&mut self, requests: &RequestConfig) {
        self.kv_tokens(requests);
        if requests.max_output_tokens < requests.slot_tokens {
            return;
        }
        let Some(given) = self.low.get(Key::MaxOutputTokens) else { return };
        let reason = format!("leaves no room for pages in --slot-tokens {}", requests.slot_tokens);
        let remedy = "lower it below slot-tokens, or raise slot-tokens";
        self.note(given, Wrong::new(reason, remedy));
    }

    /// Two listeners cannot share a port, unless each is on addresses of its own.
    fn ports(&mut self, server: &ServerConfig) {
        let (listen, Some(admin)) = (server.listen, server.admin_listen) else { return };
        let (one, other) = (listen.ip(), admin.ip());
        let meet = one == other || one.is_unspecified() || other.is_unspecified();
        if listen.port() == 0 || listen.port() != admin.port() || !meet {
            return;
        }
        let Some(given) = self.low.get(Key::AdminListen) else { return };
        let reason = format!("has the port of --listen {listen}");
        self.note(given, Wrong::new(reason, "give it another port: 127.0.0.1:9464"));
    }

    /// A map that names devices names those of one model.
    fn replicas(&mut self, model: &ModelConfig) {
        let names = matches!(model.device_map, DeviceMap::Single(_) | DeviceMap::Explicit(_));
        if model.replicas == 1 || !names {
            return;
        }
        let Some(given) = self.low.get(Key::Replicas) else { return };
        let reason = "cannot be with a --device-map that names devices: it would put all replicas on the same";
        let remedy =
            "leave device-map out, or give auto, balanced, balanced_low_0, sequential or internvl";
        self.note(given, Wrong::new(reason, remedy));
    }

    /// The longest request must fit, or it could never run.
    fn kv_tokens(&mut self, requests: &RequestConfig) {
        let longest = requests.slot_tokens;
        if requests.kv_tokens.is_none_or(|tokens| tokens >= longest) {
            return;
        }
        let Some(given) = self.low.get(Key::KvTokens) else { return };
        let reason = format!("has no room for one request of --slot-tokens {longest}");
        self.note(given, Wrong::new(reason, "raise it to slot-tokens, or lower slot-tokens"));
    }
}

fn requests(reader: &mut Reader<'_>) -> Option<RequestConfig> {
    let slots =
        reader.read(Key::Slots, |text| value::count(text, &(1..=limits::RUNNING_REQUESTS_MAX)));
    let slot_tokens = reader.read(Key::SlotTokens, |text| value::count(text, &SLOT_TOKENS));
    let kv_tokens = reader.read(Key::KvTokens, |text| {
        value::count_or_auto(text, &(*SLOT_TOKENS.start()..=limits::KV_TOKENS_MAX))
    });
    let prefix_cache = reader.read(Key::PrefixCache, value::switch);
    let prefill_chunk = reader.read(Key::PrefillChunk, |text| {
        value::count_or_auto(text, &(1..=limits::PREFILL_CHUNK_TOKENS_MAX))
    });
    let queue =
        reader.read(Key::Queue, |text| value::count(text, &(1..=limits::QUEUED_REQUESTS_MAX)));
    let queue_tokens = reader.read(Key::QueueTokens, |text| {
        value::count_or_auto(text, &(1..=limits::QUEUED_TOKENS_MAX))
    });
    let max_tiles = reader.read(Key::MaxTiles, |text| {
        value::count_or_auto(text, &(1..=limits::TILES_PER_PAGE_MAX as usize))
    });
    let max_output_tokens =
        reader.read(Key::MaxOutputTokens, |text| value::count(text, &(1..=*SLOT_TOKENS.end())));
    let intake_threads = reader.read(Key::IntakeThreads, |text| {
        value::count_or_auto(text, &(1..=limits::INTAKE_THREADS_MAX))
    });
    Some(RequestConfig {
        slots: slots?,
        slot_tokens: slot_tokens?,
        kv_tokens: kv_tokens?,
        prefix_cache: prefix_cache?,
        prefill_chunk: prefill_chunk?,
        queue: queue?,
        queue_tokens: queue_tokens?.unwrap_or(queue?.saturating_mul(slot_tokens?)),
        max_tiles: max_tiles?.map(|tiles| tiles as u32),
        max_output_tokens: max_output_tokens?,
        intake_threads: intake_threads?.unwrap_or_else(half_the_cores),
    })
}

fn guard(reader: &mut Reader<'_>) -> Option<GuardConfig> {
    let on = reader.read(Key::Guard, value::switch);
    let bang_ratio = reader.read(Key::GuardBangRatio, value::ratio);
    let repeats = reader.read(Key::GuardRepeat, |text| value::count(text, &GUARD_REPEATS));
    let unsure = reader.read(Key::GuardUnsure, value::ratio);
    let poison_limit = reader.read(Key::PoisonLimit, |text| value::count(text, &(0..=1_000_000)));
    Some(GuardConfig {
        on: on?,
        bang_ratio: bang_ratio?,
        repeats: repeats?,
        unsure: unsure?,
        poison_limit: poison_limit?,
    })
}

fn server(reader: &mut Reader<'_>) -> Option<ServerConfig> {
    let listen = reader.read(Key::Listen, value::address);
    let drain_timeout = reader.read(Key::DrainTimeout, value::duration);
    let drain_propagation = reader.read(Key::DrainPropagation, value::duration);
    let admin_listen = reader.read_or_unset(Key::AdminListen, value::address);
    let no_reflection = reader.read_or_unset(Key::NoReflection, value::switch);
    let no_playground = reader.read_or_unset(Key::NoPlayground, value::switch);
    let cors_origins = reader.read_or_unset(Key::CorsOrigin, value::origins);
    let allowed_hosts = reader.read_or_unset(Key::AllowedHosts, value::hosts);
    let watchdog =
        reader.read(Key::Watchdog, value::duration).map(|time| (!time.is_zero()).then_some(time));
    let transport = access::transport(reader);
    let access = access::access(reader);
    let request_memory = reader.read(Key::RequestMemory, access::request_memory);
    let receive_timeout = reader.read(Key::ReceiveTimeout, access::receive_timeout);
    let fetch = fetch::fetch(reader);
    Some(ServerConfig {
        watchdog: watchdog?,
        transport: transport?,
        access: access?,
        request_memory: request_memory?,
        receive_timeout: receive_timeout?,
        fetch: fetch?,
        listen: listen?,
        drain_timeout: drain_timeout?,
        drain_propagation: drain_propagation?,
        reflection: !no_reflection?.unwrap_or(false),
        admin_listen: admin_listen?,
        cors_origins: cors_origins?.unwrap_or_default(),
        playground: !no_playground?.unwrap_or(false),
        allowed_hosts: allowed_hosts?,
    })
}

fn telemetry(reader: &mut Reader<'_>) -> Option<telemetry::Config> {
    let log_level = reader.read(Key::LogLevel, log_level);
    let log_format = reader.read(Key::LogFormat, |text| {
        value::one_of(text, &[("text", LogFormat::Text), ("json", LogFormat::Json)])
    });
    let otlp_endpoint = reader.read_or_unset(Key::OtlpEndpoint, value::url);
    let protocol = reader.read(Key::OtlpProtocol, |text| {
        value::one_of(text, &[("grpc", Protocol::Grpc), ("http", Protocol::Http)])
    });
    let signals = reader.read(Key::OtlpSignals, signals);
    let trace = trace(reader);
    let vllm_names = reader.read_or_unset(Key::MetricsVllmNames, value::switch);
    let (protocol, signals) = (protocol?, signals?);
    let otlp = |endpoint| Otlp { protocol, signals, ..Otlp::new(endpoint) };
    Some(telemetry::Config {
        log_filter: log_level?,
        log_format: log_format?,
        otlp: otlp_endpoint?.map(otlp),
        trace: trace?,
        vllm_names: vllm_names?.unwrap_or(false),
    })
}

fn trace(reader: &mut Reader<'_>) -> Option<TraceConfig> {
    let sample_ratio = reader.read(Key::TraceSampleRatio, value::ratio);
    let level = reader.read(Key::TraceLevel, parsed);
    let level_max = reader.read(Key::TraceLevelMax, parsed);
    let steps = reader.read(Key::TraceSteps, parsed);
    let content = reader.read(Key::TraceContent, |text| {
        let (off, redacted) = (("off", Content::Off), ("redacted", Content::Redacted));
        value::one_of(text, &[off, redacted, ("whole", Content::Whole)])
    });
    let vllm_names = reader.read_or_unset(Key::TraceVllmNames, value::switch);
    let directory = reader.read_or_unset(Key::TraceDir, |text| Ok::<_, Wrong>(PathBuf::from(text)));
    Some(TraceConfig {
        sample_ratio: sample_ratio?,
        options: TraceOptions { level: level?, steps: steps? },
        level_max: level_max?,
        content: content?,
        vllm_names: vllm_names?.unwrap_or(false),
        directory: directory?,
    })
}

/// A trace level, or how many steps.
fn parsed<T: FromStr<Err = ParseLevelError>>(text: &str) -> Result<T, Wrong> {
    text.parse().map_err(|error: ParseLevelError| {
        Wrong::new("is not known here", format!("give {}", error.expected()))
    })
}

fn signals(text: &str) -> Result<Signals, Wrong> {
    let mut signals = Signals { traces: false, metrics: false };
    for name in text.split(',') {
        match name.trim() {
            "traces" => signals.traces = true,
            "metrics" => signals.metrics = true,
            _ => {
                let reason = "has a part that is no signal";
                return Err(Wrong::new(reason, "give traces, metrics, or traces,metrics"));
            }
        }
    }
    Ok(signals)
}

fn log_level(text: &str) -> Result<String, Wrong> {
    EnvFilter::builder().parse(text).map(|_| text.to_owned()).map_err(|error| {
        Wrong::new(
            format!("is no log level: {error}"),
            "give error, warn, info, debug, trace or off, or MODULE=LEVEL with commas between",
        )
    })
}

fn half_the_cores() -> usize {
    std::thread::available_parallelism().map_or(1, |cores| (cores.get() / 2).max(1))
}

#[cfg(test)]
mod tests;
