//! The state of one answer: what it says so far, which tokens may follow, and which must.

use std::fmt;
use std::sync::Arc;

use llguidance::Matcher;

use super::ConstraintError;
use super::mask::Mask;
use super::shelf::{Reader, Shelf};
use super::turn::{Away, Begun, Turn, allowed, failed};
use super::workers;

/// One answer that is held to a grammar.
///
/// Its owner takes turns: [`forced`](Self::forced) tokens go into the answer without asking the model;
/// then [`begin_mask`](Self::begin_mask), a choice of what it allows, [`take`](Self::take).
pub struct Constraint {
    state: State,
    /// What may come next, from when it was begun until a token is taken.
    mask: Option<Mask>,
    /// Where the parser goes when the answer is over.
    shelf: Arc<Shelf>,
}

enum State {
    Idle(Reader),
    /// Another thread computes a mask.
    Busy(Away),
    /// A thread that had the parser is gone.
    Lost,
}

// === impl Constraint ===

impl Constraint {
    pub(super) fn new(shelf: Arc<Shelf>) -> Self {
        Self { state: State::Idle(shelf.take()), mask: None, shelf }
    }

    /// The tokens that must come next, whatever the model thinks; they count as taken.
    pub fn forced(&mut self) -> Result<Vec<u32>, ConstraintError> {
        let matcher = self.idle()?;
        if matcher.is_stopped() {
            return Ok(Vec::new());
        }
        let tokens = matcher.compute_ff_tokens();
        if !tokens.is_empty() {
            matcher.consume_tokens(&tokens).map_err(failed)?;
            self.mask = None;
        }
        Ok(tokens)
    }

    /// The answer goes on with `token`, which the mask allowed.
    pub fn take(&mut self, token: u32) -> Result<(), ConstraintError> {
        self.mask = None;
        self.idle()?.consume_token(token).map_err(failed)
    }

    /// Whether nothing is forced after `token`, and the answer is not over with it, as far as can be told without the
    /// parser: it is ordinary text in the middle of free text. What may follow need not be waited for then. Where it was
    /// the last that fits, the next mask allows what is forced and no more.
    pub fn stays_free(&self, token: u32) -> bool {
        self.mask.as_ref().is_some_and(Mask::is_free) && self.shelf.plain.has(token)
    }

    /// As [`take`](Self::take) and [`begin_mask`](Self::begin_mask), both on another thread. What goes wrong is told by the
    /// mask.
    pub fn take_beside(&mut self, token: u32, begun: &mut Begun) {
        self.mask = None;
        self.begin(Some(token), begun);
    }

    /// Whether the answer is whole: nothing may follow.
    pub fn is_over(&mut self) -> Result<bool, ConstraintError> {
        Ok(self.idle()?.is_stopped())
    }

    /// Begins to compute which tokens may come next, on another thread once `begun` is handed over.
    pub fn begin_mask(&mut self, begun: &mut Begun) {
        if self.mask.is_none() {
            self.begin(None, begun);
        }
    }

    /// Begins the mask of what may follow `token`, or what was said so far.
    fn begin(&mut self, token: Option<u32>, begun: &mut Begun) {
        // Where there is no parser the promise is broken, and whoever waits hears of it.
        if self.idle().is_err() {
            self.mask = Some(Mask::promised().0);
            return;
        }
        let State::Idle(reader) = std::mem::replace(&mut self.state, State::Lost) else {
            return;
        };
        let (turn, away, mask) = Turn::new(reader, token, Arc::clone(&self.shelf));
        (self.state, self.mask) = (State::Busy(away), Some(mask));
        begun.push(turn);
    }

    /// The mask that was begun; none where none was.
    pub fn begun_mask(&self) -> Option<&Mask> {
        self.mask.as_ref()
    }

    /// The words of the [`Mask`]; begins and waits where that is needed.
    pub fn mask(&mut self) -> Result<&[u32], ConstraintError> {
        if self.mask.is_none() {
            let words = allowed(self.idle()?)?;
            self.mask = Some(Mask::of(words));
        }
        self.mask.as_ref().map_or_else(|| Err(lost()), Mask::wait)
    }

    /// Loses its parser, as to a thread that panics.
    #[cfg(test)]
    pub(crate) fn lose(&mut self) {
        (self.state, self.mask) = (State::Lost, None);
        self.begin_mask(&mut Begun::default());
    }

    fn idle(&mut self) -> Result<&mut Matcher, ConstraintError> {
        if let State::Busy(away) = &self.state {
            self.state = away.wait().map_or(State::Lost, State::Idle);
        }
        match &mut self.state {
            State::Idle(reader) => Ok(reader.matcher()),
            State::Busy(_) | State::Lost => Err(lost()),
        }
    }
}

impl Drop for Constraint {
    fn drop(&mut self) {
        // One that another thread has goes back from there: nothing here may wait for it.
        let reader = match std::mem::replace(&mut self.state, State::Lost) {
            State::Idle(reader) => Some(reader),
            State::Busy(away) => away.leave(),
            State::Lost => None,
        };
        if let Some(reader) = reader {
            let shelf = Arc::clone(&self.shelf);
            // Memory of megabytes may be freed there.
            workers::spawn(move || shelf.give_back(reader));
        }
    }
}

impl fmt::Debug for Constraint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match &self.state {
            State::Idle(_) => "idle",
            State::Busy(_) => "busy",
            State::Lost => "lost",
        };
        f.debug_tuple("Constraint").field(&state).finish()
    }
}

fn lost() -> ConstraintError {
    ConstraintError::Answer { message: "the thread that had the parser is gone".to_owned() }
}
