//! An answer that is held to a grammar, as the step thread deals with it: what is decided before the
//! first choice, what may be chosen, and what follows from a choice.

use crate::constraint::{Constraint, ConstraintError};

/// The grammar's side of one answer.
#[derive(Debug)]
pub(super) struct Constrained {
    constraint: Constraint,
    /// Tokens that every answer begins with; none once they are said.
    opening: Vec<u32>,
}

/// What follows from a chosen token.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Next {
    /// Tokens that must come now.
    pub(super) forced: Vec<u32>,
    /// The answer is whole with them.
    pub(super) is_whole: bool,
}

// === impl Constrained ===

impl Constrained {
    pub(super) fn new(mut constraint: Constraint) -> Result<Self, ConstraintError> {
        let opening = constraint.forced()?;
        constraint.begin_mask();
        Ok(Self { constraint, opening })
    }

    /// Waits until it is known what may be chosen next.
    pub(super) fn ready(&mut self) -> Result<(), ConstraintError> {
        self.constraint.mask().map(drop)
    }

    /// What may be chosen next, as [`Constraint::mask`] has it; none where nothing is to be chosen.
    pub(super) fn allowed(&self) -> Option<&[u32]> {
        if self.opening.is_empty() { self.constraint.ready_mask() } else { None }
    }

    /// Whether there is only one token to choose, so that choosing it says nothing of the model.
    pub(super) fn leaves_no_choice(&self) -> bool {
        let words = self.allowed().unwrap_or_default();
        words.iter().map(|word| word.count_ones()).sum::<u32>() == 1
    }

    /// The tokens that the answer begins with, once.
    pub(super) fn opening(&mut self) -> Option<Vec<u32>> {
        (!self.opening.is_empty()).then(|| std::mem::take(&mut self.opening))
    }

    /// The answer goes on with `token`. What may follow is computed from here on.
    pub(super) fn take(&mut self, token: u32) -> Result<Next, ConstraintError> {
        self.constraint.take(token)?;
        let forced = self.constraint.forced()?;
        let is_whole = self.constraint.is_over()?;
        if !is_whole {
            self.constraint.begin_mask();
        }
        Ok(Next { forced, is_whole })
    }
}
