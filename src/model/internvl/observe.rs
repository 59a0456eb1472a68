//! Looking at activations as they are made, for parity checks and to find where a NaN is born.

use candle_core::{Result, Tensor};

/// Is shown named activations: `vision`, `projector`, `hidden.0`, ...
pub(super) trait Observe {
    fn see(&mut self, site: &str, tensor: &Tensor) -> Result<()>;
}

/// Looks at nothing.
pub(super) struct Blind;

impl Observe for Blind {
    fn see(&mut self, _site: &str, _tensor: &Tensor) -> Result<()> {
        Ok(())
    }
}
