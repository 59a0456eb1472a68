//! Where the two records of one capped request meet: the engine's, which has the steps, and the one that has the
//! fields that were read of the answer. Which steps get a span is known once both are there.

use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use super::Deferred;

/// Records of steps, of which a cap leaves some out.
pub trait Stepwise: Deferred {
    /// Gives a span, whatever the cap, to the steps that brought the first and the last of each of these ranges of
    /// output tokens.
    fn keep(&mut self, values: &[Range<usize>]);
}

/// Whoever comes second takes both. Clones are the same.
#[derive(Clone, Default)]
pub(super) struct Meeting(Arc<Mutex<Waiting>>);

#[derive(Default)]
enum Waiting {
    #[default]
    Nobody,
    Steps(Box<dyn Stepwise>),
    Values(Vec<Range<usize>>),
}

impl fmt::Debug for Meeting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Meeting").finish_non_exhaustive()
    }
}

impl Meeting {
    /// The steps, where it is known which tokens have values.
    pub(super) fn steps(&self, mut steps: Box<dyn Stepwise>) -> Option<Box<dyn Stepwise>> {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Waiting::Values(values) = std::mem::take(&mut *waiting) {
            steps.keep(&values);
            return Some(steps);
        }
        *waiting = Waiting::Steps(steps);
        None
    }

    /// The steps that waited to be told which tokens have values.
    pub(super) fn values(&self, values: Vec<Range<usize>>) -> Option<Box<dyn Stepwise>> {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Waiting::Steps(mut steps) = std::mem::take(&mut *waiting) {
            steps.keep(&values);
            return Some(steps);
        }
        *waiting = Waiting::Values(values);
        None
    }
}
