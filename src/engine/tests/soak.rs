//! Ten thousand requests in random order, most of them cancelled somewhere, some of a batch and some held to a
//! grammar, over a model that also fails now and then, with and without enough KV blocks. Each run is replayed from
//! its seed.

use std::time::Duration;

use rand::seq::SliceRandom as _;
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use super::{Stage, check_stream, constrained, job, read};
use crate::engine::{Config, EngineError, Event, Events, GuardConfig, Job, Priority, Sampling};
use crate::model::fake::{Fault, FaultKind, Options};
use crate::schema::Grammar;

const REQUESTS: usize = 10_000;

struct Open {
    events: Events,
    items: Vec<Result<Event, EngineError>>,
    /// It reads now and then only.
    slow: bool,
}

#[derive(Debug, Default)]
struct Outcomes {
    cancelled: usize,
    whole: usize,
    failed: usize,
    refused: usize,
    preempted: u64,
}

fn random_job(stage: &Stage, grammar: &Grammar, rng: &mut ChaCha8Rng) -> Job {
    let question = "q".repeat(rng.random_range(1..60));
    let pages = vec![rng.random_range(0..4); rng.random_range(0..3)];
    let mut job = job(&question, &pages);
    job.output_tokens_max = rng.random_range(1..40);
    job.sampling =
        Sampling { temperature: 1.0, top_p: 0.9, seed: rng.random(), ..Sampling::GREEDY };
    if rng.random_bool(0.4) {
        job.priority = Priority::Batch;
    }
    // Its names are forced: several tokens follow from one choice.
    if rng.random_bool(0.1) {
        job.grammar = Some(grammar.clone());
    }
    if rng.random_bool(0.2) {
        job.deadline = Some(stage.time_after(Duration::from_millis(rng.random_range(0..100))));
    }
    job
}

fn random_fault(rng: &mut ChaCha8Rng) -> Fault {
    let kinds = [FaultKind::Nan, FaultKind::OutOfMemory, FaultKind::Device];
    let kind = kinds[rng.random_range(0..kinds.len())];
    let times = rng.random_range(1..3);
    Fault { times, in_encode: rng.random_bool(0.3), ..Fault::next(kind) }
}

impl Open {
    /// Reads, and says whether the stream ended.
    fn read(&mut self, rng: &mut ChaCha8Rng, outcomes: &mut Outcomes) -> bool {
        if self.slow && rng.random_bool(0.9) {
            return false;
        }
        self.items.extend(read(&mut self.events));
        if !matches!(self.items.last(), Some(Ok(Event::Done(_)) | Err(_))) {
            return false;
        }
        match check_stream(std::mem::take(&mut self.items)) {
            Ok(_) => outcomes.whole += 1,
            Err(EngineError::Panicked { message }) => panic!("{message}"),
            Err(_) => outcomes.failed += 1,
        }
        true
    }
}

/// With so many passes under way at once and so many KV blocks; 0: enough for all slots.
fn soak(seed: u64, requests: usize, (passes, kv_blocks): (usize, usize)) -> Outcomes {
    println!("seed {seed}, {passes} passes");
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let config = Config {
        queued_max: 8,
        prefill_chunk_tokens: Some(16),
        vision_chunk_tiles: 2,
        events_buffered: 4,
        slow_client: Duration::from_millis(200),
        // Ordered failures come in rows, and a poisoned model would refuse the rest of the requests.
        guard: GuardConfig { poison_limit: 0, ..GuardConfig::default() },
        ..Config::default()
    };
    let mut options = Options::default();
    options.spec.passes = passes;
    options.spec.kv_blocks = kv_blocks;
    let grammar = constrained::schema().grammar();
    let mut stage = Stage::with(options, config);
    let mut open: Vec<Open> = Vec::new();
    let mut outcomes = Outcomes::default();
    let mut submitted = 0;
    while submitted < requests || !open.is_empty() {
        if submitted < requests && rng.random_bool(0.6) {
            submitted += 1;
            match stage.submit(random_job(&stage, &grammar, &mut rng)) {
                Ok(events) => {
                    let slow = rng.random_bool(0.2);
                    open.push(Open { events, items: Vec::new(), slow });
                }
                Err(_) => outcomes.refused += 1,
            }
        }
        if rng.random_bool(0.01) {
            stage.faults.add(random_fault(&mut rng));
        }
        open.shuffle(&mut rng);
        if rng.random_bool(0.3) && open.pop().is_some() {
            outcomes.cancelled += 1;
        }
        stage.clock.advance(Duration::from_millis(1));
        assert!(stage.try_turn().is_ok(), "the device did not fail often enough for this");
        open.retain_mut(|open| !open.read(&mut rng, &mut outcomes));
        assert!(stage.slots_held() <= 4);
    }
    stage.turn();
    stage.assert_empty();
    outcomes.preempted = stage.board.counters.counts().preemptions;
    outcomes
}

#[test]
fn ten_thousand_requests_leave_nothing_behind() {
    let outcomes = soak(1, REQUESTS, (1, 0));
    let Outcomes { cancelled, whole, failed, refused, .. } = outcomes;
    assert_eq!(cancelled + whole + failed + refused, REQUESTS);
    assert!(cancelled > 1000 && whole > 500 && failed > 300, "{outcomes:?}");
}

#[test]
fn other_seeds_leave_nothing_behind() {
    let mut preempted = 0;
    for seed in 2..62 {
        // Hardly more blocks than the longest request needs, every other time.
        let kv_blocks = if seed % 2 == 0 { 0 } else { 10 };
        preempted += soak(seed, 250, (1 + seed as usize % 3, kv_blocks)).preempted;
    }
    assert!(preempted > 100, "{preempted}");
}
