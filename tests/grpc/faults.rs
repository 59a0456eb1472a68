//! A model that fails: the one request fails with the right status, the others go on.

use std::time::Duration;

use tessera::engine::ModelState;
use tessera::model::fake::{Fault, FaultKind};
use tessera::pb::v1::extract_response::Event;
use tonic::Code;
use tonic_types::StatusExt as _;

use crate::support::{
    Setup, assert_failure, collect, completed, first_token, info, open, question, receipt, refuse,
};

#[tokio::test]
async fn logits_that_are_no_numbers() {
    let server = Setup::default().start().await;
    server.faults.add(Fault { step: 2, ..Fault::next(FaultKind::Nan) });
    let (_, status) = collect(open(&server, receipt()).await).await;
    assert_failure(&status, Code::Internal, "NON_FINITE_LOGITS");
    let metadata = info(&status).1.metadata;
    for (key, value) in [
        ("step", "2"),
        ("dtype", "f32"),
        ("module", "fake"),
        ("site", "logits"),
        ("device_id", "cpu"),
    ] {
        assert_eq!(metadata.get(key).map(String::as_str), Some(value), "{key}: {metadata:?}");
    }
    assert!(status.get_details_retry_info().is_none());

    let (events, status) = collect(open(&server, receipt()).await).await;
    assert_eq!(status.code(), Code::Ok, "the next request is well: {status:?}");
    assert!(!completed(&events).text.is_empty());
    server.until_idle().await;
}

#[tokio::test]
async fn other_streams_go_on() {
    let step_delay = Duration::from_millis(10);
    let server = Setup { step_delay, ..Setup::default() }.start().await;
    let mut well = open(&server, receipt()).await;
    first_token(&mut well).await;
    let well = tokio::spawn(async move {
        let mut last = None;
        while let Some(message) = well.message().await.unwrap() {
            last = message.event;
        }
        last.unwrap()
    });
    // In the slot that is taken second.
    let slot = Some(tessera::model::Slot(1));
    server.faults.add(Fault { slot, ..Fault::next(FaultKind::Nan) });
    let (_, status) = collect(open(&server, receipt()).await).await;
    assert_failure(&status, Code::Internal, "NON_FINITE_LOGITS");
    let events = [well.await.unwrap()];
    assert_eq!(completed(&events).text, r#"{"TOTAL_AMOUNT": "12.50"}"#);
}

#[tokio::test]
async fn no_memory_for_this_request() {
    let server = Setup::default().start().await;
    server.faults.add(Fault { in_encode: true, ..Fault::next(FaultKind::OutOfMemory) });
    let (_, status) = collect(open(&server, receipt()).await).await;
    assert_failure(&status, Code::ResourceExhausted, "REQUEST_TOO_LARGE_FOR_MEMORY");
    assert!(status.get_details_retry_info().is_none(), "it would fail again");
    let (_, status) = collect(open(&server, receipt()).await).await;
    assert_eq!(status.code(), Code::Ok);
}

#[tokio::test]
async fn no_memory_in_the_middle_of_an_answer() {
    let step_delay = Duration::from_millis(5);
    let server = Setup { step_delay, ..Setup::default() }.start().await;
    let mut well = open(&server, receipt()).await;
    first_token(&mut well).await;
    let well = tokio::spawn(async move {
        while let Some(message) = well.message().await? {
            if matches!(message.event, Some(Event::Completed(_))) {
                return Ok(true);
            }
        }
        Ok::<_, tonic::Status>(false)
    });
    // In the batch, and alone.
    let slot = Some(tessera::model::Slot(1));
    server.faults.add(Fault { slot, step: 2, times: 2, ..Fault::next(FaultKind::OutOfMemory) });
    let (events, status) = collect(open(&server, receipt()).await).await;
    assert_failure(&status, Code::ResourceExhausted, "REQUEST_TOO_LARGE_FOR_MEMORY");
    assert!(status.get_details_retry_info().is_none(), "it would fail again");
    assert!(!events.is_empty(), "what came before is delivered");
    assert!(well.await.unwrap().unwrap(), "the other stream goes on to its end");
    let (_, status) = collect(open(&server, receipt()).await).await;
    assert_eq!(status.code(), Code::Ok, "the slot is free: {status:?}");
    server.until_idle().await;
}

#[tokio::test]
async fn a_device_error() {
    let server = Setup::default().start().await;
    server.faults.add(Fault { in_encode: true, ..Fault::next(FaultKind::Device) });
    let (_, status) = collect(open(&server, receipt()).await).await;
    assert_failure(&status, Code::Internal, "DEVICE_ERROR");
    assert_eq!(info(&status).1.metadata["site"], "encode");
}

#[tokio::test]
async fn a_step_that_does_not_end_is_seen() {
    let hang = Duration::from_millis(1500);
    let server = Setup::endless(Duration::from_millis(5)).start().await;
    let mut stream = open(&server, question("Read on")).await;
    first_token(&mut stream).await;
    assert!(server.engine.busy_for() < Duration::from_millis(500));
    server.faults.add(Fault::next(FaultKind::Hang(hang)));
    let seen = async {
        while server.engine.busy_for() < Duration::from_millis(700) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), seen).await.expect("the hang is seen");
    server.engine.fail("a step does not end");
    let status = refuse(&server, question("And now?")).await;
    assert_failure(&status, Code::Unavailable, "MODEL_FAILED");
}

#[tokio::test]
async fn a_panic_of_the_model() {
    let server = Setup::endless(Duration::from_millis(5)).start().await;
    let mut stream = open(&server, question("Read on")).await;
    first_token(&mut stream).await;
    server.faults.add(Fault::next(FaultKind::Panic));
    let status = loop {
        if let Err(status) = stream.message().await {
            break status;
        }
    };
    assert_failure(&status, Code::Internal, "BUG");
    assert!(!status.message().contains("slot"), "the panic's text stays inside: {status:?}");
    server.until(|status| status.state == ModelState::Failed).await;
    let status = refuse(&server, question("And now?")).await;
    assert_failure(&status, Code::Unavailable, "MODEL_FAILED");
}
