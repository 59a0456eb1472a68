//! Matrices of a part, dense or in 8 bits as its place says.

use candle_core::{DType, Device, Tensor};

use super::home::Home;
use crate::model::layers::Linear;
use crate::placement::Quantization;
use crate::weights::{Loaded, ModuleWeights, Weights};

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
        let Some(format) = self.quantization() else {
            return Ok(Linear::new(matrices.stacked(parts)?, bias));
        };
        let (first, width) = parts.first().map_or(("", 0), |(name, shape)| (name, shape[1]));
        let place = |error: candle_core::Error| matrices.cannot_place(first, &error);
        let stored: Option<Vec<_>> = parts
            .iter()
            .map(|(name, shape)| matrices.stored(name, shape))
            .collect::<Loaded<_>>()?;
        let linear = match &stored {
            Some(rows) => Linear::quantized(rows, width, format, bias, self.candle_device()),
            None => Linear::quantized_from(&matrices.stacked(parts)?, format, bias),
        }
        .map_err(place)?;
        if let Some(rows) = stored.filter(|_| matrices.compares()) {
            compare(&matrices, parts, &rows, (width, format), &linear)?;
        }
        for (name, _) in parts {
            matrices.release(name);
        }
        Ok(linear)
    }
}

/// Compares the 8-bit weights of `linear` with what the host makes of the stored rows once more.
fn compare(
    matrices: &ModuleWeights<'_>,
    parts: &[(String, Vec<usize>)],
    rows: &[(DType, &[u8])],
    (width, format): (usize, Quantization),
    linear: &Linear,
) -> Loaded<()> {
    let mut first_row = 0;
    for ((name, shape), rows) in parts.iter().zip(rows) {
        let place = |error: candle_core::Error| matrices.cannot_place(name, &error);
        let again =
            Linear::quantized(&[*rows], width, format, None, &Device::Cpu).map_err(place)?;
        let here = |tensor: Tensor| tensor.narrow(0, first_row, shape[0]).map_err(place);
        let placed = linear.weights().into_iter().map(here).collect::<Loaded<Vec<_>>>()?;
        let pairs: Vec<_> = again.weights().into_iter().zip(placed).collect();
        matrices.compare(name, &pairs)?;
        first_row += shape[0];
    }
    Ok(())
}
