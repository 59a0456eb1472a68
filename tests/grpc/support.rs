//! A whole server in this process: fake model, real prompts and images, a socket on a free port.

use std::io::Cursor;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tessera::checkpoint::Checkpoint;
use tessera::engine::{self, Handle, Loaded, ModelState, Status as EngineStatus};
use tessera::fields::Calibration;
use tessera::model::ModelSpec;
use tessera::model::fake::{Fake, Faults, Options, Probe, Script};
use tessera::pb::v1;
use tessera::pb::v1::extract_response::Event;
use tessera::pb::v1::extraction_service_client::ExtractionServiceClient;
use tessera::preprocess;
use tessera::prompt::{PromptOptions, Prompter};
use tessera::service::{self, Ended, ServeError, Shutdown};
use tokenizers::Tokenizer;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tonic::body::Body;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status, Streaming};
use tonic_types::{ErrorInfo, StatusExt as _};

/// Name of the fake model.
pub(crate) const MODEL: &str = "fake-reader";

/// Id of `<IMG_CONTEXT>` in the embedded tokenizer.
const IMAGE_TOKEN_ID: u32 = 1022;

/// Id that ends an answer in the embedded tokenizer.
const STOP_ID: u32 = 1019;

/// Larger than the pages of these tests, which are one tile each then.
const TILE_SIZE_PX: u32 = 28;

/// The bound of every wait: far above what is needed, so that only a bug meets it.
pub(crate) const SOON: Duration = Duration::from_secs(20);

/// What a test wants of its server.
pub(crate) struct Setup {
    pub(crate) answer: String,
    /// Whether the answer ends by itself.
    pub(crate) ends: bool,
    pub(crate) slots: usize,
    pub(crate) slot_tokens: usize,
    pub(crate) step_delay: Duration,
    pub(crate) engine: engine::Config,
    pub(crate) service: service::Config,
    /// The page that the model looks at.
    pub(crate) looks_at: Option<usize>,
    /// Comes with the model.
    pub(crate) calibration: Option<Arc<Calibration>>,
    /// Loading waits for this.
    pub(crate) gate: Option<mpsc::Receiver<()>>,
}

/// A server that listens.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) engine: Handle,
    pub(crate) faults: Faults,
    pub(crate) probe: Arc<Probe>,
    pub(crate) shutdown: CancellationToken,
    pub(crate) serving: JoinHandle<Result<Ended, ServeError>>,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            answer: r#"{"TOTAL_AMOUNT": "12.50"}"#.to_owned(),
            ends: true,
            slots: 2,
            slot_tokens: 512,
            step_delay: Duration::ZERO,
            engine: engine::Config::default(),
            service: service::Config::new(MODEL),
            looks_at: None,
            calibration: None,
            gate: None,
        }
    }
}

impl Setup {
    /// An answer that goes on until somebody ends it, a token each `step_delay`.
    pub(crate) fn endless(step_delay: Duration) -> Self {
        // Numbers in their order: the guard sees no loop.
        let numbers: Vec<String> = (0..3000).map(|number: u32| number.to_string()).collect();
        let answer = numbers.join(" ");
        Self { answer, ends: false, slot_tokens: 4000, step_delay, ..Self::default() }
    }

    fn spec(&self) -> ModelSpec {
        ModelSpec {
            name: MODEL.to_owned(),
            vocab_size: 1024,
            tokens_per_tile: 4,
            tile_size_px: TILE_SIZE_PX,
            image_token_id: IMAGE_TOKEN_ID,
            slots: self.slots,
            slot_tokens: self.slot_tokens,
            ..Options::default().spec
        }
    }

    /// Starts a server and waits until it takes requests.
    pub(crate) async fn start(self) -> Server {
        let gated = self.gate.is_some();
        let server = self.start_loading().await;
        if !gated {
            server.until(|status| status.state == ModelState::Ready).await;
        }
        server
    }

    async fn start_loading(self) -> Server {
        let mut tokens = tokens(&self.answer);
        if self.ends {
            tokens.push(STOP_ID);
        }
        let fake = Fake::new(Options {
            spec: self.spec(),
            script: Script::Answer(tokens),
            step_delay: self.step_delay,
            looks_at: self.looks_at,
            ..Options::default()
        });
        let (faults, probe) = (fake.faults(), fake.probe());
        let (gate, calibration) = (self.gate, self.calibration);
        let engine = Handle::start(self.engine, move |progress| {
            progress.say("waiting for the gate");
            if let Some(gate) = gate {
                gate.recv()?;
            }
            let options = PromptOptions { tokens_per_tile: 4, ..PromptOptions::default() };
            let prompter = Arc::new(Prompter::load(&Checkpoint::Embedded, &options)?);
            Ok(Loaded { runner: Box::new(fake), prompter, tiling: tiling(), calibration })
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shutdown = CancellationToken::new();
        let ending = Shutdown { gently: shutdown.clone(), ..Shutdown::default() };
        let serving = tokio::spawn(service::serve(listener, engine.clone(), self.service, ending));
        Server { address, engine, faults, probe, shutdown, serving }
    }
}

impl Server {
    pub(crate) fn endpoint(&self) -> Endpoint {
        Endpoint::from_shared(format!("http://{}", self.address)).unwrap()
    }

    pub(crate) async fn channel(&self) -> Channel {
        self.endpoint().connect().await.unwrap()
    }

    pub(crate) async fn client(&self) -> ExtractionServiceClient<Channel> {
        ExtractionServiceClient::new(self.channel().await)
    }

    /// A connection for requests that no client of gRPC makes.
    pub(crate) async fn http2(&self) -> SendRequest<Body> {
        let stream = TcpStream::connect(self.address).await.unwrap();
        let (executor, stream) = (TokioExecutor::new(), TokioIo::new(stream));
        let (client, connection) = http2::handshake(executor, stream).await.unwrap();
        tokio::spawn(connection);
        client
    }

    /// A request for it, as gRPC has them.
    pub(crate) fn post(&self, path: &str, content_type: &str, body: Body) -> http::Request<Body> {
        http::Request::post(format!("http://{}{path}", self.address))
            .header("content-type", content_type)
            .header("te", "trailers")
            .body(body)
            .unwrap()
    }

    /// Waits for a state of the engine.
    pub(crate) async fn until(&self, wanted: impl FnMut(&EngineStatus) -> bool) {
        let mut status = self.engine.status();
        tokio::time::timeout(SOON, status.wait_for(wanted)).await.unwrap().unwrap();
    }

    /// Waits until nothing runs or waits and the model holds nothing.
    pub(crate) async fn until_idle(&self) {
        self.until(|status| status.load.running + status.load.queued == 0).await;
        let held = || self.probe.slots_held.load(std::sync::atomic::Ordering::SeqCst);
        tokio::time::timeout(SOON, async {
            while held() > 0 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        })
        .await
        .unwrap();
    }

    /// Shuts down and says how the server ended.
    pub(crate) async fn stop(self) -> Ended {
        self.shutdown.cancel();
        tokio::time::timeout(SOON, self.serving).await.unwrap().unwrap().unwrap()
    }
}

/// A page that is a white square.
pub(crate) fn png() -> bytes::Bytes {
    let mut bytes = Cursor::new(Vec::new());
    image::RgbImage::from_pixel(8, 8, image::Rgb([255; 3]))
        .write_to(&mut bytes, image::ImageFormat::Png)
        .unwrap();
    bytes.into_inner().into()
}

pub(crate) fn file(content: impl Into<bytes::Bytes>) -> v1::InputFile {
    v1::InputFile { content: content.into(), ..Default::default() }
}

/// A free question about one page.
pub(crate) fn question(text: &str) -> v1::ExtractRequest {
    v1::ExtractRequest {
        files: vec![file(png())],
        task: Some(v1::extract_request::Task::Prompt(text.to_owned())),
        ..Default::default()
    }
}

/// The built-in fields of one page; the answer is whatever the fake model says.
pub(crate) fn receipt() -> v1::ExtractRequest {
    v1::ExtractRequest {
        files: vec![file(png())],
        task: Some(v1::extract_request::Task::Schema(v1::ExtractionSchema {
            source: Some(v1::extraction_schema::Source::DocumentType(
                v1::DocumentType::Receipt.into(),
            )),
            ..Default::default()
        })),
        generation: Some(v1::GenerationOptions { constrain: Some(false), ..Default::default() }),
        ..Default::default()
    }
}

/// All events of a stream, and the status that it ended with.
pub(crate) async fn collect(mut stream: Streaming<v1::ExtractResponse>) -> (Vec<Event>, Status) {
    let mut events = Vec::new();
    loop {
        match tokio::time::timeout(SOON, stream.message()).await.unwrap() {
            Ok(Some(message)) => {
                assert_eq!(message.sequence, events.len() as u64 + 1, "a gap before {message:?}");
                events.push(message.event.expect("every event is known here"));
            }
            Ok(None) => return (events, Status::ok("")),
            Err(status) => return (events, status),
        }
    }
}

/// The stream of a request that is accepted.
pub(crate) async fn open(
    server: &Server,
    request: v1::ExtractRequest,
) -> Streaming<v1::ExtractResponse> {
    server.client().await.extract(request).await.unwrap().into_inner()
}

/// The status of a request that is refused before its first message.
pub(crate) async fn refuse(server: &Server, request: v1::ExtractRequest) -> Status {
    server.client().await.extract(request).await.expect_err("the call is refused")
}

/// Reads on until a token came.
pub(crate) async fn first_token(stream: &mut Streaming<v1::ExtractResponse>) {
    loop {
        let message = stream.message().await.unwrap().expect("the stream goes on");
        if matches!(message.event, Some(Event::TokenDelta(_))) {
            return;
        }
    }
}

/// The `completed` of a stream that succeeded.
pub(crate) fn completed(events: &[Event]) -> &v1::Completed {
    let Some(Event::Completed(completed)) = events.last() else { panic!("{events:?}") };
    completed
}

/// Code and `ErrorInfo` of a failure.
pub(crate) fn info(status: &Status) -> (Code, ErrorInfo) {
    let info = status.get_details_error_info().unwrap_or_else(|| panic!("{status:?}"));
    assert_eq!(info.domain, "tessera");
    (status.code(), info)
}

/// Asserts code and reason.
pub(crate) fn assert_failure(status: &Status, code: Code, reason: &str) {
    let (found, info) = info(status);
    assert_eq!((found, info.reason.as_str()), (code, reason), "{status:?}");
}

/// The fields that a refusal names.
pub(crate) fn fields(status: &Status) -> Vec<String> {
    let details = status.get_details_bad_request().unwrap_or_else(|| panic!("{status:?}"));
    details.field_violations.into_iter().map(|violation| violation.field).collect()
}

/// `text` as the embedded tokenizer has it.
pub(crate) fn tokens(text: &str) -> Vec<u32> {
    let file = Checkpoint::Embedded.require("tokenizer.json").unwrap();
    let tokenizer = Tokenizer::from_bytes(file).unwrap();
    tokenizer.encode(text, false).unwrap().get_ids().to_vec()
}

fn tiling() -> preprocess::Config {
    preprocess::Config { tile_size_px: TILE_SIZE_PX, ..preprocess::Config::default() }
}
