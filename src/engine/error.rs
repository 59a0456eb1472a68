//! Why a request was refused or failed, whose fault it is, and whether to try again.

use std::time::Duration;

use crate::constraint::ConstraintError;
use crate::device::Dtype;
use crate::engine::guard::Trip;
use crate::model::{NonFinite, RunError};
use crate::preprocess::DecodeError;
use crate::prompt::PromptError;

/// Whose fault a failure is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The request cannot succeed as it is.
    Caller,
    /// There is no room now.
    Capacity,
    /// The server failed.
    Server,
}

/// Why a request was not taken, at once.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Reject {
    #[error("{queued} requests are waiting already, the most this server queues")]
    QueueFull { queued: usize, retry_after: Duration },
    #[error(
        "the requests that wait have {queued_tokens} prompt tokens already, of the {queued_tokens_max} that this server queues"
    )]
    QueueTokens { queued_tokens: usize, queued_tokens_max: usize, retry_after: Duration },
    #[error("the model is loading: {message}")]
    Loading { message: String, retry_after: Duration },
    #[error("the server is draining")]
    Draining { retry_after: Duration },
    #[error("the model failed: {message}")]
    Failed { message: String },
    #[error("the model takes no more requests: {message}")]
    Poisoned { message: String },
}

/// Why the model is not exchanged for another now.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReloadRefused {
    #[error("the first model is still loading: wait until the server is ready")]
    Loading,
    #[error("the server is stopping")]
    Stopping,
    #[error("the model failed, and a process that failed is not repaired: restart it ({message})")]
    Failed { message: String },
    #[error(
        "exchange {number} is not over: a third model would be in memory; wait until its state is done or failed"
    )]
    Busy { number: u32 },
}

impl ReloadRefused {
    /// For programs.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Loading => "MODEL_LOADING",
            Self::Stopping => "DRAINING",
            Self::Failed { .. } => "MODEL_FAILED",
            Self::Busy { .. } => "RELOAD_IN_PROGRESS",
        }
    }
}

/// Why a request that was taken failed.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// Not taken after all: only what is prepared has a number of tokens.
    #[error(transparent)]
    Rejected(#[from] Reject),
    #[error("file {file}: {source}")]
    Decode { file: usize, source: DecodeError },
    #[error("the document has {pages} pages, the most is {pages_max}: send fewer")]
    TooManyPages { pages: usize, pages_max: usize },
    #[error(transparent)]
    Prompt(#[from] PromptError),
    #[error(
        "the prompt takes {input_tokens} tokens, the most is {input_tokens_max}: send fewer pages, lower max_tiles_per_page, or shorten the text"
    )]
    TooManyTokens { input_tokens: usize, input_tokens_max: usize },
    #[error("the deadline passed in phase {phase}")]
    Deadline { phase: &'static str },
    #[error("the reader took nothing for {waited_ms} ms")]
    SlowClient { waited_ms: u64 },
    #[error("the logits of step {step} are not finite{}", origin(.at.as_ref()))]
    NonFiniteLogits {
        /// Number of the output token that was to be chosen, from 0.
        step: usize,
        /// Of the module at fault; where that is not known, of the one that makes the logits.
        dtype: Dtype,
        at: Option<NonFinite>,
    },
    #[error(
        "the answer is gibberish at step {step}: {bangs} of its last {characters} characters are `!`"
    )]
    Gibberish { step: usize, bangs: u32, characters: u32 },
    #[error(
        "the answer is a loop at step {step}: the same {period} tokens {count} times in a row{}",
        unsure(*.probability)
    )]
    Repetition {
        step: usize,
        period: usize,
        count: usize,
        /// Of its tokens, in geometric mean, where the model was unsure of them; else the count alone was too much.
        probability: Option<f64>,
    },
    #[error(transparent)]
    Constraint(#[from] ConstraintError),
    #[error(transparent)]
    Run(#[from] RunError),
    #[error("the server stopped before the answer was whole")]
    Stopped,
    #[error("a bug stopped the request: {message}")]
    Panicked { message: String },
}

/// The place where it began, as the end of a sentence.
fn origin(at: Option<&NonFinite>) -> String {
    at.map_or_else(String::new, |NonFinite { module, site, device_id, dtype }| {
        format!(": {module} ({site}) on {device_id} is the first that is not, in {dtype}")
    })
}

/// What the model itself thought of its loop, as the end of a sentence.
fn unsure(probability: Option<f64>) -> String {
    let tell =
        |probability| format!(", each of which it held for unlikely itself ({probability:.3})");
    probability.map_or_else(String::new, tell)
}

impl EngineError {
    /// The guard ended the answer at output token `step`.
    pub(super) fn tripped(step: usize, trip: Trip) -> Self {
        match trip {
            Trip::Bangs { bangs, characters } => Self::Gibberish { step, bangs, characters },
            Trip::Loop { period, count } => {
                Self::Repetition { step, period, count, probability: None }
            }
            Trip::Unsure { period, count, probability } => {
                Self::Repetition { step, period, count, probability: Some(probability) }
            }
        }
    }

    /// Whether what the model computed for this request is not to be trusted.
    pub(super) fn is_spoilt(&self) -> bool {
        matches!(
            self,
            Self::NonFiniteLogits { .. } | Self::Gibberish { .. } | Self::Repetition { .. }
        )
    }

    pub fn fault(&self) -> Fault {
        match self {
            Self::Prompt(error) if !error.is_callers() => Fault::Server,
            Self::Decode { .. }
            | Self::TooManyPages { .. }
            | Self::Prompt(_)
            | Self::TooManyTokens { .. }
            | Self::Constraint(ConstraintError::Grammar { .. })
            | Self::Deadline { .. }
            | Self::SlowClient { .. } => Fault::Caller,
            Self::Rejected(
                Reject::QueueFull { .. }
                | Reject::QueueTokens { .. }
                | Reject::Loading { .. }
                | Reject::Draining { .. },
            )
            | Self::Run(RunError::OutOfMemory { .. }) => Fault::Capacity,
            Self::Rejected(Reject::Failed { .. } | Reject::Poisoned { .. })
            | Self::NonFiniteLogits { .. }
            | Self::Gibberish { .. }
            | Self::Repetition { .. }
            | Self::Constraint(_)
            | Self::Run(RunError::Device { .. })
            | Self::Stopped
            | Self::Panicked { .. } => Fault::Server,
        }
    }
}
