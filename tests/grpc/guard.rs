//! Answers that are none, and a model that gives several in a row.

use std::time::Duration;

use tessera::engine::{self, GuardConfig, ModelState};
use tessera::model::fake::{Fault, FaultKind};
use tessera::pb::v1;
use tessera::pb::v1::extract_response::Event;
use tonic::Code;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_types::StatusExt as _;

use crate::support::{
    Server, Setup, assert_failure, collect, completed, first_token, info, open, question, receipt,
    refuse,
};

fn answering(answer: &str) -> Setup {
    Setup { answer: answer.to_owned(), slot_tokens: 2000, ..Setup::default() }
}

fn text(events: &[Event]) -> String {
    let delta = |event: &Event| match event {
        Event::TokenDelta(delta) => Some(delta.text.clone()),
        _ => None,
    };
    events.iter().filter_map(delta).collect()
}

async fn health(server: &Server, name: &str) -> ServingStatus {
    let request = HealthCheckRequest { service: name.to_owned() };
    let mut client = HealthClient::new(server.channel().await);
    client.check(request).await.unwrap().into_inner().status()
}

#[tokio::test]
async fn gibberish_ends_the_stream() {
    let server = answering(&format!("Total 12.50 {}", "!".repeat(200))).start().await;
    let (events, status) = collect(open(&server, receipt()).await).await;
    assert_failure(&status, Code::Internal, "GIBBERISH");
    let metadata = info(&status).1.metadata;
    assert_eq!(metadata["rule"], "exclamation_marks");
    assert!(metadata["ratio"].parse::<f64>().unwrap() > 0.3, "{metadata:?}");
    assert!(metadata["step"].parse::<usize>().unwrap() < 100, "{metadata:?}");
    assert!(!status.message().contains("Total"), "no content in a status: {status:?}");
    assert!(status.get_details_retry_info().is_none());
    assert!(text(&events).starts_with("Total 12.50 !"), "what came before is delivered");
    server.until_idle().await;
}

#[tokio::test]
async fn a_loop_ends_the_stream() {
    let answer = format!(r#"{{"TOTAL_AMOUNT": "12.50", "ITEMS": "{}"#, "0.00 | ".repeat(300));
    let setup = answering(&answer);
    let server = Setup { slot_tokens: 4000, ..setup }.start().await;
    let (events, status) = collect(open(&server, receipt()).await).await;
    assert_failure(&status, Code::Internal, "REPETITION");
    let metadata = info(&status).1.metadata;
    assert_eq!((metadata["rule"].as_str(), metadata["count"].as_str()), ("token_loop", "256"));
    assert!(text(&events).starts_with(r#"{"TOTAL_AMOUNT": "12.50""#), "whole fields are delivered");
    server.until_idle().await;
}

#[tokio::test]
async fn the_guard_can_be_off() {
    let bangs = "!".repeat(100);
    let guard = GuardConfig { on: false, ..GuardConfig::default() };
    let engine = engine::Config { guard, ..engine::Config::default() };
    let server = Setup { engine, ..answering(&bangs) }.start().await;
    let (events, status) = collect(open(&server, receipt()).await).await;
    assert_eq!((status.code(), completed(&events).text.as_str()), (Code::Ok, bangs.as_str()));
}

#[tokio::test]
async fn a_poisoned_model_is_to_be_replaced() {
    const SERVICE: &str = "tessera.v1.ExtractionService";
    let guard = GuardConfig { poison_limit: 2, ..GuardConfig::default() };
    let engine = engine::Config { guard, ..engine::Config::default() };
    let server = Setup { engine, ..Setup::endless(Duration::from_millis(5)) }.start().await;
    let mut running = open(&server, question("Read on")).await;
    first_token(&mut running).await;
    let slot = Some(tessera::model::Slot(1));
    for left in [1, 0] {
        server.faults.add(Fault { slot, ..Fault::next(FaultKind::Nan) });
        let (_, status) = collect(open(&server, receipt()).await).await;
        assert_failure(&status, Code::Internal, "NON_FINITE_LOGITS");
        let expected = if left > 0 { ServingStatus::Serving } else { ServingStatus::NotServing };
        assert_eq!(health(&server, SERVICE).await, expected, "{left} left");
    }

    let status = refuse(&server, receipt()).await;
    assert_failure(&status, Code::Unavailable, "MODEL_POISONED");
    assert!(status.get_details_retry_info().is_none(), "nobody knows when");
    let info = server.client().await.model_info(v1::ModelInfoRequest::default()).await.unwrap();
    let model = info.into_inner().status.unwrap();
    assert_eq!(model.state(), v1::ServingState::Poisoned);
    assert!(model.state_message.starts_with("2 spoilt answers in a row"), "{model:?}");

    // The running stream goes on; once it is over, the process asks to be started anew.
    first_token(&mut running).await;
    assert_eq!(health(&server, "").await, ServingStatus::Serving);
    drop(running);
    server.until_idle().await;
    assert_eq!(health(&server, "").await, ServingStatus::NotServing);
    assert_eq!(server.engine.current().state, ModelState::Poisoned);
    server.stop().await;
}
