//! In which order requests are prepared, and how far ahead of the model.

use super::{Stage, answering, job};
use crate::engine::channel::{Events, channel};
use crate::engine::clock::Clock as _;
use crate::engine::ending::Ending;
use crate::engine::inbox::Wait;
use crate::engine::intake::Request;
use crate::engine::queue::OVERTAKEN_MAX;
use crate::engine::sequence::Sequence;
use crate::engine::{Config, Event, Job, Priority};

/// What the pixels of one tile take here.
fn tile_bytes(stage: &Stage) -> usize {
    3 * (stage.worker.spec.tile_size_px as usize).pow(2)
}

fn of_a_batch(question: &str) -> Job {
    Job { priority: Priority::Batch, ..job(question, &[1]) }
}

/// Puts a job into the queue before the intake threads.
fn push(stage: &Stage, job: Job) -> Events {
    let ticket = stage.board.take().unwrap();
    let (outlet, events) = channel(stage.config.events_buffered, stage.bell.clone());
    stage.bell.intake.push(Request { job, outlet, ticket, submitted: stage.clock.now() });
    events
}

fn is_accepted(events: &mut Events) -> bool {
    matches!(events.try_recv(), Some(Ok(Event::Accepted(_))))
}

fn until_accepted(events: &mut Events) {
    while !is_accepted(events) {
        std::thread::yield_now();
    }
}

/// Prepares all that is in the queue; the questions in the order in which the model gets them.
fn prepared(stage: &Stage) -> Vec<usize> {
    stage.bell.retire();
    stage.worker.run();
    let arrived = stage.bell.inbox.take(Wait::Not);
    arrived.sequences.iter().map(Sequence::prompt_tokens).collect()
}

#[test]
fn who_waits_is_prepared_before_a_batch() {
    let mut options = answering("ab");
    options.spec.tokens_per_tile = 1;
    let stage = Stage::new(options);
    // Prompts of two to five tokens tell them apart.
    let _events = [
        push(&stage, of_a_batch("b")),
        push(&stage, of_a_batch("bb")),
        push(&stage, job("iii", &[1])),
        push(&stage, job("iiii", &[1])),
    ];
    assert_eq!(prepared(&stage), [4, 5, 2, 3]);
}

#[test]
fn a_batch_is_overtaken_so_often_and_not_more() {
    let mut options = answering("ab");
    options.spec.tokens_per_tile = 1;
    let stage = Stage::new(options);
    let mut events = vec![push(&stage, of_a_batch("b"))];
    let hurried = OVERTAKEN_MAX as usize + 3;
    events.extend((0..hurried).map(|_| push(&stage, job("ii", &[1]))));
    let order = prepared(&stage);
    assert_eq!(order.iter().position(|&tokens| tokens == 2), Some(OVERTAKEN_MAX as usize));
    assert_eq!(order.len(), hurried + 1);
}

#[test]
fn a_batch_leaves_memory_for_those_who_wait() {
    let pixel_bytes_max = 16 * tile_bytes(&Stage::new(answering("ab")));
    let stage = Stage::with(answering("ab"), Config { pixel_bytes_max, ..Config::default() });
    let mut batch: Vec<Events> = (0..16).map(|_| push(&stage, of_a_batch("b"))).collect();
    let worker = &stage.worker;
    std::thread::scope(|threads| {
        threads.spawn(|| worker.run());
        // The model takes nothing in here: after fourteen the batch has all that it may have.
        batch[..14].iter_mut().for_each(until_accepted);
        let mut hurried = push(&stage, job("i", &[1]));
        until_accepted(&mut hurried);
        assert!(!batch[14..].iter_mut().any(is_accepted));
        stage.bell.intake.close(&Ending::Stopped);
    });
}
