//! Many at once, over real connections: every call ends in exactly one way, and nothing stays behind.

use std::time::{Duration, Instant};

use tessera::engine;
use tessera::pb::v1::extraction_service_client::ExtractionServiceClient;
use tonic::Code;

use crate::support::{Setup, collect, completed, first_token, open, question, receipt};

/// Connections that the calls of one test share.
const CONNECTIONS: usize = 8;

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_streams_at_once() {
    const STREAMS: usize = 1000;
    let setup = Setup {
        slots: 32,
        engine: engine::Config { queued_max: STREAMS, ..engine::Config::default() },
        ..Setup::default()
    };
    let server = setup.start().await;
    let mut channels = Vec::new();
    for _ in 0..CONNECTIONS {
        channels.push(server.channel().await);
    }
    // All of them have begun before the first is read.
    let mut calls = tokio::task::JoinSet::new();
    for channel in channels.iter().cycle().take(STREAMS).cloned() {
        calls.spawn(async move {
            let mut client = ExtractionServiceClient::new(channel);
            collect(client.extract(receipt()).await.unwrap().into_inner()).await
        });
    }
    let mut whole = 0;
    while let Some(ended) = calls.join_next().await {
        let (events, status) = ended.unwrap();
        assert_eq!(status.code(), Code::Ok, "{status:?}");
        assert_eq!(completed(&events).text, r#"{"TOTAL_AMOUNT": "12.50"}"#);
        whole += 1;
    }
    assert_eq!(whole, STREAMS);
    server.until_idle().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_cancels_leave_nothing_behind() {
    const CANCELS: usize = 10_000;
    const AT_ONCE: usize = 50;
    /// A client forgets which streams it cancelled; what still arrives for them counts against its
    /// connection, which ends after a thousand.
    const CANCELS_PER_CONNECTION: usize = 500;
    let setup = Setup {
        slots: 8,
        // A call that was given up is in the queue until its end has arrived: how many are depends on the
        // machine, and none is to be refused.
        engine: engine::Config { queued_max: CANCELS, ..engine::Config::default() },
        ..Setup::endless(Duration::ZERO)
    };
    let server = setup.start().await;
    let mut channel = server.channel().await;
    let mut calls = tokio::task::JoinSet::new();
    for number in 0..CANCELS {
        if number % CANCELS_PER_CONNECTION == 0 {
            channel = server.channel().await;
        }
        if calls.len() >= AT_ONCE {
            calls.join_next().await.unwrap().unwrap();
        }
        let mut client = ExtractionServiceClient::new(channel.clone());
        calls.spawn(async move {
            // In the queue, in prefill, or in the middle of the answer.
            match number % 3 {
                0 => drop(client.extract(question("Read on")).await),
                1 => {
                    let call = client.extract(question("Read on"));
                    let _ = tokio::time::timeout(Duration::from_micros(300), call).await;
                }
                _ => {
                    let mut stream =
                        client.extract(question("Read on")).await.unwrap().into_inner();
                    first_token(&mut stream).await;
                }
            }
        });
    }
    while let Some(ended) = calls.join_next().await {
        ended.unwrap();
    }
    server.until_idle().await;
    // The next one is alone, and gets what it asks for at once.
    first_token(&mut open(&server, question("Read on")).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_is_quick() {
    const REFUSALS: usize = 1000;
    let setup = Setup {
        slots: 1,
        engine: engine::Config { queued_max: 1, ..engine::Config::default() },
        ..Setup::endless(Duration::from_millis(5))
    };
    let server = setup.start().await;
    let mut running = open(&server, question("Read on")).await;
    first_token(&mut running).await;
    let _waiting = open(&server, question("Me too")).await;
    // On a connection that is there, as a client has it.
    let mut client = server.client().await;
    let mut took = Vec::new();
    for _ in 0..REFUSALS {
        let began = Instant::now();
        let status = client.extract(question("And me")).await.unwrap_err();
        took.push(began.elapsed());
        assert_eq!(status.code(), Code::ResourceExhausted);
        assert!(status.metadata().contains_key("grpc-retry-pushback-ms"), "{status:?}");
    }
    took.sort_unstable();
    let [half, most] = [50, 99].map(|percent| took[REFUSALS * percent / 100]);
    println!("a refusal: 50 % within {half:?}, 99 % within {most:?}");
    // In a build for tests, on a machine that does other things too, the middle stands for the rest.
    let bounded = if cfg!(debug_assertions) { half } else { most };
    assert!(bounded < Duration::from_millis(5), "50 % within {half:?}, 99 % within {most:?}");
}
