//! A forward pass that has begun.

use super::output::Outputs;
use super::runner::RunError;
use super::times::PassTimes;

/// What a pass will give. Dropping it gives up the results, not the pass.
#[must_use = "a pass that was begun has results"]
pub struct Pending {
    state: State,
    times: Option<PassTimes>,
}

enum State {
    There(Outputs),
    Later(Box<dyn FnOnce() -> Result<Outputs, RunError> + Send>),
}

// === impl Pending ===

impl Pending {
    /// Of a pass that has ended.
    pub fn there(outputs: Outputs) -> Self {
        Self { state: State::There(outputs), times: None }
    }

    /// `wait` returns once the pass has ended.
    pub fn later(wait: impl FnOnce() -> Result<Outputs, RunError> + Send + 'static) -> Self {
        Self { state: State::Later(Box::new(wait)), times: None }
    }

    /// With where the time of the pass goes.
    pub fn timed(self, times: Option<PassTimes>) -> Self {
        Self { times, ..self }
    }

    /// Where the time of the pass goes; none where nobody can tell.
    pub fn times(&self) -> Option<&PassTimes> {
        self.times.as_ref()
    }

    /// Waits until the pass has ended.
    pub fn wait(self) -> Result<Outputs, RunError> {
        match self.state {
            State::There(outputs) => Ok(outputs),
            State::Later(wait) => wait(),
        }
    }
}

impl std::fmt::Debug for Pending {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let state = match &self.state {
            State::There(_) => "there",
            State::Later(_) => "later",
        };
        f.debug_tuple("Pending").field(&state).finish()
    }
}
