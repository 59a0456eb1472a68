//! Keys and quotas over the wire; files, tokens and rules have their tests in `access`.

use std::path::PathBuf;
use std::time::Duration;

use tessera::access::{Quota, digest_of_key};
use tessera::pb::v1;
use tessera::pb::v1::ModelInfoRequest;
use tessera::pb::v1::batch_extract_request::Message;
use tessera::pb::v1::batch_extract_response::Outcome;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Request, Streaming};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_types::StatusExt as _;

use crate::support::{SOON, Server, Setup, assert_failure, first_token, open, question, refuse};

const KEY: &str = "tsr_a-key-of-these-tests";

/// How often the access file is looked at.
const RELOAD: Duration = Duration::from_millis(20);

async fn guarded(rule: &str) -> (Server, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let file = write(&dir, KEY, rule);
    let mut setup = Setup::endless(Duration::from_millis(2));
    setup.service.access.file = Some(file);
    setup.service.transport.reload_interval = RELOAD;
    (setup.start().await, dir)
}

/// The access file of one key with one rule.
fn write(dir: &tempfile::TempDir, key: &str, rule: &str) -> PathBuf {
    let sha256 = digest_of_key(key);
    let file = dir.path().join("access.toml");
    let text = format!("[[key]]\nname = \"till\"\nsha256 = \"{sha256}\"\n[[rule]]\n{rule}");
    std::fs::write(&file, text).unwrap();
    file
}

fn with<T>(message: T, header: &'static str, value: &str) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert(header, value.parse().unwrap());
    request
}

#[tokio::test]
async fn a_key_opens_what_its_rule_says() {
    let (server, _dir) = guarded("callers = [\"key:till\"]\nmethods = [\"ModelInfo\"]").await;
    let mut client = server.client().await;
    let asking = ModelInfoRequest::default;

    let status = client.model_info(asking()).await.unwrap_err();
    assert_failure(&status, Code::Unauthenticated, "CREDENTIALS_MISSING");
    assert!(status.get_details_retry_info().is_none());
    for (header, value) in [("authorization", &*format!("Bearer {KEY}")), ("x-api-key", KEY)] {
        client.model_info(with(asking(), header, value)).await.unwrap();
    }
    let status = client.model_info(with(asking(), "x-api-key", "tsr_guess")).await.unwrap_err();
    assert_failure(&status, Code::Unauthenticated, "CREDENTIALS_INVALID");
    assert!(!format!("{status:?}").contains("tsr_guess"), "a key is never said back");
    let status = client.extract(with(question("Total?"), "x-api-key", KEY)).await.unwrap_err();
    assert_failure(&status, Code::PermissionDenied, "METHOD_NOT_ALLOWED");
}

#[tokio::test]
async fn health_is_open_and_reflection_is_not() {
    let (server, _dir) = guarded("callers = [\"key:till\"]\nmethods = [\"ModelInfo\"]").await;
    let channel = server.channel().await;
    HealthClient::new(channel.clone()).check(HealthCheckRequest::default()).await.unwrap();
    let asked = tokio_stream::once(ServerReflectionRequest::default());
    let status =
        ServerReflectionClient::new(channel).server_reflection_info(asked).await.unwrap_err();
    assert_failure(&status, Code::Unauthenticated, "CREDENTIALS_MISSING");
}

#[tokio::test]
async fn quotas_of_a_rule() {
    let rule = "callers = [\"key:till\"]\nmethods = [\"*\"]\nin-flight = 1\nper-minute = 3";
    let (server, _dir) = guarded(rule).await;
    let mut client = server.client().await;
    let request = || with(question("Read on"), "x-api-key", KEY);
    let mut running = client.extract(request()).await.unwrap().into_inner();
    first_token(&mut running).await;

    let status = client.extract(request()).await.unwrap_err();
    assert_failure(&status, Code::ResourceExhausted, "QUOTA_IN_FLIGHT");
    let retry = status.get_details_retry_info().unwrap().retry_delay.unwrap();
    let pushback = status.metadata().get("grpc-retry-pushback-ms").unwrap().to_str().unwrap();
    assert_eq!(pushback, retry.as_millis().to_string());

    // What is over counts no more; what began within the minute does.
    drop(running);
    server.until_idle().await;
    for _ in 0..2 {
        drop(client.extract(request()).await.unwrap());
        server.until_idle().await;
    }
    let status = client.extract(request()).await.unwrap_err();
    assert_failure(&status, Code::ResourceExhausted, "QUOTA_PER_MINUTE");
    let retry = status.get_details_retry_info().unwrap().retry_delay.unwrap();
    assert!(retry > Duration::from_secs(10) && retry <= Duration::from_secs(20), "{retry:?}");
    client.model_info(with(ModelInfoRequest::default(), "x-api-key", KEY)).await.unwrap();
}

/// The next error of a document.
async fn error(responses: &mut Streaming<v1::BatchExtractResponse>) -> (String, v1::ExtractError) {
    loop {
        let response = tokio::time::timeout(SOON, responses.message()).await.unwrap().unwrap();
        let response = response.expect("the batch goes on");
        if let Some(Outcome::Error(error)) = response.outcome {
            return (response.request_id, error);
        }
    }
}

#[tokio::test]
async fn documents_of_a_batch_count_against_quotas_and_fail_alone() {
    let rule = "callers = [\"key:till\"]\nmethods = [\"*\"]\nin-flight = 2\nper-minute = 4";
    let (server, _dir) = guarded(rule).await;
    let mut client = server.client().await;
    // Those in which nothing comes count as nothing.
    let mut idle = Vec::new();
    for _ in 0..3 {
        let (requests, receiver) = mpsc::channel::<v1::BatchExtractRequest>(1);
        let batch = with(ReceiverStream::new(receiver), "x-api-key", KEY);
        idle.push((client.batch_extract(batch).await.unwrap(), requests));
    }
    let (requests, receiver) = mpsc::channel(16);
    let batch = with(ReceiverStream::new(receiver), "x-api-key", KEY);
    let mut responses = client.batch_extract(batch).await.unwrap().into_inner();
    let say = async |message: Message| {
        let message = v1::BatchExtractRequest { message: Some(message) };
        requests.send(message).await.unwrap();
    };
    let begin = async |id: &str| {
        let request = v1::ExtractRequest { request_id: id.to_owned(), ..question("Read on") };
        say(Message::Extract(request)).await;
    };
    let end = async |id: &str| say(Message::CancelRequestId(id.to_owned())).await;

    for id in ["a", "b", "too many"] {
        begin(id).await;
    }
    let (id, refused) = error(&mut responses).await;
    assert_eq!((id.as_str(), refused.reason.as_str()), ("too many", "QUOTA_IN_FLIGHT"));
    assert_eq!(refused.code, Code::ResourceExhausted as i32);
    assert_eq!(refused.metadata["caller"], "key:till");
    assert_eq!(refused.metadata["limit"], "2");
    assert!(refused.retry_after.is_some(), "{refused:?}");
    // Calls and documents are of one quota.
    let status = client.extract(with(question("Me too"), "x-api-key", KEY)).await.unwrap_err();
    assert_failure(&status, Code::ResourceExhausted, "QUOTA_IN_FLIGHT");

    // What has its outcome counts no more; what began within the minute does.
    for (ended, next) in [("a", "c"), ("b", "d"), ("c", "over")] {
        end(ended).await;
        let (id, error) = error(&mut responses).await;
        assert_eq!((id.as_str(), error.reason.as_str()), (ended, "CANCELLED"));
        begin(next).await;
    }
    let (id, refused) = error(&mut responses).await;
    assert_eq!((id.as_str(), refused.reason.as_str()), ("over", "QUOTA_PER_MINUTE"));
    let retry = refused.retry_after.unwrap();
    assert!((1..=15).contains(&retry.seconds), "{retry:?}");
    // The rest goes on.
    end("d").await;
    assert_eq!(error(&mut responses).await.0, "d");
    drop(requests);
    assert!(responses.message().await.unwrap().is_none(), "the call itself is well");
}

#[tokio::test]
async fn quotas_of_an_address() {
    let mut setup = Setup::endless(Duration::from_millis(2));
    setup.service.access.quota = Quota { in_flight: Some(1), per_minute: None };
    let server = setup.start().await;
    let mut running = open(&server, question("Read on")).await;
    first_token(&mut running).await;
    let status = refuse(&server, question("Me too")).await;
    assert_failure(&status, Code::ResourceExhausted, "QUOTA_IN_FLIGHT");
    drop(running);
    server.until_idle().await;
    open(&server, question("And now")).await;
}

#[tokio::test]
async fn a_key_that_is_taken_back_opens_nothing_more() {
    let rule = "callers = [\"key:till\"]\nmethods = [\"*\"]";
    let (server, dir) = guarded(rule).await;
    let mut client = server.client().await;
    let request = |key: &str| with(question("Read on"), "x-api-key", key);
    let mut running = client.extract(request(KEY)).await.unwrap().into_inner();
    first_token(&mut running).await;

    let other = "tsr_the-key-that-came-after";
    write(&dir, other, rule);
    let refused = async {
        loop {
            match client.model_info(with(ModelInfoRequest::default(), "x-api-key", KEY)).await {
                Err(status) => return status,
                Ok(_) => tokio::time::sleep(RELOAD).await,
            }
        }
    };
    let status = tokio::time::timeout(SOON, refused).await.expect("the file is read again");
    assert_failure(&status, Code::Unauthenticated, "CREDENTIALS_INVALID");
    client.model_info(with(ModelInfoRequest::default(), "x-api-key", other)).await.unwrap();
    // What was let in goes on.
    first_token(&mut running).await;

    // And a right that is taken from a key that stays.
    write(&dir, other, "callers = [\"key:till\"]\nmethods = [\"ModelInfo\"]");
    let refused = async {
        loop {
            match client.extract(request(other)).await {
                Err(status) if status.code() == Code::PermissionDenied => return,
                _ => tokio::time::sleep(RELOAD).await,
            }
        }
    };
    tokio::time::timeout(SOON, refused).await.expect("the file is read again");
}
