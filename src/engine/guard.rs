//! Watches one answer for the two ways in which a broken model talks: `!` upon `!`, which is what a
//! wrecked forward pass reads like, and the same tokens again and again.
//!
//! Pure and incremental: a few integers per answer, the same small work for each token however long
//! the answer is. It keeps no text and tells none.
//!
//! A loop is judged by what can stand on a page, because documents repeat themselves: a column of
//! zeros, of dashes or of `NOT_FOUND` is an answer. A piece that repeats is a cell or a line of
//! print, and a page has at most some hundred lines: what comes more often than the pages have lines
//! is not read off them, however short or long it is.
//!
//! Who reads a repetition off a page is sure of it. A model that repeats what it holds for unlikely itself
//! does not read: it goes in circles because a grammar, or chance, keeps it from what it would rather say. So
//! a loop of which the model is unsure ends after a few rounds.

/// Characters that the rule about `!` looks back: the bits of a word.
const WINDOW_CHARS: u32 = u64::BITS;

/// Characters that an answer needs, where it is cut before the window is full.
const SHORT_CHARS: u32 = 16;

/// The longest piece whose repetition is seen, in tokens.
const PERIOD_MAX: usize = 64;

/// A loop of which the model is unsure ends once it has come so often, and has so many tokens.
const UNSURE_TIMES: usize = 4;
const UNSURE_TOKENS: usize = 64;

/// So many tokens are enough where the answer is cut anyway: nothing could come after them.
const UNSURE_TOKENS_CUT: usize = 16;

/// Tokens that are looked back at for how sure the model was: a loop of the longest piece.
const LOOK_BACK: usize = UNSURE_TIMES * PERIOD_MAX;

/// Stands where there is no token yet; no vocabulary has it.
const NO_TOKEN: u32 = u32::MAX;

/// What an operator can set about answers that are none.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GuardConfig {
    /// Whether answers are watched.
    pub on: bool,
    /// Share of `!` in the last characters above which an answer is gibberish.
    pub bang_ratio: f64,
    /// So many times the same tokens in a row, for each page, are a loop.
    pub repeats: usize,
    /// A loop whose tokens the model held for less likely than this, in geometric mean, ends after a few
    /// rounds; 0: never.
    pub unsure: f64,
    /// Spoilt requests in a row after which the model takes no more; 0: never.
    pub poison_limit: usize,
}

/// Why an answer is none.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Trip {
    /// So many of the last `characters` are `!`.
    Bangs { bangs: u32, characters: u32 },
    /// The same `period` tokens came `count` times in a row.
    Loop { period: usize, count: usize },
    /// The same, fewer times; its tokens had this probability, in geometric mean.
    Unsure { period: usize, count: usize, probability: f64 },
}

/// The state of one answer.
#[derive(Debug)]
pub(super) struct Guard {
    bangs: Bangs,
    loops: Loops,
}

#[derive(Debug)]
struct Bangs {
    ratio: f64,
    /// A bit for each of the last characters, the newest lowest: whether it is a `!`.
    marks: u64,
    /// How many bits count.
    characters: u32,
}

#[derive(Debug)]
struct Loops {
    /// The last tokens as a ring, twice over, so that they lie in one piece from `oldest` on.
    recent: [u32; 2 * PERIOD_MAX],
    oldest: usize,
    /// For each period, the longest first: tokens in a row that equal the one a period before.
    runs: [u32; PERIOD_MAX],
    /// For each period: the run that is too long.
    bounds: [u32; PERIOD_MAX],
    /// For each period: the run from which on it matters how sure the model is, or that is too long.
    suspects: [u32; PERIOD_MAX],
    sureness: Sureness,
}

/// How sure the model was of its last tokens.
#[derive(Debug)]
struct Sureness {
    /// Geometric mean below which it was not.
    least: f64,
    /// Log-probabilities; not a number for tokens that it did not choose.
    logprobs: [f32; LOOK_BACK],
    /// Where the next one goes.
    next: usize,
}

// === impl GuardConfig ===

impl Default for GuardConfig {
    fn default() -> Self {
        Self { on: true, bang_ratio: 0.3, repeats: 256, unsure: 0.1, poison_limit: 3 }
    }
}

impl GuardConfig {
    /// The guard of an answer about so many pages; none where answers are not watched.
    pub(super) fn watch(&self, pages: usize) -> Option<Guard> {
        self.on.then(|| Guard {
            bangs: Bangs { ratio: self.bang_ratio, marks: 0, characters: 0 },
            loops: Loops::new(self.repeats.max(2).saturating_mul(pages.max(1)), self.unsure),
        })
    }
}

// === impl Guard ===

impl Guard {
    /// Sees the next token, the text that it completed, and the log-probability that the model gave it; none where
    /// it was forced, or where nobody knows.
    pub(super) fn see(&mut self, token: u32, text: &str, logprob: Option<f32>) -> Result<(), Trip> {
        self.bangs.see(text);
        if self.bangs.characters == WINDOW_CHARS {
            self.bangs.check()?;
        }
        self.loops.see(token, logprob)
    }

    /// The answer was cut. One that is shorter than the window is judged as a whole here, and only
    /// here: a wrecked model never ends its answer by itself, and a short answer that ends may well
    /// have a few `!`. A loop of which the model is unsure need not be long.
    pub(super) fn cut(&self) -> Result<(), Trip> {
        if self.bangs.characters >= SHORT_CHARS {
            self.bangs.check()?;
        }
        self.loops.cut()
    }
}

// === impl Bangs ===

impl Bangs {
    fn see(&mut self, text: &str) {
        for character in text.chars() {
            self.marks = self.marks << 1 | u64::from(character == '!');
            self.characters = (self.characters + 1).min(WINDOW_CHARS);
        }
    }

    fn check(&self) -> Result<(), Trip> {
        let (bangs, characters) = (self.marks.count_ones(), self.characters);
        if f64::from(bangs) > self.ratio * f64::from(characters) {
            return Err(Trip::Bangs { bangs, characters });
        }
        Ok(())
    }
}

// === impl Loops ===

impl Loops {
    fn new(repeats: usize, unsure: f64) -> Self {
        // The run begins with the second time.
        let run = |tokens: usize, period: usize| {
            u32::try_from(tokens.saturating_sub(period)).unwrap_or(u32::MAX)
        };
        let bound = |index: usize| {
            let period = PERIOD_MAX - index;
            run(repeats.saturating_mul(period), period)
        };
        let suspect = |index: usize| {
            let period = PERIOD_MAX - index;
            run(UNSURE_TOKENS.max(UNSURE_TIMES * period), period).min(bound(index))
        };
        Self {
            recent: [NO_TOKEN; 2 * PERIOD_MAX],
            oldest: 0,
            runs: [0; PERIOD_MAX],
            bounds: std::array::from_fn(bound),
            suspects: std::array::from_fn(suspect),
            sureness: Sureness { least: unsure, logprobs: [f32::NAN; LOOK_BACK], next: 0 },
        }
    }

    fn see(&mut self, token: u32, logprob: Option<f32>) -> Result<(), Trip> {
        self.sureness.note(logprob);
        let recent = &self.recent[self.oldest..self.oldest + PERIOD_MAX];
        let mut suspect = false;
        // All periods in one pass without a branch: a handful of vector instructions.
        for ((run, &bound), &earlier) in self.runs.iter_mut().zip(&self.suspects).zip(recent) {
            *run = if earlier == token { *run + 1 } else { 0 };
            suspect |= *run >= bound;
        }
        self.recent[self.oldest] = token;
        self.recent[self.oldest + PERIOD_MAX] = token;
        self.oldest = (self.oldest + 1) % PERIOD_MAX;
        if suspect { self.judge() } else { Ok(()) }
    }

    /// Some run is long.
    fn judge(&self) -> Result<(), Trip> {
        if let Some(index) = Self::shortest(|index| self.runs[index] >= self.bounds[index]) {
            let (period, count) = self.rounds(index);
            return Err(Trip::Loop { period, count });
        }
        let Some(index) = Self::shortest(|index| self.runs[index] >= self.suspects[index]) else {
            return Ok(());
        };
        let (period, _) = self.rounds(index);
        // Once a round is enough.
        let past = (self.runs[index] - self.suspects[index]) as usize;
        if past.is_multiple_of(period) {
            self.unsure(index)?;
        }
        Ok(())
    }

    /// Whether an answer that ends here is a loop of which the model is unsure.
    fn cut(&self) -> Result<(), Trip> {
        let is_loop = |index: usize| {
            let (period, count) = self.rounds(index);
            count >= UNSURE_TIMES && self.runs[index] as usize + period >= UNSURE_TOKENS_CUT
        };
        Self::shortest(is_loop).map_or(Ok(()), |index| self.unsure(index))
    }

    fn unsure(&self, index: usize) -> Result<(), Trip> {
        let (period, count) = self.rounds(index);
        let mean = self.sureness.mean(self.runs[index] as usize + period);
        match mean {
            Some(probability) if probability < self.sureness.least => {
                Err(Trip::Unsure { period, count, probability })
            }
            _ => Ok(()),
        }
    }

    /// The shortest period, as an index, of those for which `holds`.
    fn shortest(holds: impl Fn(usize) -> bool) -> Option<usize> {
        (0..PERIOD_MAX).rev().find(|&index| holds(index))
    }

    /// A period, and how often it has come.
    fn rounds(&self, index: usize) -> (usize, usize) {
        let period = PERIOD_MAX - index;
        (period, self.runs[index] as usize / period + 1)
    }
}

// === impl Sureness ===

impl Sureness {
    fn note(&mut self, logprob: Option<f32>) {
        self.logprobs[self.next] = logprob.unwrap_or(f32::NAN);
        self.next = (self.next + 1) % LOOK_BACK;
    }

    /// The geometric mean of the probabilities of the last `tokens`, as far as they are known; none where the model
    /// chose too few of them.
    fn mean(&self, tokens: usize) -> Option<f64> {
        let tokens = tokens.min(LOOK_BACK);
        let (mut sum, mut count) = (0.0, 0);
        for back in 1..=tokens {
            let logprob = self.logprobs[(self.next + LOOK_BACK - back) % LOOK_BACK];
            if !logprob.is_nan() {
                sum += f64::from(logprob);
                count += 1;
            }
        }
        (count >= UNSURE_TIMES).then(|| (sum / count as f64).exp())
    }
}

#[cfg(test)]
mod tests;
