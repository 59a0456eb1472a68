//! The model exchanged for another while requests run, asked for by a signal or by an operator.

use std::fmt;
use std::sync::Arc;

use crate::app::load::Loader;
use crate::engine::{Handle, ReloadRefused};

/// Loads what the model's path leads to now, beside what is served.
#[derive(Clone)]
pub(super) struct Reloader {
    engine: Handle,
    loader: Arc<Loader>,
}

// === impl Reloader ===

impl Reloader {
    pub(super) fn new(engine: Handle, loader: Loader) -> Self {
        Self { engine, loader: Arc::new(loader) }
    }

    /// Begins an exchange and returns its number; the engine's status says how it goes.
    pub(super) fn reload(&self, asked_by: &str) -> Result<u32, ReloadRefused> {
        let begun = self.engine.reload(self.loader.replicas());
        match &begun {
            Ok(number) => tracing::info!(number, asked_by, "loading the model anew"),
            Err(refused) => {
                tracing::error!(reason = refused.reason(), asked_by, "not reloaded: {refused}");
            }
        }
        begun
    }
}

impl fmt::Debug for Reloader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reloader").finish_non_exhaustive()
    }
}
