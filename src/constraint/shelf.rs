//! Parsers of one grammar that no answer has now.
//!
//! A parser learns its grammar while it reads: the states of its lexer are made when they are first met, which is
//! half of what the masks of a first answer cost. So a parser that has read an answer is kept for the next.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use llguidance::Matcher;

use super::vocabulary::Plain;
use crate::limits;
use crate::schema::Grammar;

/// Where parsers of one grammar are taken from and given back.
pub(super) struct Shelf {
    pub(super) grammar: Grammar,
    pub(super) plain: Arc<Plain>,
    parsers: Mutex<Parsers>,
    /// Parsers that wait on all shelves of a vocabulary.
    waiting: Arc<AtomicUsize>,
}

struct Parsers {
    /// What others are copies of.
    model: Reader,
    waiting: Vec<Reader>,
}

/// A parser at the beginning of an answer.
pub(super) struct Reader {
    matcher: Box<Matcher>,
    /// Answers that it has read. With each it may have learnt more, so it is not kept for ever.
    answers: usize,
}

// === impl Shelf ===

impl Shelf {
    pub(super) fn new(
        grammar: Grammar,
        matcher: Matcher,
        plain: Arc<Plain>,
        waiting: Arc<AtomicUsize>,
    ) -> Self {
        let model = Reader { matcher: Box::new(matcher), answers: 0 };
        let parsers = Mutex::new(Parsers { model, waiting: Vec::new() });
        Self { grammar, plain, parsers, waiting }
    }

    /// A parser that nobody else has: others would share its lexer, and wait for one another at every token.
    pub(super) fn take(&self) -> Reader {
        let mut parsers = self.lock();
        if let Some(reader) = parsers.waiting.pop() {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            return reader;
        }
        let Reader { matcher, answers } = &parsers.model;
        Reader { matcher: Box::new(matcher.deep_clone()), answers: *answers }
    }

    /// Takes back a parser that has read an answer, or the beginning of one.
    pub(super) fn give_back(&self, mut reader: Reader) {
        reader.answers += 1;
        let is_known = reader.matcher.reset().is_ok() && !reader.matcher.is_error();
        if !is_known || reader.answers > limits::ANSWERS_OF_A_PARSER_MAX {
            return;
        }
        // It would take a place for another one, which the grammar has after other words.
        reader.matcher.invalidate_bias_cache();
        let mut parsers = self.lock();
        if parsers.model.answers == 0 {
            parsers.model = reader;
        } else if self.waiting.fetch_add(1, Ordering::Relaxed) < limits::PARSERS_WAITING_MAX {
            parsers.waiting.push(reader);
        } else {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Parsers> {
        self.parsers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Shelf {
    fn drop(&mut self) {
        let waiting = self.lock().waiting.len();
        self.waiting.fetch_sub(waiting, Ordering::Relaxed);
    }
}

// === impl Reader ===

impl Reader {
    pub(super) fn matcher(&mut self) -> &mut Matcher {
        &mut self.matcher
    }
}
