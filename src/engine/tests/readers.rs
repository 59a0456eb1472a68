//! Readers that leave, give up or are slow.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;
use serde_json::Value;

use super::{Stage, answering, check_stream, job, read, texts};
use crate::engine::channel::channel;
use crate::engine::clock::Clock as _;
use crate::engine::inbox::Wait;
use crate::engine::intake::Request;
use crate::engine::{Config, EngineError, Event, Job, Sampling};
use crate::fields::{FieldEvent, FieldReader, FieldValue};
use crate::limits::JOINED_TOKENS_MAX;
use crate::model::fake::Options;

const SECOND: Duration = Duration::from_secs(1);

/// A stage with one slot that another request may hold, and a job that is in a known phase after
/// each turn: vision, prefill, decode.
fn slow_stage() -> (Stage, Job) {
    let mut options = answering(&"x".repeat(100));
    options.spec.slots = 1;
    let config =
        Config { vision_chunk_tiles: 1, prefill_chunk_tokens: Some(6), ..Config::default() };
    let mut job = job("what", &[2]);
    job.output_tokens_max = 50;
    (Stage::with(options, config), job)
}

#[test]
fn a_cancelled_request_is_gone_after_one_turn() {
    // 0: still in the inbox.
    for turns in 0..5 {
        let (mut stage, job) = slow_stage();
        let events = stage.submit(job).unwrap();
        for _ in 0..turns {
            stage.turn();
        }
        assert_eq!(stage.slots_held(), usize::from(turns > 0), "after {turns} turns");
        drop(events);
        stage.turn();
        stage.assert_empty();
    }
}

/// The threads that prepare may all be at a long document: whoever gave up meanwhile keeps nobody out.
#[test]
fn what_nobody_reads_is_forgotten_though_no_thread_is_free() {
    let stage = Stage::new(answering("ab"));
    let queue = |question: &str| {
        let (outlet, events) = channel(4, stage.bell.clone());
        let (ticket, submitted) = (stage.board.take().unwrap(), stage.clock.now());
        stage.bell.intake.push(Request { job: job(question, &[]), outlet, ticket, submitted });
        events
    };
    let [first, second, third] = ["a", "b", "c"].map(queue);
    drop(second);
    assert_eq!(stage.load().queued, 2);
    drop((first, third));
    assert_eq!(stage.load().queued, 0);
}

#[test]
fn a_cancelled_request_leaves_the_queue() {
    let (mut stage, job) = slow_stage();
    let first = stage.submit(job.clone()).unwrap();
    stage.turn();
    let mut queued = [stage.submit(job.clone()).unwrap(), stage.submit(job).unwrap()];
    stage.turn();
    assert_eq!((stage.load().running, stage.load().queued), (1, 2));
    drop(std::mem::replace(&mut queued[0], first));
    stage.turn();
    assert_eq!((stage.load().running, stage.load().queued), (1, 1));
    // The place of the one in the slot goes to the one that is left.
    drop(queued);
    stage.turn();
    stage.assert_empty();
}

#[test]
fn deadlines_end_a_request_in_every_phase() {
    for (turns, expected) in
        [(0, "queue"), (1, "vision"), (2, "prefill"), (3, "decode"), (4, "decode")]
    {
        let (mut stage, mut job) = slow_stage();
        job.deadline = Some(stage.time_after(SECOND));
        let mut events = stage.submit(job).unwrap();
        for _ in 0..turns {
            stage.turn();
        }
        stage.clock.advance(SECOND);
        stage.turn();
        let error = check_stream(read(&mut events)).unwrap_err();
        let EngineError::Deadline { phase } = error else { panic!("{error}") };
        assert_eq!(phase, expected, "after {turns} turns");
        stage.assert_empty();
    }
}

#[test]
fn a_deadline_before_preparing_ends_without_accepted() {
    let (mut stage, mut job) = slow_stage();
    job.deadline = Some(stage.time_after(Duration::ZERO));
    let mut events = stage.submit(job).unwrap();
    let items = read(&mut events);
    assert!(matches!(items[..], [Err(EngineError::Deadline { phase: "preprocess" })]), "{items:?}");
    stage.turn();
    stage.assert_empty();
}

#[test]
fn the_loop_sleeps_until_the_next_deadline() {
    let (mut stage, job) = slow_stage();
    let _running = stage.submit(job).unwrap();
    assert_eq!(stage.turn(), Wait::Not);
    let mut idle = Stage::new(Options::default());
    assert_eq!(idle.turn(), Wait::UntilWoken);
}

/// A request whose reader takes nothing; it stands still now.
fn stalled(events_buffered: usize) -> (Stage, crate::engine::Events) {
    let config = Config { events_buffered, slow_client: SECOND, ..Config::default() };
    // Numbers in their order: the guard sees no loop.
    let numbers: String = (100..300).map(|number| number.to_string()).collect();
    let mut options = answering(&numbers);
    options.spec.slot_tokens = 500;
    let mut stage = Stage::with(options, config);
    let mut job = job("what", &[]);
    job.output_tokens_max = 300;
    let events = stage.submit(job).unwrap();
    while stage.turn() == Wait::Not {}
    (stage, events)
}

#[test]
fn a_slow_reader_pauses_its_request_alone() {
    let (mut stage, mut slow) = stalled(4);
    assert_eq!(stage.slots_held(), 1, "it keeps its slot");
    let mut quick = stage.submit(job("what", &[])).unwrap();
    stage.settle();
    assert!(check_stream(read(&mut quick)).is_ok());
    let items = read(&mut slow);
    // Accepted, two of progress, one piece; then the buffer was full.
    assert_eq!(texts(&items).iter().map(|text| text.tokens).collect::<Vec<_>>(), [1]);
    stage.turn();
    let joined = texts(&read(&mut slow));
    assert_eq!(joined[0].tokens, JOINED_TOKENS_MAX);
    // It goes on as far as it is read.
    let mut sent: usize = 1 + joined.iter().map(|text| text.tokens).sum::<usize>();
    let mut items = vec![];
    while stage.slots_held() > 0 {
        stage.turn();
        items.extend(read(&mut slow));
    }
    sent += texts(&items).iter().map(|text| text.tokens).sum::<usize>();
    assert_eq!(sent, 300);
    assert!(matches!(items.last(), Some(Ok(Event::Done(done))) if done.text.len() == 300));
    stage.assert_empty();
}

#[test]
fn a_reader_that_takes_nothing_is_ended() {
    let (mut stage, mut slow) = stalled(4);
    assert_eq!(stage.turn(), Wait::AtMost(SECOND));
    stage.clock.advance(SECOND / 2);
    assert_eq!(stage.turn(), Wait::AtMost(SECOND / 2));
    stage.clock.advance(SECOND / 2);
    stage.turn();
    stage.assert_empty();
    let items = read(&mut slow);
    let text: usize = texts(&items).iter().map(|text| text.tokens).sum();
    assert_eq!(text, 1 + JOINED_TOKENS_MAX, "what was generated is delivered");
    let error = check_stream(items).unwrap_err();
    assert!(matches!(error, EngineError::SlowClient { waited_ms: 1000 }), "{error}");
}

#[test]
fn one_event_taken_is_patience_won() {
    let (mut stage, mut slow) = stalled(4);
    stage.clock.advance(SECOND / 2);
    slow.try_recv().unwrap().unwrap();
    while stage.turn() == Wait::Not {}
    stage.clock.advance(SECOND / 2);
    stage.turn();
    assert_eq!(stage.slots_held(), 1);
}

#[test]
fn a_reader_that_comes_late_gets_the_whole_answer() {
    // The answer ends while the buffer is full: the rest comes in one piece, then the end.
    let config = Config { events_buffered: 4, ..Config::default() };
    let mut stage = Stage::with(answering(&"x".repeat(30)), config);
    let mut job = job("what", &[]);
    job.output_tokens_max = 40;
    job.sampling = Sampling::GREEDY;
    let mut events = stage.submit(job).unwrap();
    stage.settle();
    stage.assert_empty();
    let items = read(&mut events);
    // The stop id is in the last piece's count.
    let tokens: Vec<usize> = texts(&items).iter().map(|text| text.tokens).collect();
    assert_eq!(tokens, [1, 29]);
    assert_eq!(check_stream(items).unwrap().text.len(), 30);
}

#[test]
fn scores_are_joined_with_their_text() {
    let config = Config { events_buffered: 4, ..Config::default() };
    for asked in [true, false] {
        let mut stage = Stage::with(answering(&"x".repeat(30)), config.clone());
        let mut job = job("what", &[]);
        (job.output_tokens_max, job.scores) = (40, asked);
        let mut events = stage.submit(job).unwrap();
        stage.settle();
        let pieces = texts(&read(&mut events));
        assert_eq!(pieces.iter().map(|piece| piece.text.len()).collect::<Vec<_>>(), [1, 29]);
        let scores: Vec<_> = pieces.iter().flat_map(|piece| &piece.scores).collect();
        let written: Vec<_> = scores.iter().map(|score| score.text.clone()).collect();
        let letters: Vec<_> = (0..30).map(|at| at..at + 1).collect();
        assert_eq!(written, if asked { letters } else { vec![] });
        // The script leaves the model no doubt.
        assert!(scores.iter().all(|score| (-1e-6..=0.0).contains(&score.logprob)), "{scores:?}");
    }
}

/// JSON text of an object with a few leaves, in ASCII.
fn documents() -> impl Strategy<Value = String> {
    let leaf = prop_oneof!["[ -~]{0,40}".prop_map(Value::from), any::<i32>().prop_map(Value::from)];
    let list = proptest::collection::vec(leaf.clone(), 0..4).prop_map(Value::from);
    let members = proptest::collection::btree_map("[a-z]{1,6}", prop_oneof![leaf, list], 1..6);
    members.prop_map(|members| Value::from_iter(members).to_string())
}

proptest! {
    /// However slow a reader is, and however its pieces are joined: each field completes once, in order, and what
    /// grew is the beginning of its value.
    #[test]
    fn a_slow_reader_misses_no_field(
        document in documents(),
        buffered in 1..4usize,
        pace in proptest::collection::vec((0..40usize, 0..4usize), 1..20),
    ) {
        let mut options = answering(&document);
        options.spec.slot_tokens = 1000;
        let config = Config { events_buffered: buffered, ..Config::default() };
        let mut stage = Stage::with(options, config);
        let job = Job { scores: true, output_tokens_max: 900, ..job("what", &[1]) };
        let mut events = stage.submit(job).unwrap();
        let mut items = Vec::new();
        // In the end it takes what there is.
        for &(turns, reads) in pace.iter().chain(std::iter::repeat(&(20, usize::MAX))) {
            for _ in 0..turns {
                stage.turn();
            }
            items.extend(std::iter::from_fn(|| events.try_recv()).take(reads));
            if matches!(items.last(), Some(Ok(Event::Done(_)) | Err(_))) {
                break;
            }
        }
        let pieces: Vec<String> = texts(&items).into_iter().map(|piece| piece.text).collect();
        let done = check_stream(items).unwrap();
        prop_assert_eq!(&done.text, &document);
        let read = |pieces: &[String]| {
            let mut reader = FieldReader::default();
            let mut grown: BTreeMap<String, String> = BTreeMap::new();
            let mut completed = Vec::new();
            for event in pieces.iter().flat_map(|piece| reader.push(piece)) {
                match event {
                    FieldEvent::Delta { pointer, text } => {
                        grown.entry(pointer).or_default().push_str(&text);
                    }
                    FieldEvent::Completed(field) => {
                        if let (Some(grown), FieldValue::Text(text)) =
                            (grown.get(&field.pointer), &field.value)
                        {
                            assert!(text.starts_with(grown.as_str()), "{text} {grown}");
                        }
                        completed.push((field.pointer, field.raw));
                    }
                }
            }
            completed
        };
        prop_assert_eq!(read(&pieces), read(&[document]));
    }
}
