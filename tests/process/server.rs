//! One server process and calls to it.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use tessera::pb::v1;
use tessera::pb::v1::extract_response::Event;
use tessera::pb::v1::extraction_service_client::ExtractionServiceClient;
use tonic::transport::{Channel, Endpoint};
use tonic::{Status, Streaming};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::port::free;

const SERVICE: &str = "tessera.v1.ExtractionService";

/// The bound of every wait: far above what is needed, so that only a bug meets it.
pub(crate) const SOON: Duration = Duration::from_mins(1);

pub(crate) const PAGE: &[u8] = include_bytes!("../../models/tessera-tiny/samples/receipt-01.png");

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) admin: SocketAddr,
    process: Child,
}

impl Server {
    /// A process that may not listen yet.
    pub(crate) fn spawn(flags: &[&str], change: impl FnOnce(&mut Command)) -> Self {
        Self::spawn_at(free(), flags, change)
    }

    /// The same on an address that a process had before.
    pub(crate) fn spawn_at(
        address: SocketAddr,
        flags: &[&str],
        change: impl FnOnce(&mut Command),
    ) -> Self {
        let admin = free();
        let mut command = Command::new(env!("CARGO_BIN_EXE_tessera"));
        command
            .args(["serve", "--listen", &address.to_string()])
            .args(["--admin-listen", &admin.to_string(), "--drain-propagation", "100ms"])
            .args(flags)
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        for [flag, value] in [["--log-level", "warn"], ["--verify", "none"]] {
            if !flags.contains(&flag) {
                command.args([flag, value]);
            }
        }
        change(&mut command);
        Self { address, admin, process: command.spawn().unwrap() }
    }

    /// One that takes requests.
    pub(crate) async fn start(flags: &[&str]) -> Self {
        let server = Self::spawn(flags, |_| {});
        server.until_serving().await;
        server
    }

    pub(crate) fn endpoint(&self) -> Endpoint {
        Endpoint::from_shared(format!("http://{}", self.address)).unwrap()
    }

    pub(crate) async fn client(&self) -> ExtractionServiceClient<Channel> {
        ExtractionServiceClient::new(self.endpoint().connect().await.unwrap())
    }

    pub(crate) async fn is_serving(&self) -> bool {
        let Ok(channel) = self.endpoint().connect().await else { return false };
        let asked = HealthCheckRequest { service: SERVICE.to_owned() };
        let answer = HealthClient::new(channel).check(asked).await;
        answer.is_ok_and(|answer| answer.into_inner().status() == ServingStatus::Serving)
    }

    pub(crate) async fn until_listening(&self) {
        until("it listens", async || self.endpoint().connect().await.is_ok()).await;
    }

    pub(crate) async fn until_serving(&self) {
        until("it serves", async || self.is_serving().await).await;
    }

    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    pub(crate) fn signal(&self, signal: &str) {
        let id = self.process.id().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
    }

    /// How it ended, which it does by itself.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        let began = Instant::now();
        loop {
            if let Some(status) = self.process.try_wait().unwrap() {
                return status;
            }
            assert!(began.elapsed() < SOON, "the process does not end");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// SIGTERM, and a good end.
    pub(crate) async fn stop(mut self) {
        self.signal("-TERM");
        let status = self.ended().await;
        assert!(status.success(), "a drained server ends with {status}");
    }

    /// What the admin port answers: head and body.
    pub(crate) fn http(&self, method: &str, path: &str) -> String {
        let mut stream = TcpStream::connect(self.admin).unwrap();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Waits until `reached`.
pub(crate) async fn until(what: &str, reached: impl AsyncFn() -> bool) {
    let began = Instant::now();
    while !reached().await {
        assert!(began.elapsed() < SOON, "not in time: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A question about one page.
pub(crate) fn question(output_tokens: u32) -> v1::ExtractRequest {
    v1::ExtractRequest {
        files: vec![v1::InputFile { content: PAGE.into(), ..Default::default() }],
        task: Some(v1::extract_request::Task::Prompt("What is the total?".to_owned())),
        generation: Some(v1::GenerationOptions {
            max_output_tokens: Some(output_tokens),
            ..Default::default()
        }),
        ..Default::default()
    }
}

/// One call, read as far as its test wants.
pub(crate) struct Call {
    stream: Streaming<v1::ExtractResponse>,
    sequence: u64,
}

impl From<Streaming<v1::ExtractResponse>> for Call {
    fn from(stream: Streaming<v1::ExtractResponse>) -> Self {
        Self { stream, sequence: 0 }
    }
}

impl Call {
    pub(crate) async fn open(server: &Server, request: v1::ExtractRequest) -> Result<Self, Status> {
        Ok(server.client().await.extract(request).await?.into_inner().into())
    }

    pub(crate) async fn next(&mut self) -> Result<Option<Event>, Status> {
        let message = tokio::time::timeout(SOON, self.stream.message()).await.expect("in time")?;
        let Some(message) = message else { return Ok(None) };
        self.sequence += 1;
        assert_eq!(message.sequence, self.sequence, "no message is lost or doubled");
        Ok(message.event)
    }

    /// Reads until an event is as wanted.
    pub(crate) async fn until(&mut self, wanted: impl Fn(&Event) -> bool) {
        while let Some(event) = self.next().await.unwrap() {
            if wanted(&event) {
                return;
            }
        }
        panic!("the stream ended before");
    }

    /// Reads to the end; the whole answer.
    pub(crate) async fn whole(mut self) -> Result<v1::Completed, Status> {
        let mut whole = None;
        while let Some(event) = self.next().await? {
            assert!(whole.is_none(), "nothing comes after `completed`");
            if let Event::Completed(completed) = event {
                whole = Some(completed);
            }
        }
        Ok(whole.expect("a stream that ends well has `completed`"))
    }
}
