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

/// Characters that the rule about `!` looks back: the bits of a word.
const WINDOW_CHARS: u32 = u64::BITS;

/// Characters that an answer needs, where it is cut before the window is full.
const SHORT_CHARS: u32 = 16;

/// The longest piece whose repetition is seen, in tokens.
const PERIOD_MAX: usize = 64;

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
    /// Spoilt requests in a row after which the model takes no more; 0: never.
    pub poison_limit: usize,
}

/// Why an answer is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trip {
    /// So many of the last `characters` are `!`.
    Bangs { bangs: u32, characters: u32 },
    /// The same `period` tokens came `count` times in a row.
    Loop { period: usize, count: usize },
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
}

// === impl GuardConfig ===

impl Default for GuardConfig {
    fn default() -> Self {
        Self { on: true, bang_ratio: 0.3, repeats: 256, poison_limit: 3 }
    }
}

impl GuardConfig {
    /// The guard of an answer about so many pages; none where answers are not watched.
    pub(super) fn watch(&self, pages: usize) -> Option<Guard> {
        self.on.then(|| Guard {
            bangs: Bangs { ratio: self.bang_ratio, marks: 0, characters: 0 },
            loops: Loops::new(self.repeats.max(2).saturating_mul(pages.max(1))),
        })
    }
}

// === impl Guard ===

impl Guard {
    /// Sees the next token and the text that it completed.
    pub(super) fn see(&mut self, token: u32, text: &str) -> Result<(), Trip> {
        self.bangs.see(text);
        if self.bangs.characters == WINDOW_CHARS {
            self.bangs.check()?;
        }
        self.loops.see(token)
    }

    /// The answer was cut. One that is shorter than the window is judged as a whole here, and only
    /// here: a wrecked model never ends its answer by itself, and a short answer that ends may well
    /// have a few `!`.
    pub(super) fn cut(&self) -> Result<(), Trip> {
        if self.bangs.characters < SHORT_CHARS { Ok(()) } else { self.bangs.check() }
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
    fn new(repeats: usize) -> Self {
        let bound = |index: usize| {
            let period = PERIOD_MAX - index;
            // The run begins with the second time.
            let tokens = repeats.saturating_sub(1).saturating_mul(period);
            u32::try_from(tokens).unwrap_or(u32::MAX)
        };
        Self {
            recent: [NO_TOKEN; 2 * PERIOD_MAX],
            oldest: 0,
            runs: [0; PERIOD_MAX],
            bounds: std::array::from_fn(bound),
        }
    }

    fn see(&mut self, token: u32) -> Result<(), Trip> {
        let recent = &self.recent[self.oldest..self.oldest + PERIOD_MAX];
        let mut looped = false;
        // All periods in one pass without a branch: a handful of vector instructions.
        for ((run, &bound), &earlier) in self.runs.iter_mut().zip(&self.bounds).zip(recent) {
            *run = if earlier == token { *run + 1 } else { 0 };
            looped |= *run >= bound;
        }
        self.recent[self.oldest] = token;
        self.recent[self.oldest + PERIOD_MAX] = token;
        self.oldest = (self.oldest + 1) % PERIOD_MAX;
        if looped { Err(self.shortest_loop()) } else { Ok(()) }
    }

    fn shortest_loop(&self) -> Trip {
        let index = self.runs.iter().zip(&self.bounds).rposition(|(run, bound)| run >= bound);
        let index = index.unwrap_or(0);
        let period = PERIOD_MAX - index;
        Trip::Loop { period, count: self.runs[index] as usize / period + 1 }
    }
}

#[cfg(test)]
mod tests;
