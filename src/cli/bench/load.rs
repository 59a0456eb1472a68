//! Puts a server under load and notes what a client sees of each request.
//!
//! Closed loop: so many clients, each of which sends its next document when it has the answer to the
//! last. Open loop: documents arrive at a rate, whether or not the server keeps up; their latency counts
//! from the time at which they were due, so that a slow server cannot slow its own measurement down.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rand::{Rng as _, SeedableRng as _};
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::pages::PageFile;
use crate::cli::client::{Answer, Client, Watcher};
use crate::cli::failure::{Exit, Failure};
use crate::cli::refusal::Refusal;
use crate::cli::view::{Seconds, seconds};
use crate::pb::v1::extract_response::Event;
use crate::pb::v1::{ExtractRequest, InputFile};

/// Documents on their way at once in an open loop. A server this far behind will not catch up.
const IN_FLIGHT_MAX: usize = 8192;
/// Arrivals are the same in every run.
const ARRIVALS_SEED: u64 = 1;

/// How documents come.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Load {
    /// So many clients.
    Closed(usize),
    /// So many documents a second, at random times (a Poisson process).
    Open(f64),
}

/// How long it goes on, after the warm-up.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Length {
    For(Duration),
    Requests(usize),
}

/// What is sent, and when to give up on it.
#[derive(Debug, Clone)]
pub(super) struct Work {
    pub pages: Arc<Vec<PageFile>>,
    /// All but the files.
    pub request: ExtractRequest,
    pub timeout: Duration,
}

/// One request as its client saw it. Times are seconds; those of the request itself count from
/// `arrived`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Sample {
    pub page: String,
    /// Since the load began.
    pub arrived: f64,
    pub ended: f64,
    pub first_token: Option<f64>,
    pub first_field: Option<f64>,
    pub outcome: Result<Measured, Refused>,
}

/// What an answer says of itself.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Measured {
    pub pages: usize,
    pub tiles: u32,
    pub input_tokens: u32,
    pub output_tokens: u32,
    /// From the first to the last token, by the server's clock, for each token after the first.
    pub per_token: Option<f64>,
    pub server: Seconds,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refused {
    /// `RESOURCE_EXHAUSTED QUEUE_FULL`
    pub code: String,
    pub message: String,
}

/// Requests of one level, and the time in which they were counted.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Run {
    pub samples: Vec<Sample>,
    pub seconds: f64,
}

/// What all clients of a load share.
#[derive(Debug)]
struct Shared {
    work: Work,
    began: Instant,
    /// Documents sent so far; names the next page.
    sent: AtomicUsize,
    samples: Mutex<Vec<Sample>>,
}

/// Loads the server behind `clients`, first for `warm_up`, then for `length`; only the second counts.
pub(super) async fn run(
    clients: &[Client],
    work: &Work,
    load: Load,
    warm_up: Duration,
    length: Length,
) -> Result<Run, Failure> {
    let run = match (load, length) {
        (Load::Closed(count), Length::For(time)) => {
            closed_for(clients, work, count, warm_up, time).await
        }
        (Load::Closed(count), Length::Requests(requests)) => {
            if !warm_up.is_zero() {
                closed_for(clients, work, count, warm_up, Duration::ZERO).await;
            }
            closed_requests(clients, work, count, requests).await
        }
        (Load::Open(rate), length) => open(clients, work, rate, warm_up, length).await,
    };
    if run.samples.is_empty() {
        return Err(Failure::new(Exit::Failed, "no request ended within the time")
            .remedy("a longer --duration, or --requests N"));
    }
    Ok(run)
}

/// A steady state: requests that end within `time` after the warm-up count, whenever they began; what
/// still runs at its end is cancelled.
async fn closed_for(
    clients: &[Client],
    work: &Work,
    count: usize,
    warm_up: Duration,
    time: Duration,
) -> Run {
    let shared = Shared::new(work);
    let end = shared.began + warm_up + time;
    let mut tasks = JoinSet::new();
    for index in 0..count {
        let (shared, mut client) = (Arc::clone(&shared), of(clients, index));
        tasks.spawn(async move {
            while Instant::now() < end {
                tokio::select! {
                    () = shared.one(&mut client, Instant::now()) => {}
                    () = tokio::time::sleep_until(end) => break,
                }
            }
        });
    }
    while tasks.join_next().await.is_some() {}
    let from = warm_up.as_secs_f64();
    let mut samples = shared.take().await;
    samples.retain(|sample| sample.ended >= from);
    Run { samples, seconds: time.as_secs_f64() }
}

/// A batch: all of `requests`, from the first to the end of the last.
async fn closed_requests(clients: &[Client], work: &Work, count: usize, requests: usize) -> Run {
    let shared = Shared::new(work);
    let mut tasks = JoinSet::new();
    let left = Arc::new(AtomicUsize::new(requests));
    for index in 0..count.min(requests) {
        let (shared, left) = (Arc::clone(&shared), Arc::clone(&left));
        let mut client = of(clients, index);
        tasks.spawn(async move {
            let take = |left: usize| left.checked_sub(1);
            while left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok() {
                shared.one(&mut client, Instant::now()).await;
            }
        });
    }
    while tasks.join_next().await.is_some() {}
    let seconds = shared.began.elapsed().as_secs_f64();
    Run { samples: shared.take().await, seconds }
}

/// Arrivals at `rate`: those after the warm-up count, and all of them are waited for.
async fn open(
    clients: &[Client],
    work: &Work,
    rate: f64,
    warm_up: Duration,
    length: Length,
) -> Run {
    let shared = Shared::new(work);
    let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(ARRIVALS_SEED);
    let mut tasks = JoinSet::new();
    let (mut due, mut counted) = (Duration::ZERO, 0);
    let mut index = 0;
    loop {
        due += Duration::from_secs_f64(-(1.0 - random.random::<f64>()).ln() / rate);
        let over = match length {
            Length::For(time) => due >= warm_up + time,
            Length::Requests(requests) => counted >= requests,
        };
        if over || tasks.len() >= IN_FLIGHT_MAX {
            break;
        }
        counted += usize::from(due >= warm_up);
        let at = shared.began + due;
        tokio::time::sleep_until(at).await;
        while tasks.try_join_next().is_some() {}
        let (shared, mut client) = (Arc::clone(&shared), of(clients, index));
        index += 1;
        tasks.spawn(async move { shared.one(&mut client, at).await });
    }
    while tasks.join_next().await.is_some() {}
    let from = warm_up.as_secs_f64();
    let seconds = shared.began.elapsed().as_secs_f64() - from;
    let mut samples = shared.take().await;
    samples.retain(|sample| sample.arrived >= from);
    Run { samples, seconds }
}

fn of(clients: &[Client], index: usize) -> Client {
    clients[index % clients.len()].clone()
}

impl Shared {
    fn new(work: &Work) -> Arc<Self> {
        Arc::new(Self {
            work: work.clone(),
            began: Instant::now(),
            sent: AtomicUsize::new(0),
            samples: Mutex::default(),
        })
    }

    /// Sends the next document, which was due at `due`, and notes what came of it.
    async fn one(&self, client: &mut Client, due: Instant) {
        let index = self.sent.fetch_add(1, Ordering::Relaxed);
        let page = &self.work.pages[index % self.work.pages.len()];
        let file = InputFile { content: page.content.clone(), ..InputFile::default() };
        let request = ExtractRequest { files: vec![file], ..self.work.request.clone() };
        let mut times = Times::default();
        let answer = client.extract(&request, self.work.timeout, &mut times).await;
        let since = |time: Instant| time.saturating_duration_since(due).as_secs_f64();
        let sample = Sample {
            page: page.name.clone(),
            arrived: due.saturating_duration_since(self.began).as_secs_f64(),
            ended: self.began.elapsed().as_secs_f64(),
            first_token: times.first_token.map(since),
            first_field: times.first_field.map(since),
            outcome: answer.map(|answer| Measured::of(&answer)).map_err(|status| {
                let refusal = Refusal::of(&status);
                let code = format!("{} {}", refusal.code, refusal.reason);
                Refused { code: code.trim_end().to_owned(), message: refusal.message }
            }),
        };
        self.samples.lock().await.push(sample);
    }

    async fn take(&self) -> Vec<Sample> {
        std::mem::take(&mut *self.samples.lock().await)
    }
}

impl Measured {
    fn of(answer: &Answer) -> Self {
        let usage = answer.completed.usage.unwrap_or_default();
        let server = seconds(&answer.completed.timings.unwrap_or_default());
        let after_first = usage.output_tokens.saturating_sub(1);
        Self {
            pages: answer.accepted.tiles_per_page.len(),
            tiles: answer.accepted.tiles_per_page.iter().sum(),
            input_tokens: usage.input_tokens,
            output_tokens: usage.output_tokens,
            per_token: (after_first > 0).then(|| server.decode / f64::from(after_first)),
            server,
        }
    }
}

impl Sample {
    pub(super) fn latency(&self) -> f64 {
        self.ended - self.arrived
    }
}

/// When the first of each came.
#[derive(Debug, Default)]
struct Times {
    first_token: Option<Instant>,
    first_field: Option<Instant>,
}

impl Watcher for Times {
    fn loading(&mut self, _message: &str) {}

    fn event(&mut self, event: &Event) {
        match event {
            Event::TokenDelta(_) => {
                self.first_token.get_or_insert_with(Instant::now);
            }
            Event::FieldCompleted(_) => {
                self.first_field.get_or_insert_with(Instant::now);
            }
            _ => {}
        }
    }
}
