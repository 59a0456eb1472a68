//! Callers without a pause, and what came of their calls.

use std::error::Error as _;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tessera::pb::v1;
use tessera::pb::v1::extract_response::Event;
use tessera::pb::v1::extraction_service_client::ExtractionServiceClient;
use tonic::transport::Channel;
use tonic::{Code, Request, Status};

use crate::replica::{Replica, SOON};

/// Callers at once.
const CALLERS: usize = 3;

/// Tries of one call, as the retry policy of the quick starts has it, with more patience.
const TRIES: usize = 100;

pub(crate) fn short_question() -> v1::ExtractRequest {
    let page = include_bytes!("../../models/tessera-tiny/samples/receipt-01.png");
    v1::ExtractRequest {
        files: vec![v1::InputFile { content: page.as_slice().into(), ..Default::default() }],
        task: Some(v1::extract_request::Task::Prompt("What is the total?".to_owned())),
        generation: Some(v1::GenerationOptions {
            max_output_tokens: Some(16),
            ..Default::default()
        }),
        ..Default::default()
    }
}

/// One try: whether a message came before it failed says whether it may be tried again.
pub(crate) async fn try_once(channel: &Channel) -> Result<(), (Status, bool)> {
    let mut client = ExtractionServiceClient::new(channel.clone());
    let mut request = Request::new(short_question());
    request.set_timeout(SOON);
    let answer = client.extract(request).await;
    let mut stream = answer.map_err(|status| (status, false))?.into_inner();
    let (mut messages, mut completed) = (0, false);
    loop {
        match stream.message().await {
            Ok(Some(message)) => {
                messages += 1;
                assert_eq!(message.sequence, messages, "no message is lost or doubled");
                completed = matches!(message.event, Some(Event::Completed(_)));
            }
            Ok(None) if completed => return Ok(()),
            Ok(None) => panic!("a stream ended well without `completed`"),
            Err(status) => return Err((status, messages > 0)),
        }
    }
}

/// What came of the calls.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    answered: AtomicUsize,
    /// Why tries had to be made again.
    failed: Mutex<Vec<String>>,
    over: AtomicBool,
}

impl Tally {
    /// Calls one after the other until it is over. Each has to succeed, tried again only as the contract
    /// allows: UNAVAILABLE before the first message.
    async fn call(self: Arc<Self>, channel: Channel) {
        while !self.over.load(Ordering::Relaxed) {
            let mut tries = 0;
            while let Err((status, begun)) = try_once(&channel).await {
                assert!(!begun, "a call failed after its first message: {status:?}");
                // Refused by the server; or by this client itself, which learns that its connection is
                // closing by trying, and sends nothing.
                let unsent = status.code() == Code::Cancelled && status.source().is_some();
                assert!(status.code() == Code::Unavailable || unsent, "{status:?}");
                tries += 1;
                assert!(tries < TRIES, "no replica answers: {status:?}");
                self.failed.lock().unwrap().push(status.to_string());
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
            self.answered.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// What became of tries that had to be made again.
    pub(crate) fn failed(&self) -> Vec<String> {
        self.failed.lock().unwrap().clone()
    }

    async fn until_answered(&self, more: usize) {
        let goal = self.answered.load(Ordering::Relaxed) + more;
        let reached = async {
            while self.answered.load(Ordering::Relaxed) < goal {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(SOON, reached).await.expect("calls are answered");
    }
}

/// Restarts both replicas, one after the other, while `channel` is called all the time.
/// The next one only after all the world knows of the one before, as `known` says.
pub(crate) async fn rolling_restart(
    channel: Channel,
    replicas: [Replica; 2],
    known: impl AsyncFn(SocketAddr),
) -> Arc<Tally> {
    let tally = Arc::new(Tally::default());
    let callers: Vec<_> =
        (0..CALLERS).map(|_| tokio::spawn(Arc::clone(&tally).call(channel.clone()))).collect();
    let mut running = Vec::from(replicas);
    for _ in 0..2 {
        tally.until_answered(CALLERS).await;
        let old = running.remove(0);
        let address = old.address;
        old.stop().await;
        running.push(Replica::start(address).await);
        known(address).await;
    }
    tally.until_answered(2 * CALLERS).await;
    tally.over.store(true, Ordering::Relaxed);
    for caller in callers {
        caller.await.expect("every call of this caller succeeded");
    }
    tally
}
