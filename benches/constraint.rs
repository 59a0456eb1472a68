//! Times what constrained decoding adds to an answer: making the grammar ready, for each choice the tokens
//! that may come next and what follows from the choice, and what is left of that in a decoding step.
//!
//! `cargo bench --bench constraint [-- DIR VOCAB_SIZE]` prints one JSON object a line, times in
//! microseconds as [mean, median, 99th percentile, greatest]. `DIR` is a model directory, of which only the
//! tokenizer is read. Without it: the embedded model's 1,024 tokens, and a made-up vocabulary of the size of
//! InternVL3's, 151,674 tokens of words, parts and punctuation.

use std::collections::HashMap;
use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tessera::checkpoint::Checkpoint;
use tessera::constraint::{Begun, Constraint, Vocabulary, each};
use tessera::prompt::{PromptOptions, Prompter};
use tessera::schema::{DocumentKind, Schema};

/// Tokens of the embedded model.
const VOCAB_SIZE: usize = 1024;

/// Tokens of InternVL3, all sizes.
const FULL_SIZE: usize = 151_674;

/// Answers of a kind, one after the other: a parser that has read one is faster.
const ANSWERS_IN_TURN: usize = 3;

/// Masks of an answer that are shown with their places, and characters of each place.
const DEAREST: usize = 8;
const DEAR_CHARS: usize = 24;

/// Sequences of a step.
const ROWS: [usize; 3] = [1, 16, 64];

/// Steps of each case: half of them with the answers' parsers on one thread.
const STEPS: usize = 120;

/// Forward passes that masks are computed beside: none; 8B on an H100 at batch 1, and at batch 64.
const PASSES_US: [u64; 3] = [0, 5450, 8720];

/// An answer for each kind of document.
const ANSWERS: [(DocumentKind, &str); 3] = [
    (DocumentKind::Receipt, include_str!("../models/tessera-tiny/samples/receipt-01.json")),
    (DocumentKind::Invoice, include_str!("../models/tessera-tiny/samples/invoice-03.json")),
    (
        DocumentKind::BankStatement,
        include_str!("../models/tessera-tiny/samples/bank-statement-01.json"),
    ),
];

/// Words that a tokenizer of that size has most of.
const WORDS: &str = include_str!("../models/training/wordlists/words.txt");

/// Cuts text into tokens.
type Encode = Arc<dyn Fn(&str) -> Vec<u32> + Send + Sync>;

/// A way to write text in tokens.
struct Writer {
    name: String,
    vocabulary: Vocabulary,
    words: Vec<Vec<u8>>,
    encode: Encode,
}

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with("--")).collect();
    let writers = match &args[..] {
        [dir, size] => vec![Writer::of(&Checkpoint::open(Path::new(dir))?, size.parse()?)?],
        _ => vec![Writer::of(&Checkpoint::Embedded, VOCAB_SIZE)?, Writer::made_up()?],
    };
    for writer in &writers {
        for (kind, sample) in ANSWERS {
            for number in 1..=ANSWERS_IN_TURN {
                alone(writer, kind, &answer(sample)?, number)?;
                // The parser goes back on another thread.
                std::thread::sleep(Duration::from_millis(20));
            }
        }
        for rows in ROWS {
            for pass in PASSES_US {
                in_steps(writer, rows, Duration::from_micros(pass))?;
            }
        }
    }
    Ok(())
}

/// The sample's fields as the model writes them.
fn answer(sample: &str) -> Result<String, Box<dyn Error>> {
    let sample: serde_json::Value = serde_json::from_str(sample)?;
    let fields = sample["fields"].as_object().ok_or("a sample has fields")?;
    let pairs: Vec<String> =
        fields.iter().map(|(name, value)| format!("\"{name}\": {value}")).collect();
    Ok(format!("{{{}}}", pairs.join(", ")))
}

// === impl Writer ===

impl Writer {
    fn of(checkpoint: &Checkpoint, size: usize) -> Result<Self, Box<dyn Error>> {
        let prompter = Arc::new(Prompter::load(checkpoint, &PromptOptions::default())?);
        let words = (0..size as u32).map(|id| prompter.token_bytes(id).to_vec()).collect();
        let start = Instant::now();
        let vocabulary = Vocabulary::of(&prompter, size)?;
        let encode = move |text: &str| prompter.encode(text).unwrap_or_default();
        Ok(Self::timed(checkpoint.name(), vocabulary, words, Arc::new(encode), start))
    }

    fn made_up() -> Result<Self, Box<dyn Error>> {
        let words = made_up_words();
        let mut ids: HashMap<Vec<u8>, u32> = HashMap::new();
        for (id, word) in words.iter().enumerate() {
            ids.insert(word.clone(), id as u32);
        }
        let longest = words.iter().map(Vec::len).max().unwrap_or(1);
        // The longest token that fits, again and again.
        let encode = move |text: &str| {
            let (mut rest, mut tokens) = (text.as_bytes(), Vec::new());
            while !rest.is_empty() {
                let mut lengths = (1..=longest.min(rest.len())).rev();
                let Some((id, len)) = lengths.find_map(|len| Some((*ids.get(&rest[..len])?, len)))
                else {
                    break;
                };
                tokens.push(id);
                rest = &rest[len..];
            }
            tokens
        };
        let encode: Encode = Arc::new(encode);
        let start = Instant::now();
        let its_own = Arc::clone(&encode);
        let stop = FULL_SIZE as u32 - 1;
        let vocabulary = Vocabulary::new(words.clone(), &[stop], move |text| its_own(text))?;
        Ok(Self::timed("made-up".to_owned(), vocabulary, words, encode, start))
    }

    fn timed(
        name: String,
        vocabulary: Vocabulary,
        words: Vec<Vec<u8>>,
        encode: Encode,
        start: Instant,
    ) -> Self {
        println!(
            "{{\"vocabulary\": \"{name}\", \"tokens\": {}, \"ready_ms\": {:.1}}}",
            words.len(),
            start.elapsed().as_secs_f64() * 1e3
        );
        Self { name, vocabulary, words, encode }
    }

    /// The token that `rest` goes on with.
    fn next(&self, rest: &str) -> Result<u32, Box<dyn Error>> {
        // No token is longer than this; a whole answer would be cut anew each time.
        let most = rest.char_indices().map(|(at, _)| at).nth(48).unwrap_or(rest.len());
        Ok((self.encode)(&rest[..most]).first().copied().ok_or("the answer ends")?)
    }
}

/// Every byte, pairs of punctuation, and words in four spellings, until there are enough.
fn made_up_words() -> Vec<Vec<u8>> {
    let mut words: Vec<Vec<u8>> = (0..=255u8).map(|byte| vec![byte]).collect();
    let mut known: std::collections::HashSet<Vec<u8>> = words.iter().cloned().collect();
    let punctuation: Vec<u8> = (b'!'..=b'~').filter(u8::is_ascii_punctuation).collect();
    let pairs = punctuation.iter().flat_map(|&a| {
        punctuation.iter().flat_map(move |&b| [vec![a, b], vec![b' ', a], vec![a, b' ', b]])
    });
    let capital = |word: &str| {
        let mut letters = word.chars();
        letters
            .next()
            .map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
    };
    let spelt = WORDS.lines().flat_map(|word| {
        [word.to_owned(), format!(" {word}"), capital(word), format!(" {}", capital(word))]
    });
    for word in pairs.chain(spelt.map(String::into_bytes)) {
        // The last is the one that ends an answer.
        if words.len() == FULL_SIZE - 1 {
            break;
        }
        if known.insert(word.clone()) {
            words.push(word);
        }
    }
    // Where the list is too short, parts of its words.
    let mut number = 0;
    while words.len() < FULL_SIZE {
        let word = format!("zq{number:x}").into_bytes();
        number += 1;
        if known.insert(word.clone()) {
            words.push(word);
        }
    }
    words
}

/// An answer on its way.
struct Answer<'a> {
    constraint: Constraint,
    text: &'a str,
    said: usize,
}

impl Answer<'_> {
    /// Takes in what must come. None where the answer is whole.
    fn forced(&mut self, writer: &Writer) -> Result<Option<usize>, Box<dyn Error>> {
        let tokens = self.constraint.forced()?;
        self.said += tokens.iter().map(|&id| writer.words[id as usize].len()).sum::<usize>();
        Ok((!self.constraint.is_over()?).then_some(tokens.len()))
    }

    /// The token that comes next.
    fn choose(&mut self, writer: &Writer) -> Result<u32, Box<dyn Error>> {
        let token = writer.next(self.text.get(self.said..).ok_or("the answer is another one")?)?;
        let mask = self.constraint.mask()?;
        if mask[token as usize / 32] >> (token % 32) & 1 == 0 {
            return Err(format!("{token} is ruled out after {:?}", &self.text[..self.said]).into());
        }
        self.said += writer.words[token as usize].len();
        Ok(token)
    }
}

/// One answer, on this thread: what each part of it costs.
fn alone(
    writer: &Writer,
    kind: DocumentKind,
    text: &str,
    number: usize,
) -> Result<(), Box<dyn Error>> {
    let grammar = Schema::of(kind).grammar();
    let start = Instant::now();
    let constraint = writer.vocabulary.constrain(&grammar)?;
    let begin = start.elapsed();
    let mut answer = Answer { constraint, text, said: 0 };
    let (mut masks, mut takes, mut forced) = (Vec::new(), Vec::new(), 0);
    let mut dear: Vec<(f64, usize)> = Vec::new();
    let mut took = Duration::ZERO;
    loop {
        let start = Instant::now();
        let more = answer.forced(writer)?;
        takes.push((took + start.elapsed()).as_secs_f64() * 1e6);
        let Some(tokens) = more else { break };
        forced += tokens;
        let start = Instant::now();
        answer.constraint.mask()?;
        let mask = start.elapsed().as_secs_f64() * 1e6;
        masks.push(mask);
        dear.push((mask, answer.said));
        let token = answer.choose(writer)?;
        let start = Instant::now();
        answer.constraint.take(token)?;
        took = start.elapsed();
    }
    println!(
        "{{\"vocabulary\": \"{}\", \"kind\": \"{}\", \"answer\": {number}, \"begin_us\": {}, \"chosen\": {}, \
         \"forced\": {forced}, \"mask_us\": {}, \"take_us\": {}, \"dearest\": {}}}",
        writer.name,
        kind.name(),
        begin.as_micros(),
        masks.len(),
        spread(&mut masks),
        spread(&mut takes),
        dearest(dear, text)
    );
    Ok(())
}

/// Where the masks that cost most stand: their microseconds, and what was said last before each.
fn dearest(mut masks: Vec<(f64, usize)>, text: &str) -> serde_json::Value {
    masks.sort_by(|a, b| b.0.total_cmp(&a.0));
    let before = |said: usize| {
        let first = text[..said].char_indices().rev().nth(DEAR_CHARS).map_or(0, |(at, _)| at);
        &text[first..said]
    };
    let dear =
        masks.iter().take(DEAREST).map(|&(us, said)| serde_json::json!([us.round(), before(said)]));
    dear.collect()
}

/// One answer that goes on with a token, as the engine has it: on whatever thread.
struct Advance {
    row: usize,
    constraint: Constraint,
    token: u32,
    /// Tokens that must follow, and whether there is more to choose.
    next: Option<(Vec<u32>, bool)>,
    begun: Begun,
}

impl Advance {
    fn go(&mut self) {
        let Self { constraint, token, .. } = self;
        let next = constraint.take(*token).and_then(|()| {
            let forced = constraint.forced()?;
            Ok((forced, !constraint.is_over()?))
        });
        self.next = next.ok();
        if matches!(self.next, Some((_, true))) {
            self.constraint.begin_mask(&mut self.begun);
        }
    }
}

/// Many answers, step by step as the engine goes: tokens are taken on this thread and on others, masks begin, and a
/// forward pass of `pass` runs beside them. What the step thread spends is what the GPU would wait for: `wait_us`
/// for masks, `take_us` for what follows from the choices, and `alone_us` for the latter on one thread. `free` is the part
/// of the tokens after which free text goes on, so that nobody waits for what follows.
fn in_steps(writer: &Writer, rows: usize, pass: Duration) -> Result<(), Box<dyn Error>> {
    let texts: Vec<String> =
        ANSWERS.iter().map(|(_, sample)| answer(sample)).collect::<Result<_, _>>()?;
    let begin = |index: usize| -> Result<Answer<'_>, Box<dyn Error>> {
        let at = index % ANSWERS.len();
        let constraint = writer.vocabulary.constrain(&Schema::of(ANSWERS[at].0).grammar())?;
        Ok(Answer { constraint, text: &texts[at], said: 0 })
    };
    let mut answers: Vec<Answer<'_>> = Vec::new();
    for index in 0..rows {
        let mut answer = begin(index)?;
        answer.forced(writer)?;
        // Not all at the same place.
        for _ in 0..index / ANSWERS.len() {
            let token = answer.choose(writer)?;
            answer.constraint.take(token)?;
            answer.forced(writer)?;
        }
        answer.constraint.begin_mask(&mut Begun::default());
        answers.push(answer);
    }
    let (mut waits, mut takes, mut alone, mut free) = (Vec::new(), Vec::new(), Vec::new(), 0);
    for step in 0..STEPS {
        std::thread::sleep(pass);
        let start = Instant::now();
        for answer in &mut answers {
            answer.constraint.mask()?;
        }
        waits.push(start.elapsed().as_secs_f64() * 1e6);
        let tokens: Vec<u32> =
            answers.iter_mut().map(|answer| answer.choose(writer)).collect::<Result<_, _>>()?;
        let places: Vec<(&str, usize)> =
            answers.iter().map(|answer| (answer.text, answer.said)).collect();
        let advance = |(row, (answer, token)): (usize, (Answer<'_>, u32))| Advance {
            row,
            constraint: answer.constraint,
            token,
            next: None,
            begun: Begun::default(),
        };
        let advances: Vec<Advance> =
            answers.drain(..).zip(tokens).enumerate().map(advance).collect();
        free += advances.iter().filter(|one| one.constraint.stays_free(one.token)).count();
        // In turn, so that both meet the same answers on the same machine.
        let is_alone = step % 2 == 1;
        let start = Instant::now();
        let mut advances = together(advances, is_alone);
        let took = start.elapsed().as_secs_f64() * 1e6;
        if is_alone {
            alone.push(took);
        } else {
            takes.push(took);
        }
        advances.sort_by_key(|advance| advance.row);
        for advance in advances {
            let (text, said) = places[advance.row];
            let (forced, is_open) = advance.next.ok_or("an answer cannot go on")?;
            let said =
                said + forced.iter().map(|&id| writer.words[id as usize].len()).sum::<usize>();
            let mut answer = Answer { constraint: advance.constraint, text, said };
            if !is_open {
                answer = begin(advance.row)?;
                answer.forced(writer)?;
                answer.constraint.begin_mask(&mut Begun::default());
            }
            answers.push(answer);
        }
    }
    println!(
        "{{\"vocabulary\": \"{}\", \"rows\": {rows}, \"pass_us\": {}, \"free\": {:.2}, \"wait_us\": {}, \
         \"take_us\": {}, \"alone_us\": {}}}",
        writer.name,
        pass.as_micros(),
        free as f64 / (rows * STEPS) as f64,
        spread(&mut waits),
        spread(&mut takes),
        spread(&mut alone)
    );
    Ok(())
}

/// All of them one token further, and the masks of what follows begun. Those in free text go on beside the pass.
fn together(advances: Vec<Advance>, is_alone: bool) -> Vec<Advance> {
    let stays_free = |advance: &Advance| advance.constraint.stays_free(advance.token);
    let (mut free, mut held): (Vec<Advance>, Vec<Advance>) =
        advances.into_iter().partition(stays_free);
    if is_alone {
        held.iter_mut().for_each(Advance::go);
    } else {
        held = each(held, Advance::go);
    }
    let mut begun = Begun::default();
    for advance in &mut held {
        begun.append(&mut advance.begun);
    }
    for advance in &mut free {
        advance.constraint.take_beside(advance.token, &mut begun);
        advance.next = Some((Vec::new(), true));
    }
    held.append(&mut free);
    held
}

/// Mean, median, 99th percentile and greatest.
fn spread(times: &mut [f64]) -> String {
    times.sort_by(f64::total_cmp);
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize];
    let mean = times.iter().sum::<f64>() / times.len() as f64;
    format!("[{mean:.0}, {:.0}, {:.0}, {:.0}]", at(0.5), at(0.99), at(1.0))
}
