//! Why the engine ended with requests open.

use std::any::Any;

use crate::engine::{EngineError, Reject};

/// Why open requests end with the engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ending {
    /// It was told to.
    Stopped,
    /// A bug.
    Panicked { message: String },
    /// The model fails for every request.
    DeviceFailed { message: String },
}

impl Ending {
    /// What `catch_unwind` caught.
    pub(super) fn panicked(panic: &(dyn Any + Send)) -> Self {
        let message = panic
            .downcast_ref::<&str>()
            .map(|text| (*text).to_owned())
            .or_else(|| panic.downcast_ref::<String>().cloned())
            .unwrap_or_else(|| "a panic without a message".to_owned());
        Self::Panicked { message }
    }

    /// What each open request is told.
    pub(super) fn error(&self) -> EngineError {
        match self {
            Self::Stopped => EngineError::Stopped,
            // As whoever comes next is told: this process takes none again.
            Self::DeviceFailed { message } => Reject::Failed { message: message.clone() }.into(),
            Self::Panicked { message } => EngineError::Panicked { message: message.clone() },
        }
    }
}
