//! Real servers for a while: whole answers, cancels, deadlines, refusals and broken files, all mixed, 64 at once
//! on the built-in model and 1,000 at once on the fake one. Every call must end in one way that it can, no field
//! may be lost or doubled, the server's own count of calls must be the callers', and memory must stay. And 10,000
//! calls that are given up, which leave nothing behind.
//!
//! `SOAK_SECONDS=3600 cargo test --release --test soak -- --nocapture` is the long form.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]
#![allow(clippy::disallowed_methods, reason = "a test is told how long to run")]

use std::collections::HashSet;
use std::io::{Read as _, Write as _};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tessera::pb::health::HealthCheckRequest;
use tessera::pb::health::health_check_response::ServingStatus;
use tessera::pb::health::health_client::HealthClient;
use tessera::pb::v1;
use tessera::pb::v1::extract_response::Event;
use tessera::pb::v1::extraction_service_client::ExtractionServiceClient;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};

const SERVICE: &str = "tessera.v1.ExtractionService";

const PAGE: &[u8] = include_bytes!("../models/tessera-tiny/samples/receipt-01.png");

/// How long the short form runs.
const SECONDS_DEFAULT: u64 = 15;

/// Calls in a row on one connection. A client forgets soon which streams it cancelled, and ends the connection
/// after 1,024 frames that still arrive for them. Where it gets no time for a while that is all of what each call
/// still had to say: of 40 calls 15 are cancelled, with 64 messages at most each.
const CALLS_PER_CONNECTION: usize = 40;

/// Calls in a row after which the allocator has given back what it will.
const SETTLING_CALLS: usize = 16;

/// What memory may grow by once everything has been used once: pools of buffers still find their size.
const GROWTH_BYTES_MAX: u64 = 96 << 20;

/// From here on a run is long enough for the slope of its memory to mean something.
const SECONDS_FOR_SLOPE: u64 = 1800;

/// Parts of a long run. Between them nobody calls, and memory is what the server keeps: under load it swings by
/// what happens to wait.
const ROUNDS: u64 = 12;

/// Growth of memory that a long run may show, in bytes an hour: what the allocator's noise amounts to.
const SLOPE_BYTES_PER_HOUR_MAX: f64 = (16 << 20) as f64;

/// One server and who calls it.
struct Scene {
    name: &'static str,
    /// Callers, each with one call open.
    streams: usize,
    /// Of the server.
    flags: &'static [&'static str],
    /// Time that a call of the kind "late" gets.
    deadline: Duration,
}

const TINY: Scene = Scene {
    name: "tessera-tiny, 64 streams",
    streams: 64,
    flags: &["--slots", "16", "--slot-tokens", "1024", "--queue", "56", "--verify", "none"],
    deadline: Duration::from_millis(30),
};

/// Calls of the third test, all of them given up.
const CANCELS: usize = 10_000;

const CANCELLED: Scene = Scene {
    name: "fake model, 10,000 cancels",
    streams: 50,
    flags: &["--weights", "fake:step=1ms,token=0us,tile=0ms", "--slots", "8", "--queue", "512"],
    deadline: Duration::ZERO,
};

const FAKE: Scene = Scene {
    name: "fake model, 1,000 streams",
    streams: 1000,
    flags: &[
        "--weights",
        "fake:step=100ms,token=0us,tile=0ms",
        "--slots",
        "512",
        "--slot-tokens",
        "1024",
        "--queue",
        "480",
    ],
    deadline: Duration::from_millis(500),
};

struct Server {
    process: Child,
    address: SocketAddr,
    admin: SocketAddr,
}

fn free_port() -> SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

impl Server {
    async fn start(scene: &Scene) -> Self {
        let (address, admin) = (free_port(), free_port());
        let process = Command::new(env!("CARGO_BIN_EXE_tessera"))
            .args(["serve", "--listen", &address.to_string()])
            .args(["--admin-listen", &admin.to_string(), "--max-output-tokens", "256"])
            .args(["--log-level", "error", "--drain-timeout", "60s"])
            .args(scene.flags)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let server = Self { process, address, admin };
        let ready = async {
            loop {
                if let Ok(channel) = server.endpoint().connect().await {
                    let asked = HealthCheckRequest { service: SERVICE.to_owned() };
                    let answer = HealthClient::new(channel).check(asked).await;
                    if answer.is_ok_and(|a| a.into_inner().status() == ServingStatus::Serving) {
                        return;
                    }
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(Duration::from_mins(2), ready).await.expect("it serves");
        server
    }

    fn endpoint(&self) -> Endpoint {
        Endpoint::from_shared(format!("http://{}", self.address)).unwrap()
    }

    /// Memory in use, in bytes.
    fn rss(&self) -> u64 {
        let path = format!("/proc/{}/statm", self.process.id());
        let text = std::fs::read_to_string(path).unwrap();
        let pages: u64 = text.split_whitespace().nth(1).unwrap().parse().unwrap();
        pages * 4096
    }

    fn open_files(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.process.id())).unwrap().count()
    }

    /// Sum of the samples of metric `name` whose labels have all of `parts`.
    fn metric(&self, name: &str, parts: &[&str]) -> f64 {
        let mut stream = std::net::TcpStream::connect(self.admin).unwrap();
        stream.write_all(b"GET /metrics HTTP/1.0\r\nhost: localhost\r\n\r\n").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        assert!(text.contains(name), "there is no {name}");
        let is_wanted = |line: &&str| {
            let labels = line.strip_prefix(name).filter(|rest| rest.starts_with(['{', ' ']));
            labels.is_some_and(|labels| parts.iter().all(|part| labels.contains(part)))
        };
        let value = |line: &str| -> f64 { line.rsplit(' ').next().unwrap().parse().unwrap() };
        text.lines().filter(is_wanted).map(value).sum()
    }

    /// Calls of `Extract` that ended with `code`, as the server counted them.
    fn extracts(&self, code: &str) -> usize {
        let code = format!("rpc_response_status_code=\"{code}\"");
        let parts = ["ExtractionService/Extract\"", &code];
        self.metric("rpc_server_call_duration_seconds_count", &parts) as usize
    }

    /// Waits until no request runs or waits.
    async fn until_idle(&self) {
        let held = || {
            self.metric("tessera_engine_requests_running", &[])
                + self.metric("tessera_engine_requests_waiting", &[])
        };
        let idle = async {
            while held() > 0.0 {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        let idle = tokio::time::timeout(Duration::from_mins(2), idle).await;
        assert!(idle.is_ok(), "{} requests are held by nobody", held());
    }

    /// Memory that the server keeps while nobody calls. The allocator gives memory back
    /// when it is next asked for some, by the thread that freed it: right after a crowd has left it has that of the
    /// whole crowd. So a few more calls are made, and the least counts.
    async fn kept(&self) -> u64 {
        let mut least = u64::MAX;
        for _ in 0..SETTLING_CALLS {
            let channel = self.endpoint().connect().await.expect("a connection");
            let asked = Request::new(request(PAGE, false, 2));
            read(&channel, asked, u64::MAX).await.expect("an idle server answers");
            self.until_idle().await;
            least = least.min(self.rss());
        }
        least
    }

    /// Waits until as few files are open as `files`: a connection is closed a moment after its last call.
    async fn until_closed(&self, files: usize) {
        let closed = async {
            while self.open_files() > files {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        let closed = tokio::time::timeout(Duration::from_mins(2), closed).await;
        assert!(closed.is_ok(), "{} files are open, {files} before", self.open_files());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// How calls ended.
#[derive(Debug, Default)]
struct Tally {
    whole: AtomicUsize,
    given_up: AtomicUsize,
    late: AtomicUsize,
    refused: AtomicUsize,
    wrong: AtomicUsize,
    /// Completed fields of whole answers, each seen once on its way and once at the end.
    fields: AtomicUsize,
}

/// What a call is to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Document,
    Prompt,
    /// Its reader goes after some messages.
    GivenUp,
    NoImage,
    Late,
}

impl Kind {
    fn of(number: usize) -> Self {
        match number % 8 {
            0 | 1 => Self::Document,
            2 | 3 => Self::Prompt,
            4 | 5 => Self::GivenUp,
            6 => Self::NoImage,
            _ => Self::Late,
        }
    }
}

fn request(content: &'static [u8], document: bool, output_tokens: u32) -> v1::ExtractRequest {
    let receipt = v1::extraction_schema::Source::DocumentType(v1::DocumentType::Receipt.into());
    let task = if document {
        let schema = v1::ExtractionSchema { source: Some(receipt), ..Default::default() };
        v1::extract_request::Task::Schema(schema)
    } else {
        v1::extract_request::Task::Prompt("What is the total?".to_owned())
    };
    v1::ExtractRequest {
        files: vec![v1::InputFile { content: content.into(), ..Default::default() }],
        task: Some(task),
        generation: Some(v1::GenerationOptions {
            max_output_tokens: Some(output_tokens),
            ..Default::default()
        }),
        ..Default::default()
    }
}

/// Reads up to `messages`; the number of fields where the answer was whole.
async fn read(
    channel: &Channel,
    request: Request<v1::ExtractRequest>,
    messages: u64,
) -> Result<Option<usize>, Status> {
    let mut client = ExtractionServiceClient::new(channel.clone());
    let mut stream = client.extract(request).await?.into_inner();
    let mut sequence = 0;
    let mut seen: Vec<(String, String)> = Vec::new();
    let mut whole = None;
    while sequence < messages {
        let Some(message) = stream.message().await? else {
            assert!(whole.is_some(), "a stream ended well without `completed`");
            return Ok(whole);
        };
        sequence += 1;
        assert_eq!(message.sequence, sequence, "no message is lost or doubled");
        assert!(whole.is_none(), "nothing comes after `completed`");
        match message.event {
            Some(Event::FieldCompleted(field)) => {
                seen.push((field.pointer, field.raw));
            }
            Some(Event::Completed(completed)) => {
                check_fields(&seen, &completed);
                whole = Some(seen.len());
            }
            _ => {}
        }
    }
    Ok(None)
}

/// The fields that came one by one are those of the whole answer: none lost, none doubled, none changed.
fn check_fields(seen: &[(String, String)], completed: &v1::Completed) {
    let all: Vec<(String, String)> =
        completed.fields.iter().map(|field| (field.pointer.clone(), field.raw.clone())).collect();
    assert_eq!(seen, all, "fields on the way and at the end");
    let pointers: HashSet<&str> = seen.iter().map(|(pointer, _)| pointer.as_str()).collect();
    assert_eq!(pointers.len(), seen.len(), "a field completed twice: {seen:?}");
    if let Some(text) = &completed.document_json {
        let document: serde_json::Value = serde_json::from_str(text).expect("a JSON object");
        for (pointer, raw) in seen {
            let value: serde_json::Value = serde_json::from_str(raw).expect("a JSON value");
            assert_eq!(document.pointer(pointer), Some(&value), "{pointer} in {text}");
        }
        assert_eq!(leaves(&document), seen.len(), "leaves of {text}");
    }
}

fn leaves(value: &serde_json::Value) -> usize {
    match value {
        serde_json::Value::Array(items) if !items.is_empty() => items.iter().map(leaves).sum(),
        serde_json::Value::Object(items) if !items.is_empty() => items.values().map(leaves).sum(),
        _ => 1,
    }
}

/// One call of a kind that its number says; how it ended must be one of the ways that its kind can end.
async fn call(number: usize, scene: &Scene, channel: &Channel, tally: &Tally) {
    let kind = Kind::of(number);
    let (mut request, messages) = match kind {
        Kind::NoImage => (Request::new(request(b"no image", false, 8)), u64::MAX),
        Kind::GivenUp => (Request::new(request(PAGE, false, 64)), 1 + number as u64 % 4),
        Kind::Document => (Request::new(request(PAGE, true, 128)), u64::MAX),
        Kind::Prompt | Kind::Late => (Request::new(request(PAGE, false, 8)), u64::MAX),
    };
    if kind == Kind::Late {
        request.set_timeout(scene.deadline);
    }
    let counter = match read(channel, request, messages).await {
        Ok(Some(fields)) => {
            tally.fields.fetch_add(fields, Ordering::Relaxed);
            &tally.whole
        }
        Ok(None) => &tally.given_up,
        Err(status) => match (status.code(), kind) {
            (Code::InvalidArgument, Kind::NoImage) => &tally.wrong,
            (Code::DeadlineExceeded | Code::Cancelled, Kind::Late) => &tally.late,
            (Code::ResourceExhausted, _) => {
                // As it would have to: at once is how a client would make matters worse.
                tokio::time::sleep(Duration::from_millis(200)).await;
                &tally.refused
            }
            _ => panic!("{}: call {number}: {status:?}", scene.name),
        },
    };
    counter.fetch_add(1, Ordering::Relaxed);
}

async fn run(server: &Server, scene: &'static Scene, time: Duration, tally: &Arc<Tally>) {
    let end = Instant::now() + time;
    let callers: Vec<_> = (0..scene.streams)
        .map(|caller| {
            let (endpoint, tally) = (server.endpoint(), Arc::clone(tally));
            tokio::spawn(async move {
                let mut number = caller;
                while Instant::now() < end {
                    let channel = endpoint.connect().await.expect("a connection");
                    for _ in 0..CALLS_PER_CONNECTION {
                        if Instant::now() >= end {
                            break;
                        }
                        call(number, scene, &channel, &tally).await;
                        number += 1;
                    }
                }
            })
        })
        .collect();
    for caller in callers {
        caller.await.expect("every call ends in a way that it can");
    }
}

/// Slope of a line through `samples` of seconds and bytes, in bytes an hour.
fn slope(samples: &[(f64, f64)]) -> f64 {
    let count = samples.len() as f64;
    let mean = |of: fn(&(f64, f64)) -> f64| samples.iter().map(of).sum::<f64>() / count;
    let (time, bytes) = (mean(|sample| sample.0), mean(|sample| sample.1));
    let (mut together, mut alone) = (0.0, 0.0);
    for sample in samples {
        together += (sample.0 - time) * (sample.1 - bytes);
        alone += (sample.0 - time).powi(2);
    }
    together / alone * 3600.0
}

/// Calls `run` and says now and then how it goes.
async fn told(server: &Server, scene: &'static Scene, time: Duration, tally: &Arc<Tally>) {
    let began = Instant::now();
    let running = run(server, scene, time, tally);
    tokio::pin!(running);
    let mut ticks = tokio::time::interval(time.max(Duration::from_secs(10)) / 2);
    loop {
        tokio::select! {
            () = &mut running => return,
            _ = ticks.tick() => {
                let (time, memory) = (began.elapsed().as_secs(), server.rss() >> 20);
                println!("{}: {time} s of a round, {memory} MiB, {tally:?}", scene.name);
            }
        }
    }
}

async fn soak(scene: &'static Scene) {
    let seconds = std::env::var("SOAK_SECONDS")
        .ok()
        .map_or(SECONDS_DEFAULT, |text| text.parse().expect("SOAK_SECONDS is a number"));
    let server = Server::start(scene).await;
    let files = server.open_files();
    let tally = Arc::new(Tally::default());
    run(&server, scene, Duration::from_secs(seconds.div_ceil(3).min(300)), &tally).await;
    server.until_idle().await;
    let rounds = if seconds >= SECONDS_FOR_SLOPE { ROUNDS } else { 1 };
    let began = Instant::now();
    let mut samples = vec![(0.0, server.kept().await as f64)];
    for _ in 0..rounds {
        told(&server, scene, Duration::from_secs(seconds) / rounds as u32, &tally).await;
        server.until_idle().await;
        samples.push((began.elapsed().as_secs_f64(), server.kept().await as f64));
    }
    tally.whole.fetch_add(samples.len() * SETTLING_CALLS, Ordering::Relaxed);
    let memory: Vec<u64> = samples.iter().map(|sample| sample.1 as u64 >> 20).collect();
    let slope = slope(&samples);
    println!(
        "{}, {seconds} s: {tally:?}; MiB when nobody calls {memory:?}, slope {:.2} MiB/h",
        scene.name,
        slope / f64::from(1 << 20),
    );
    let count = |counter: &AtomicUsize| counter.load(Ordering::Relaxed);
    let (whole, wrong) = (count(&tally.whole), count(&tally.wrong));
    for (what, some) in [
        ("whole", whole),
        ("wrong", wrong),
        ("late", count(&tally.late)),
        ("fields", count(&tally.fields)),
    ] {
        assert!(some > 0, "no call was {what}");
    }
    let grown = samples[rounds as usize].1 - samples[0].1;
    assert!(grown < GROWTH_BYTES_MAX as f64, "memory grew: {memory:?}");
    if seconds >= SECONDS_FOR_SLOPE {
        assert!(slope < SLOPE_BYTES_PER_HOUR_MAX, "memory grows by {slope:.0} bytes an hour");
    }
    server.until_closed(files + 2).await;
    check_counts(&server, &tally);
    // Nothing waits or runs: the next call has the machine for itself.
    let channel = server.endpoint().connect().await.unwrap();
    let last = read(&channel, Request::new(request(PAGE, false, 4)), u64::MAX).await;
    assert!(last.unwrap().is_some());
}

/// The server ended every call once, and those that ended for a reason of its own as often as callers saw it.
fn check_counts(server: &Server, tally: &Tally) {
    let count = |counter: &AtomicUsize| counter.load(Ordering::Relaxed);
    let (whole, late) = (count(&tally.whole), count(&tally.late));
    // Whoever leaves with the last message, or when its time is over, may have left an end that it did not see.
    let unseen = count(&tally.given_up) + late;
    let found = server.extracts("OK");
    assert!((whole..=whole + unseen).contains(&found), "{found} whole, {tally:?}");
    let refused = count(&tally.refused);
    let found = server.extracts("RESOURCE_EXHAUSTED");
    assert!((refused..=refused + late).contains(&found), "{found} refused, {tally:?}");
    assert_eq!(server.extracts("INVALID_ARGUMENT"), count(&tally.wrong));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_model_reads_for_a_while() {
    soak(&TINY).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_streams_for_a_while() {
    soak(&FAKE).await;
}

/// Gives up one call: in the queue or while its page is taken in, at its first message, or in its answer.
async fn give_up(number: usize, channel: &Channel) {
    let mut client = ExtractionServiceClient::new(channel.clone());
    let asked = request(PAGE, false, 64);
    if number.is_multiple_of(3) {
        let call = client.extract(asked);
        let _ = tokio::time::timeout(Duration::from_micros(100 * (number as u64 % 20)), call).await;
        return;
    }
    let mut stream = client.extract(asked).await.expect("there is room").into_inner();
    for _ in 0..number % 5 {
        assert!(stream.message().await.expect("it goes on").is_some());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_cancels_leave_nothing_behind() {
    let scene = &CANCELLED;
    let server = Server::start(scene).await;
    let files = server.open_files();
    let round = async |calls: usize| {
        let next = Arc::new(AtomicUsize::new(0));
        let callers: Vec<_> = (0..scene.streams)
            .map(|_| {
                let (endpoint, next) = (server.endpoint(), Arc::clone(&next));
                tokio::spawn(async move {
                    loop {
                        let channel = endpoint.connect().await.expect("a connection");
                        for _ in 0..CALLS_PER_CONNECTION / 3 {
                            let number = next.fetch_add(1, Ordering::Relaxed);
                            if number >= calls {
                                return;
                            }
                            give_up(number, &channel).await;
                        }
                    }
                })
            })
            .collect();
        for caller in callers {
            caller.await.expect("every call can be given up");
        }
        server.until_idle().await;
    };
    round(CANCELS / 10).await;
    let (memory, began) = (server.kept().await, Instant::now());
    round(CANCELS).await;
    let took = began.elapsed().as_secs_f64();
    let after = server.kept().await;
    println!("{}: {took:.1} s, {} MiB, then {} MiB", scene.name, memory >> 20, after >> 20);
    server.until_closed(files + 2).await;
    assert!(after.saturating_sub(memory) < GROWTH_BYTES_MAX, "memory grew by {}", after - memory);
    // Each ended once, and as what it was: nothing but calls that were given up, some after their end.
    let ended = server.extracts("CANCELLED") + server.extracts("OK");
    let all = CANCELS + CANCELS / 10 + 2 * SETTLING_CALLS;
    assert!(
        server.extracts("CANCELLED") > all / 2,
        "{} cancels were seen",
        server.extracts("CANCELLED")
    );
    // A call that was taken back before its head was sent never came.
    assert!((all / 3 * 2..=all).contains(&ended), "{ended} of {all} calls ended");
    let channel = server.endpoint().connect().await.unwrap();
    let last = read(&channel, Request::new(request(PAGE, false, 4)), u64::MAX).await;
    assert!(last.unwrap().is_some(), "the next call is answered");
}
