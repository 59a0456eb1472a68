//! Matrix product with a stored weight, the bias or the residual added by the product itself.

use candle_core::{CpuStorage, CustomOp2, CustomOp3, Layout, Result, Shape};
use rayon::prelude::*;

use super::elementwise::contiguous_f32;
use super::kernel::{Kernel, Rows, STRIP, Start};
use super::panels::{Panels, Stored, block_rows};

/// Rows up to which the weight is read as it is stored; laying it out for the faster loop pays above.
const DIRECT_ROWS_MAX: usize = 9;

/// Multiplications of one task at least, where rows are few.
const TASK_PRODUCTS_MIN: usize = 1 << 16;

/// Elements of a weight that are laid out at a time: bounds the memory, and stays in the caches.
const PANEL_ELEMENTS_MAX: usize = 1 << 21;

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
    if rows <= DIRECT_ROWS_MAX {
        addend.fill(&mut out, columns);
        direct(&mut out, rows, (x, weight), inner);
    } else {
        multiply_rows(&mut out, columns, (x, weight), inner, addend.start(columns));
    }
    Ok((CpuStorage::F32(out), Shape::from((rows, columns))))
}

/// Adds the product of few rows to `out`, `[rows, columns]`.
fn direct(out: &mut [f32], rows: usize, (x, weight): (&[f32], &[f32]), inner: usize) {
    let kernel = Kernel::new();
    let columns = weight.len() / inner;
    let tasks = (weight.len() * rows / TASK_PRODUCTS_MIN).min(rayon::current_num_threads());
    if tasks < 2 {
        kernel.dots(rows, (x, weight), inner, (out, columns));
        return;
    }
    // A task's columns stand together; they are added to the rows they belong to afterwards.
    let task_columns = columns.div_ceil(tasks);
    let mut sums = vec![0.0; out.len()];
    sums.par_chunks_mut(task_columns * rows).zip(weight.par_chunks(task_columns * inner)).for_each(
        |(sums, weight)| {
            let columns = weight.len() / inner;
            kernel.dots(rows, (x, weight), inner, (sums, columns));
        },
    );
    for (task, sums) in sums.chunks(task_columns * rows).enumerate() {
        for (row, sums) in sums.chunks_exact(sums.len() / rows).enumerate() {
            let out = &mut out[row * columns + task * task_columns..];
            for (out, sum) in out.iter_mut().zip(sums) {
                *out += sum;
            }
        }
    }
}

/// Rows of one task: whole strips, few enough for the cores to end together; with tiles always a block of them.
fn task_rows(rows: usize) -> usize {
    let strips = rows.div_ceil(4 * rayon::current_num_threads()).div_ceil(STRIP);
    let most = block_rows();
    if most.is_multiple_of(STRIP) { (strips * STRIP).min(most) } else { most }
}

/// `out = start + x · weightᵀ` over all cores. Rows of `out` are `stride` apart, of which the product takes
/// the first columns.
pub(super) fn multiply_rows(
    out: &mut [f32],
    stride: usize,
    (x, weight): (&[f32], &[f32]),
    inner: usize,
    start: Start<'_>,
) {
    let kernel = Kernel::new();
    let (rows, columns) = (x.len() / inner, weight.len() / inner);
    let task_rows = task_rows(rows);
    let part_columns = (PANEL_ELEMENTS_MAX / inner).next_multiple_of(16).max(16);
    for first in (0..columns).step_by(part_columns) {
        let count = part_columns.min(columns - first);
        let rows = Rows::new(&weight[first * inner..], inner);
        let panels = Panels::of_rows(Stored { rows, columns: count, inner });
        out[first..]
            .par_chunks_mut(task_rows * stride)
            .zip(x.par_chunks(task_rows * inner))
            .enumerate()
            .with_max_len(1)
            .for_each(|(task, (out, x))| {
                panels.multiply(
                    kernel,
                    (x.len() / inner, inner),
                    Rows::new(x, inner),
                    (out, stride),
                    start.from(task * task_rows, first),
                );
            });
    }
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

    /// What sums of `columns` columns begin with.
    pub(super) fn start(self, columns: usize) -> Start<'a> {
        match self {
            Self::None => Start::Zero,
            Self::Bias(bias) => Start::Row(bias),
            Self::Rows(values) => Start::Rows(Rows::new(values, columns)),
        }
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
