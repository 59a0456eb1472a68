//! Matrix product with a stored weight, the bias or the residual added by the product itself.

use candle_core::{CpuStorage, CustomOp2, CustomOp3, Layout, Result, Shape};

use super::elementwise::contiguous_f32;
use super::gemm::{Product, View, matmul};

/// Multiplications above which a product takes all cores.
const PARALLEL_FROM: usize = 1 << 20;

/// `x · weightᵀ` of `[rows, in]` and `[out, in]`; with a third tensor, `[out]` or `[rows, out]`, plus
/// that.
pub(in crate::model) struct LinearProduct;

fn product(
    x: (&CpuStorage, &Layout),
    weight: (&CpuStorage, &Layout),
    addend: Option<(&CpuStorage, &Layout)>,
) -> Result<(CpuStorage, Shape)> {
    let (rows, inner) = x.1.shape().dims2()?;
    let (columns, _) = weight.1.shape().dims2()?;
    let mut out = match addend {
        None => vec![0.0; rows * columns],
        Some((storage, layout)) => {
            let addend = contiguous_f32(storage, layout)?;
            if addend.len() == columns { addend.repeat(rows) } else { addend.to_vec() }
        }
    };
    matmul(
        (&mut out, View::row_major(rows, columns, columns)),
        (contiguous_f32(x.0, x.1)?, View::row_major(rows, inner, inner)),
        (contiguous_f32(weight.0, weight.1)?, View::row_major(columns, inner, inner).transposed()),
        Product {
            scale: 1.0,
            accumulate: addend.is_some(),
            parallel: rows * columns * inner >= PARALLEL_FROM,
        },
    );
    Ok((CpuStorage::F32(out), Shape::from((rows, columns))))
}

impl CustomOp2 for LinearProduct {
    fn name(&self) -> &'static str {
        "linear"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        weight: &CpuStorage,
        weight_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        product((x, x_layout), (weight, weight_layout), None)
    }
}

impl CustomOp3 for LinearProduct {
    fn name(&self) -> &'static str {
        "linear-add"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        weight: &CpuStorage,
        weight_layout: &Layout,
        addend: &CpuStorage,
        addend_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        product((x, x_layout), (weight, weight_layout), Some((addend, addend_layout)))
    }
}
