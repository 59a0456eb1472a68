//! Matrix product with a stored weight, the bias or the residual added by the product itself.

use candle_core::{CpuStorage, CustomOp2, CustomOp3, Layout, Result, Shape};
use rayon::prelude::*;

use super::elementwise::contiguous_f32;
use super::gemm::{Product, View, matmul};

/// Rows of one task: enough to pay for packing the weight again.
const TASK_ROWS_MIN: usize = 64;

/// Multiplications above which a product of few rows takes all cores.
const PARALLEL_FROM: usize = 1 << 20;

/// `x · weightᵀ` of `[rows, in]` and `[out, in]`; with a third tensor, `[out]` or `[rows, out]`, plus
/// that.
pub(in crate::model) struct LinearProduct;

/// What the product is added to.
#[derive(Clone, Copy)]
pub(super) enum Addend<'a> {
    None,
    /// The same for every row.
    Bias(&'a [f32]),
    /// As many rows as the product.
    Rows(&'a [f32]),
}

fn product(
    x: (&CpuStorage, &Layout),
    weight: (&CpuStorage, &Layout),
    addend: Option<(&CpuStorage, &Layout)>,
) -> Result<(CpuStorage, Shape)> {
    let (rows, inner) = x.1.shape().dims2()?;
    let (columns, _) = weight.1.shape().dims2()?;
    let x = contiguous_f32(x.0, x.1)?;
    let weight = contiguous_f32(weight.0, weight.1)?;
    let addend = Addend::new(addend)?;
    let mut out = vec![0.0; rows * columns];
    // Cutting many rows into tasks keeps all cores busier than the library's own splitting does.
    let task_rows = rows.div_ceil(rayon::current_num_threads()).max(TASK_ROWS_MIN);
    if rows > task_rows {
        out.par_chunks_mut(task_rows * columns)
            .zip(x.par_chunks(task_rows * inner))
            .enumerate()
            .for_each(|(task, (out, x))| {
                rows_product(
                    out,
                    (x, inner),
                    weight,
                    addend.from(task * task_rows * columns),
                    false,
                );
            });
    } else {
        let parallel = rows * columns * inner >= PARALLEL_FROM;
        rows_product(&mut out, (x, inner), weight, addend, parallel);
    }
    Ok((CpuStorage::F32(out), Shape::from((rows, columns))))
}

/// The product of some rows, on the calling thread unless `parallel`.
fn rows_product(
    out: &mut [f32],
    (x, inner): (&[f32], usize),
    weight: &[f32],
    addend: Addend<'_>,
    parallel: bool,
) {
    let (rows, columns) = (x.len() / inner, weight.len() / inner);
    addend.fill(out, columns);
    matmul(
        (out, View::row_major(rows, columns, columns)),
        (x, View::row_major(rows, inner, inner)),
        (weight, View::row_major(columns, inner, inner).transposed()),
        Product { scale: 1.0, accumulate: !matches!(addend, Addend::None), parallel },
    );
}

impl<'a> Addend<'a> {
    /// `[columns]`, `[rows, columns]` or nothing.
    pub(super) fn new(addend: Option<(&'a CpuStorage, &Layout)>) -> Result<Self> {
        Ok(match addend {
            None => Self::None,
            Some((storage, layout)) if layout.dims().len() == 1 => {
                Self::Bias(contiguous_f32(storage, layout)?)
            }
            Some((storage, layout)) => Self::Rows(contiguous_f32(storage, layout)?),
        })
    }

    /// Puts the addend where the product will be added; without one `out` stays as it is.
    pub(super) fn fill(self, out: &mut [f32], columns: usize) {
        match self {
            Self::None => {}
            Self::Bias(bias) => {
                out.chunks_exact_mut(columns).for_each(|row| row.copy_from_slice(bias));
            }
            Self::Rows(values) => out.copy_from_slice(&values[..out.len()]),
        }
    }

    /// The addend of the rows after the first `elements` elements of the product.
    fn from(self, elements: usize) -> Self {
        match self {
            Self::Rows(values) => Self::Rows(&values[elements..]),
            other => other,
        }
    }
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
