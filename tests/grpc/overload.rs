//! Too much at once, and readers that do not read.

use std::io::Cursor;
use std::time::Duration;

use tessera::access::Quota;
use tessera::engine;
use tessera::pb::v1;
use tessera::pb::v1::extract_response::Event;
use tessera::pb::v1::extraction_service_client::ExtractionServiceClient;
use tonic::{Code, Request, Streaming};
use tonic_types::StatusExt as _;

use crate::support::{
    SOON, Server, Setup, assert_failure, collect, file, first_token, info, open, question, refuse,
};

#[tokio::test]
async fn a_full_queue_refuses_at_once() {
    let setup = Setup {
        slots: 1,
        engine: engine::Config { queued_max: 1, ..engine::Config::default() },
        ..Setup::endless(Duration::from_millis(5))
    };
    let server = setup.start().await;
    let mut running = open(&server, question("Read on")).await;
    first_token(&mut running).await;
    let _waiting = open(&server, question("Me too")).await;
    let status = refuse(&server, question("And me")).await;
    assert_failure(&status, Code::ResourceExhausted, "QUEUE_FULL");
    assert_eq!(info(&status).1.metadata["queued_requests"], "1");
    let retry = status.get_details_retry_info().unwrap().retry_delay.unwrap();
    let pushback = status.metadata().get("grpc-retry-pushback-ms").unwrap().to_str().unwrap();
    assert_eq!(pushback, retry.as_millis().to_string());
}

/// The next place in the queue that a stream tells.
async fn position(stream: &mut Streaming<v1::ExtractResponse>) -> u32 {
    loop {
        let message = stream.message().await.unwrap().expect("it waits");
        if let Some(Event::Progress(progress)) = message.event
            && let Some(position) = progress.queue_position
        {
            assert_eq!(progress.phase(), v1::Phase::Queued);
            return position;
        }
    }
}

#[tokio::test]
async fn who_waits_is_told_how_many_are_ahead() {
    let server = Setup { slots: 1, ..Setup::endless(Duration::from_millis(5)) }.start().await;
    let mut running = open(&server, question("Read on")).await;
    first_token(&mut running).await;
    let ahead = open(&server, question("Me too")).await;
    server.until(|status| status.load.queued == 1).await;
    let mut behind = open(&server, question("And me")).await;
    assert_eq!(position(&mut behind).await, 1);
    drop(ahead);
    assert_eq!(position(&mut behind).await, 0);
    drop(running);
    first_token(&mut behind).await;
}

#[tokio::test]
async fn what_waits_has_a_bound_of_tokens() {
    let setup = Setup {
        slots: 1,
        engine: engine::Config { queued_tokens_max: 64, ..engine::Config::default() },
        ..Setup::endless(Duration::from_millis(5))
    };
    let server = setup.start().await;
    let mut running = open(&server, question("Read on")).await;
    first_token(&mut running).await;
    // However long the first that waits is, it may.
    let _waiting = open(&server, question(&"Read on. ".repeat(20))).await;
    let refused = async |text: &str| {
        let status = refuse(&server, question(text)).await;
        assert_failure(&status, Code::ResourceExhausted, "QUEUE_FULL");
        let metadata = info(&status).1.metadata;
        assert_eq!((&*metadata["limit"], &*metadata["limit_value"]), ("max_queued_tokens", "64"));
        assert!(metadata["queued_tokens"].parse::<usize>().unwrap() > 64);
        let retry = status.get_details_retry_info().unwrap().retry_delay.unwrap();
        let pushback = status.metadata().get("grpc-retry-pushback-ms").unwrap();
        assert_eq!(pushback.to_str().unwrap(), retry.as_millis().to_string());
    };
    refused("Me too").await;
    server.until(|status| status.load.running == 1 && status.load.queued == 1).await;
    let asked = tessera::pb::v1::ModelInfoRequest::default();
    let told = server.client().await.model_info(asked).await.unwrap();
    assert!(told.into_inner().status.unwrap().load.unwrap().queued_tokens > 64);
}

#[tokio::test]
async fn requests_have_a_bound_together() {
    let mut setup = Setup::endless(Duration::from_millis(2));
    setup.service.request_memory_bytes = 100_000;
    let server = setup.start().await;
    // A file that is too large for what is left, and no image either: it is never looked at.
    let large = |bytes: usize| tessera::pb::v1::ExtractRequest {
        files: vec![crate::support::file(vec![b'x'; bytes])],
        ..question("Too much?")
    };
    let status = refuse(&server, large(120_000)).await;
    assert_failure(&status, Code::ResourceExhausted, "REQUEST_MEMORY_FULL");
    assert_eq!(info(&status).1.metadata["limit_value"], "100000");
    assert!(status.get_details_retry_info().is_some());
    // What is over gives back what it had, if not before its client hears of it.
    for _ in 0..2 {
        let mut status = refuse(&server, large(90_000)).await;
        for _ in 0..500 {
            if status.code() != Code::ResourceExhausted {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
            status = refuse(&server, large(90_000)).await;
        }
        assert_failure(&status, Code::InvalidArgument, "INVALID_FIELD");
    }
    first_token(&mut open(&server, question("Read on")).await).await;
}

#[tokio::test]
async fn a_reader_that_reads_nothing_is_ended() {
    let slow_client = Duration::from_millis(300);
    let setup = Setup {
        engine: engine::Config { events_buffered: 2, slow_client, ..engine::Config::default() },
        ..Setup::endless(Duration::from_millis(1))
    };
    let server = setup.start().await;
    // A window this small is full after a few messages.
    let endpoint = server.endpoint().initial_stream_window_size(512);
    let mut slow = ExtractionServiceClient::new(endpoint.connect().await.unwrap());
    let stream = slow.extract(question("Read on")).await.unwrap().into_inner();
    server.until(|status| status.load.running == 1).await;
    let mut fast = open(&server, question("Read on")).await;
    first_token(&mut fast).await;
    // It frees its slot although it never read a thing,
    server.until(|status| status.load.running == 1 && status.load.queued == 0).await;
    // the other goes on,
    first_token(&mut fast).await;
    // and when it reads at last it learns why.
    let (_, status) = collect(stream).await;
    assert_failure(&status, Code::ResourceExhausted, "SLOW_CLIENT");
    assert!(info(&status).1.metadata["waited_ms"].parse::<u64>().unwrap() >= 300);
}

/// A page of noise, which takes about as many bytes as it has samples.
fn noise(side_px: u32) -> Vec<u8> {
    let mut state = 7_u32;
    let page = image::RgbImage::from_fn(side_px, side_px, |_, _| {
        image::Rgb([(); 3].map(|()| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        }))
    });
    let mut bytes = Cursor::new(Vec::new());
    page.write_to(&mut bytes, image::ImageFormat::Png).unwrap();
    bytes.into_inner()
}

#[tokio::test]
async fn a_file_that_was_read_counts_no_more() {
    let mut setup = Setup::endless(Duration::from_millis(2));
    setup.service.request_memory_bytes = 100_000;
    let server = setup.start().await;
    let page = noise(140);
    assert!(page.len() > 50_000, "two of them are too much: {}", page.len());
    let large = || v1::ExtractRequest { files: vec![file(page.clone())], ..question("Read on") };
    let mut first = open(&server, large()).await;
    first_token(&mut first).await;
    // The first one still runs.
    let mut second = open(&server, large()).await;
    first_token(&mut second).await;
    first_token(&mut first).await;
}

/// A server where each address may have one call open, and a call on it whose answer is not read.
async fn with_a_reader_that_reads_nothing(
    unread: Duration,
    timeout: Option<Duration>,
) -> (Server, Streaming<v1::ExtractResponse>) {
    let mut setup = Setup {
        engine: engine::Config {
            events_buffered: 2,
            slow_client: 10 * SOON,
            ..engine::Config::default()
        },
        ..Setup::endless(Duration::from_millis(1))
    };
    setup.service.unread = unread;
    setup.service.access.quota = Quota { in_flight: Some(1), per_minute: None };
    let server = setup.start().await;
    // A window this small is full after a few messages.
    let endpoint = server.endpoint().initial_stream_window_size(512);
    let mut slow = ExtractionServiceClient::new(endpoint.connect().await.unwrap());
    let mut request = Request::new(question("Read on"));
    if let Some(timeout) = timeout {
        request.set_timeout(timeout);
    }
    let stream = slow.extract(request).await.unwrap().into_inner();
    assert_failure(
        &refuse(&server, question("Me too")).await,
        Code::ResourceExhausted,
        "QUOTA_IN_FLIGHT",
    );
    (server, stream)
}

/// Waits until another call is let in: the one before holds nothing any more.
async fn let_in(server: &Server) {
    let let_in = async {
        let mut client = server.client().await;
        while let Err(status) = client.extract(question("Me too")).await {
            assert_failure(&status, Code::ResourceExhausted, "QUOTA_IN_FLIGHT");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(SOON, let_in).await.expect("the call that nobody reads ends");
    server.until_idle().await;
}

#[tokio::test]
async fn a_call_whose_answer_is_not_read_ends() {
    let (server, stream) = with_a_reader_that_reads_nothing(Duration::from_secs(2), None).await;
    let_in(&server).await;
    // Whoever reads at last learns why.
    let (_, status) = collect(stream).await;
    assert_failure(&status, Code::ResourceExhausted, "SLOW_CLIENT");
}

#[tokio::test]
async fn the_deadline_ends_a_call_whose_answer_is_not_read() {
    let timeout = Some(Duration::from_secs(3));
    let (server, stream) = with_a_reader_that_reads_nothing(10 * SOON, timeout).await;
    let_in(&server).await;
    let (_, status) = collect(stream).await;
    assert_eq!(status.code(), Code::DeadlineExceeded, "{status:?}");
}
