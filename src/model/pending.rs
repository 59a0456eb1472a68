//! A forward pass that has begun.

use super::output::Outputs;
use super::runner::RunError;

/// What a pass will give. Dropping it gives up the results, not the pass.
#[must_use = "a pass that was begun has results"]
pub struct Pending(State);

enum State {
    There(Outputs),
    Later(Box<dyn FnOnce() -> Result<Outputs, RunError> + Send>),
}

// === impl Pending ===

impl Pending {
    /// Of a pass that has ended.
    pub fn there(outputs: Outputs) -> Self {
        Self(State::There(outputs))
    }

    /// `wait` returns once the pass has ended.
    pub fn later(wait: impl FnOnce() -> Result<Outputs, RunError> + Send + 'static) -> Self {
        Self(State::Later(Box::new(wait)))
    }

    /// Waits until the pass has ended.
    pub fn wait(self) -> Result<Outputs, RunError> {
        match self.0 {
            State::There(outputs) => Ok(outputs),
            State::Later(wait) => wait(),
        }
    }
}

impl std::fmt::Debug for Pending {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let state = match &self.0 {
            State::There(_) => "there",
            State::Later(_) => "later",
        };
        f.debug_tuple("Pending").field(&state).finish()
    }
}
