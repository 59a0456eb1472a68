//! What the options mean, once all of them are right.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::access;
use crate::checkpoint::Checkpoint;
use crate::device::DeviceSelection;
use crate::engine::GuardConfig;
use crate::fetch;
use crate::model::fake::Pace;
use crate::placement::{DeviceMap, DtypePolicy};
use crate::preprocess::PdfRenderer;
use crate::prompt::PromptStyle;
use crate::telemetry;
use crate::transport;
use crate::weights::WeightSource;

/// The whole configuration of a server.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    pub model: ModelConfig,
    pub requests: RequestConfig,
    pub guard: GuardConfig,
    pub server: ServerConfig,
    pub telemetry: telemetry::Config,
    /// Where PDF files are rendered: in this process, unless whoever runs the server has a better place.
    pub pdf: PdfRenderer,
    /// To be logged once logging is up.
    pub warnings: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelConfig {
    pub checkpoint: Checkpoint,
    pub weights: WeightSource,
    /// There is no model behind the tokenizer, but something that takes so long: for load tests.
    pub fake: Option<Pace>,
    pub devices: DeviceSelection,
    /// Models that are loaded, each on its part of `devices`; at least 1.
    pub replicas: usize,
    pub device_map: DeviceMap,
    /// None: what is free.
    pub max_memory: Option<String>,
    /// The embedding's table stays in the host's memory.
    pub host_embedding: bool,
    pub dtypes: DtypePolicy,
    pub verify: Verify,
    /// None: what the checkpoint's files ask for.
    pub prompt_style: Option<PromptStyle>,
    /// None: the checkpoint's own.
    pub system_message: Option<String>,
    /// None: the built-in ones.
    pub prompts: Option<PathBuf>,
    /// Whether the model's own calibration, if it has one, maps confidences.
    pub calibration: bool,
}

/// What start-up checks beyond the files' headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verify {
    /// Where tensors are, in which dtype.
    Placement,
    /// Also a page through the whole model.
    Probe,
    /// Also every weight, read back and compared with the file.
    Full,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestConfig {
    pub slots: usize,
    /// Upper bound: a model with a shorter context has its own.
    pub slot_tokens: usize,
    /// None: `slots` times `slot_tokens`.
    pub kv_tokens: Option<usize>,
    pub prefix_cache: bool,
    /// None: as many as suit the devices.
    pub prefill_chunk: Option<usize>,
    pub queue: usize,
    /// Prompt tokens of all that waits.
    pub queue_tokens: usize,
    /// None: the checkpoint's own bound.
    pub max_tiles: Option<u32>,
    pub max_output_tokens: usize,
    pub intake_threads: usize,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerConfig {
    pub listen: SocketAddr,
    pub drain_timeout: Duration,
    pub drain_propagation: Duration,
    pub reflection: bool,
    /// None: nothing is served to operators.
    pub admin_listen: Option<SocketAddr>,
    /// Empty: only pages of this server.
    pub cors_origins: Vec<String>,
    pub playground: bool,
    /// None: by where the server listens.
    pub allowed_hosts: Option<Vec<String>>,
    /// A step that runs for longer is stuck; none: nobody looks.
    pub watchdog: Option<Duration>,
    pub transport: transport::Options,
    pub access: access::Config,
    /// Bytes of all requests that arrive, wait and run.
    pub request_memory: usize,
    /// Longest silence in the middle of a request's message.
    pub receive_timeout: Duration,
    /// None: requests bring their files.
    pub fetch: Option<fetch::Config>,
}
