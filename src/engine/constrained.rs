//! An answer that is held to a grammar, as the step thread deals with it: what is decided before the
//! first choice, what may be chosen, and what follows from a choice.

use std::time::{Duration, Instant};

use crate::constraint::{self, Begun, Constraint, ConstraintError, Mask};

/// The grammar's side of one answer.
#[derive(Debug)]
pub(super) struct Constrained {
    constraint: Constraint,
    /// Tokens that every answer begins with; none once they are said.
    opening: Vec<u32>,
}

/// An answer on its way through its grammar, on any thread.
#[derive(Debug)]
pub(super) struct Advance {
    constrained: Constrained,
    token: u32,
    /// None until it is done.
    next: Option<Result<Next, ConstraintError>>,
    /// The mask of what may follow.
    begun: Begun,
    /// How long it took.
    spent: Duration,
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
        constraint.begin_mask(&mut Begun::default());
        Ok(Self { constraint, opening })
    }

    #[cfg(test)]
    pub(super) fn lose(&mut self) {
        self.constraint.lose();
    }

    /// Waits until it is known what may be chosen next.
    pub(super) fn ready(&self) -> Result<(), ConstraintError> {
        self.allowed().map_or(Ok(()), |mask| mask.wait().map(drop))
    }

    /// What may be chosen next, which may still be computed; none where nothing is to be chosen.
    pub(super) fn allowed(&self) -> Option<&Mask> {
        if self.opening.is_empty() { self.constraint.begun_mask() } else { None }
    }

    /// Whether there is only one token to choose, so that choosing it says nothing of the model.
    pub(super) fn leaves_no_choice(&self) -> bool {
        let words = self.allowed().map(Mask::words).unwrap_or_default();
        // Most masks allow thousands: to count them all would cost more than the choice.
        let mut some = words.iter().filter(|word| **word != 0);
        some.next().is_some_and(|word| word.is_power_of_two()) && some.next().is_none()
    }

    /// Whether nothing that must be known at once follows from `token`: free text goes on.
    pub(super) fn stays_free(&self, token: u32) -> bool {
        self.opening.is_empty() && self.constraint.stays_free(token)
    }

    /// The answer goes on with a token after which it stays free. What may follow is `begun`.
    pub(super) fn take_beside(&mut self, token: u32, begun: &mut Begun) {
        self.constraint.take_beside(token, begun);
    }

    /// The tokens that the answer begins with, once.
    pub(super) fn opening(&mut self) -> Option<Vec<u32>> {
        (!self.opening.is_empty()).then(|| std::mem::take(&mut self.opening))
    }

    /// The answer goes on with `token`. What may follow is `begun`.
    fn take(&mut self, token: u32, begun: &mut Begun) -> Result<Next, ConstraintError> {
        self.constraint.take(token)?;
        let forced = self.constraint.forced()?;
        let is_whole = self.constraint.is_over()?;
        if !is_whole {
            self.constraint.begin_mask(begun);
        }
        Ok(Next { forced, is_whole })
    }
}

// === impl Advance ===

impl Advance {
    /// Of an answer that goes on with `token`.
    pub(super) fn new(constrained: Constrained, token: u32) -> Self {
        let (next, begun) = (None, Begun::default());
        Self { constrained, token, next, begun, spent: Duration::ZERO }
    }

    /// Takes all of them further at once, on several threads, and adds the masks of what may follow to `begun`. Comes back
    /// in some order.
    pub(super) fn all<K: Send + 'static>(
        advances: Vec<(K, Self)>,
        begun: &mut Begun,
    ) -> Vec<(K, Self)> {
        let mut advances = constraint::each(advances, |(_, advance)| advance.go());
        // Not before all are done: masks would stand in their way.
        for (_, advance) in &mut advances {
            begun.append(&mut advance.begun);
        }
        advances
    }

    /// What follows, and how long it took to say so.
    pub(super) fn done(self) -> (Constrained, Result<Next, ConstraintError>, Duration) {
        let panicked =
            || ConstraintError::Answer { message: "a bug stopped its parser".to_owned() };
        (self.constrained, self.next.unwrap_or_else(|| Err(panicked())), self.spent)
    }

    fn go(&mut self) {
        let start = Instant::now();
        self.next = Some(self.constrained.take(self.token, &mut self.begun));
        self.spent = start.elapsed();
    }
}
