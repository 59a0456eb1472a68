//! Requests that begin alike: what one of them brought into the caches serves the others, and changes nothing
//! of what they answer.

use std::sync::atomic::Ordering;

use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use super::{Stage, answering, finished, job};
use crate::engine::{Config, EngineError, Job, Sampling};
use crate::model::fake::{Fault, FaultKind, Options};

/// 4 tokens a tile, 16 a block: 2 tiles, then the question.
fn long() -> Job {
    job(&"q".repeat(60), &[2])
}

fn tiles(stage: &Stage) -> usize {
    stage.probe.tiles.load(Ordering::Relaxed)
}

#[test]
fn the_same_again_is_not_taken_in_again() {
    let mut stage = Stage::new(answering("ab"));
    let mut first = stage.submit(long()).unwrap();
    stage.settle();
    let first = finished(&mut first).unwrap();
    assert_eq!((first.usage.input_tokens, first.usage.cached_input_tokens), (68, 0));
    assert_eq!(tiles(&stage), 2);
    let mut again = stage.submit(long()).unwrap();
    stage.settle();
    let again = finished(&mut again).unwrap();
    // Four whole blocks of 68 tokens, the pages among them.
    assert_eq!((again.text, again.usage.cached_input_tokens), (first.text, 64));
    assert_eq!(tiles(&stage), 2, "no page is encoded again");
    let counts = stage.board.counters.counts();
    assert_eq!((counts.prefix_queried_tokens, counts.prefix_hit_tokens), (136, 64));
    assert_eq!((counts.encoder_queried_pages, counts.encoder_hit_pages), (2, 1));
    stage.assert_empty();
}

#[test]
fn a_page_that_was_seen_is_not_encoded_again_behind_another_beginning() {
    let mut stage = Stage::new(Options::default());
    // As many letters make the same pixels here; the first page is cut otherwise.
    let mut one = stage.submit(job("12345", &[1, 2])).unwrap();
    stage.settle();
    assert!(finished(&mut one).is_ok());
    assert_eq!(tiles(&stage), 3);
    let mut other = stage.submit(job("abcde", &[1])).unwrap();
    stage.settle();
    let shared = finished(&mut other).unwrap();
    assert_eq!((shared.usage.cached_input_tokens, tiles(&stage)), (0, 3));
    let mut alone = Stage::new(Options::default());
    let mut expected = alone.submit(job("abcde", &[1])).unwrap();
    alone.settle();
    assert_eq!(shared.text, finished(&mut expected).unwrap().text);
}

#[test]
fn whoever_wants_no_cache_has_none() {
    let config = Config { prefix_cache: false, ..Config::default() };
    let mut stage = Stage::with(answering("ab"), config);
    for _ in 0..2 {
        let mut events = stage.submit(long()).unwrap();
        stage.settle();
        assert_eq!(finished(&mut events).unwrap().usage.cached_input_tokens, 0);
    }
    assert_eq!(tiles(&stage), 4);
}

#[test]
fn what_spoilt_one_answer_spoils_no_other() {
    let mut stage = Stage::new(answering("abcdef"));
    let mut first = stage.submit(long()).unwrap();
    stage.turn();
    stage.faults.add(Fault::next(FaultKind::Nan));
    stage.settle();
    assert!(matches!(finished(&mut first), Err(EngineError::NonFiniteLogits { .. })));
    let mut second = stage.submit(long()).unwrap();
    stage.settle();
    assert_eq!(finished(&mut second).unwrap().usage.cached_input_tokens, 0);
    assert_eq!(tiles(&stage), 4);
    stage.assert_empty();
}

/// One of few beginnings, so that many requests share some.
fn random_job(rng: &mut ChaCha8Rng) -> Job {
    let letter = ["a", "b"][rng.random_range(0..2)];
    let question = letter.repeat(rng.random_range(1..60));
    let mut job = job(&question, &[rng.random_range(0..3), rng.random_range(0..3)]);
    job.output_tokens_max = rng.random_range(1..50);
    job.sampling =
        Sampling { temperature: 1.0, top_p: 0.9, seed: rng.random(), ..Sampling::GREEDY };
    job
}

fn answers(options: Options, config: Config, jobs: &[Job]) -> (Vec<String>, u64) {
    let mut stage = Stage::with(options, config);
    let mut texts = Vec::new();
    for jobs in jobs.chunks(7) {
        let mut events: Vec<_> =
            jobs.iter().map(|job| stage.submit(job.clone()).unwrap()).collect();
        stage.settle();
        texts.extend(events.iter_mut().map(|events| finished(events).unwrap().text));
    }
    stage.assert_empty();
    (texts, stage.board.counters.counts().prefix_hit_tokens)
}

#[test]
fn answers_are_the_same_with_and_without_the_caches() {
    let mut hits = 0;
    for seed in 0..60 {
        println!("seed {seed}");
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let jobs: Vec<Job> = (0..30).map(|_| random_job(&mut rng)).collect();
        let config =
            Config { prefill_chunk_tokens: Some(24), vision_chunk_tiles: 2, ..Config::default() };
        let without = Config { prefix_cache: false, ..config.clone() };
        let (expected, none) = answers(Options::default(), without, &jobs);
        assert_eq!(none, 0);
        let mut small = Options::default();
        small.spec.kv_blocks = 11;
        for options in [Options::default(), small] {
            let (texts, hit) = answers(options, config.clone(), &jobs);
            assert_eq!(texts, expected);
            hits += hit;
        }
    }
    assert!(hits > 1000, "{hits}");
}
