//! What a trace costs in processor time, over a model that takes no time: of the engine's thread for each step of a
//! stream, and of the threads that make and send spans for each span. Linux only: the times of threads are read from
//! `/proc`. `cargo bench --bench traces [-- files|grpc]`; not run in CI.
//!
//! Each round has the same requests twice, once with traces and once without, in turns. The collector listens in the
//! same process, on threads of its own that are not counted.

#![allow(clippy::unwrap_used, reason = "a benchmark stops where it fails")]

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use tessera::checkpoint::Checkpoint;
use tessera::engine::{Config, GuardConfig, Handle, Job, Loaded, ModelState, Priority, Sampling};
use tessera::model::ModelSpec;
use tessera::model::fake::{Fake, Options, Script};
use tessera::preprocess;
use tessera::prompt::{PromptOptions, Prompter};
use tessera::telemetry::spans::{RequestTrace, TraceOptions};
use tessera::telemetry::{self, Otlp, Signals, Telemetry, TraceConfig};
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status};

const STREAMS: usize = 64;
const OUTPUT_TOKENS: usize = 200;
const ROUNDS: usize = 10;

fn main() {
    match std::env::args().skip(1).find(|argument| !argument.starts_with('-')) {
        Some(to) => measure(&to),
        // A process has its exporters once.
        None => {
            for to in ["files", "grpc"] {
                let own = std::env::current_exe().unwrap();
                assert!(Command::new(own).arg(to).status().unwrap().success());
            }
        }
    }
}

fn measure(to: &str) {
    let directory = tempfile::tempdir().unwrap();
    let sink = Builder::new_multi_thread().thread_name("sink").enable_all().build().unwrap();
    let runtime = Builder::new_multi_thread().thread_name("async").enable_all().build().unwrap();
    let guard = {
        let _entered = runtime.enter();
        telemetry::init(&config(to, directory.path(), &sink)).unwrap()
    };
    let telemetry = guard.telemetry();
    let engine = engine(&runtime);
    round(&runtime, &engine, &telemetry, true);
    settle(&telemetry);
    let before = spans(&telemetry);
    let mut cost = [BTreeMap::new(), BTreeMap::new()];
    for index in 0..ROUNDS {
        for traced in [index % 2 == 0, index % 2 != 0] {
            let start = threads();
            round(&runtime, &engine, &telemetry, traced);
            settle(&telemetry);
            for (name, nanos) in threads() {
                let spent = nanos - start.get(&name).copied().unwrap_or_default();
                *cost[usize::from(traced)].entry(name).or_insert(0) += spent;
            }
        }
    }
    let (made, lost) = spans(&telemetry);
    assert_eq!(lost, 0, "a collector that is there loses nothing");
    let of = |traced: bool, name: &str| cost[usize::from(traced)].get(name).copied().unwrap_or(0);
    let each = |nanos: f64, count: u64| nanos / count as f64;
    let extra = |name: &str| of(true, name) as f64 - of(false, name) as f64;
    let (made, steps) = (made - before.0, (ROUNDS * STREAMS * OUTPUT_TOKENS) as u64);
    println!("to {to}: {made} spans, {steps} steps of {STREAMS} streams");
    println!("  making and sending: {:.0} ns a span", each(extra("spans"), made));
    println!("  the connection: {:.0} ns a span", each(extra("async"), made));
    println!(
        "  engine: {:.0} ns a step more than {:.0}",
        each(extra("engine"), steps),
        each(of(false, "engine") as f64, steps)
    );
    runtime.block_on(guard.flush(Duration::from_secs(5)));
}

fn config(to: &str, directory: &Path, sink: &Runtime) -> telemetry::Config {
    let mut config = telemetry::Config { log_filter: "warn".to_owned(), ..Default::default() };
    if to == "files" {
        config.trace = TraceConfig { directory: Some(directory.to_owned()), ..Default::default() };
        return config;
    }
    let listener = sink.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    sink.spawn(
        tonic::transport::Server::builder()
            .add_service(TraceServiceServer::new(Sink).max_decoding_message_size(1 << 30))
            .serve_with_incoming(TcpListenerStream::new(listener)),
    );
    let signals = Signals { metrics: false, ..Signals::ALL };
    config.otlp = Some(Otlp { signals, ..Otlp::new(endpoint) });
    config
}

/// Takes everything and keeps nothing.
struct Sink;

#[tonic::async_trait]
impl TraceService for Sink {
    async fn export(
        &self,
        _: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

fn engine(runtime: &Runtime) -> Handle {
    let spec = ModelSpec {
        vocab_size: 1024,
        tokens_per_tile: 256,
        image_token_id: 1022,
        slots: STREAMS,
        slot_tokens: 1024,
        block_tokens: 64,
        ..Options::default().spec
    };
    let config = Config {
        queued_max: STREAMS,
        guard: GuardConfig { on: false, ..GuardConfig::default() },
        prefix_cache: false,
        ..Config::default()
    };
    let handle = Handle::start(config, move |_| {
        let options = PromptOptions { tokens_per_tile: 256, ..PromptOptions::default() };
        let prompter = Arc::new(Prompter::load(&Checkpoint::Embedded, &options)?);
        let script = Script::Answer((40..60).collect());
        let runner = Box::new(Fake::new(Options { spec, script, ..Options::default() }));
        Ok(Loaded { runner, prompter, tiling: preprocess::Config::default(), calibration: None })
    });
    runtime.block_on(async {
        let mut status = handle.status();
        status.wait_for(|status| status.state == ModelState::Ready).await.unwrap();
    });
    handle
}

/// All streams at once, to their ends.
fn round(runtime: &Runtime, engine: &Handle, telemetry: &Telemetry, traced: bool) {
    let trace = |number: usize| {
        let tracing = telemetry.tracing().unwrap();
        let (trace, span) = (TraceId::from(number as u128 + 1), SpanId::from(number as u64 + 1));
        let context =
            SpanContext::new(trace, span, TraceFlags::SAMPLED, false, TraceState::default());
        RequestTrace::begin(&tracing.tracer, context, TraceOptions::default())
    };
    runtime.block_on(async {
        let readers: Vec<_> = (0..STREAMS)
            .map(|number| {
                let trace = traced.then(|| trace(number)).flatten();
                let mut events = engine.submit(job(trace)).unwrap();
                tokio::spawn(async move { while events.recv().await.is_some() {} })
            })
            .collect();
        for reader in readers {
            reader.await.unwrap();
        }
    });
}

fn job(trace: Option<RequestTrace>) -> Job {
    Job {
        id: String::new(),
        files: Vec::new(),
        question: "What is this?".to_owned(),
        grammar: None,
        priority: Priority::Interactive,
        sampling: Sampling::GREEDY,
        output_tokens_max: OUTPUT_TOKENS,
        stop: Vec::new(),
        scores: false,
        tiles_max: None,
        deadline: None,
        received: Instant::now(),
        span: tracing::Span::none(),
        trace,
    }
}

/// Waits until what was made is exported.
fn settle(telemetry: &Telemetry) {
    let mut last = None;
    loop {
        std::thread::sleep(Duration::from_millis(700));
        let now = Some(spans(telemetry));
        if now == last {
            return;
        }
        last = now;
    }
}

/// Spans that arrived, and those that did not.
fn spans(telemetry: &Telemetry) -> (u64, u64) {
    let text = telemetry.metrics().prometheus();
    let of = |line: &&str| line.starts_with("otel_sdk_exporter_span_exported_total");
    let (mut made, mut lost) = (0, 0);
    for line in text.lines().filter(of) {
        let count: u64 = line.rsplit(' ').next().unwrap().parse().unwrap();
        *(if line.contains("error_type") { &mut lost } else { &mut made }) += count;
    }
    (made, lost)
}

/// Nanoseconds of processor time of this process's threads, by their names.
fn threads() -> BTreeMap<String, u64> {
    let mut times = BTreeMap::new();
    for task in std::fs::read_dir("/proc/self/task").unwrap() {
        let task = task.unwrap().path();
        let read = |file: &str| std::fs::read_to_string(task.join(file)).unwrap_or_default();
        let nanos = read("schedstat").split(' ').next().and_then(|nanos| nanos.parse().ok());
        *times.entry(read("comm").trim().to_owned()).or_insert(0) += nanos.unwrap_or(0);
    }
    times
}
