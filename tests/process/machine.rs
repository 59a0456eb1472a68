//! What a machine does to a process: a disk that is full, a clock that jumps.

use std::fs::File;
use std::path::Path;
use std::time::{Duration, Instant};

use tessera::pb::v1::extract_response::Event;
use tonic::{Code, Request};

use crate::server::{Call, SOON, Server, question};

/// Where Debian's package `libfaketime` has it.
const FAKETIME: &str = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1";

#[tokio::test]
async fn a_full_disk_for_logs_stops_nothing() {
    // Writing there fails as on a full disk: ENOSPC.
    let full = || File::options().write(true).open("/dev/full").unwrap();
    let server = Server::spawn(&["--log-level", "debug"], |command| {
        command.stdout(full()).stderr(full());
    });
    server.until_serving().await;
    for _ in 0..3 {
        Call::open(&server, question(4)).await.unwrap().whole().await.unwrap();
    }
    // What fails is logged as well.
    let mut wrong = question(4);
    wrong.files[0].content = b"no image"[..].into();
    let refused = Call::open(&server, wrong).await.err().unwrap();
    assert_eq!(refused.code(), Code::InvalidArgument);
    server.stop().await;
}

#[tokio::test]
async fn a_clock_that_jumps_ends_no_call_and_moves_no_deadline() {
    if !Path::new(FAKETIME).exists() {
        println!("skipped: libfaketime is not installed");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let offset = dir.path().join("offset");
    let jump = |to: &str| std::fs::write(&offset, to).unwrap();
    jump("+0");
    let server = Server::spawn(&["--weights", "fake:step=200ms"], |command| {
        command
            .env("LD_PRELOAD", FAKETIME)
            .env("FAKETIME_TIMESTAMP_FILE", &offset)
            .env("FAKETIME_NO_CACHE", "1")
            // The kernel's monotonic clock does not jump when somebody sets the time.
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
            .env("DONT_FAKE_MONOTONIC", "1");
    });
    server.until_serving().await;

    let mut request = Request::new(question(40));
    request.set_timeout(SOON);
    let mut running = server.client().await.extract(request).await.unwrap().into_inner();
    let mut late = Request::new(question(1000));
    late.set_timeout(Duration::from_secs(3));
    let began = Instant::now();
    let mut late = server.client().await.extract(late).await.unwrap().into_inner();
    let mut whole = false;
    for offset in ["+30d", "-300d", "+0", "+2d"].iter().cycle() {
        jump(offset);
        match running.message().await.expect("a jump ends no call") {
            Some(message) => whole = matches!(message.event, Some(Event::Completed(_))),
            None => break,
        }
    }
    assert!(whole);
    let status = loop {
        match late.message().await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("a whole answer in three seconds"),
            Err(status) => break status,
        }
    };
    assert_eq!(status.code(), Code::DeadlineExceeded, "{status:?}");
    let took = began.elapsed();
    assert!((2500..20_000).contains(&took.as_millis()), "the deadline was after {took:?}");
    server.stop().await;
}
