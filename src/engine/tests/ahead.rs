//! Steps that are begun before it is known what the one before them chooses.

use super::*;
use crate::model::fake::{Fault, FaultKind};

/// What the fake was asked for: passes begun ahead, and those that were wanted.
fn counts(stage: &Stage) -> (usize, usize) {
    let count = |count: &std::sync::atomic::AtomicUsize| count.load(Ordering::SeqCst);
    (count(&stage.probe.begun_ahead), count(&stage.probe.followed))
}

/// Each question is answered with itself.
fn echo() -> Options {
    let answer = |prompt: &[u32]| {
        let spoken = prompt.iter().copied().filter(|token| *token < 128);
        spoken.chain([STOP_ID]).collect()
    };
    Options { script: Script::Of(Arc::new(answer)), ..Options::default() }
}

fn text_of(events: &mut Events) -> String {
    finished(events).unwrap().text
}

/// Six steps decode: the last chooses the end, and the one behind it is for nobody.
#[test]
fn each_decoding_step_is_begun_in_the_one_before() {
    let mut stage = Stage::new(answering("abcdef"));
    let mut events = stage.submit(job("question", &[1])).unwrap();
    stage.settle();
    assert_eq!(text_of(&mut events), "abcdef");
    assert_eq!(counts(&stage), (6, 5));
    stage.assert_empty();
}

#[test]
fn nothing_is_begun_behind_the_last_token() {
    let mut stage = Stage::new(answering("abcdef"));
    let mut events = stage.submit(Job { output_tokens_max: 4, ..job("question", &[1]) }).unwrap();
    stage.settle();
    assert_eq!(text_of(&mut events), "abcd");
    assert_eq!(counts(&stage), (2, 2));
    stage.assert_empty();
}

#[test]
fn a_model_that_begins_nothing_answers_the_same() {
    let options = Options { begins_ahead: false, ..answering("abcdef") };
    let mut stage = Stage::new(options);
    let mut events = stage.submit(job("question", &[1])).unwrap();
    stage.settle();
    assert_eq!(text_of(&mut events), "abcdef");
    assert_eq!(counts(&stage), (0, 0));
}

/// Where a grammar has a say in what comes next, it is waited for.
#[test]
fn what_is_held_to_a_grammar_is_not_begun() {
    let grammar = super::constrained::schema().grammar();
    let held = Job { grammar: Some(grammar), output_tokens_max: 400, ..job("held", &[]) };
    let mut options = Options::default();
    options.spec.slot_tokens = 600;
    let mut stage = Stage::new(options);
    let mut events = stage.submit(held).unwrap();
    // Nor in a step that it shares.
    let mut free = stage.submit(Job { output_tokens_max: 2, ..job("free", &[]) }).unwrap();
    stage.settle();
    finished(&mut events).unwrap();
    finished(&mut free).unwrap();
    assert_eq!(counts(&stage), (0, 0));
    stage.assert_empty();
}

/// The text of a request whose tokens are drawn, and what the fake was asked for. The step of number `lost` fails.
fn drawn(begins_ahead: bool, lost: Option<usize>) -> (String, (usize, usize)) {
    let mut stage = Stage::new(Options { begins_ahead, ..Options::default() });
    if let Some(step) = lost {
        stage.faults.add(Fault { step, ..Fault::next(FaultKind::Device) });
    }
    let sampling = Sampling {
        temperature: 1.0,
        top_p: 0.9,
        repetition_penalty: 1.2,
        seed: 5,
        ..Sampling::GREEDY
    };
    let job = Job { sampling, output_tokens_max: 30, ..job("drawn", &[1]) };
    let mut events = stage.submit(job).unwrap();
    stage.settle();
    let counts = counts(&stage);
    stage.assert_empty();
    (text_of(&mut events), counts)
}

/// What a token is drawn by goes on by the choice, not by the step, of which some are begun, some are not, and some fail.
#[test]
fn a_seed_draws_the_same_whatever_becomes_of_steps() {
    let (plain, none) = drawn(false, None);
    let (begun, counts) = drawn(true, None);
    assert_eq!(begun, plain);
    assert!(counts.1 > 10 && none == (0, 0), "{counts:?} {none:?}");
    for lost in [0, 1, 2, 5, 11] {
        for begins_ahead in [true, false] {
            assert_eq!(drawn(begins_ahead, Some(lost)).0, plain, "without step {lost}");
        }
    }
}

/// Who comes while a step is begun waits for that one, and for no other.
#[test]
fn a_new_request_waits_for_one_step() {
    let mut stage = Stage::new(echo());
    let mut first = stage.submit(job("abcdefg", &[])).unwrap();
    // Its prompt, and a step that decodes.
    stage.turn();
    stage.turn();
    assert_eq!(counts(&stage), (1, 0));
    let mut second = stage.submit(job("hij", &[])).unwrap();
    stage.turn();
    assert_eq!(counts(&stage), (1, 1), "the step that was begun, and nothing behind it");
    assert_eq!(stage.probe.segments_max.load(Ordering::SeqCst), 1);
    stage.turn();
    assert_eq!(stage.probe.segments_max.load(Ordering::SeqCst), 2);
    assert_eq!(counts(&stage), (1, 1), "a step with a prompt in it");
    stage.settle();
    assert_eq!((text_of(&mut first), text_of(&mut second)), ("abcdefg".into(), "hij".into()));
    stage.assert_empty();
}

/// A request that is being prepared is nobody's yet, but will be.
#[test]
fn nothing_is_begun_while_a_request_is_prepared() {
    let mut stage = Stage::new(echo());
    let mut first = stage.submit(job("abcdefg", &[])).unwrap();
    stage.turn();
    let ticket = stage.board.take().unwrap();
    stage.turn();
    stage.turn();
    assert_eq!(counts(&stage), (0, 0));
    drop(ticket);
    stage.turn();
    assert_eq!(counts(&stage), (1, 0));
    stage.settle();
    assert_eq!(text_of(&mut first), "abcdefg");
    stage.assert_empty();
}

/// The others of the step are under way already.
#[test]
fn a_sequence_that_ends_leaves_the_others_their_step() {
    let mut stage = Stage::new(echo());
    let questions = ["ab", "cdefg", "hi", "jklmno"];
    let mut events = questions.map(|question| stage.submit(job(question, &[])).unwrap());
    stage.settle();
    assert_eq!(events.each_mut().map(text_of), questions);
    // Steps choose the second to the seventh token, of which the last is an end, and so is what was begun behind it lost.
    assert_eq!(counts(&stage), (6, 5));
    stage.assert_empty();
}

/// A step that fails leaves nothing behind that was begun on it.
#[test]
fn what_was_begun_behind_a_failed_step_is_dropped() {
    for lost in 0..6 {
        let mut stage = Stage::new(answering("abcdef"));
        stage.faults.add(Fault { step: lost, ..Fault::next(FaultKind::Device) });
        let mut events = stage.submit(job("question", &[1])).unwrap();
        stage.settle();
        assert_eq!(text_of(&mut events), "abcdef", "without step {lost}");
        stage.assert_empty();
    }
}
