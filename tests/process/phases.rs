//! SIGTERM in every phase of a server and of a request: what was taken is answered, what comes is refused, and
//! the process ends well.

use std::time::Duration;

use tessera::pb::v1;
use tessera::pb::v1::extract_response::Event;
use tonic::Code;
use tonic_types::StatusExt as _;

use crate::server::{Call, Server, question, until};

fn in_phase(event: &Event, phase: v1::Phase) -> bool {
    matches!(event, Event::Progress(progress) if progress.phase() == phase)
}

#[tokio::test]
async fn while_it_loads() {
    for _ in 0..3 {
        let server = Server::spawn(&[], |_| {});
        server.until_listening().await;
        server.stop().await;
    }
}

#[tokio::test]
async fn while_nothing_runs() {
    Server::start(&[]).await.stop().await;
}

/// SIGTERM when `reached` says so of a call on a fake model of `pace`; the call is whole, and the process ends.
async fn during(pace: &str, reached: impl Fn(&Event) -> bool) {
    let weights = format!("fake:{pace}");
    let server = Server::start(&["--weights", &weights, "--slots", "1"]).await;
    let mut call = Call::open(&server, question(32)).await.unwrap();
    call.until(reached).await;
    // Whoever waits was taken too.
    let waiting = Call::open(&server, question(4)).await.unwrap();
    server.signal("-TERM");
    let whole = call.whole().await.unwrap();
    assert_eq!(whole.usage.unwrap().output_tokens, 32);
    assert_eq!(waiting.whole().await.unwrap().usage.unwrap().output_tokens, 4);
    let mut server = server;
    assert!(server.ended().await.success());
}

/// A page that takes a while to decode and to cut.
fn large_page() -> Vec<u8> {
    let page = image::GrayImage::from_pixel(7000, 7000, image::Luma([255]));
    let mut bytes = std::io::Cursor::new(Vec::new());
    page.write_to(&mut bytes, image::ImageFormat::Png).unwrap();
    bytes.into_inner()
}

#[tokio::test]
async fn while_pages_are_decoded() {
    let mut server = Server::start(&["--weights", "fake:step=1ms", "--slots", "1"]).await;
    let request = v1::ExtractRequest {
        files: vec![v1::InputFile { content: large_page().into(), ..Default::default() }],
        ..question(4)
    };
    let mut client = server.client().await;
    let status = server.client().await;
    let call = tokio::spawn(async move { client.extract(request).await });
    // Nothing else is there that it could wait for.
    until("it is taken", async || {
        let told = status.clone().model_info(v1::ModelInfoRequest::default()).await.unwrap();
        let load = told.into_inner().status.unwrap().load.unwrap();
        load.queued_requests + load.running_requests > 0
    })
    .await;
    assert!(!call.is_finished(), "it has not said `accepted` yet, which comes behind the intake");
    server.signal("-TERM");
    let stream = call.await.unwrap().unwrap().into_inner();
    assert_eq!(Call::from(stream).whole().await.unwrap().usage.unwrap().output_tokens, 4);
    assert!(server.ended().await.success());
}

#[tokio::test]
async fn while_a_request_is_accepted() {
    during("step=20ms", |event| matches!(event, Event::Accepted(_))).await;
}

#[tokio::test]
async fn while_tiles_are_encoded() {
    during("step=5ms,tile=200ms", |event| in_phase(event, v1::Phase::Vision)).await;
}

#[tokio::test]
async fn while_a_prompt_is_taken_in() {
    during("step=5ms,token=10ms", |event| in_phase(event, v1::Phase::Prefill)).await;
}

#[tokio::test]
async fn while_an_answer_is_written() {
    during("step=20ms", |event| matches!(event, Event::TokenDelta(_))).await;
}

#[tokio::test]
async fn while_it_drains_a_second_signal_ends_it_at_once() {
    let mut server = Server::start(&["--weights", "fake:step=500ms"]).await;
    let mut call = Call::open(&server, question(64)).await.unwrap();
    call.until(|event| matches!(event, Event::TokenDelta(_))).await;
    server.signal("-TERM");
    until("it says that it leaves", async || !server.is_serving().await).await;
    server.signal("-TERM");
    assert_eq!(server.ended().await.code(), Some(130));
    // Its reader is not told that the answer is whole.
    assert!(call.whole().await.is_err());
}

#[tokio::test]
async fn at_the_limit_what_runs_is_told_so() {
    let flags = ["--weights", "fake:step=500ms", "--drain-timeout", "700ms"];
    let mut server = Server::start(&flags).await;
    let mut call = Call::open(&server, question(64)).await.unwrap();
    call.until(|event| matches!(event, Event::TokenDelta(_))).await;
    server.signal("-TERM");
    let status = call.whole().await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert_eq!(status.get_details_error_info().unwrap().reason, "DRAIN_TIMEOUT");
    assert!(server.ended().await.success());
}

/// A step that hangs is the same failure as at any other time, and nobody waits for the limit of the drain.
#[tokio::test]
async fn an_engine_that_fails_meanwhile_ends_it_as_a_failure() {
    let flags = ["--weights", "fake:step=4s", "--watchdog", "2s", "--drain-timeout", "10m"];
    let mut server = Server::start(&flags).await;
    let mut call = Call::open(&server, question(64)).await.unwrap();
    call.until(|event| matches!(event, Event::Accepted(_))).await;
    server.signal("-TERM");
    let status = call.whole().await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable, "{status:?}");
    assert_eq!(server.ended().await.code(), Some(1));
}

#[tokio::test]
async fn while_a_model_is_exchanged() {
    let server = Server::start(&[]).await;
    server.signal("-HUP");
    tokio::time::sleep(Duration::from_millis(20)).await;
    server.stop().await;
}
