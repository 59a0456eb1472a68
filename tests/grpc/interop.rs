//! gRPC's own interoperability tests: the official client of gRPC-Go, and the same cases by grpcio, against
//! `grpc.testing.TestService` behind the layers and the server loop that serve `Extract`.

use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::process::{Command, Output, Stdio};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use expect_test::expect_file;
use http::HeaderName;
use http_body_util::BodyExt as _;
use tessera::service;
use tessera::transport;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::body::Body;
use tonic::server::NamedService;
use tonic::service::Routes;
use tonic::{Code, Request, Response, Status, Streaming};
use tower::Service;

use crate::support::{MODEL, SOON, Server, Setup};
use crate::tls::{Authority, files};
use pb::test_service_server::{TestService, TestServiceServer};

#[rustfmt::skip]
#[allow(clippy::pedantic, clippy::allow_attributes_without_reason, reason = "generated code")]
#[allow(missing_debug_implementations, unreachable_pub, reason = "generated code")]
#[path = "../interop/testing.rs"]
mod pb;

/// Of the official cases those that need neither Google's cloud nor a server that compresses.
const CASES: [&str; 14] = [
    "empty_unary",
    "large_unary",
    "client_streaming",
    "server_streaming",
    "ping_pong",
    "empty_stream",
    "cancel_after_begin",
    "cancel_after_first_response",
    "timeout_on_sleeping_server",
    "custom_metadata",
    "status_code_and_message",
    "special_status_message",
    "unimplemented_method",
    "unimplemented_service",
];

/// Many calls over one connection, and a connection for each.
const GO_ONLY: [&str; 2] = ["rpc_soak", "channel_soak"];

const INITIAL: HeaderName = HeaderName::from_static("x-grpc-test-echo-initial");
const TRAILING: HeaderName = HeaderName::from_static("x-grpc-test-echo-trailing-bin");

#[test]
fn the_generated_code_is_that_of_the_protocol() {
    let out = tempfile::tempdir().unwrap();
    let interop = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop");
    tonic_prost_build::configure()
        .build_client(false)
        .emit_rerun_if_changed(false)
        .out_dir(out.path())
        .compile_fds(protox::compile(["testing.proto"], [&interop]).unwrap())
        .unwrap();
    let generated = std::fs::read_to_string(out.path().join("grpc.testing.rs")).unwrap();
    let text = include_str!("../interop/testing.rs");
    let head = &text[..text.find("// This file is @generated").unwrap()];
    expect_file!["../interop/testing.rs"].assert_eq(&format!("{head}{generated}"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_official_go_client() {
    let Some(client) = go_client() else { return };
    let server = start(transport::Options::default()).await;
    for case in CASES.iter().chain(&GO_ONLY) {
        run(go_command(&client, &server, case)).await;
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_official_go_client_over_tls() {
    let Some(client) = go_client() else { return };
    let dir = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    authority.write_server(dir.path());
    let ca = dir.path().join("ca.pem");
    std::fs::write(&ca, authority.pem()).unwrap();
    let tls = Some(files(dir.path()));
    let server = start(transport::Options { tls, ..transport::Options::default() }).await;
    for case in CASES {
        let mut command = go_command(&client, &server, case);
        command.args(["-use_tls", "-use_test_ca", "-ca_file"]).arg(&ca);
        run(command).await;
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_cases_by_grpcio() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = root.join("clients/python/.venv/bin/python");
    if !python.exists() {
        eprintln!("skipped: {} is not there; `make interop` makes it", python.display());
        return;
    }
    let server = start(transport::Options::default()).await;
    let mut command = Command::new(python);
    command.arg(root.join("tests/interop/client.py")).arg(server.address.to_string()).args(CASES);
    let said = run(command).await;
    for case in CASES {
        assert!(said.contains(&format!("{case}: passed")), "{case} did not run: {said}");
    }
    server.stop().await;
}

async fn start(transport: transport::Options) -> Server {
    let service = service::Config { beside, transport, ..service::Config::new(MODEL) };
    Setup { service, ..Setup::default() }.start().await
}

/// What `make interop` builds.
fn go_client() -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).parent()?.join("interop-client");
    let found = path.exists().then_some(path);
    if found.is_none() {
        eprintln!("skipped: interop-client is not built; `make interop` builds it");
    }
    found
}

fn go_command(client: &Path, server: &Server, case: &str) -> Command {
    let mut command = Command::new(client);
    command
        .args(["-server_host", "127.0.0.1", "-server_port", &server.address.port().to_string()])
        .args(["-test_case", case]);
    command
}

/// Runs a client to its end, which must be a success, and returns what it said.
async fn run(command: Command) -> String {
    let what = format!("{command:?}");
    let output = tokio::task::spawn_blocking(move || bounded(command)).await.unwrap();
    let said = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(output.status.success(), "{what} ended with {}:\n{said}", output.status);
    said
}

/// Runs `command`, and stops it where it does not end.
fn bounded(mut command: Command) -> Output {
    let mut child =
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the client starts");
    let begin = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if begin.elapsed() > SOON {
            child.kill().unwrap();
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    child.wait_with_output().unwrap()
}

fn beside(routes: Routes) -> Routes {
    routes.add_service(Echo(TestServiceServer::new(Tester)))
}

/// The service that the cases describe.
#[derive(Debug)]
struct Tester;

type Answers = ReceiverStream<Result<pb::StreamingOutputCallResponse, Status>>;

#[tonic::async_trait]
impl TestService for Tester {
    type FullDuplexCallStream = Answers;
    type StreamingOutputCallStream = Answers;

    async fn empty_call(&self, _: Request<pb::Empty>) -> Result<Response<pb::Empty>, Status> {
        Ok(Response::new(pb::Empty {}))
    }

    async fn unary_call(
        &self,
        request: Request<pb::SimpleRequest>,
    ) -> Result<Response<pb::SimpleResponse>, Status> {
        let request = request.into_inner();
        wanted_status(request.response_status)?;
        let payload = Some(payload(request.response_size)?);
        Ok(Response::new(pb::SimpleResponse { payload }))
    }

    async fn streaming_output_call(
        &self,
        request: Request<pb::StreamingOutputCallRequest>,
    ) -> Result<Response<Answers>, Status> {
        let (answers, stream) = mpsc::channel(1);
        tokio::spawn(async move {
            if let Err(status) = answer(request.into_inner(), &answers).await {
                let _ = answers.send(Err(status)).await;
            }
        });
        Ok(Response::new(ReceiverStream::new(stream)))
    }

    async fn streaming_input_call(
        &self,
        request: Request<Streaming<pb::StreamingInputCallRequest>>,
    ) -> Result<Response<pb::StreamingInputCallResponse>, Status> {
        let mut requests = request.into_inner();
        let mut bytes = 0;
        let mut messages = 0;
        while let Some(request) = requests.message().await? {
            bytes += request.payload.map_or(0, |payload| payload.body.len());
            messages += 1;
        }
        // Only `cancel_after_begin` sends nothing. gRPC-Go half-closes the stream that it has cancelled and resets it
        // a moment later; an answer that is there between the two is the call's end for it, and no cancellation.
        // The reset drops this handler.
        if messages == 0 {
            std::future::pending::<()>().await;
        }
        Ok(Response::new(pb::StreamingInputCallResponse { aggregated_payload_size: bytes as i32 }))
    }

    async fn full_duplex_call(
        &self,
        request: Request<Streaming<pb::StreamingOutputCallRequest>>,
    ) -> Result<Response<Answers>, Status> {
        let mut requests = request.into_inner();
        let (answers, stream) = mpsc::channel(1);
        tokio::spawn(async move {
            let ended: Result<(), Status> = async {
                while let Some(request) = requests.message().await? {
                    answer(request, &answers).await?;
                }
                Ok(())
            }
            .await;
            if let Err(status) = ended {
                let _ = answers.send(Err(status)).await;
            }
        });
        Ok(Response::new(ReceiverStream::new(stream)))
    }
}

/// Sends what a message of a stream asks for.
async fn answer(
    request: pb::StreamingOutputCallRequest,
    answers: &mpsc::Sender<Result<pb::StreamingOutputCallResponse, Status>>,
) -> Result<(), Status> {
    wanted_status(request.response_status)?;
    for wanted in request.response_parameters {
        tokio::time::sleep(Duration::from_micros(wanted.interval_us.max(0) as u64)).await;
        let payload = Some(payload(wanted.size)?);
        let message = Ok(pb::StreamingOutputCallResponse { payload });
        answers.send(message).await.map_err(|_| Status::cancelled("the caller left"))?;
    }
    Ok(())
}

fn wanted_status(wanted: Option<pb::EchoStatus>) -> Result<(), Status> {
    match wanted {
        Some(status) if status.code != 0 => {
            Err(Status::new(Code::from_i32(status.code), status.message))
        }
        _ => Ok(()),
    }
}

fn payload(size: i32) -> Result<pb::Payload, Status> {
    let size = usize::try_from(size).map_err(|_| Status::invalid_argument("a negative size"))?;
    Ok(pb::Payload { r#type: pb::PayloadType::Compressable.into(), body: vec![0; size] })
}

/// Sends the metadata back that `custom_metadata` sends: tonic's handlers say no trailers with a success.
#[derive(Debug, Clone)]
struct Echo<S>(S);

impl<S: NamedService> NamedService for Echo<S> {
    const NAME: &'static str = S::NAME;
}

impl<S> Service<http::Request<Body>> for Echo<S>
where
    S: Service<http::Request<Body>, Response = http::Response<Body>, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let initial = request.headers().get(INITIAL).cloned();
        let trailing = request.headers().get(TRAILING).cloned();
        let head = self.0.call(request);
        Box::pin(async move {
            let mut response = head.await?;
            if let Some(initial) = initial {
                response.headers_mut().insert(INITIAL, initial);
            }
            Ok(response.map(|body| {
                Body::new(body.map_frame(move |mut frame| {
                    let value = trailing.clone();
                    if let Some((trailers, value)) = frame.trailers_mut().zip(value) {
                        trailers.insert(TRAILING, value);
                    }
                    frame
                }))
            }))
        })
    }
}
