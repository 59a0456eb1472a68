//! What the options mean, once all of them are right.

use std::net::SocketAddr;
use std::time::Duration;

use crate::checkpoint::Checkpoint;
use crate::device::{DeviceRequest, Dtype};
use crate::engine::GuardConfig;
use crate::prompt::PromptStyle;
use crate::telemetry;
use crate::weights::WeightSource;

/// The whole configuration of a server.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    pub model: ModelConfig,
    pub requests: RequestConfig,
    pub guard: GuardConfig,
    pub server: ServerConfig,
    pub telemetry: telemetry::Config,
    /// To be logged once logging is up.
    pub warnings: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelConfig {
    pub checkpoint: Checkpoint,
    pub weights: WeightSource,
    pub device: DeviceRequest,
    /// None: the best that the device computes reliably.
    pub dtype: Option<Dtype>,
    /// None: what the checkpoint's files ask for.
    pub prompt_style: Option<PromptStyle>,
    /// None: the checkpoint's own.
    pub system_message: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestConfig {
    pub slots: usize,
    /// Upper bound: a model with a shorter context has its own.
    pub slot_tokens: usize,
    pub prefill_chunk: usize,
    pub queue: usize,
    /// None: the checkpoint's own bound.
    pub max_tiles: Option<u32>,
    pub max_output_tokens: usize,
    pub intake_threads: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServerConfig {
    pub listen: SocketAddr,
    pub drain_timeout: Duration,
    pub drain_propagation: Duration,
    pub reflection: bool,
}
