//! A real server for a while: whole answers, cancels, deadlines, refusals and broken files, all mixed, and
//! its memory before and after. `SOAK_SECONDS=3600 cargo test --release --test soak -- --nocapture` is the
//! long form.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]
#![allow(clippy::disallowed_methods, reason = "a test is told how long to run")]

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

/// How long the short form runs.
const SECONDS_DEFAULT: u64 = 15;

/// Streams that are open at once.
const STREAMS: usize = 64;

/// What memory may grow by once everything has been used once: pools of buffers still find their size.
const GROWTH_BYTES_MAX: u64 = 96 << 20;

struct Server {
    process: Child,
    address: SocketAddr,
}

impl Server {
    async fn start() -> Self {
        let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let process = Command::new(env!("CARGO_BIN_EXE_tessera"))
            .args(["serve", "--listen", &address.to_string(), "--verify", "none"])
            .args(["--slots", "16", "--slot-tokens", "1024", "--queue", "96"])
            .args(["--max-output-tokens", "256"])
            .args(["--log-level", "warn", "--drain-timeout", "60s"])
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let server = Self { process, address };
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
        let pages: u64 = std::fs::read_to_string(path)
            .unwrap()
            .split_whitespace()
            .nth(1)
            .unwrap()
            .parse()
            .unwrap();
        pages * 4096
    }

    fn open_files(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.process.id())).unwrap().count()
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
}

fn request(content: &'static [u8], output_tokens: u32) -> v1::ExtractRequest {
    v1::ExtractRequest {
        files: vec![v1::InputFile { content: content.into(), ..Default::default() }],
        task: Some(v1::extract_request::Task::Prompt("What is the total?".to_owned())),
        generation: Some(v1::GenerationOptions {
            max_output_tokens: Some(output_tokens),
            ..Default::default()
        }),
        ..Default::default()
    }
}

/// Reads up to `messages`; whether the answer was whole.
async fn read(
    channel: &Channel,
    request: Request<v1::ExtractRequest>,
    messages: u64,
) -> Result<bool, Status> {
    let mut client = ExtractionServiceClient::new(channel.clone());
    let mut stream = client.extract(request).await?.into_inner();
    let mut sequence = 0;
    let mut completed = false;
    while sequence < messages {
        let Some(message) = stream.message().await? else {
            assert!(completed, "a stream ended well without `completed`");
            return Ok(true);
        };
        sequence += 1;
        assert_eq!(message.sequence, sequence, "no message is lost or doubled");
        assert!(!completed, "nothing comes after `completed`");
        completed = matches!(message.event, Some(Event::Completed(_)));
    }
    Ok(false)
}

/// One call of a kind that its number says; how it ended must be one of the ways that its kind can end.
async fn call(number: usize, channel: &Channel, tally: &Tally) {
    let page = include_bytes!("../models/tessera-tiny/samples/receipt-01.png").as_slice();
    let (mut request, messages) = match number % 8 {
        6 => (Request::new(request(b"no image", 8)), u64::MAX),
        4 | 5 => (Request::new(request(page, 64)), 2),
        _ => (Request::new(request(page, 8)), u64::MAX),
    };
    if number % 8 == 7 {
        request.set_timeout(Duration::from_millis(30));
    }
    let counter = match read(channel, request, messages).await {
        Ok(true) => &tally.whole,
        Ok(false) => &tally.given_up,
        Err(status) => match (status.code(), number % 8) {
            (Code::InvalidArgument, 6) => &tally.wrong,
            (Code::DeadlineExceeded | Code::Cancelled, 7) => &tally.late,
            (Code::ResourceExhausted, _) => &tally.refused,
            _ => panic!("call {number}: {status:?}"),
        },
    };
    counter.fetch_add(1, Ordering::Relaxed);
}

async fn run(channel: &Channel, time: Duration, tally: &Arc<Tally>) {
    let end = Instant::now() + time;
    let callers: Vec<_> = (0..STREAMS)
        .map(|caller| {
            let (channel, tally) = (channel.clone(), Arc::clone(tally));
            tokio::spawn(async move {
                let mut number = caller;
                while Instant::now() < end {
                    call(number, &channel, &tally).await;
                    number += 1;
                }
            })
        })
        .collect();
    for caller in callers {
        caller.await.expect("every call ends in a way that it can");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_stays_and_every_call_ends() {
    let seconds = std::env::var("SOAK_SECONDS")
        .ok()
        .map_or(SECONDS_DEFAULT, |text| text.parse().expect("SOAK_SECONDS is a number"));
    let server = Server::start().await;
    let channel = server.endpoint().connect().await.unwrap();
    let tally = Arc::new(Tally::default());
    run(&channel, Duration::from_secs(seconds.div_ceil(3)), &tally).await;
    let (memory, files) = (server.rss(), server.open_files());
    run(&channel, Duration::from_secs(seconds), &tally).await;
    let grown = server.rss().saturating_sub(memory);
    println!(
        "{seconds} s: {tally:?}; {} MiB, then {} MiB more; {files} files, then {}",
        memory >> 20,
        grown >> 20,
        server.open_files()
    );
    assert!(tally.whole.load(Ordering::Relaxed) > 0);
    assert!(tally.wrong.load(Ordering::Relaxed) > 0);
    assert!(grown < GROWTH_BYTES_MAX, "memory grew by {} MiB", grown >> 20);
    assert!(server.open_files() <= files + 2, "files were left open");
    // Nothing waits or runs: the next call has the machine for itself.
    assert!(
        read(
            &channel,
            Request::new(request(
                include_bytes!("../models/tessera-tiny/samples/receipt-01.png"),
                4
            )),
            u64::MAX
        )
        .await
        .unwrap()
    );
}
