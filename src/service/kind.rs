//! A document whose kind is asked for first: the request that follows the answer to that.

use std::fmt;

use tonic::Status;

use super::reading::Form;
use crate::engine::Done;
use crate::fields::{Confidence, TokenScore};
use crate::schema::DocumentKind;

/// The request for the fields, once it has been taken.
pub(super) struct Begun<E> {
    pub(super) events: E,
    pub(super) asked: Form,
    pub(super) template: String,
}

/// Asks for the fields of a kind.
type Begin<E> = Box<dyn FnOnce(DocumentKind) -> Result<Begun<E>, Status> + Send>;

/// What waits for the kind.
pub(super) struct Pending<E> {
    begin: Begin<E>,
    scores: Vec<TokenScore>,
}

/// The kind, and how sure the model was of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Found {
    pub(super) kind: DocumentKind,
    pub(super) confidence: Option<f32>,
}

// === impl Pending ===

impl<E> Pending<E> {
    pub(super) fn new(
        begin: impl FnOnce(DocumentKind) -> Result<Begun<E>, Status> + Send + 'static,
    ) -> Self {
        Self { begin: Box::new(begin), scores: Vec::new() }
    }

    /// Takes the scores of a piece of the answer that says the kind.
    pub(super) fn push(&mut self, scores: &[TokenScore]) {
        self.scores.extend_from_slice(scores);
    }

    /// What the whole answer says. It was held to the names of the kinds; anything else was cut off.
    pub(super) fn found(&self, done: &Done) -> Option<Found> {
        let kind = DocumentKind::from_name(&done.text)?;
        // Of the answer as a whole: its tokens' probabilities multiplied.
        let probability = self.scores.iter().map(|score| f64::from(score.logprob)).sum::<f64>();
        let scored = Confidence::of(&(0..done.text.len()), &self.scores).is_some();
        Some(Found { kind, confidence: scored.then(|| probability.exp().min(1.0) as f32) })
    }

    pub(super) fn begin(self, kind: DocumentKind) -> Result<Begun<E>, Status> {
        (self.begin)(kind)
    }
}

impl<E> fmt::Debug for Pending<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pending").finish_non_exhaustive()
    }
}
