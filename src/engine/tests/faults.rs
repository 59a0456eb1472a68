//! A model that fails: whom it hurts, and whom not.

use std::sync::atomic::Ordering;

use super::{Stage, answering, check_stream, finished, job, read};
use crate::device::Dtype;
use crate::engine::ending::Ending;
use crate::engine::{Config, EngineError, Fault as Blame, Reject};
use crate::limits::DEVICE_FAILURES_MAX;
use crate::model::fake::{Fault, FaultKind, Options};
use crate::model::{NonFinite, RunError, Slot};

/// Three requests in slots 0, 1 and 2 that decode, and `fault` is next.
fn three_with(fault: Fault) -> (Stage, Vec<Result<String, EngineError>>) {
    let mut stage = Stage::new(answering("abcdefghij"));
    let mut events: Vec<_> = (0..3)
        .map(|_| {
            let mut job = job("what", &[1]);
            job.output_tokens_max = 6;
            stage.submit(job).unwrap()
        })
        .collect();
    stage.turn();
    stage.turn();
    stage.faults.add(fault);
    stage.settle();
    stage.assert_empty();
    let outcome = |events| finished(events).map(|done| done.text);
    let outcomes = events.iter_mut().map(outcome).collect();
    (stage, outcomes)
}

fn assert_only_the_second_failed(
    outcomes: &[Result<String, EngineError>],
    failed: impl Fn(&EngineError) -> bool,
) {
    let [Ok(first), Err(error), Ok(third)] = outcomes else { panic!("{outcomes:?}") };
    assert_eq!((first.as_str(), third.as_str()), ("abcdef", "abcdef"));
    assert!(failed(error), "{error}");
}

#[test]
fn logits_that_are_not_finite_fail_one_request() {
    let fault = Fault { slot: Some(Slot(1)), step: 3, ..Fault::next(FaultKind::Nan) };
    let (stage, outcomes) = three_with(fault);
    let place = NonFinite {
        module: "fake".to_owned(),
        site: "logits",
        device_id: "cpu".to_owned(),
        dtype: Dtype::F32,
    };
    assert_only_the_second_failed(&outcomes, |error| {
        matches!(error, EngineError::NonFiniteLogits { step: 3, dtype: Dtype::F32, at: Some(at) }
            if *at == place)
    });
    // The fake checks that it is given what it was given before.
    assert_eq!(stage.probe.located.load(Ordering::Relaxed), 1);
}

#[test]
fn all_that_are_not_finite_are_located_at_once() {
    let config = Config { prefill_chunk_tokens: Some(24), ..Config::default() };
    let mut stage = Stage::with(answering("abc"), config);
    // In one pass: a decoding sequence, and the end of a prompt that was cut between two pages' rows.
    for slot in [0, 1] {
        stage.faults.add(Fault { slot: Some(Slot(slot)), step: 1, ..Fault::next(FaultKind::Nan) });
    }
    let mut events = [(); 3].map(|()| stage.submit(job("what is it", &[1, 1])).unwrap());
    stage.settle();
    let outcomes = events.each_mut().map(finished);
    let [Err(first), Err(second), Ok(done)] = &outcomes else { panic!("{outcomes:?}") };
    assert_eq!(done.text, "abc");
    assert!(matches!(first, EngineError::NonFiniteLogits { step: 1, .. }), "{first}");
    assert!(matches!(second, EngineError::NonFiniteLogits { step: 0, .. }), "{second}");
    assert_eq!(stage.probe.located.load(Ordering::Relaxed), 2);
    stage.assert_empty();
}

#[test]
fn a_sequence_that_is_too_much_even_alone_fails_alone() {
    // Once in the batch, once alone.
    let fault = Fault { slot: Some(Slot(1)), times: 2, ..Fault::next(FaultKind::OutOfMemory) };
    let (_, outcomes) = three_with(fault);
    assert_only_the_second_failed(&outcomes, |error| {
        matches!(error, EngineError::Run(RunError::OutOfMemory { .. }))
    });
}

#[test]
fn a_batch_that_is_too_much_runs_one_by_one() {
    for kind in [FaultKind::OutOfMemory, FaultKind::Device] {
        let fault = Fault { segments_min: 2, times: 2, ..Fault::next(kind) };
        let (_, outcomes) = three_with(fault);
        assert!(outcomes.iter().all(|outcome| outcome.as_deref().ok() == Some("abcdef")));
    }
}

#[test]
fn logits_that_are_not_finite_alone_are_located_too() {
    let mut stage = Stage::new(answering("abcdef"));
    let mut events = [(); 3].map(|()| stage.submit(job("what", &[1])).unwrap());
    stage.turn();
    // The batch finds no memory; then the second of three passes is not finite.
    stage.faults.add(Fault { segments_min: 2, ..Fault::next(FaultKind::OutOfMemory) });
    stage.faults.add(Fault { slot: Some(Slot(1)), ..Fault::next(FaultKind::Nan) });
    stage.settle();
    let outcomes: Vec<_> =
        events.iter_mut().map(|events| finished(events).map(|done| done.text)).collect();
    assert_only_the_second_failed(&outcomes, |error| {
        matches!(error, EngineError::NonFiniteLogits { step: 1, at: Some(_), .. })
    });
    assert_eq!(stage.probe.located.load(Ordering::Relaxed), 1);
}

#[test]
fn a_piece_of_a_prompt_that_is_too_much_is_taken_in_by_halves() {
    // In the batch, alone, and in halves; quarters fit.
    let fault = Fault { tokens_min: 30, times: usize::MAX, ..Fault::next(FaultKind::OutOfMemory) };
    let question = "q".repeat(90);
    let mut stage = Stage::new(answering("ab"));
    stage.faults.add(fault);
    let mut events = [(); 2].map(|()| stage.submit(job(&question, &[2])).unwrap());
    stage.settle();
    for events in &mut events {
        assert_eq!(finished(events).unwrap().text, "ab");
    }
    stage.assert_empty();
}

#[test]
fn what_follows_a_failed_piece_of_a_prompt_is_taken_in_again() {
    let answers = |passes, faults: &[Fault]| {
        let config = Config { prefill_chunk_tokens: Some(16), ..Config::default() };
        let mut options = Options::default();
        options.spec.passes = passes;
        let mut stage = Stage::with(options, config);
        for fault in faults {
            stage.faults.add(*fault);
        }
        let questions = ["q".repeat(70), "r".repeat(40)];
        let mut events = questions.map(|question| stage.submit(job(&question, &[1])).unwrap());
        stage.settle();
        let texts = events.each_mut().map(|events| finished(events).unwrap().text);
        stage.assert_empty();
        texts
    };
    let expected = answers(1, &[]);
    let kinds = [FaultKind::OutOfMemory, FaultKind::Device];
    for (passes, step) in [(2, 0), (2, 1), (3, 0), (3, 2), (3, 4)] {
        for kind in kinds {
            let fault = Fault { slot: Some(Slot(0)), step, ..Fault::next(kind) };
            assert_eq!(answers(passes, &[fault]), expected, "{passes} passes, step {step}");
        }
    }
}

#[test]
fn a_prompt_that_is_too_much_in_any_piece_ends_alone() {
    let mut stage = Stage::new(answering("ab"));
    // The batch, the 100 tokens alone, their first half, and its first half.
    let fault = Fault { slot: Some(Slot(0)), times: 4, ..Fault::next(FaultKind::OutOfMemory) };
    stage.faults.add(fault);
    let mut large = stage.submit(job(&"q".repeat(100), &[])).unwrap();
    let mut small = stage.submit(job("what", &[1])).unwrap();
    stage.turn();
    let error = check_stream(read(&mut large)).unwrap_err();
    assert!(matches!(error, EngineError::Run(RunError::OutOfMemory { .. })), "{error}");
    stage.settle();
    assert_eq!(finished(&mut small).unwrap().text, "ab");
    stage.assert_empty();
    // Its slot can be used again, like all others.
    let mut events = [(); 4].map(|()| stage.submit(job("what", &[1])).unwrap());
    stage.settle();
    assert!(events.iter_mut().all(|events| finished(events).unwrap().text == "ab"));
}

#[test]
fn pages_that_cannot_be_encoded_fail_their_request() {
    let mut stage = Stage::new(answering("ab"));
    let kind = FaultKind::OutOfMemory;
    // Together with the other request's, and once more alone.
    let fault = Fault { in_encode: true, slot: Some(Slot(1)), times: 2, ..Fault::next(kind) };
    stage.faults.add(fault);
    let mut events = [(); 2].map(|()| stage.submit(job("what", &[1])).unwrap());
    stage.settle();
    assert_eq!(finished(&mut events[0]).unwrap().text, "ab");
    let error = check_stream(read(&mut events[1])).unwrap_err();
    assert!(matches!(error, EngineError::Run(RunError::OutOfMemory { .. })), "{error}");
    stage.assert_empty();
}

#[test]
fn pages_that_are_too_many_together_are_encoded_one_by_one() {
    let mut stage = Stage::new(answering("ab"));
    stage.faults.add(Fault { in_encode: true, ..Fault::next(FaultKind::OutOfMemory) });
    let mut events = [(); 2].map(|()| stage.submit(job("what", &[1])).unwrap());
    stage.settle();
    assert!(events.iter_mut().all(|events| finished(events).unwrap().text == "ab"));
    stage.assert_empty();
}

#[test]
fn a_device_that_fails_every_time_ends_the_engine() {
    let mut stage = Stage::new(answering("ab"));
    stage.faults.add(Fault { times: usize::MAX, ..Fault::next(FaultKind::Device) });
    for failed in 1..=DEVICE_FAILURES_MAX {
        let mut events = stage.submit(job("what", &[])).unwrap();
        let ending = stage.try_turn();
        assert_eq!(ending.is_err(), failed == DEVICE_FAILURES_MAX);
        if let Err(ending) = ending {
            assert!(matches!(ending, Ending::DeviceFailed { .. }));
            stage.stepper.end_all(&ending);
            let error = check_stream(read(&mut events)).unwrap_err();
            let EngineError::Rejected(Reject::Failed { message }) = &error else {
                panic!("{error}")
            };
            assert!(!message.is_empty());
            assert_eq!(error.fault(), Blame::Server);
        } else {
            assert!(matches!(finished(&mut events), Err(EngineError::Run(_))));
        }
    }
}

#[test]
fn a_document_that_makes_preparing_panic_fails_alone() {
    let mut stage = Stage::new(answering("ab"));
    let mut bad = stage.submit(job(super::BOMB, &[])).unwrap();
    let mut good = stage.submit(job("what", &[])).unwrap();
    stage.settle();
    let items = read(&mut bad);
    let [Err(EngineError::Panicked { message })] = &items[..] else { panic!("{items:?}") };
    assert_eq!(message, super::BOMB);
    assert_eq!(finished(&mut good).unwrap().text, "ab");
    stage.assert_empty();
}
