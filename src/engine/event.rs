//! What a request's reader is told, in order: `Accepted`, then anything, then one terminal result.

use std::time::Duration;

use crate::fields::TokenScore;

/// One event of a running request. A stream ends after `Done`, or with an [`EngineError`](super::EngineError).
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// The input is valid and the request is in the queue.
    Accepted(Accepted),
    /// The phase changed, or the counts within it.
    Progress(Progress),
    /// The next piece of the answer.
    Text(Text),
    /// The answer is whole; nothing follows.
    Done(Done),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// Thumbnail included.
    pub tiles_per_page: Vec<u32>,
    /// Where each page came from.
    pub pages: Vec<PageSource>,
    /// Text and image tokens of the prompt.
    pub input_tokens: usize,
}

/// Where a page came from, and its size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageSource {
    /// Index of the job's file.
    pub file: usize,
    /// Number in the file; the first is 1.
    pub page: usize,
    pub width_px: u32,
    pub height_px: u32,
    /// What there is to read on it, where its file says that.
    pub text: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    Queued,
    Vision,
    Prefill,
    Decode,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    pub phase: Phase,
    /// Requests ahead of this one, while it is queued.
    pub queue_position: Option<usize>,
    pub encoded_tiles: usize,
    pub prefilled_tokens: usize,
    pub output_tokens: usize,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Text {
    /// Never cut inside a character; not empty.
    pub text: String,
    /// Tokens since the piece before: more than one where a reader was slow or a character took several, none where the
    /// answer's end let out what might have become a stop text.
    pub tokens: usize,
    /// Of the tokens that wrote it, where the job asked for them.
    pub scores: Vec<TokenScore>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FinishReason {
    /// The model ended its answer, or a stop text matched.
    Stop,
    /// `output_tokens_max` or the slot's capacity was reached.
    Length,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    pub input_tokens: usize,
    /// Of those, how many were not taken in because the KV cache had them.
    pub cached_input_tokens: usize,
    pub image_tokens: usize,
    pub output_tokens: usize,
}

/// Where the time went. `time_to_first_token` and `total` count from the request's arrival.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Timings {
    pub queue: Duration,
    pub preprocess: Duration,
    pub vision: Duration,
    pub prefill: Duration,
    pub decode: Duration,
    pub time_to_first_token: Duration,
    pub total: Duration,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done {
    pub finish_reason: FinishReason,
    /// The whole answer: all [`Text`] pieces joined.
    pub text: String,
    pub usage: Usage,
    pub timings: Timings,
}
