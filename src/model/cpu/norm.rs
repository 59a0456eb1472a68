//! Layer and RMS normalisation, vectorised and parallel over rows.

use candle_core::{CpuStorage, CustomOp2, CustomOp3, Layout, Result, Shape};
use rayon::prelude::*;

use super::elementwise::contiguous_f32;
use super::math::fold_lanes;

/// Rows of one task.
const TASK_ROWS: usize = 32;

/// `(x - mean) / sqrt(variance + eps) * weight + bias` over the last dimension.
pub(in crate::model) struct LayerNorm {
    pub(in crate::model) eps: f32,
}

/// `x / sqrt(mean square + eps) * weight` over the last dimension.
pub(in crate::model) struct RmsNorm {
    pub(in crate::model) eps: f32,
}

struct Task<'a> {
    rows: &'a mut [f32],
    weight: &'a [f32],
    /// With a bias the mean is taken away too: layer norm.
    bias: Option<&'a [f32]>,
    eps: f32,
}

impl pulp::NullaryFnOnce for Task<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let width = self.weight.len();
        for row in self.rows.chunks_exact_mut(width) {
            if self.bias.is_some() {
                let mean = fold_lanes(row, 0.0, |a, b| a + b) / width as f32;
                for x in row.iter_mut() {
                    *x -= mean;
                }
            }
            let inverse = 1.0 / (mean_square(row) + self.eps).sqrt();
            for (x, weight) in row.iter_mut().zip(self.weight) {
                *x *= inverse * weight;
            }
            if let Some(bias) = self.bias {
                for (x, bias) in row.iter_mut().zip(bias) {
                    *x += bias;
                }
            }
        }
    }
}

#[inline(always)]
fn mean_square(row: &[f32]) -> f32 {
    const LANES: usize = 32;
    let mut lanes = [0.0f32; LANES];
    let chunks = row.chunks_exact(LANES);
    let rest: f32 = chunks.remainder().iter().map(|x| x * x).sum();
    for chunk in chunks {
        for (lane, x) in lanes.iter_mut().zip(chunk) {
            *lane += x * x;
        }
    }
    (lanes.iter().sum::<f32>() + rest) / row.len() as f32
}

/// Normalises rows in place, on the calling thread; with a bias the mean is taken away too.
pub(super) fn normalise_rows(rows: &mut [f32], weight: &[f32], bias: Option<&[f32]>, eps: f32) {
    pulp::Arch::new().dispatch(Task { rows, weight, bias, eps });
}

fn normalise(x: &[f32], weight: &[f32], bias: Option<&[f32]>, eps: f32) -> Vec<f32> {
    let mut out = x.to_vec();
    let task = |rows: &mut [f32]| normalise_rows(rows, weight, bias, eps);
    if out.len() <= TASK_ROWS * weight.len() {
        task(&mut out);
    } else {
        out.par_chunks_mut(TASK_ROWS * weight.len()).for_each(task);
    }
    out
}

impl CustomOp3 for LayerNorm {
    fn name(&self) -> &'static str {
        "layer-norm"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        weight: &CpuStorage,
        weight_layout: &Layout,
        bias: &CpuStorage,
        bias_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let weight = contiguous_f32(weight, weight_layout)?;
        let bias = contiguous_f32(bias, bias_layout)?;
        let out = normalise(contiguous_f32(x, x_layout)?, weight, Some(bias), self.eps);
        Ok((CpuStorage::F32(out), x_layout.shape().clone()))
    }
}

impl CustomOp2 for RmsNorm {
    fn name(&self) -> &'static str {
        "rms-norm"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        weight: &CpuStorage,
        weight_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let weight = contiguous_f32(weight, weight_layout)?;
        let out = normalise(contiguous_f32(x, x_layout)?, weight, None, self.eps);
        Ok((CpuStorage::F32(out), x_layout.shape().clone()))
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Tensor};

    use super::*;

    fn ramp(rows: usize, columns: usize) -> Tensor {
        let values: Vec<f32> =
            (0..rows * columns).map(|i| ((i * 31) % 613) as f32 / 100.0 - 2.0).collect();
        Tensor::from_vec(values, (rows, columns), &Device::Cpu).unwrap()
    }

    #[track_caller]
    fn check_close(ours: &Tensor, expected: &Tensor) {
        let difference: f32 =
            (ours - expected).unwrap().abs().unwrap().max_all().unwrap().to_scalar().unwrap();
        assert!(difference < 1e-5, "{difference:e}");
    }

    #[test]
    fn both_equal_the_library_composites() {
        for (rows, columns) in [(1, 40), (100, 96), (33, 256)] {
            let x = ramp(rows, columns);
            let weight = ramp(1, columns).squeeze(0).unwrap();
            let bias = (&weight * 0.5).unwrap();
            let eps = 1e-3;
            let layer = x.apply_op3_no_bwd(&weight, &bias, &LayerNorm { eps }).unwrap();
            let expected = candle_nn::ops::layer_norm_slow(&x, &weight, &bias, eps).unwrap();
            check_close(&layer, &expected);
            let rms = x.apply_op2_no_bwd(&weight, &RmsNorm { eps }).unwrap();
            check_close(&rms, &candle_nn::ops::rms_norm_slow(&x, &weight, eps).unwrap());
        }
    }
}
