//! Two real servers as a cluster has them: restarted one by one under load, killed in the middle of an
//! answer, behind nginx, behind clients that balance by themselves, and behind a proxy that balances each call
//! as a mesh's does.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

use std::convert::Infallible;
use std::error::Error as _;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use hyper_util::rt::{TokioExecutor, TokioIo};
use tessera::pb::v1;
use tessera::pb::v1::extract_response::Event;
use tessera::pb::v1::extraction_service_client::ExtractionServiceClient;
use tonic::body::Body;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tower::Service as _;

const SERVICE: &str = "tessera.v1.ExtractionService";

/// The bound of every wait: far above what is needed, so that only a bug meets it.
const SOON: Duration = Duration::from_mins(2);

/// Callers at once.
const CALLERS: usize = 3;

/// Tries of one call, as the retry policy of the quick starts has it, with more patience.
const TRIES: usize = 100;

/// One server process.
struct Replica {
    address: SocketAddr,
    process: Child,
}

impl Replica {
    async fn start(address: SocketAddr) -> Self {
        let process = Command::new(env!("CARGO_BIN_EXE_tessera"))
            .args(["serve", "--listen", &address.to_string(), "--verify", "none"])
            .args(["--drain-propagation", "300ms", "--drain-timeout", "60s"])
            .args(["--log-level", "warn"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let replica = Self { address, process };
        replica.until_serving().await;
        replica
    }

    async fn until_serving(&self) {
        let endpoint = endpoint(self.address);
        let serving = async {
            loop {
                if let Ok(channel) = endpoint.connect().await {
                    let asked = HealthCheckRequest { service: SERVICE.to_owned() };
                    let answer = HealthClient::new(channel).check(asked).await;
                    if answer.is_ok_and(|a| a.into_inner().status() == ServingStatus::Serving) {
                        return;
                    }
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(SOON, serving).await.expect("the replica serves");
    }

    fn signal(&self, signal: &str) {
        let id = self.process.id().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
    }

    /// SIGTERM; returns how long it took to end, which it does by itself and well.
    async fn stop(mut self) -> Duration {
        let started = Instant::now();
        self.signal("-TERM");
        loop {
            if let Some(status) = self.process.try_wait().unwrap() {
                assert!(status.success(), "a drained server ends with {status}");
                return started.elapsed();
            }
            assert!(started.elapsed() < SOON, "the drain ends");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// nginx with the configuration of deploy/, on addresses of this test.
struct Nginx(Child);

impl Nginx {
    /// None where nginx is not installed.
    fn start(dir: &Path, listen: SocketAddr, replicas: [SocketAddr; 2]) -> Option<Self> {
        let nginx = ["/usr/sbin/nginx", "/usr/local/sbin/nginx", "/usr/bin/nginx"];
        let nginx = nginx.into_iter().find(|path| Path::new(path).exists())?;
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/proxy/nginx.conf");
        let config = std::fs::read_to_string(file)
            .unwrap()
            .replace("127.0.0.1:50051", &listen.to_string())
            .replace("127.0.0.1:50061", &replicas[0].to_string())
            .replace("127.0.0.1:50062", &replicas[1].to_string())
            .replace("worker_processes auto;", "worker_processes 1;\nuser root;")
            .replace("http {", "http {\n    access_log off;\n    client_body_temp_path body;");
        let path = dir.join("nginx.conf");
        std::fs::write(&path, config).unwrap();
        let process = Command::new(nginx)
            .arg("-p")
            .arg(dir)
            .arg("-c")
            .arg(&path)
            .arg("-e")
            .arg(dir.join("error.log"))
            .args(["-g", &format!("daemon off; pid {}/nginx.pid;", dir.display())])
            .spawn()
            .unwrap();
        Some(Self(process))
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let id = self.0.id().to_string();
        // Its workers go with it only where it is asked to.
        let _ = Command::new("kill").args(["-QUIT", &id]).status();
        let _ = self.0.wait();
    }
}

/// An HTTP/2 proxy of tonic's own parts: whatever connection a call comes by, it goes to the replica that has the
/// least to do, as in a mesh. What it cannot send anywhere is UNAVAILABLE.
struct Proxy {
    address: SocketAddr,
    accepting: tokio::task::JoinHandle<()>,
}

impl Proxy {
    async fn start(replicas: [SocketAddr; 2]) -> Self {
        let channel = Channel::balance_list(replicas.map(endpoint).into_iter());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let channel = channel.clone();
                let forward = hyper::service::service_fn(move |request| {
                    Self::forward(channel.clone(), request)
                });
                let serving = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                    .serve_connection(TokioIo::new(stream), forward);
                tokio::spawn(serving);
            }
        });
        Self { address, accepting }
    }

    async fn forward(
        mut channel: Channel,
        request: http::Request<hyper::body::Incoming>,
    ) -> Result<http::Response<Body>, Infallible> {
        let unavailable = |error: &dyn std::error::Error| {
            Ok(Status::unavailable(format!("the proxy: {error}")).into_http())
        };
        if let Err(error) = std::future::poll_fn(|cx| channel.poll_ready(cx)).await {
            return unavailable(&error);
        }
        match channel.call(request.map(Body::new)).await {
            Ok(response) => Ok(response),
            Err(error) => unavailable(&error),
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

fn endpoint(address: SocketAddr) -> Endpoint {
    Endpoint::from_shared(format!("http://{address}")).unwrap()
}

fn short_question() -> v1::ExtractRequest {
    let page = include_bytes!("../models/tessera-tiny/samples/receipt-01.png");
    v1::ExtractRequest {
        files: vec![v1::InputFile { content: page.as_slice().into(), ..Default::default() }],
        task: Some(v1::extract_request::Task::Prompt("What is the total?".to_owned())),
        generation: Some(v1::GenerationOptions {
            max_output_tokens: Some(16),
            ..Default::default()
        }),
        ..Default::default()
    }
}

/// One try: whether a message came before it failed says whether it may be tried again.
async fn try_once(channel: &Channel) -> Result<(), (Status, bool)> {
    let mut client = ExtractionServiceClient::new(channel.clone());
    let mut request = Request::new(short_question());
    request.set_timeout(SOON);
    let answer = client.extract(request).await;
    let mut stream = answer.map_err(|status| (status, false))?.into_inner();
    let (mut messages, mut completed) = (0, false);
    loop {
        match stream.message().await {
            Ok(Some(message)) => {
                messages += 1;
                assert_eq!(message.sequence, messages, "no message is lost or doubled");
                completed = matches!(message.event, Some(Event::Completed(_)));
            }
            Ok(None) if completed => return Ok(()),
            Ok(None) => panic!("a stream ended well without `completed`"),
            Err(status) => return Err((status, messages > 0)),
        }
    }
}

/// What came of the calls.
#[derive(Debug, Default)]
struct Tally {
    answered: AtomicUsize,
    tried_again: AtomicUsize,
    over: AtomicBool,
}

impl Tally {
    /// Calls one after the other until it is over. Each has to succeed, tried again only as the contract
    /// allows: UNAVAILABLE before the first message.
    async fn call(self: Arc<Self>, channel: Channel) {
        while !self.over.load(Ordering::Relaxed) {
            let mut tries = 0;
            while let Err((status, begun)) = try_once(&channel).await {
                assert!(!begun, "a call failed after its first message: {status:?}");
                // Refused by the server; or by this client itself, which learns that its connection is
                // closing by trying, and sends nothing.
                let unsent = status.code() == Code::Cancelled && status.source().is_some();
                assert!(status.code() == Code::Unavailable || unsent, "{status:?}");
                tries += 1;
                assert!(tries < TRIES, "no replica answers: {status:?}");
                self.tried_again.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
            self.answered.fetch_add(1, Ordering::Relaxed);
        }
    }

    async fn until_answered(&self, more: usize) {
        let goal = self.answered.load(Ordering::Relaxed) + more;
        let reached = async {
            while self.answered.load(Ordering::Relaxed) < goal {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(SOON, reached).await.expect("calls are answered");
    }
}

/// Restarts both replicas, one after the other, while `channel` is called all the time.
async fn rolling_restart(channel: Channel, replicas: [Replica; 2]) -> Arc<Tally> {
    let tally = Arc::new(Tally::default());
    let callers: Vec<_> =
        (0..CALLERS).map(|_| tokio::spawn(Arc::clone(&tally).call(channel.clone()))).collect();
    let mut running = Vec::from(replicas);
    for _ in 0..2 {
        tally.until_answered(CALLERS).await;
        let old = running.remove(0);
        let address = old.address;
        old.stop().await;
        running.push(Replica::start(address).await);
    }
    tally.until_answered(2 * CALLERS).await;
    tally.over.store(true, Ordering::Relaxed);
    for caller in callers {
        caller.await.expect("every call of this caller succeeded");
    }
    tally
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rolling_restart_behind_clients_that_balance() {
    let replicas = [Replica::start(free()).await, Replica::start(free()).await];
    let endpoints = replicas.each_ref().map(|replica| endpoint(replica.address));
    let tally = rolling_restart(Channel::balance_list(endpoints.into_iter()), replicas).await;
    println!("{tally:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rolling_restart_behind_nginx() {
    let dir = tempfile::tempdir().unwrap();
    let replicas = [Replica::start(free()).await, Replica::start(free()).await];
    let front = free();
    let addresses = replicas.each_ref().map(|replica| replica.address);
    let Some(_nginx) = Nginx::start(dir.path(), front, addresses) else {
        println!("skipped: nginx is not installed");
        return;
    };
    let channel = endpoint(front).connect_lazy();
    let tally = rolling_restart(channel, replicas).await;
    println!("{tally:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rolling_restart_behind_a_proxy_that_balances_calls() {
    let replicas = [Replica::start(free()).await, Replica::start(free()).await];
    let proxy = Proxy::start(replicas.each_ref().map(|replica| replica.address)).await;
    let tally = rolling_restart(endpoint(proxy.address).connect_lazy(), replicas).await;
    println!("{tally:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_replica_fails_its_streams_and_nothing_else() {
    let first = Replica::start(free()).await;
    let address = first.address;
    let channel = endpoint(address).connect_lazy();
    let mut request = short_question();
    request.generation.as_mut().unwrap().max_output_tokens = Some(512);
    request.task = Some(v1::extract_request::Task::Schema(v1::ExtractionSchema {
        source: Some(v1::extraction_schema::Source::DocumentType(v1::DocumentType::Receipt.into())),
        ..Default::default()
    }));
    let mut client = ExtractionServiceClient::new(channel.clone());
    let mut stream = client.extract(request).await.unwrap().into_inner();
    let mut fields = 0;
    while fields == 0 {
        let message = stream.message().await.unwrap().expect("the stream goes on");
        fields += usize::from(matches!(message.event, Some(Event::FieldCompleted(_))));
    }
    first.signal("-KILL");
    let status = loop {
        match stream.message().await {
            Ok(Some(message)) => {
                let event = message.event;
                assert!(
                    !matches!(event, Some(Event::Completed(_))),
                    "it was killed before its end"
                );
            }
            Ok(None) => panic!("a killed server must not look like success"),
            Err(status) => break status,
        }
    };
    assert_ne!(status.code(), Code::Ok);
    drop(first);

    // A new process on the same address answers the same client, without a new channel.
    let _second = Replica::start(address).await;
    let again = async {
        while try_once(&channel).await.is_err() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(SOON, again).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_server_ends_at_once() {
    let replica = Replica::start(free()).await;
    // A connection that does nothing holds up nobody.
    let idle = endpoint(replica.address).connect().await.unwrap();
    let mute = std::net::TcpStream::connect(replica.address).unwrap();
    let took = replica.stop().await;
    assert!(took < Duration::from_secs(10), "{took:?}");
    drop((idle, mute));
}
