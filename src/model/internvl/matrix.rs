//! Matrices of a part, dense or in 8 bits as its place says.

use super::home::Home;
use crate::model::layers::Linear;
use crate::weights::{Loaded, Weights};
use candle_core::Tensor;

impl Home {
    /// A product with the rows of `parts`, each a name and a shape, one below the other. 8-bit weights
    /// are made from the file's bytes, so that the dense ones are never on the device.
    pub(super) fn linear(
        &self,
        weights: &Weights,
        parts: &[(String, Vec<usize>)],
        bias: Option<Tensor>,
    ) -> Loaded<Linear> {
        let matrices = self.matrices(weights);
        if !self.is_quantized() {
            return Ok(Linear::new(matrices.stacked(parts)?, bias));
        }
        let (first, width) = parts.first().map_or(("", 0), |(name, shape)| (name, shape[1]));
        let place = |error: candle_core::Error| matrices.cannot_place(first, &error);
        let stored: Option<Vec<_>> = parts
            .iter()
            .map(|(name, shape)| matrices.stored(name, shape))
            .collect::<Loaded<_>>()?;
        let linear = match stored {
            Some(rows) => Linear::quantized(&rows, width, bias, self.candle_device()),
            None => Linear::new(matrices.stacked(parts)?, bias).quantize(),
        };
        for (name, _) in parts {
            matrices.release(name);
        }
        linear.map_err(place)
    }
}
