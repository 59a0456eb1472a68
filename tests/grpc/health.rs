//! `grpc.health.v1`: the process, the service, and names that nobody knows.

use std::sync::mpsc;
use std::time::Duration;

use tessera::engine::ModelState;
use tonic::transport::Channel;
use tonic::{Code, Streaming};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

use crate::support::{SOON, Server, Setup};

const SERVICE: &str = "tessera.v1.ExtractionService";

fn asked(name: &str) -> HealthCheckRequest {
    HealthCheckRequest { service: name.to_owned() }
}

async fn client(server: &Server) -> HealthClient<Channel> {
    HealthClient::new(server.channel().await)
}

async fn check(server: &Server, name: &str) -> Result<ServingStatus, Code> {
    let answer = client(server).await.check(asked(name)).await;
    answer.map(|answer| answer.into_inner().status()).map_err(|status| status.code())
}

async fn watch(server: &Server, name: &str) -> Streaming<HealthCheckResponse> {
    client(server).await.watch(asked(name)).await.unwrap().into_inner()
}

async fn next(watch: &mut Streaming<HealthCheckResponse>) -> Option<ServingStatus> {
    let message = tokio::time::timeout(SOON, watch.message()).await.unwrap().unwrap();
    message.map(|answer| answer.status())
}

#[tokio::test]
async fn follows_the_model() {
    let (open_gate, gate) = mpsc::channel();
    let server = Setup { gate: Some(gate), ..Setup::default() }.start().await;
    assert_eq!(check(&server, "").await, Ok(ServingStatus::Serving));
    assert_eq!(check(&server, SERVICE).await, Ok(ServingStatus::NotServing));
    let mut health = watch(&server, SERVICE).await;
    assert_eq!(next(&mut health).await, Some(ServingStatus::NotServing));

    open_gate.send(()).unwrap();
    assert_eq!(next(&mut health).await, Some(ServingStatus::Serving));
    server.until(|status| status.state == ModelState::Ready).await;
    assert_eq!(check(&server, SERVICE).await, Ok(ServingStatus::Serving));

    server.engine.drain();
    assert_eq!(next(&mut health).await, Some(ServingStatus::NotServing));
    assert_eq!(check(&server, "").await, Ok(ServingStatus::Serving), "the process is well");
    server.shutdown.cancel();
    assert_eq!(next(&mut health).await, None, "a watch does not hold up the end");
}

#[tokio::test]
async fn lists_what_it_knows() {
    use tessera::pb::health::HealthListRequest;
    use tessera::pb::health::health_client::HealthClient;

    let server = Setup::default().start().await;
    let mut client = HealthClient::new(server.channel().await);
    let mut list = async || {
        let listed = client.list(HealthListRequest::default()).await.unwrap().into_inner();
        let mut names: Vec<(String, String)> = listed
            .statuses
            .into_iter()
            .map(|(name, answer)| (name, answer.status().as_str_name().to_owned()))
            .collect();
        names.sort();
        names
    };
    let named = |name: &str, status: &str| (name.to_owned(), status.to_owned());
    assert_eq!(list().await, [named("", "SERVING"), named(SERVICE, "SERVING")]);
    server.engine.drain();
    assert_eq!(list().await, [named("", "SERVING"), named(SERVICE, "NOT_SERVING")]);
    server.engine.fail("for this test");
    assert_eq!(list().await, [named("", "NOT_SERVING"), named(SERVICE, "NOT_SERVING")]);
}

#[tokio::test]
async fn an_unknown_name() {
    let server = Setup::default().start().await;
    assert_eq!(check(&server, "no.such.Service").await, Err(Code::NotFound));
    let mut health = watch(&server, "no.such.Service").await;
    assert_eq!(next(&mut health).await, Some(ServingStatus::ServiceUnknown));
    let more = tokio::time::timeout(Duration::from_millis(100), health.message()).await;
    assert!(more.is_err(), "the stream stays open: {more:?}");
}
