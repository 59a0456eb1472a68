//! How answers end that are held to a schema, by models that know nothing: whole, by the guard, or at the limit of
//! their tokens, but never there among blanks or in a loop.

use std::collections::BTreeMap;

use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use super::*;
use crate::engine::{FinishReason, GuardConfig};
use crate::model::fake::Circles;
use crate::schema::{Absent, DocumentKind, Kind, Property, Schema};

/// As many as `--max-output-tokens` allows where nobody says otherwise.
const LIMIT: usize = 1024;

/// Logits of models lie between 0 and this, as far as those of small random weights do.
const SURENESS: f32 = 4.0;

/// How an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Ended {
    Whole,
    /// By the guard.
    Guarded,
    /// At the limit: among blanks, in a loop, or somewhere else.
    Blank,
    Looping,
    Elsewhere,
}

/// Said without the guard's own arithmetic: the last 32 characters repeat one piece at least four times, or the
/// last 64 do.
fn is_loop(text: &str) -> bool {
    let repeats =
        |tail: &[u8], period: usize| (period..tail.len()).all(|at| tail[at] == tail[at - period]);
    let tail = |len: usize| text.as_bytes().last_chunk::<64>().map(|tail| &tail[64 - len..]);
    let of = |len: usize| tail(len).is_some_and(|tail| (1..=len / 4).any(|p| repeats(tail, p)));
    of(32) || of(64)
}

fn ended(done: Result<Done, EngineError>) -> Ended {
    match done {
        Ok(done) if done.finish_reason == FinishReason::Stop => Ended::Whole,
        Ok(done) => {
            assert_eq!(done.usage.output_tokens, LIMIT, "{}", done.text);
            if done.text.ends_with("    ") {
                Ended::Blank
            } else if is_loop(&done.text) {
                Ended::Looping
            } else {
                Ended::Elsewhere
            }
        }
        Err(EngineError::Repetition { .. } | EngineError::Gibberish { .. }) => Ended::Guarded,
        Err(error) => panic!("{error}"),
    }
}

/// A schema with much room for loops: long texts, long lists, lists of objects.
fn roomy() -> Schema {
    let text = |chars_max| Kind::Text { chars_min: 0, chars_max };
    let property = |name: &str, kind: Kind| Property::new(name, kind, Absent::Never);
    let line = Kind::Object(vec![property("what", text(40)), property("count", Kind::Integer)]);
    Schema::new(vec![
        property("title", text(2048)),
        property("words", Kind::List { item: Box::new(text(20)), items_min: 0, items_max: 256 }),
        property("lines", Kind::List { item: Box::new(line), items_min: 0, items_max: 256 }),
        property("numbers", Kind::list_of(Kind::Integer)),
    ])
    .unwrap()
}

/// One answer of a model with random weights: how it ends.
fn run(number: u64, guard: GuardConfig) -> Ended {
    let mut rng = ChaCha8Rng::seed_from_u64(number);
    let mut options = Options::default();
    (options.spec.slots, options.spec.slot_tokens) = (1, LIMIT + 80);
    // Half of them go in circles, the others draw what is as likely as anything else.
    let memory = rng.random_range(0..4);
    let greedy = number.is_multiple_of(2);
    if greedy {
        options.script =
            Script::Circles(Circles { seed: rng.random(), memory, sureness: SURENESS });
    }
    let temperature = if greedy { 0.0 } else { 1.0 };
    let schema = match number / 2 % 4 {
        3 => roomy(),
        kind => Schema::of(DocumentKind::ALL[kind as usize]),
    };
    let lines = (number / 8).is_multiple_of(4);
    let grammar = lines.then(|| schema.grammar_of_lines()).flatten();
    let grammar = grammar.unwrap_or_else(|| schema.grammar());
    let config = Config { events_buffered: 2 * LIMIT, guard, ..Config::default() };
    let mut stage = Stage::with(options, config);
    let sampling = Sampling { temperature, seed: number, ..Sampling::GREEDY };
    let job = Job {
        grammar: Some(grammar),
        // The guard asks how sure the model is in any case.
        scores: number.is_multiple_of(3),
        output_tokens_max: LIMIT,
        sampling,
        ..job(&format!("question {number}"), &[1])
    };
    let mut events = stage.submit(job).unwrap();
    stage.settle();
    ended(finished(&mut events))
}

fn endings(runs: u64, guard: GuardConfig) -> BTreeMap<Ended, usize> {
    let mut endings = BTreeMap::new();
    for number in 0..runs {
        *endings.entry(run(number, guard)).or_default() += 1;
    }
    println!("{endings:?}");
    endings
}

fn check(endings: &BTreeMap<Ended, usize>) {
    assert_eq!(endings.get(&Ended::Blank), None);
    assert_eq!(endings.get(&Ended::Looping), None);
}

#[test]
fn no_answer_reaches_the_limit_among_blanks_or_in_a_loop() {
    let endings = endings(96, GuardConfig::default());
    check(&endings);
    // Both are seen here, or nothing was tried.
    assert!(endings[&Ended::Whole] > 0 && endings[&Ended::Guarded] > 0, "{endings:?}");
}

/// The same answers: it is the look at how sure the model is that ends them.
#[test]
fn without_it_answers_reach_the_limit_in_a_loop() {
    let endings = endings(96, GuardConfig { unsure: 0.0, ..GuardConfig::default() });
    assert!(endings.get(&Ended::Looping).is_some_and(|count| *count > 0), "{endings:?}");
}

/// `cargo test --lib ten_thousand_answers -- --ignored --nocapture`
#[test]
#[ignore = "takes many minutes"]
fn ten_thousand_answers() {
    check(&endings(10_000, GuardConfig::default()));
}

/// What is not ended: a model that goes in circles and is sure of it says what a page of equal lines would have it
/// say. It ends by the greatest lengths, or at the limit, as such a page does.
#[test]
fn a_model_that_is_sure_of_its_circles_is_taken_at_its_word() {
    let mut options = Options::default();
    (options.spec.slots, options.spec.slot_tokens) = (1, LIMIT + 80);
    let text = r#"{"numbers": ["#.to_owned() + &"0, ".repeat(100) + "0]}";
    options.script = answering(&text).script;
    let numbers = Kind::List { item: Box::new(Kind::Integer), items_min: 0, items_max: 256 };
    let schema = Schema::new(vec![Property::new("numbers", numbers, Absent::Never)]).unwrap();
    let config = Config { events_buffered: 2 * LIMIT, ..Config::default() };
    let mut stage = Stage::with(options, config);
    let grammar = Some(schema.grammar());
    let job = Job { grammar, scores: true, output_tokens_max: LIMIT, ..job("question", &[1]) };
    let mut events = stage.submit(job).unwrap();
    stage.settle();
    assert_eq!(finished(&mut events).unwrap().text, text);
}
