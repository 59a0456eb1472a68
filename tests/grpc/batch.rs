//! Many documents over one stream: each with its own outcome, none in another's way.

use std::collections::BTreeMap;
use std::time::Duration;

use tessera::engine;
use tessera::pb::v1;
use tessera::pb::v1::batch_extract_request::Message;
use tessera::pb::v1::batch_extract_response::Outcome;
use tessera::pb::v1::extract_response::Event;
use tessera::service;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status, Streaming};
use tonic_types::StatusExt as _;

use super::support::{MODEL, SOON, Server, Setup, file, question, receipt};

/// Both ends of one call.
struct Batch {
    requests: mpsc::Sender<v1::BatchExtractRequest>,
    responses: Streaming<v1::BatchExtractResponse>,
}

impl Batch {
    async fn open(server: &Server) -> Self {
        let (requests, receiver) = mpsc::channel(16);
        let answer = server.client().await.batch_extract(ReceiverStream::new(receiver)).await;
        Self { requests, responses: answer.unwrap().into_inner() }
    }

    async fn send(&self, id: &str, request: v1::ExtractRequest) {
        let request = v1::ExtractRequest { request_id: id.to_owned(), ..request };
        self.message(Some(Message::Extract(request))).await;
    }

    async fn cancel(&self, id: &str) {
        self.message(Some(Message::CancelRequestId(id.to_owned()))).await;
    }

    async fn message(&self, message: Option<Message>) {
        let request = v1::BatchExtractRequest { message };
        tokio::time::timeout(SOON, self.requests.send(request)).await.unwrap().unwrap();
    }

    async fn next(&mut self) -> Result<Option<v1::BatchExtractResponse>, Status> {
        tokio::time::timeout(SOON, self.responses.message()).await.unwrap()
    }

    /// The next error of a document: its id and what it says.
    async fn error(&mut self) -> (String, v1::ExtractError) {
        loop {
            let response = self.next().await.unwrap().expect("an error comes");
            if let Some(Outcome::Error(error)) = response.outcome {
                return (response.request_id, error);
            }
        }
    }

    /// Waits until a document of this id has written something.
    async fn running(&mut self, id: &str) {
        loop {
            let response = self.next().await.unwrap().expect("the document writes");
            if response.request_id == id
                && let Some(Outcome::Response(response)) = response.outcome
                && matches!(response.event, Some(Event::TokenDelta(_)))
            {
                return;
            }
        }
    }

    /// Ends the client's side, and takes all that comes: by document, its events and its error.
    async fn finish(mut self) -> (BTreeMap<String, Document>, Status) {
        drop(self.requests);
        let mut documents: BTreeMap<String, Document> = BTreeMap::new();
        loop {
            let message = tokio::time::timeout(SOON, self.responses.message()).await.unwrap();
            let response = match message {
                Ok(Some(response)) => response,
                Ok(None) => return (documents, Status::ok("")),
                Err(status) => return (documents, status),
            };
            let document = documents.entry(response.request_id).or_default();
            assert!(!document.has_ended(), "something came after an outcome");
            match response.outcome.expect("every message says something") {
                Outcome::Response(response) => {
                    let sequence = document.events.len() as u64 + 1;
                    assert_eq!(response.sequence, sequence, "a gap");
                    document.events.push(response.event.expect("every event is known here"));
                }
                Outcome::Error(error) => document.error = Some(error),
            }
        }
    }
}

/// What came of one document.
#[derive(Debug, Default)]
struct Document {
    events: Vec<Event>,
    error: Option<v1::ExtractError>,
}

impl Document {
    fn has_ended(&self) -> bool {
        self.error.is_some() || matches!(self.events.last(), Some(Event::Completed(_)))
    }
}

fn few_in_flight(most: usize) -> service::Config {
    service::Config { batch_in_flight_max: most, ..service::Config::new(MODEL) }
}

#[tokio::test]
async fn every_document_has_its_outcome() {
    let server = Setup::default().start().await;
    let batch = Batch::open(&server).await;
    for index in 0..10 {
        batch.send(&format!("doc-{index}"), receipt()).await;
    }
    let bad = v1::ExtractRequest { files: vec![file(&b"no image"[..])], ..receipt() };
    batch.send("bad", bad).await;
    let none = v1::ExtractRequest { files: vec![], ..receipt() };
    batch.send("none", none).await;
    let many = v1::ExtractRequest { files: vec![receipt().files[0].clone(); 17], ..receipt() };
    batch.send("many", many).await;
    let (documents, status) = batch.finish().await;
    assert_eq!(status.code(), Code::Ok, "{status}");
    assert_eq!(documents.len(), 13);
    for (id, document) in &documents {
        assert!(document.has_ended(), "{id}");
        if id.starts_with("doc-") {
            let Event::Accepted(accepted) = &document.events[0] else { panic!("{document:?}") };
            assert_eq!(accepted.request_id, *id);
            let Some(Event::Completed(completed)) = document.events.last() else { panic!() };
            assert_eq!(completed.document_json.as_deref(), Some(r#"{"TOTAL_AMOUNT": "12.50"}"#));
        }
    }
    let bad = documents["bad"].error.as_ref().unwrap();
    assert_eq!((bad.code, bad.reason.as_str()), (Code::InvalidArgument as i32, "INVALID_FIELD"));
    assert_eq!(bad.fields, ["files[0].content"]);
    assert_eq!(bad.violations[0].field, "files[0].content");
    assert!(bad.message.ends_with(&bad.violations[0].description), "{bad:?}");
    assert!(!bad.violations[0].description.is_empty(), "{bad:?}");
    let many = documents["many"].error.as_ref().unwrap();
    assert_eq!(many.reason, "LIMIT_EXCEEDED");
    let metadata = |key: &str| many.metadata.get(key).map(String::as_str);
    assert_eq!(metadata("limit"), Some("max_pages"));
    assert_eq!((metadata("limit_value"), metadata("value")), (Some("16"), Some("17")));
    assert_eq!(documents["none"].error.as_ref().unwrap().fields, ["files"]);
    assert!(documents["none"].error.as_ref().unwrap().retry_after.is_none());
}

#[tokio::test]
async fn documents_beyond_the_most_are_refused_alone() {
    let setup = Setup::endless(Duration::from_millis(2));
    let server = Setup { service: few_in_flight(2), ..setup }.start().await;
    let mut batch = Batch::open(&server).await;
    batch.send("a", question("?")).await;
    batch.send("b", question("?")).await;
    batch.running("b").await;
    for id in ["c", "d", "e"] {
        batch.send(id, question("?")).await;
        let (refused, error) = batch.error().await;
        assert_eq!((refused.as_str(), error.reason.as_str()), (id, "BATCH_FULL"));
        assert_eq!(error.code, Code::ResourceExhausted as i32);
        assert_eq!(error.metadata["limit"], "max_batch_in_flight");
        assert!(error.retry_after.is_some());
    }
    // What is refused is not in flight: an outcome makes room for it under the same name.
    batch.cancel("a").await;
    let (cancelled, _) = batch.error().await;
    assert_eq!(cancelled, "a");
    batch.send("c", question("?")).await;
    batch.running("c").await;
    drop(batch);
    server.until_idle().await;
}

#[tokio::test]
async fn one_document_is_cancelled_and_the_others_go_on() {
    let server = Setup::endless(Duration::from_millis(2)).start().await;
    let mut batch = Batch::open(&server).await;
    batch.send("stop", question("?")).await;
    batch.send("go", question("?")).await;
    batch.running("stop").await;
    batch.cancel("nobody").await;
    batch.cancel("stop").await;
    let (id, error) = batch.error().await;
    assert_eq!((id.as_str(), error.code), ("stop", Code::Cancelled as i32));
    assert_eq!(error.reason, "CANCELLED");
    // Twice is as good as once, and its name is free again.
    batch.cancel("stop").await;
    batch.running("go").await;
    server.until(|status| status.load.running + status.load.queued == 1).await;
    batch.send("stop", question("?")).await;
    batch.running("stop").await;
    drop(batch);
    server.until_idle().await;
}

#[tokio::test]
async fn a_cancellation_is_read_while_the_answers_are_not() {
    let server = Setup::endless(Duration::from_millis(1)).start().await;
    let mut batch = Batch::open(&server).await;
    batch.send("a", question("?")).await;
    batch.send("b", question("?")).await;
    batch.running("a").await;
    // Nothing is taken for a while: the queues between here and the model fill.
    tokio::time::sleep(Duration::from_millis(300)).await;
    batch.cancel("a").await;
    batch.cancel("b").await;
    server.until_idle().await;
    let mut ended = [batch.error().await.0, batch.error().await.0];
    ended.sort();
    assert_eq!(ended, ["a", "b"]);
}

#[tokio::test]
async fn names_must_be_there_and_differ() {
    for (second, field, what) in [
        (Some("a"), "extract.request_id", "in flight already"),
        (Some(""), "extract.request_id", "is empty"),
        (None, "message", "is not set"),
    ] {
        let server = Setup::endless(Duration::from_millis(2)).start().await;
        let mut batch = Batch::open(&server).await;
        batch.send("a", question("?")).await;
        batch.running("a").await;
        match second {
            Some(id) => batch.send(id, question("?")).await,
            None => batch.message(None).await,
        }
        let status = loop {
            match batch.next().await {
                Ok(Some(_)) => {}
                Ok(None) => panic!("the call ended well"),
                Err(status) => break status,
            }
        };
        assert_eq!(status.code(), Code::InvalidArgument, "{status}");
        let details = status.get_error_details();
        assert_eq!(details.bad_request().unwrap().field_violations[0].field, field);
        assert!(status.message().contains(what), "{status}");
        // The whole call ended, and with it its documents.
        server.until_idle().await;
    }
}

#[tokio::test]
async fn a_client_that_goes_away_leaves_nothing_running() {
    let server = Setup::endless(Duration::from_millis(2)).start().await;
    let mut batch = Batch::open(&server).await;
    for id in ["a", "b", "c"] {
        batch.send(id, question("?")).await;
    }
    batch.running("a").await;
    drop(batch);
    server.until_idle().await;
}

#[tokio::test]
async fn the_deadline_bounds_the_whole_call() {
    let server = Setup::endless(Duration::from_millis(2)).start().await;
    let (requests, receiver) = mpsc::channel(16);
    let mut request = tonic::Request::new(ReceiverStream::new(receiver));
    request.set_timeout(Duration::from_millis(400));
    let responses = server.client().await.batch_extract(request).await.unwrap().into_inner();
    let mut batch = Batch { requests, responses };
    batch.send("a", question("?")).await;
    let status = loop {
        match batch.next().await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("the call ended well"),
            Err(status) => break status,
        }
    };
    assert_eq!(status.code(), Code::DeadlineExceeded, "{status}");
    server.until_idle().await;
}

#[tokio::test]
async fn a_draining_server_refuses_documents_one_by_one() {
    let server = Setup::endless(Duration::from_millis(2)).start().await;
    let mut batch = Batch::open(&server).await;
    batch.send("a", question("?")).await;
    batch.running("a").await;
    server.engine.drain();
    batch.send("b", question("?")).await;
    let (id, error) = batch.error().await;
    assert_eq!((id.as_str(), error.reason.as_str()), ("b", "DRAINING"));
    assert_eq!(error.code, Code::Unavailable as i32);
    assert!(error.retry_after.is_some());
    batch.running("a").await;
}

#[tokio::test]
async fn a_full_queue_refuses_documents_one_by_one() {
    let setup = Setup::endless(Duration::from_millis(2));
    let engine = engine::Config { queued_max: 1, ..engine::Config::default() };
    let server = Setup { engine, slots: 1, ..setup }.start().await;
    let mut batch = Batch::open(&server).await;
    batch.send("runs", question("?")).await;
    batch.running("runs").await;
    batch.send("waits", question("?")).await;
    server.until(|status| status.load.queued == 1).await;
    batch.send("refused", question("?")).await;
    let (id, error) = batch.error().await;
    assert_eq!((id.as_str(), error.reason.as_str()), ("refused", "QUEUE_FULL"));
    assert!(error.retry_after.is_some());
    drop(batch);
    server.until_idle().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_is_free_with_its_outcome() {
    let server = Setup { service: few_in_flight(1), ..Setup::default() }.start().await;
    let mut batch = Batch::open(&server).await;
    for round in 0..200 {
        batch.send("a", receipt()).await;
        loop {
            let response = batch.next().await.unwrap().expect("the outcome comes");
            let Some(Outcome::Response(response)) = response.outcome else {
                panic!("round {round}: {response:?}")
            };
            if matches!(response.event, Some(Event::Completed(_))) {
                break;
            }
        }
    }
}

#[tokio::test]
async fn what_was_read_of_a_long_call_counts_no_more() {
    let mut setup = Setup::default();
    setup.service.request_memory_bytes = 100_000;
    let server = setup.start().await;
    let batch = Batch::open(&server).await;
    for _ in 0..2000 {
        batch.cancel(&"x".repeat(100)).await;
    }
    batch.send("a", receipt()).await;
    let (documents, status) = batch.finish().await;
    assert_eq!(status.code(), Code::Ok, "{status}");
    assert!(documents["a"].error.is_none() && documents["a"].has_ended());
}

#[tokio::test]
async fn a_name_to_cancel_has_a_bound() {
    let server = Setup::default().start().await;
    let batch = Batch::open(&server).await;
    batch.cancel(&"x".repeat(128)).await;
    batch.cancel(&"x".repeat(129)).await;
    let (_, status) = batch.finish().await;
    assert_eq!(status.code(), Code::InvalidArgument, "{status}");
    let details = status.get_error_details();
    assert_eq!(details.bad_request().unwrap().field_violations[0].field, "cancel_request_id");
}
