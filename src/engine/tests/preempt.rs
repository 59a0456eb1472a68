//! A KV cache that is too small for all that run: answers go on where they were, and nobody hears of it.

use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use super::{Stage, check_stream, job, read};
use crate::engine::{Config, Event, Job, Priority, Sampling};
use crate::model::fake::Options;

/// Hardly more blocks than one of the longest requests needs.
fn small() -> Options {
    let mut options = Options::default();
    options.spec.slots = 6;
    options.spec.kv_blocks = 10;
    options
}

fn random_job(rng: &mut ChaCha8Rng) -> Job {
    let question = "q".repeat(rng.random_range(1..60));
    let mut job = job(&question, &[rng.random_range(0..4)]);
    job.output_tokens_max = rng.random_range(1..50);
    job.sampling =
        Sampling { temperature: 1.0, top_p: 0.9, seed: rng.random(), ..Sampling::GREEDY };
    if rng.random_bool(0.5) {
        job.priority = Priority::Batch;
    }
    job
}

/// Texts and usage of all jobs, run together, and how often one of them was preempted.
fn answers(options: Options, jobs: &[Job]) -> (Vec<(String, usize)>, u64) {
    let config =
        Config { prefill_chunk_tokens: Some(16), vision_chunk_tiles: 2, ..Config::default() };
    let mut stage = Stage::with(options, config);
    let mut events: Vec<_> = jobs.iter().map(|job| stage.submit(job.clone()).unwrap()).collect();
    stage.settle();
    let answers = events
        .iter_mut()
        .map(|events| {
            let items = read(events);
            assert_no_repeats(&items);
            let done = check_stream(items).unwrap();
            (done.text, done.usage.output_tokens)
        })
        .collect();
    stage.assert_empty();
    (answers, stage.board.counters.counts().preemptions)
}

/// Nothing that a reader is told becomes less.
fn assert_no_repeats(items: &[Result<Event, crate::engine::EngineError>]) {
    let mut before = (0, 0, 0);
    for item in items {
        let Ok(Event::Progress(progress)) = item else { continue };
        let now = (progress.encoded_tiles, progress.prefilled_tokens, progress.output_tokens);
        assert!(now.0 >= before.0 && now.1 >= before.1 && now.2 >= before.2, "{items:?}");
        before = now;
    }
}

#[test]
fn a_preempted_answer_is_the_same_answer() {
    let mut preemptions = 0;
    for seed in 0..100 {
        println!("seed {seed}");
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let jobs: Vec<Job> = (0..12).map(|_| random_job(&mut rng)).collect();
        let (expected, none) = answers(Options::default(), &jobs);
        assert_eq!(none, 0, "blocks for every slot");
        let (preempted, times) = answers(small(), &jobs);
        assert_eq!(preempted, expected);
        preemptions += times;
    }
    assert!(preemptions > 100, "{preemptions}");
}

#[test]
fn requests_of_a_batch_answer_after_those_in_a_hurry() {
    let mut options = Options::default();
    options.spec.slots = 1;
    let mut stage = Stage::new(options);
    let mut batch = job("what", &[]);
    batch.priority = Priority::Batch;
    let mut first = stage.submit(batch.clone()).unwrap();
    stage.turn();
    let mut second = stage.submit(batch).unwrap();
    let mut hurry = stage.submit(job("what", &[])).unwrap();
    for _ in 0..100 {
        stage.turn();
        if read(&mut hurry).iter().any(|item| matches!(item, Ok(Event::Done(_)))) {
            break;
        }
    }
    // The one that ran was not stopped; the one that waited still does.
    assert!(check_stream(read(&mut first)).is_ok());
    let waits = read(&mut second);
    assert!(!waits.iter().any(|item| matches!(item, Ok(Event::Text(_)))), "{waits:?}");
}
