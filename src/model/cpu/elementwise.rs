//! Vectorised, parallel elementwise functions.

use candle_core::{CpuStorage, CustomOp1, CustomOp3, Layout, Result, Shape, bail};
use rayon::prelude::*;

use super::math::{erf, exp};

/// Elements of one task: big enough to pay for its start, small enough for the first-level cache.
const TASK_ELEMENTS: usize = 8192;

/// GELU with the exact error function.
pub(in crate::model) struct Gelu;

/// `silu(gate) * up` of rows `[gate | up]`: `[rows, 2 * width]` to `[rows, width]`.
pub(in crate::model) struct SwiGlu;

struct GeluTask<'a>(&'a mut [f32]);

impl pulp::NullaryFnOnce for GeluTask<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        for x in self.0 {
            *x = 0.5 * *x * (1.0 + erf(*x * std::f32::consts::FRAC_1_SQRT_2));
        }
    }
}

/// GELU in place, on the calling thread.
pub(super) fn gelu_in_place(x: &mut [f32]) {
    pulp::Arch::new().dispatch(GeluTask(x));
}

/// Adds rows of `y`, scaled column by column, to `out`, on the calling thread.
pub(super) fn add_scaled(out: &mut [f32], y: &[f32], scale: &[f32]) {
    pulp::Arch::new().dispatch(ScaledAddTask { out, y, scale });
}

struct SwiGluTask<'a> {
    out: &'a mut [f32],
    x: &'a [f32],
    width: usize,
}

impl pulp::NullaryFnOnce for SwiGluTask<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Self { out, x, width } = self;
        for (out, x) in out.chunks_exact_mut(width).zip(x.chunks_exact(2 * width)) {
            let (gate, up) = x.split_at(width);
            for ((out, gate), up) in out.iter_mut().zip(gate).zip(up) {
                *out = gate / (1.0 + exp(-gate)) * up;
            }
        }
    }
}

pub(super) fn contiguous_f32<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    let (CpuStorage::F32(values), Some((start, end))) = (storage, layout.contiguous_offsets())
    else {
        bail!("the CPU kernels take contiguous f32")
    };
    Ok(&values[start..end])
}

impl CustomOp1 for Gelu {
    fn name(&self) -> &'static str {
        "gelu"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let mut out = contiguous_f32(storage, layout)?.to_vec();
        out.par_chunks_mut(TASK_ELEMENTS).for_each(gelu_in_place);
        Ok((CpuStorage::F32(out), layout.shape().clone()))
    }
}

/// `x + y * scale`, rows of `x` and `y` scaled column by column: the residual of a layer with
/// layer scale.
pub(in crate::model) struct ScaledAdd;

struct ScaledAddTask<'a> {
    out: &'a mut [f32],
    y: &'a [f32],
    scale: &'a [f32],
}

impl pulp::NullaryFnOnce for ScaledAddTask<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let width = self.scale.len();
        for (out, y) in self.out.chunks_exact_mut(width).zip(self.y.chunks_exact(width)) {
            for ((out, y), scale) in out.iter_mut().zip(y).zip(self.scale) {
                *out += y * scale;
            }
        }
    }
}

impl CustomOp3 for ScaledAdd {
    fn name(&self) -> &'static str {
        "scaled-add"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        y: &CpuStorage,
        y_layout: &Layout,
        scale: &CpuStorage,
        scale_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let mut out = contiguous_f32(x, x_layout)?.to_vec();
        let y = contiguous_f32(y, y_layout)?;
        let scale = contiguous_f32(scale, scale_layout)?;
        let task = TASK_ELEMENTS.div_ceil(scale.len()) * scale.len();
        out.par_chunks_mut(task)
            .zip(y.par_chunks(task))
            .for_each(|(out, y)| add_scaled(out, y, scale));
        Ok((CpuStorage::F32(out), x_layout.shape().clone()))
    }
}

impl CustomOp1 for SwiGlu {
    fn name(&self) -> &'static str {
        "swiglu"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let x = contiguous_f32(storage, layout)?;
        let (rows, double) = layout.shape().dims2()?;
        let width = double / 2;
        let mut out = vec![0.0; rows * width];
        let rows_per_task = TASK_ELEMENTS.div_ceil(width);
        out.par_chunks_mut(rows_per_task * width)
            .zip(x.par_chunks(rows_per_task * double))
            .for_each(|(out, x)| {
                pulp::Arch::new().dispatch(SwiGluTask { out, x, width });
            });
        Ok((CpuStorage::F32(out), Shape::from((rows, width))))
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Tensor};

    use super::*;

    fn ramp(rows: usize, columns: usize) -> Tensor {
        let count = rows * columns;
        let values: Vec<f32> = (0..count).map(|i| (i % 997) as f32 / 50.0 - 10.0).collect();
        Tensor::from_vec(values, (rows, columns), &Device::Cpu).unwrap()
    }

    #[track_caller]
    fn check_close(ours: &Tensor, expected: &Tensor) {
        let difference: f32 =
            (ours - expected).unwrap().abs().unwrap().max_all().unwrap().to_scalar().unwrap();
        assert!(difference < 2e-5, "{difference:e}");
    }

    #[test]
    fn gelu_equals_the_library_composite() {
        let x = ramp(70, 333);
        check_close(&x.apply_op1_no_bwd(&Gelu).unwrap(), &x.gelu_erf().unwrap());
    }

    #[test]
    fn scaled_add_equals_the_library_composite() {
        let (x, y, scale) = (ramp(301, 77), ramp(301, 77), ramp(1, 77).squeeze(0).unwrap());
        let expected = (&x + y.broadcast_mul(&scale).unwrap()).unwrap();
        check_close(&x.apply_op3_no_bwd(&y, &scale, &ScaledAdd).unwrap(), &expected);
    }

    #[test]
    fn swiglu_equals_the_library_composite() {
        let x = ramp(37, 666);
        let expected = candle_nn::ops::swiglu(&x).unwrap();
        check_close(&x.apply_op1_no_bwd(&SwiGlu).unwrap(), &expected);
    }
}
