//! Rotary position embedding of some heads of rows, read where the product left them.

use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, bail};
use rayon::prelude::*;

use super::elementwise::contiguous_f32;

/// Rows of one task.
const TASK_ROWS: usize = 32;

/// `x` `[rows, heads, head_dim]`, dense but for the distance of its rows, turned by the angles of its rows, whose
/// cosines and sines are `[rows, head_dim / 2]`: elements `i` and `i + head_dim / 2` of a head are a pair.
pub(in crate::model) struct Rotate;

impl CustomOp3 for Rotate {
    fn name(&self) -> &'static str {
        "rotate"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        cos: &CpuStorage,
        cos_layout: &Layout,
        sin: &CpuStorage,
        sin_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (rows, heads, head_dim) = x_layout.shape().dims3()?;
        let (CpuStorage::F32(x), &[stride, head_stride, 1]) = (x, x_layout.stride()) else {
            bail!("rotation takes f32 with dense heads")
        };
        if heads > 1 && head_stride != head_dim {
            bail!("rotation takes dense heads")
        }
        let x = &x[x_layout.start_offset()..];
        let (cos, sin) = (contiguous_f32(cos, cos_layout)?, contiguous_f32(sin, sin_layout)?);
        let (width, half) = (heads * head_dim, head_dim / 2);
        let mut out = vec![0.0; rows * width];
        let task = |(task, out): (usize, &mut [f32])| {
            for (row, out) in out.chunks_exact_mut(width).enumerate() {
                let row = task * TASK_ROWS + row;
                let x = &x[row * stride..][..width];
                let (cos, sin) = (&cos[row * half..][..half], &sin[row * half..][..half]);
                pulp::Arch::new().dispatch(Heads { out, x, cos, sin });
            }
        };
        if rows <= TASK_ROWS {
            task((0, &mut out));
        } else {
            out.par_chunks_mut(TASK_ROWS * width).enumerate().for_each(task);
        }
        Ok((CpuStorage::F32(out), x_layout.shape().clone()))
    }
}

/// All heads of a row.
struct Heads<'a> {
    out: &'a mut [f32],
    x: &'a [f32],
    cos: &'a [f32],
    sin: &'a [f32],
}

impl pulp::NullaryFnOnce for Heads<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Self { out, x, cos, sin } = self;
        let half = cos.len();
        for (out, x) in out.chunks_exact_mut(2 * half).zip(x.chunks_exact(2 * half)) {
            let (out_a, out_b) = out.split_at_mut(half);
            let (a, b) = x.split_at(half);
            let out = out_a.iter_mut().zip(out_b);
            for ((((out_a, out_b), a), b), (cos, sin)) in out.zip(a).zip(b).zip(cos.iter().zip(sin))
            {
                *out_a = a * cos - b * sin;
                *out_b = b * cos + a * sin;
            }
        }
    }
}
