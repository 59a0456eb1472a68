//! What the engine says of itself, at any time, also while it loads.

use std::sync::Arc;

use crate::engine::generation::Served;
use crate::fields::Calibration;
use crate::model::ModelSpec;

/// The life of the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ModelState {
    Loading,
    Ready,
    /// Still takes requests, but says that it will not for long: whoever balances load looks elsewhere.
    Leaving,
    /// Takes no more requests; those that were taken go on to their end.
    Draining,
    /// Spoilt too many answers in a row: takes no more requests until it is started anew; those that
    /// were taken go on to their end.
    Poisoned,
    Failed,
}

/// Published through a `watch` channel after each change.
#[derive(Debug, Clone, PartialEq)]
pub struct Status {
    pub state: ModelState,
    /// For people: what is being loaded, or why the state is `Poisoned` or `Failed`.
    pub message: String,
    /// None until the model is loaded.
    pub spec: Option<Arc<ModelSpec>>,
    /// As [`Served::tiles_per_page_max`]; none until the model is loaded, too.
    pub tiles_per_page_max: Option<u32>,
    /// As [`Served::calibration`].
    pub calibration: Option<Arc<Calibration>>,
    pub load: Load,
    /// The last exchange of the model for another.
    pub reload: Option<Reload>,
}

/// An exchange of the model for another while requests run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reload {
    /// Counts from 1.
    pub number: u32,
    pub state: ReloadState,
    /// For people: what is being loaded, or why it failed.
    pub message: String,
}

/// Where an exchange is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReloadState {
    /// The new model loads; the old one serves.
    Loading,
    /// The new one takes requests; the old one finishes those that it has.
    Draining,
    /// The old one is gone, and its memory is free.
    Done,
    /// The old one serves as before.
    Failed,
}

impl Status {
    pub(super) fn shows(&mut self, served: &Served) {
        self.spec = Some(Arc::clone(&served.spec));
        self.tiles_per_page_max = served.tiles_per_page_max;
        self.calibration.clone_from(&served.calibration);
    }

    /// Whether it takes requests and means to go on.
    pub fn is_ready(&self) -> bool {
        self.state == ModelState::Ready
    }

    /// Whether to keep the process: a model that failed, or is poisoned and has sent its last answer, is
    /// well again only after a restart.
    pub fn is_alive(&self) -> bool {
        match self.state {
            ModelState::Failed => false,
            ModelState::Poisoned => !self.load.is_idle(),
            _ => true,
        }
    }
}

/// How busy the engine is.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Load {
    pub running: usize,
    pub queued: usize,
    /// Prompt tokens of those that are queued and prepared.
    pub queued_tokens: usize,
    /// Requests that are to follow one that is not over yet, and are taken already.
    pub following: usize,
    /// Share of the KV cache's blocks in use, 0 to 1.
    pub kv_utilization: f64,
}

impl Load {
    /// Whether no request is left, nor one to come.
    pub(super) fn is_idle(&self) -> bool {
        self.running + self.queued + self.following == 0
    }
}
