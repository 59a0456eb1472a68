//! Requests in time: intake, scheduling, steps and the events of each request.
//!
//! ```text
//! Handle::submit(Job) ─▶ intake threads ─▶ inbox ─▶ step thread ─▶ Events
//!      or Reject          decode, tile,             schedule, encode,
//!                         tokenise                  step, choose
//! ```
//!
//! One thread owns the model and steps; everything else talks to it through bounded queues.
//! Dropping a request's [`Events`] cancels it. The scheduler never touches a tensor, and neither
//! does anything else on this floor.

mod config;
mod error;
mod event;
mod generation;
mod guard;
mod handle;
mod job;
mod status;

mod channel;
mod intake;
mod life;
mod muster;
mod prepare;
mod pulse;
mod stepper;

mod answer;
mod blocks;
mod board;
mod chance;
mod clock;
mod constrained;
mod counters;
mod encoder_cache;
mod ending;
mod inbox;
mod invariant;
mod poison;
mod prefix;
mod queue;
mod scheduler;
mod sequence;
mod step;
mod timeline;
mod trace;
mod warmup;

#[cfg(test)]
mod tests;

pub use channel::Events;
pub use config::Config;
pub use counters::Counts;
pub use error::{EngineError, Fault, Reject, ReloadRefused};
pub use event::{
    Accepted, Done, Event, FinishReason, PageSource, Phase, Progress, Text, Timings, Usage,
};
pub use generation::{Model, Place, Served};
pub use guard::GuardConfig;
pub use handle::{Handle, LoadError, LoadProgress, Loaded};
pub use job::{Job, PageFile, Priority, Sampling};
pub use status::{Load, ModelState, Reload, ReloadState, Status};
