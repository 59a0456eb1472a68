//! Ending the call ends the work.

use std::time::{Duration, Instant};

use crate::support::{Setup, first_token, open, question};

#[tokio::test]
async fn dropping_the_stream_frees_the_slot() {
    let server = Setup::endless(Duration::from_millis(5)).start().await;
    let mut stream = open(&server, question("Read on")).await;
    first_token(&mut stream).await;
    assert_eq!(server.engine.current().load.running, 1);
    let dropped = Instant::now();
    drop(stream);
    server.until_idle().await;
    let took = dropped.elapsed();
    assert!(took < Duration::from_secs(2), "{took:?}");
}

#[tokio::test]
async fn a_cancelled_request_makes_room_for_the_next() {
    let setup = Setup { slots: 1, ..Setup::endless(Duration::from_millis(2)) };
    let server = setup.start().await;
    for _ in 0..20 {
        let mut stream = open(&server, question("Read on")).await;
        first_token(&mut stream).await;
    }
    server.until_idle().await;
}

#[tokio::test]
async fn a_queued_request_can_be_cancelled() {
    let setup = Setup { slots: 1, ..Setup::endless(Duration::from_millis(5)) };
    let server = setup.start().await;
    let mut running = open(&server, question("Read on")).await;
    first_token(&mut running).await;
    let waiting = open(&server, question("Me too")).await;
    server.until(|status| status.load.queued == 1).await;
    drop(waiting);
    server.until(|status| status.load.queued == 0).await;
    assert_eq!(server.engine.current().load.running, 1);
}
