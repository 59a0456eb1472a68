//! The state of one answer: what it says so far, which tokens may follow, and which must.

use std::fmt;
use std::sync::mpsc::{Receiver, sync_channel};

use llguidance::Matcher;

use super::ConstraintError;

/// One answer that is held to a grammar.
///
/// Its owner takes turns: [`forced`](Self::forced) tokens go into the answer without asking the model;
/// then [`begin_mask`](Self::begin_mask), [`mask`](Self::mask), a choice, [`take`](Self::take).
pub struct Constraint {
    state: State,
}

enum State {
    Idle(Box<Matcher>),
    /// Another thread computes the mask.
    Busy(Receiver<Masked>),
    Masked(Masked),
    /// A thread that had it is gone.
    Lost,
}

/// A parser with the tokens that it allows next.
struct Masked {
    matcher: Box<Matcher>,
    mask: Result<Vec<u32>, ConstraintError>,
}

// === impl Constraint ===

impl Constraint {
    pub(super) fn new(matcher: Matcher) -> Self {
        Self { state: State::Idle(Box::new(matcher)) }
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
        }
        Ok(tokens)
    }

    /// The answer goes on with `token`, which the mask allowed.
    pub fn take(&mut self, token: u32) -> Result<(), ConstraintError> {
        self.idle()?.consume_token(token).map_err(failed)
    }

    /// Whether the answer is whole: nothing may follow.
    pub fn is_over(&mut self) -> Result<bool, ConstraintError> {
        Ok(self.idle()?.is_stopped())
    }

    /// Begins to compute which tokens may come next, on another thread.
    pub fn begin_mask(&mut self) {
        let State::Idle(matcher) = std::mem::replace(&mut self.state, State::Lost) else { return };
        let (sender, receiver) = sync_channel(1);
        self.state = State::Busy(receiver);
        rayon::spawn(move || {
            // Nobody may listen any more: the request has ended.
            let _ = sender.send(Masked::of(matcher));
        });
    }

    /// The tokens that may come next, token `t` as bit `t % 32` of word `t / 32`; at least one. Waits
    /// for what [`begin_mask`](Self::begin_mask) began.
    pub fn mask(&mut self) -> Result<&[u32], ConstraintError> {
        let state = std::mem::replace(&mut self.state, State::Lost);
        self.state = match state {
            State::Idle(matcher) => State::Masked(Masked::of(matcher)),
            State::Busy(receiver) => receiver.recv().map_or(State::Lost, State::Masked),
            state => state,
        };
        match &self.state {
            State::Masked(Masked { mask: Ok(mask), .. }) => Ok(mask),
            State::Masked(Masked { mask: Err(error), .. }) => Err(error.clone()),
            State::Idle(_) | State::Busy(_) | State::Lost => Err(lost()),
        }
    }

    /// The mask, where it is computed.
    pub fn ready_mask(&self) -> Option<&[u32]> {
        match &self.state {
            State::Masked(Masked { mask, .. }) => mask.as_deref().ok(),
            _ => None,
        }
    }

    fn idle(&mut self) -> Result<&mut Matcher, ConstraintError> {
        let state = std::mem::replace(&mut self.state, State::Lost);
        self.state = match state {
            State::Busy(receiver) => {
                receiver.recv().map_or(State::Lost, |masked| State::Idle(masked.matcher))
            }
            State::Masked(Masked { matcher, .. }) => State::Idle(matcher),
            state => state,
        };
        match &mut self.state {
            State::Idle(matcher) => Ok(matcher),
            _ => Err(lost()),
        }
    }
}

impl fmt::Debug for Constraint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match &self.state {
            State::Idle(_) => "idle",
            State::Busy(_) => "busy",
            State::Masked(_) => "masked",
            State::Lost => "lost",
        };
        f.debug_tuple("Constraint").field(&state).finish()
    }
}

// === impl Masked ===

impl Masked {
    fn of(mut matcher: Box<Matcher>) -> Self {
        let mask = matcher.compute_mask_or_eos().map_err(failed).and_then(|mask| {
            let empty = || ConstraintError::Answer { message: "no token may follow".to_owned() };
            if mask.is_zero() { Err(empty()) } else { Ok(mask.as_slice().to_vec()) }
        });
        Self { matcher, mask }
    }
}

fn failed(error: impl fmt::Display) -> ConstraintError {
    ConstraintError::Answer { message: error.to_string() }
}

fn lost() -> ConstraintError {
    ConstraintError::Answer { message: "the thread that had the parser is gone".to_owned() }
}
