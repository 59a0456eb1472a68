//! Answers that are held to a grammar, among others that are not.

use serde_json::Value;

use super::*;
use crate::constraint::ConstraintError;
use crate::engine::FinishReason;
use crate::schema::{Absent, DocumentKind, Grammar, Kind, Property, Schema};

fn property(name: &str, kind: Kind) -> Property {
    Property::new(name, kind, Absent::Null)
}

/// A few short values.
pub(super) fn schema() -> Schema {
    Schema::new(vec![
        property("supplier", Kind::Text { chars_min: 0, chars_max: 12 }),
        property("count", Kind::Integer),
        property("paid", Kind::Boolean),
        property("day", Kind::Date),
    ])
    .unwrap()
}

fn held(question: &str, grammar: Grammar) -> Job {
    Job { grammar: Some(grammar), scores: true, output_tokens_max: 400, ..job(question, &[1]) }
}

/// A model whose logits are noise.
fn noise() -> Options {
    let mut options = Options::default();
    options.spec.slot_tokens = 600;
    options
}

fn document(done: &Done) -> Value {
    serde_json::from_str(&done.text).unwrap_or_else(|error| panic!("{error}: {}", done.text))
}

#[test]
fn noise_becomes_a_document() {
    let mut stage = Stage::new(noise());
    for index in 0..40 {
        let temperature = if index % 2 == 0 { 0.0 } else { 1.5 };
        let sampling = Sampling { temperature, top_p: 0.9, seed: index, ..Sampling::GREEDY };
        let question = format!("question {index}");
        let job = Job { sampling, ..held(&question, schema().grammar()) };
        let mut events = stage.submit(job).unwrap();
        stage.settle();
        let done = finished(&mut events).unwrap();
        assert_eq!(done.finish_reason, FinishReason::Stop, "{}", done.text);
        let document = document(&done);
        let names: Vec<&String> = document.as_object().unwrap().keys().collect();
        assert_eq!(names, ["supplier", "count", "paid", "day"]);
        assert_eq!(done.usage.output_tokens, done.text.len(), "a byte each here");
    }
    stage.assert_empty();
}

/// What the schema says is taken in without asking the model.
#[test]
fn forced_tokens_cost_no_steps() {
    let mut stage = Stage::new(noise());
    let mut events = stage.submit(held("question", schema().grammar())).unwrap();
    stage.settle();
    let items = read(&mut events);
    let scores: usize = texts(&items).iter().map(|text| text.scores.len()).sum();
    let done = check_stream(items).unwrap();
    let steps = stage.probe.steps.load(Ordering::Relaxed);
    let names = r#"{"supplier": , "count": , "paid": , "day": }"#.len();
    assert!(steps + names <= done.usage.output_tokens + 6, "{steps} steps for {}", done.text);
    assert!(scores > 0 && scores < steps, "{scores} of {steps}: only what was chosen has a score");
}

#[test]
fn an_answer_does_not_depend_on_what_else_runs() {
    let alone = |question: &str| {
        let mut stage = Stage::new(noise());
        let mut events = stage.submit(held(question, schema().grammar())).unwrap();
        stage.settle();
        finished(&mut events).unwrap().text
    };
    let mut stage = Stage::new(noise());
    let questions = ["one", "two", "three"];
    let mut streams: Vec<_> = questions
        .iter()
        .map(|question| stage.submit(held(question, schema().grammar())).unwrap())
        .collect();
    let mut free = stage.submit(job("free", &[1])).unwrap();
    stage.settle();
    for (question, events) in questions.iter().zip(&mut streams) {
        assert_eq!(finished(events).unwrap().text, alone(question));
    }
    assert_eq!(finished(&mut free).unwrap().finish_reason, FinishReason::Length);
}

#[test]
fn a_model_that_wants_something_else_is_held() {
    let mut stage = Stage::new(Options { spec: noise().spec, ..answering("Total: 12") });
    let grammar = Grammar::one_of(DocumentKind::ALL.map(DocumentKind::name));
    let mut events = stage.submit(held("question", grammar)).unwrap();
    stage.settle();
    let done = finished(&mut events).unwrap();
    assert!(DocumentKind::from_name(&done.text).is_some(), "{}", done.text);
    assert_eq!(done.finish_reason, FinishReason::Stop);
}

/// The limit counts forced tokens too, wherever in them it falls.
#[test]
fn the_limit_is_exact() {
    for most in 1..40 {
        let mut stage = Stage::new(noise());
        let job = Job { output_tokens_max: most, ..held("question", schema().grammar()) };
        let mut events = stage.submit(job).unwrap();
        stage.settle();
        let done = finished(&mut events).unwrap();
        assert_eq!((done.finish_reason, done.usage.output_tokens), (FinishReason::Length, most));
        assert_eq!(done.text.len(), most);
        stage.assert_empty();
    }
}

/// The step has begun before it is known that no mask comes.
#[test]
fn an_answer_whose_parser_is_lost_ends_alone() {
    let mut stage = Stage::new(noise());
    let mut lost = stage.submit(held(LOST, schema().grammar())).unwrap();
    let mut other = stage.submit(held("question", schema().grammar())).unwrap();
    stage.settle();
    let error = finished(&mut lost).unwrap_err();
    assert!(matches!(error, EngineError::Constraint(ConstraintError::Answer { .. })), "{error}");
    assert!(document(&finished(&mut other).unwrap()).is_object());
    stage.assert_empty();
}

#[test]
fn a_grammar_that_is_none_ends_the_request_before_it_is_accepted() {
    let mut stage = Stage::new(noise());
    let mut events = stage.submit(held("question", Grammar::broken())).unwrap();
    stage.settle();
    let items = read(&mut events);
    assert!(matches!(items[..], [Err(EngineError::Constraint(_))]), "{items:?}");
}
