//! What trips, what must never trip, and what it costs.

use std::fs;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::time::Instant;

use serde_json::Value;
use tokenizers::Tokenizer;

use super::*;
use crate::checkpoint::Checkpoint;

/// How often a page may say the same thing in the tests: more lines than any page has.
const MANY: usize = 250;

/// A text as the tokens of a vocabulary, each with its part of the text.
type Stream = Vec<(u32, String)>;

/// One token for each character: the longest stream that a text can be.
fn letters(text: &str) -> Stream {
    text.chars().map(|character| (u32::from(character), character.to_string())).collect()
}

/// As the embedded model writes it.
fn tokens(tokenizer: &Tokenizer, text: &str) -> Stream {
    let encoding = tokenizer.encode(text, false).unwrap();
    let part = |&(start, end): &(usize, usize)| text.get(start..end).unwrap_or("").to_owned();
    let parts = encoding.get_offsets().iter().map(part);
    encoding.get_ids().iter().copied().zip(parts).collect()
}

fn tokenizer() -> Tokenizer {
    Tokenizer::from_bytes(Checkpoint::Embedded.require("tokenizer.json").unwrap()).unwrap()
}

/// Where and why `stream`, which is cut then, trips.
fn trip(stream: &Stream, pages: usize) -> Result<(), (usize, Trip)> {
    trip_of(stream, pages, |_| None)
}

/// The same, of a model that gives the tokens these probabilities.
fn trip_of(
    stream: &Stream,
    pages: usize,
    probability: impl Fn(usize) -> Option<f32>,
) -> Result<(), (usize, Trip)> {
    let mut guard = GuardConfig::default().watch(pages).unwrap();
    for (at, (token, text)) in stream.iter().enumerate() {
        let logprob = probability(at).map(f32::ln);
        guard.see(*token, text, logprob).map_err(|trip| (at, trip))?;
    }
    guard.cut().map_err(|trip| (stream.len(), trip))
}

/// The checked-in true answers: all documents of the browser set and all samples.
fn held_out() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut answers = Vec::new();
    for dir in ["models/training/holdout/data", "models/tessera-tiny/samples"] {
        for entry in fs::read_dir(root.join(dir)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "json") {
                let truth: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
                answers.push((path, truth["fields"].to_string()));
            }
        }
    }
    answers
}

/// Answers that repeat themselves because their documents do.
fn repetitive() -> Vec<(&'static str, String)> {
    let list = |item: &str| vec![item; MANY].join(" | ");
    let rows = |row: &str| format!("{row}\n").repeat(MANY);
    vec![
        ("zeros", list("0.00")),
        ("zeros as numbers", format!("[{}]", vec!["0"; MANY].join(", "))),
        ("quantities of one", list("1")),
        ("dashes for amounts", list("-")),
        ("nothing found", list("NOT_FOUND")),
        ("the same date", list("01/07/2024")),
        ("the same true", list("true")),
        ("empty strings", format!("[{}]", vec![r#""""#; MANY].join(", "))),
        ("empty lists", format!("[{}]", vec!["[]"; MANY].join(","))),
        ("nulls", format!("[{}]", vec!["null"; MANY].join(", "))),
        ("rows without values", rows("NOT_FOUND | NOT_FOUND | NOT_FOUND")),
        ("rows of zeros", rows("| 0.00 | 0.00 | 0.00 |")),
        ("blank cells", rows("|  |  |  |  |")),
        // 132 columns of a line printer, and small print across A4.
        ("a ruled line", "=".repeat(234)),
        ("a dashed line", "-".repeat(234)),
        ("a spaced line", "- ".repeat(117)),
        ("leader dots", format!("Balance brought forward {} 12.50", ".".repeat(200))),
        ("blanks to fill in", "_".repeat(234)),
        ("lines under lines", rows(&"=".repeat(60))),
        ("a till's separators", rows(&format!("{}\nMILK 2L 3.10\n", "-".repeat(40)))),
        ("masked numbers", rows("**** **** **** 1234")),
        ("a bus fare a day", r#"{"description": "Bus fare", "total": "2.80"}, "#.repeat(120)),
        ("the same line item", list("Standard delivery charge")),
        ("some joy", format!("{} Thank you!!! ", "SALE! ").repeat(20)),
        ("a flyer", rows("HOT DEAL!!! Half price on all garden tools this week only")),
    ]
}

#[test]
fn true_answers_never_trip() {
    let tokenizer = tokenizer();
    let answers = held_out();
    assert!(answers.len() >= 108, "{} answers", answers.len());
    for (path, answer) in &answers {
        assert_eq!(trip(&tokens(&tokenizer, answer), 1), Ok(()), "{}", path.display());
        assert_eq!(trip(&letters(answer), 1), Ok(()), "{}", path.display());
    }
    let all: String = answers.into_iter().map(|(_, answer)| answer).collect();
    assert_eq!(trip(&tokens(&tokenizer, &all), 1), Ok(()));
}

#[test]
fn documents_that_repeat_themselves_never_trip() {
    let tokenizer = tokenizer();
    for (name, answer) in repetitive() {
        assert_eq!(trip(&tokens(&tokenizer, &answer), 1), Ok(()), "{name}");
        assert_eq!(trip(&letters(&answer), 1), Ok(()), "{name}, letter by letter");
    }
}

#[test]
fn more_pages_may_repeat_more() {
    let statement = vec!["NOT_FOUND"; 16 * MANY].join(" | ");
    let stream = tokens(&tokenizer(), &statement);
    assert_eq!(trip(&stream, 16), Ok(()));
    assert!(trip(&stream, 15).is_err());
}

#[test]
fn bangs_trip_beyond_their_share() {
    for (text, expected) in [
        // 19 of 64 are less than 30 %, 20 are more.
        ("!".repeat(19) + &"a".repeat(45), Ok(())),
        ("!".repeat(20) + &"a".repeat(44), Err((63, Trip::Bangs { bangs: 20, characters: 64 }))),
        // However well it began.
        ("a".repeat(200) + &"!".repeat(64), Err((219, Trip::Bangs { bangs: 20, characters: 64 }))),
        // What fell out of the window does not count.
        ("a".repeat(64) + &("!".repeat(19) + &"é".repeat(64)).repeat(9), Ok(())),
        // A cut answer is judged as a whole, if it is long enough to say something.
        ("!".repeat(16), Err((16, Trip::Bangs { bangs: 16, characters: 16 }))),
        ("!".repeat(15), Ok(())),
        ("Half price on garden tools!!!!".to_owned(), Ok(())),
    ] {
        // Odd and even tokens, so that it is no loop.
        assert_eq!(trip(&letters(&text), 1), expected, "{text}");
    }
}

#[test]
fn a_token_of_many_bangs_trips() {
    let stream = vec![(0, "!!!!!!!!".to_owned()); 64];
    assert_eq!(trip(&stream, 1), Err((7, Trip::Bangs { bangs: 64, characters: 64 })));
}

#[test]
fn a_short_answer_that_ends_may_have_bangs() {
    let mut guard = GuardConfig::default().watch(1).unwrap();
    for (token, text) in letters("Sale!!!!!!!!!!!!!!!!!!!!") {
        assert_eq!(guard.see(token, &text, None), Ok(()));
    }
}

#[test]
fn loops_trip_when_no_page_has_so_many_lines() {
    let repeats = GuardConfig::default().repeats;
    for period in 1..=PERIOD_MAX {
        let stream = looped(period, 20_000);
        let tokens = repeats * period;
        let expected = Trip::Loop { period, count: repeats };
        assert_eq!(trip(&stream, 1), Err((100 + tokens - 1, expected)), "{period}");
    }
}

/// `period` tokens again and again, after some others.
fn looped(period: usize, tokens: usize) -> Stream {
    let prefix = (1000..1100).map(|token| (token, String::new()));
    let piece = (0..period as u32).map(|token| (token, String::new()));
    prefix.chain(piece.cycle().take(tokens)).collect()
}

#[test]
fn a_loop_of_which_the_model_is_unsure_trips_after_a_few_rounds() {
    for period in 1..=PERIOD_MAX {
        let tokens = 64.max(4 * period);
        let tripped = trip_of(&looped(period, 20_000), 1, |_| Some(0.02));
        let Err((at, Trip::Unsure { period: seen, count, probability })) = tripped else {
            panic!("{period}: {tripped:?}")
        };
        assert_eq!((at, seen, count), (100 + tokens - 1, period, tokens / period), "{period}");
        assert!((probability - 0.02).abs() < 1e-6, "{probability}");
    }
}

#[test]
fn how_sure_is_judged_by_the_loop_alone() {
    // What came before the loop does not matter, nor do tokens that were forced.
    let stream = looped(8, 200);
    let after_doubt = |at: usize| Some(if at < 100 { 0.001 } else { 0.5 });
    assert_eq!(trip_of(&stream, 1, after_doubt), Ok(()));
    let one_of_eight = |at: usize| at.is_multiple_of(8).then_some(0.02);
    assert!(matches!(trip_of(&stream, 1, one_of_eight), Err((_, Trip::Unsure { .. }))));
    // One doubtful token in each round is a hard word: the others make up for it.
    let hard_word = |at: usize| Some(if at.is_multiple_of(8) { 0.001 } else { 0.99 });
    assert_eq!(trip_of(&stream, 1, hard_word), Ok(()));
    // A model that loses heart goes on until its last tokens say so.
    let losing_heart = |at: usize| Some(if at < 300 { 0.9 } else { 0.01 });
    let tripped = trip_of(&looped(8, 2000), 1, losing_heart);
    assert!(matches!(tripped, Err((at, Trip::Unsure { .. })) if at < 600), "{tripped:?}");
}

#[test]
fn a_cut_answer_needs_less_of_a_loop() {
    let cut = |period: usize, tokens: usize, probability: f32| {
        trip_of(&looped(period, tokens), 1, |_| Some(probability)).map_err(|(_, trip)| trip)
    };
    assert!(matches!(cut(4, 16, 0.02), Err(Trip::Unsure { period: 4, count: 4, .. })));
    assert!(matches!(cut(1, 16, 0.02), Err(Trip::Unsure { period: 1, count: 16, .. })));
    for (period, tokens, probability) in [(4, 15, 0.02), (1, 15, 0.02), (8, 31, 0.02), (4, 16, 0.2)]
    {
        assert_eq!(cut(period, tokens, probability), Ok(()), "{period} {tokens}");
    }
}

#[test]
fn documents_that_repeat_themselves_never_trip_a_model_that_reads_them() {
    let tokenizer = tokenizer();
    for (name, answer) in repetitive() {
        for stream in [tokens(&tokenizer, &answer), letters(&answer)] {
            assert_eq!(trip_of(&stream, 1, |_| Some(0.2)), Ok(()), "{name}");
        }
    }
}

#[test]
fn a_loop_with_progress_is_none() {
    // One token in each round is new: a list that counts.
    let round = |number: u32| [7, 8, 9, 10_000 + number].map(|token| (token, String::new()));
    let stream: Stream = (0..20_000).flat_map(round).collect();
    assert_eq!(trip(&stream, 1), Ok(()));
}

#[test]
fn an_answer_without_text_is_watched_too() {
    let stream: Stream = vec![(1019, String::new()); 300];
    assert_eq!(trip(&stream, 1), Err((255, Trip::Loop { period: 1, count: 256 })));
}

#[test]
fn thresholds_are_the_operators() {
    let config = GuardConfig { bang_ratio: 1.0, repeats: 3, ..GuardConfig::default() };
    let mut guard = config.watch(1).unwrap();
    let seen: Vec<_> = (0..3).map(|_| guard.see(5, "!", None)).collect();
    assert_eq!(seen, [Ok(()), Ok(()), Err(Trip::Loop { period: 1, count: 3 })]);
    assert!(GuardConfig { on: false, ..config }.watch(1).is_none());
}

/// `cargo test --release --lib cost_of_a_token -- --ignored --nocapture`
#[test]
#[ignore = "a measurement"]
fn cost_of_a_token() {
    let stream =
        tokens(&tokenizer(), &held_out().into_iter().map(|(_, text)| text).collect::<String>());
    let mut best = f64::INFINITY;
    for _ in 0..50 {
        let mut guard = GuardConfig::default().watch(1).unwrap();
        let start = Instant::now();
        for (token, text) in &stream {
            assert_eq!(
                black_box(&mut guard).see(black_box(*token), black_box(text), Some(-0.01)),
                Ok(())
            );
        }
        best = best.min(start.elapsed().as_secs_f64() * 1e9 / stream.len() as f64);
    }
    println!("{} tokens, {best:.1} ns a token", stream.len());
    println!("{} bytes an answer", size_of::<Guard>());
    assert!(best < 5000.0, "{best} ns a token is too much for 0.5 % of a 1 ms step");
}
