//! What an ordinary request is told, in which order, and what it costs the others.

use std::time::Duration;

use super::{Stage, answering, check_stream, finished, job, read, texts};
use crate::engine::clock::Clock as _;
use crate::engine::{
    Accepted, Config, EngineError, Event, Events, FinishReason, Job, Phase, Progress, Reject,
    Sampling, Usage,
};
use crate::model::fake::Options;

fn progress(phase: Phase) -> Progress {
    Progress {
        phase,
        queue_position: None,
        encoded_tiles: 0,
        prefilled_tokens: 0,
        output_tokens: 0,
    }
}

#[test]
fn events_of_a_request_in_their_order() {
    let config =
        Config { prefill_chunk_tokens: Some(8), vision_chunk_tiles: 2, ..Config::default() };
    let mut stage = Stage::with(answering("ab"), config);
    let mut events = stage.submit(job("what", &[1, 2])).unwrap();
    stage.settle();
    let items: Vec<Event> = read(&mut events).into_iter().map(Result::unwrap).collect();
    let vision = progress(Phase::Vision);
    let prefill = Progress { encoded_tiles: 3, ..progress(Phase::Prefill) };
    let accepted = Accepted { tiles_per_page: vec![1, 2], pages: Vec::new(), input_tokens: 16 };
    assert_eq!(
        items[..6],
        [
            Event::Accepted(accepted),
            Event::Progress(vision),
            Event::Progress(Progress { encoded_tiles: 2, ..vision }),
            Event::Progress(prefill),
            Event::Progress(Progress { prefilled_tokens: 8, ..prefill }),
            Event::Progress(Progress {
                phase: Phase::Decode,
                prefilled_tokens: 16,
                output_tokens: 1,
                ..prefill
            }),
        ]
    );
    let done = check_stream(items.into_iter().map(Ok).collect()).unwrap();
    assert_eq!((done.text.as_str(), done.finish_reason), ("ab", FinishReason::Stop));
    assert_eq!(
        done.usage,
        Usage { input_tokens: 16, cached_input_tokens: 0, image_tokens: 12, output_tokens: 3 }
    );
    stage.assert_empty();
}

#[test]
fn a_batch_answers_as_each_request_alone() {
    let sampling = |seed: u64| match seed % 3 {
        0 => Sampling::GREEDY,
        1 => Sampling { temperature: 1.0, top_p: 1.0, seed, ..Sampling::GREEDY },
        _ => Sampling { temperature: 0.3, top_p: 0.5, seed, ..Sampling::GREEDY },
    };
    let jobs: Vec<_> = (0..12u8)
        .map(|i| {
            let mut job = job(&"question".repeat(1 + usize::from(i) % 3), &[i % 4]);
            job.sampling = sampling(u64::from(i));
            job.output_tokens_max = 5 + usize::from(i);
            job
        })
        .collect();
    let alone: Vec<String> = jobs
        .iter()
        .map(|job| {
            let mut stage = Stage::new(Options::default());
            let mut events = stage.submit(job.clone()).unwrap();
            stage.settle();
            finished(&mut events).unwrap().text
        })
        .collect();
    // Other slots, other companions, other chunks.
    let config =
        Config { prefill_chunk_tokens: Some(5), vision_chunk_tiles: 1, ..Config::default() };
    let mut stage = Stage::with(Options::default(), config);
    let mut batch: Vec<_> =
        jobs.iter().rev().map(|job| stage.submit(job.clone()).unwrap()).collect();
    stage.settle();
    let together: Vec<String> =
        batch.iter_mut().rev().map(|events| finished(events).unwrap().text).collect();
    assert_eq!(alone, together);
    assert!(stage.probe.segments_max.load(std::sync::atomic::Ordering::Relaxed) == 4);
    stage.assert_empty();
}

#[test]
fn another_seed_is_another_answer() {
    let answer = |seed| {
        let mut stage = Stage::new(Options::default());
        let mut job = job("what", &[]);
        job.sampling = Sampling { temperature: 1.0, top_p: 1.0, seed, ..Sampling::GREEDY };
        let mut events = stage.submit(job).unwrap();
        stage.settle();
        finished(&mut events).unwrap().text
    };
    assert_eq!(answer(1), answer(1));
    assert_ne!(answer(1), answer(2));
}

#[test]
fn a_long_prompt_does_not_hold_up_an_answer() {
    let config =
        Config { prefill_chunk_tokens: Some(10), vision_chunk_tiles: 1, ..Config::default() };
    let mut stage = Stage::with(answering(&"x".repeat(100)), config);
    let mut running = job("a", &[]);
    running.output_tokens_max = 100;
    let mut running = stage.submit(running).unwrap();
    stage.turn();
    read(&mut running);
    let mut long = stage.submit(job(&"b".repeat(60), &[10])).unwrap();
    // Ten turns with a tile each, the last of them with the first of ten chunks; the last chunk
    // would bring the first token.
    for _ in 0..18 {
        stage.turn();
        assert_eq!(texts(&read(&mut running)).len(), 1, "a token in each step");
        assert!(texts(&read(&mut long)).is_empty());
    }
    assert_eq!(stage.probe.tokens_max.load(std::sync::atomic::Ordering::Relaxed), 11);
}

#[test]
fn the_end_of_the_slot_ends_the_answer() {
    let mut stage = Stage::new(answering(&"x".repeat(200)));
    let mut job = job(&"q".repeat(120), &[]);
    job.output_tokens_max = 50;
    let mut events = stage.submit(job).unwrap();
    stage.settle();
    let done = finished(&mut events).unwrap();
    assert_eq!((done.text.len(), done.finish_reason), (8, FinishReason::Length));
}

#[test]
fn a_prompt_that_leaves_no_room_is_refused_before_accepted() {
    let mut stage = Stage::new(Options::default());
    let mut events = stage.submit(job(&"q".repeat(128), &[])).unwrap();
    let error = check_stream(read(&mut events)).unwrap_err();
    assert!(matches!(
        error,
        EngineError::TooManyTokens { input_tokens: 128, input_tokens_max: 127 }
    ));
    stage.settle();
    stage.assert_empty();
    let mut events = stage.submit(job(&"q".repeat(127), &[])).unwrap();
    stage.settle();
    assert_eq!(finished(&mut events).unwrap().usage.output_tokens, 1);
}

#[test]
fn a_stop_text_is_not_returned() {
    let mut stage = Stage::new(answering("sum: 12\n\nbye"));
    let mut job = job("what", &[]);
    job.output_tokens_max = 50;
    job.stop = vec!["\n\n".to_owned()];
    let mut events = stage.submit(job).unwrap();
    stage.settle();
    let done = finished(&mut events).unwrap();
    assert_eq!((done.text.as_str(), done.finish_reason), ("sum: 12", FinishReason::Stop));
    assert_eq!(done.usage.output_tokens, 9, "the tokens of the stop text were generated");
}

#[test]
fn a_full_queue_refuses_and_says_when_to_come_back() {
    let config = Config { queued_max: 2, ..Config::default() };
    let mut stage = Stage::with(Options::default(), config);
    let mut taken: Vec<_> = (0..6).map(|_| stage.submit(job("what", &[])).unwrap()).collect();
    stage.turn();
    let Err(Reject::QueueFull { queued, retry_after }) = stage.submit(job("what", &[])) else {
        panic!("taken beyond the queue's limit");
    };
    assert_eq!((queued, retry_after), (2, Duration::from_secs(1)));
    assert_eq!((stage.load().running, stage.load().queued), (4, 2));
    stage.settle();
    assert!(taken.iter_mut().all(|events| finished(events).is_ok()));
    stage.assert_empty();
    assert!(stage.submit(job("what", &[])).is_ok());
}

/// A request whose prompt has so many tokens.
fn of(tokens: usize) -> Job {
    job(&"q".repeat(tokens), &[])
}

/// One slot, which is taken, and room for 50 tokens that wait.
fn taken_with_room_for_50() -> (Stage, Events) {
    let mut options = Options::default();
    options.spec.slots = 1;
    let config = Config { queued_tokens_max: 50, ..Config::default() };
    let mut stage = Stage::with(options, config);
    let running = stage.submit(of(100)).unwrap();
    stage.turn();
    (stage, running)
}

#[test]
fn what_waits_has_a_bound_of_tokens_too() {
    // One that finds a free slot does not wait, and the first that waits may be of any size.
    let (mut stage, mut running) = taken_with_room_for_50();
    assert_eq!((stage.load().running, stage.load().queued_tokens), (1, 0));
    let mut first = stage.submit(of(40)).unwrap();
    assert_eq!(stage.load().queued_tokens, 40);
    // Its tokens are known once it is prepared: it is refused then, before anything was said of it.
    let mut long = stage.submit(of(11)).unwrap();
    let refused = finished(&mut long).unwrap_err();
    let EngineError::Rejected(Reject::QueueTokens {
        queued_tokens,
        queued_tokens_max,
        retry_after,
    }) = refused
    else {
        panic!("{refused}");
    };
    assert_eq!((queued_tokens, queued_tokens_max), (40, 50));
    assert_eq!(retry_after, Duration::from_secs(1));
    assert_eq!((stage.load().queued, stage.load().queued_tokens), (1, 40));
    // What fits is taken, and where nothing fits any more nothing is prepared to find that out.
    let mut fits = stage.submit(of(10)).unwrap();
    assert!(matches!(stage.submit(of(1)), Err(Reject::QueueTokens { queued_tokens: 50, .. })));
    stage.settle();
    for events in [&mut running, &mut first, &mut fits] {
        assert!(finished(events).is_ok());
    }
    assert_eq!(stage.load().queued_tokens, 0);
    stage.assert_empty();
}

#[test]
fn the_tokens_of_a_request_that_is_given_up_make_room() {
    let (mut stage, mut running) = taken_with_room_for_50();
    let waiting = stage.submit(of(50)).unwrap();
    assert!(matches!(stage.submit(of(1)), Err(Reject::QueueTokens { .. })));
    drop(waiting);
    stage.turn();
    assert_eq!((stage.load().queued, stage.load().queued_tokens), (0, 0));
    let mut next = stage.submit(of(50)).unwrap();
    stage.settle();
    assert!(finished(&mut running).is_ok() && finished(&mut next).is_ok());
    stage.assert_empty();
}

#[test]
fn the_queue_tells_positions_when_they_change() {
    let mut options = Options::default();
    options.spec.slots = 1;
    let mut stage = Stage::new(options);
    let submit = || {
        let mut job = job("what", &[]);
        job.output_tokens_max = 3;
        stage.submit(job).unwrap()
    };
    let mut events = [submit(), submit(), submit()];
    stage.settle();
    let positions: Vec<Vec<usize>> = events
        .iter_mut()
        .map(|events| {
            let queued = |item| match item {
                Ok(Event::Progress(Progress { queue_position, .. })) => queue_position,
                _ => None,
            };
            read(events).into_iter().filter_map(queued).collect()
        })
        .collect();
    assert_eq!(positions, [vec![], vec![0], vec![1, 0]]);
}

#[test]
fn times_add_up() {
    let config =
        Config { vision_chunk_tiles: 1, prefill_chunk_tokens: Some(4), ..Config::default() };
    let mut stage = Stage::with(answering("abc"), config);
    let mut job = job("what", &[2]);
    job.received = stage.clock.now();
    let mut events = stage.submit(job).unwrap();
    let turn = Duration::from_millis(10);
    // Vision takes two turns, prefill three with the one that it shares, then a token each.
    for _ in 0..8 {
        stage.clock.advance(turn);
        stage.turn();
    }
    let times = finished(&mut events).unwrap().timings;
    assert_eq!(times.queue, turn);
    assert_eq!(times.vision, turn);
    assert_eq!(times.prefill, 2 * turn);
    assert_eq!(times.decode, 3 * turn);
    assert_eq!(times.time_to_first_token, 4 * turn);
    assert_eq!(
        times.total,
        times.queue + times.preprocess + times.vision + times.prefill + times.decode
    );
}
