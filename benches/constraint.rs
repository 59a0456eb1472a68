//! Times what constrained decoding adds to an answer: making the grammar ready, and for each choice
//! the tokens that may come next (computed beside the forward pass) and what follows from the choice
//! (on the step thread).
//!
//! `cargo bench --bench constraint [-- DIR VOCAB_SIZE]` prints one JSON object a line: microseconds.
//! `DIR` is a model directory, of which only the tokenizer is read.

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use tessera::checkpoint::Checkpoint;
use tessera::constraint::Vocabulary;
use tessera::prompt::{PromptOptions, Prompter};
use tessera::schema::{DocumentKind, Schema};

/// Tokens of the embedded model.
const VOCAB_SIZE: usize = 1024;

/// An answer for each kind of document.
const ANSWERS: [(DocumentKind, &str); 3] = [
    (DocumentKind::Receipt, include_str!("../models/tessera-tiny/samples/receipt-01.json")),
    (DocumentKind::Invoice, include_str!("../models/tessera-tiny/samples/invoice-03.json")),
    (
        DocumentKind::BankStatement,
        include_str!("../models/tessera-tiny/samples/bank-statement-01.json"),
    ),
];

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with("--")).collect();
    let (checkpoint, vocab_size) = match &args[..] {
        [dir, size] => (Checkpoint::open(Path::new(dir))?, size.parse()?),
        _ => (Checkpoint::Embedded, VOCAB_SIZE),
    };
    let prompter = Arc::new(Prompter::load(&checkpoint, &PromptOptions::default())?);
    let start = Instant::now();
    let vocabulary = Vocabulary::of(&prompter, vocab_size)?;
    println!(
        "{{\"tokens\": {vocab_size}, \"vocabulary_ms\": {:.1}}}",
        start.elapsed().as_secs_f64() * 1e3
    );
    for (kind, sample) in ANSWERS {
        let sample: serde_json::Value = serde_json::from_str(sample)?;
        let fields = sample["fields"].as_object().ok_or("a sample has fields")?;
        let pairs: Vec<String> =
            fields.iter().map(|(name, value)| format!("\"{name}\": {value}")).collect();
        measure(&prompter, &vocabulary, kind, &format!("{{{}}}", pairs.join(", ")))?;
    }
    Ok(())
}

fn measure(
    prompter: &Prompter,
    vocabulary: &Vocabulary,
    kind: DocumentKind,
    answer: &str,
) -> Result<(), Box<dyn Error>> {
    let grammar = Schema::of(kind).grammar();
    let start = Instant::now();
    drop(vocabulary.constrain(&grammar)?);
    let compile_us = start.elapsed().as_secs_f64() * 1e6;
    let start = Instant::now();
    let mut constraint = vocabulary.constrain(&grammar)?;
    let again_us = start.elapsed().as_secs_f64() * 1e6;

    let (mut masks, mut takes) = (Vec::new(), Vec::new());
    let mut said: Vec<u8> = Vec::new();
    let mut forced = 0;
    loop {
        let start = Instant::now();
        let tokens = constraint.forced()?;
        let over = constraint.is_over()?;
        takes.push(start.elapsed().as_secs_f64() * 1e6);
        forced += tokens.len();
        said.extend(tokens.iter().flat_map(|&id| prompter.token_bytes(id)));
        let rest = answer.as_bytes().strip_prefix(&said[..]).ok_or("the answer is another one")?;
        if over {
            break;
        }
        let rest = std::str::from_utf8(rest)?;
        let start = Instant::now();
        constraint.mask()?;
        masks.push(start.elapsed().as_secs_f64() * 1e6);
        let token = prompter.encode(rest)?.first().copied().ok_or("the answer ends")?;
        said.extend_from_slice(prompter.token_bytes(token));
        let start = Instant::now();
        constraint.take(token)?;
        if let Some(last) = takes.last_mut() {
            *last += start.elapsed().as_secs_f64() * 1e6;
        }
    }
    println!(
        "{{\"kind\": \"{}\", \"compile_us\": {compile_us:.0}, \"again_us\": {again_us:.0}, \"chosen\": {}, \
         \"forced\": {forced}, \"mask_us\": {}, \"take_us\": {}}}",
        kind.name(),
        masks.len(),
        spread(&mut masks),
        spread(&mut takes)
    );
    Ok(())
}

/// Mean, median, 99th percentile and greatest.
fn spread(times: &mut [f64]) -> String {
    times.sort_by(f64::total_cmp);
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize];
    let mean = times.iter().sum::<f64>() / times.len() as f64;
    format!("[{mean:.0}, {:.0}, {:.0}, {:.0}]", at(0.5), at(0.99), at(1.0))
}
