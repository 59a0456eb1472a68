//! One request as the engine takes it: checked by `service`, nothing decoded yet.

use std::time::Instant;

use bytes::Bytes;

use crate::model::Odds;
use crate::preprocess::Wanted;
use crate::schema::Grammar;
use crate::telemetry::spans::RequestTrace;

/// A document to read and how to answer.
#[derive(Debug, Clone)]
pub struct Job {
    /// Names the request in events, logs and traces.
    pub id: String,
    /// Page files in order; a multi-page file is several pages.
    pub files: Vec<PageFile>,
    /// What to ask about the pages.
    pub question: String,
    pub priority: Priority,
    pub sampling: Sampling,
    /// Output tokens after which the answer is cut; at least 1.
    pub output_tokens_max: usize,
    /// Texts before which the answer ends.
    pub stop: Vec<String>,
    /// What the answer is held to; none: the model says what it likes.
    pub grammar: Option<Grammar>,
    /// Whether to say how probable each token was.
    pub scores: bool,
    /// Tiles a page may be cut into, without the thumbnail; none: the checkpoint's own bound.
    pub tiles_max: Option<u32>,
    /// When the client gives up.
    pub deadline: Option<Instant>,
    /// When the server got the request.
    pub received: Instant,
    /// The request's span; what its pages go through becomes its children.
    pub span: tracing::Span,
    /// What else is traced of it: phases and steps; none: nothing.
    pub trace: Option<RequestTrace>,
}

/// One file, and which of its pages are wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageFile {
    pub content: Bytes,
    pub wanted: Wanted,
}

/// Who waits for a request, and so who goes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Priority {
    /// Somebody: it goes before requests of a batch.
    #[default]
    Interactive,
    /// Nobody yet: it takes what is left, but its turn comes.
    Batch,
}

/// How the next token is chosen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sampling {
    /// 0: the most probable token.
    pub temperature: f32,
    /// So many of the most probable tokens are kept; none: all.
    pub top_k: Option<usize>,
    /// The smallest set of tokens with this much probability is kept; 1: all.
    pub top_p: f32,
    /// Tokens with less than this share of the greatest probability are not kept; 0: all are.
    pub min_p: f32,
    /// Logits of tokens that are there already are divided by it, or multiplied where they are negative; 1:
    /// they stay.
    pub repetition_penalty: f32,
    /// The same seed gives the same answer, whatever else runs.
    pub seed: u64,
}

impl From<Bytes> for PageFile {
    /// All pages of it.
    fn from(content: Bytes) -> Self {
        Self { content, wanted: Wanted::default() }
    }
}

impl Sampling {
    /// Always the most probable token.
    pub const GREEDY: Self = Self {
        temperature: 0.0,
        top_k: None,
        top_p: 1.0,
        min_p: 0.0,
        repetition_penalty: 1.0,
        seed: 0,
    };

    /// What is left of it without the seed, as the model takes it.
    pub(super) fn odds(self) -> Odds {
        let Self { temperature, top_k, top_p, min_p, repetition_penalty, seed: _ } = self;
        Odds { temperature, top_k, top_p, min_p, repetition_penalty }
    }
}
