//! Answers that are none end early, and a model that gives several in a row takes no more requests.

use super::{Stage, answering, check_stream, finished, job, read, texts};
use crate::engine::{Config, Done, EngineError, Events, GuardConfig, Job, ModelState, Reject};
use crate::model::fake::{Fault, FaultKind, Options, Script};

/// A model that answers well after `what`, with `!` after `bang`, and in circles after `loop`.
fn moody() -> Options {
    let answer = |prompt: &[u32]| {
        let text = match prompt.last().and_then(|&token| char::from_u32(token)) {
            Some('g') => format!("ok{}", "!".repeat(90)),
            Some('p') => format!("ok{}", "x".repeat(90)),
            _ => "well".to_owned(),
        };
        text.bytes().map(u32::from).chain([super::STOP_ID]).collect()
    };
    let mut options = answering("");
    options.script = Script::Of(std::sync::Arc::new(answer));
    options
}

fn config(poison_limit: usize) -> Config {
    let guard = GuardConfig { repeats: 70, poison_limit, ..GuardConfig::default() };
    Config { guard, ..Config::default() }
}

fn long(question: &str) -> Job {
    Job { output_tokens_max: 100, ..job(question, &[1]) }
}

fn run(stage: &mut Stage, question: &str) -> Result<Done, EngineError> {
    let mut events = stage.submit(long(question)).unwrap();
    stage.settle();
    finished(&mut events)
}

fn state(stage: &Stage) -> (ModelState, String) {
    let status = stage.board.watch().borrow().clone();
    (status.state, status.message)
}

#[test]
fn an_answer_that_is_none_ends_alone_and_keeps_what_came_before() {
    let mut stage = Stage::with(moody(), config(0));
    let mut events: Vec<Events> =
        ["bang", "what", "loop"].map(|question| stage.submit(long(question)).unwrap()).into();
    stage.settle();
    stage.assert_empty();
    let [bang, what, looped] = &mut events[..] else { panic!() };
    assert_eq!(finished(what).unwrap().text, "well");

    let items = read(bang);
    let sent: String = texts(&items).into_iter().map(|piece| piece.text).collect();
    // The window of 64 was full before the last one.
    assert_eq!(sent, format!("ok{}", "!".repeat(61)));
    let error = check_stream(items).unwrap_err();
    let expected = (63, 62, 64);
    let EngineError::Gibberish { step, bangs, characters } = error else { panic!("{error}") };
    assert_eq!((step, bangs, characters), expected);

    let items = read(looped);
    let sent: String = texts(&items).into_iter().map(|piece| piece.text).collect();
    assert_eq!(sent, format!("ok{}", "x".repeat(69)));
    let error = check_stream(items).unwrap_err();
    let EngineError::Repetition { step, period, count, probability } = error else {
        panic!("{error}")
    };
    // The fake is sure of what its script says.
    assert_eq!((step, period, count, probability), (71, 1, 70, None));
}

#[test]
fn a_cut_answer_of_bangs_is_none() {
    let mut stage = Stage::with(moody(), config(0));
    let mut events = stage.submit(Job { output_tokens_max: 20, ..long("bang") }).unwrap();
    stage.settle();
    let error = finished(&mut events).unwrap_err();
    assert!(
        matches!(error, EngineError::Gibberish { step: 19, bangs: 18, characters: 20 }),
        "{error}"
    );
}

#[test]
fn without_the_guard_every_answer_is_one() {
    let guard = GuardConfig { on: false, ..GuardConfig::default() };
    let mut stage = Stage::with(moody(), Config { guard, ..Config::default() });
    assert_eq!(run(&mut stage, "bang").unwrap().text, format!("ok{}", "!".repeat(90)));
    assert_eq!(run(&mut stage, "loop").unwrap().text, format!("ok{}", "x".repeat(90)));
}

#[test]
fn spoilt_answers_in_a_row_close_the_door() {
    let mut stage = Stage::with(moody(), config(3));
    // Only a row counts, of what is the model's doing.
    for question in ["bang", "bang", "what", "bang", "loop", "loop", "loop"] {
        let _ = run(&mut stage, question);
    }
    stage.faults.add(Fault::next(FaultKind::Nan));
    run(&mut stage, "what").unwrap_err();
    assert_eq!(state(&stage).0, ModelState::Ready);

    // One runs, one waits for its slot, and the third in a row ends.
    let mut running = stage.submit(long("what")).unwrap();
    stage.turn();
    let third = Fault { slot: Some(crate::model::Slot(1)), ..Fault::next(FaultKind::Nan) };
    stage.faults.add(third);
    let mut spoilt = stage.submit(long("what")).unwrap();
    stage.turn();
    assert!(matches!(finished(&mut spoilt), Err(EngineError::NonFiniteLogits { .. })));
    let (found, message) = state(&stage);
    assert_eq!(found, ModelState::Poisoned);
    assert_eq!(
        message,
        "3 spoilt answers in a row, the last because the logits of step 0 are not finite: fake \
         (logits) on cpu is the first that is not, in f32; restart the server"
    );
    let Err(Reject::Poisoned { message: told }) = stage.submit(long("what")) else {
        panic!("taken by a model that is poisoned")
    };
    assert_eq!(told, message);
    // What was taken goes on, and does not open the door again.
    stage.settle();
    assert_eq!(finished(&mut running).unwrap().text, "well");
    assert_eq!(state(&stage).0, ModelState::Poisoned);
    stage.assert_empty();
}

#[test]
fn a_poisoned_model_can_be_drained() {
    let mut stage = Stage::with(moody(), config(1));
    run(&mut stage, "bang").unwrap_err();
    assert_eq!(state(&stage).0, ModelState::Poisoned);
    stage.board.leaving();
    assert_eq!(state(&stage).0, ModelState::Poisoned);
    stage.board.draining();
    assert_eq!(state(&stage).0, ModelState::Draining);
    // And a drain is not undone by the next spoilt answer.
    stage.board.poisoned("again".to_owned());
    assert_eq!(state(&stage).0, ModelState::Draining);
}

#[test]
fn no_limit_never_closes_the_door() {
    let mut stage = Stage::with(moody(), config(0));
    for _ in 0..20 {
        run(&mut stage, "bang").unwrap_err();
    }
    assert_eq!(state(&stage).0, ModelState::Ready);
}
