//! Requests in time: intake, scheduling, steps, sampling and the events of each request.
//!
//! One thread owns the model and steps; everything else talks to it through bounded channels.
//! Dropping a request's [`Events`] cancels it.

mod error;
mod event;
mod job;
mod status;

pub use error::{EngineError, Fault, Reject};
pub use event::{Accepted, Done, Event, FinishReason, Phase, Progress, Text, Timings, Usage};
pub use job::{Job, Sampling};
pub use status::{Load, ModelState, Status};
