//! Matrix product with a stored weight, the bias or the residual added by the product itself.

use candle_core::{CpuStorage, CustomOp2, CustomOp3, Layout, Result, Shape};
use rayon::prelude::*;

use super::elementwise::contiguous_f32;
use super::kernel::{Kernel, PANEL, Rows, STRIP, Start};
use super::panels::{Panels, Stored, block_rows};
use super::scratch::Scratch;

/// Rows up to which the weight is read as it is stored; laying it out for the faster loop pays above.
const DIRECT_ROWS_MAX: usize = 9;

/// Multiplications of one task at least, where rows are few.
const TASK_PRODUCTS_MIN: usize = 1 << 16;

/// Where the columns of tasks begin: four tiles are multiplied at a time.
const COLUMNS_STEP: usize = 4 * PANEL;

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

/// Columns of one task, where rows make so many: all, unless some cores would have none.
fn task_columns(row_tasks: usize, (columns, inner): (usize, usize)) -> usize {
    let wanted = rayon::current_num_threads().div_ceil(row_tasks);
    let most = (columns * inner / TASK_PRODUCTS_MIN).max(1);
    columns.div_ceil(wanted.min(most)).next_multiple_of(COLUMNS_STEP).min(columns)
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
    let columns = weight.len() / inner;
    let part_columns = (PANEL_ELEMENTS_MAX / inner).next_multiple_of(16).max(16);
    for first in (0..columns).step_by(part_columns) {
        let count = part_columns.min(columns - first);
        let rows = Rows::new(&weight[first * inner..], inner);
        let panels = Panels::of_rows(Stored { rows, columns: count, inner });
        multiply_panels(&panels, (x, inner), (&mut out[first..], stride), start.from(0, first));
    }
}

/// `out = start + x · panels` over all cores, for rows of `inner` values. Rows of `out` are `stride` apart.
pub(super) fn multiply_panels(
    panels: &Panels,
    (x, inner): (&[f32], usize),
    (out, stride): (&mut [f32], usize),
    start: Start<'_>,
) {
    let kernel = Kernel::new();
    let (rows, columns) = (x.len() / inner, panels.columns());
    if rows == 0 {
        return;
    }
    let task_rows = task_rows(rows);
    let task_columns = task_columns(rows.div_ceil(task_rows), (columns, inner));
    if task_columns == columns {
        out.par_chunks_mut(task_rows * stride)
            .zip(x.par_chunks(task_rows * inner))
            .enumerate()
            .with_max_len(1)
            .for_each(|(task, (out, x))| {
                let (rows, start) = (x.len() / inner, start.from(task * task_rows, 0));
                let x = Rows::new(x, inner);
                panels.multiply(kernel, (rows, inner), x, (out, stride), start);
            });
        return;
    }
    // A task's columns stand together; they are copied to where they belong afterwards.
    let mut parts = Scratch::new(rows * columns);
    let first_columns = (0..columns).step_by(task_columns);
    let start = match start {
        Start::Output => Start::Rows(Rows::new(out, stride)),
        other => other,
    };
    let tasks: Vec<_> = parts
        .values_mut()
        .chunks_mut(rows * task_columns)
        .zip(first_columns.clone())
        .flat_map(|(part, column)| {
            let width = part.len() / rows;
            let blocks = part.chunks_mut(task_rows * width).enumerate();
            blocks.map(move |(block, part)| (block * task_rows, column, width, part))
        })
        .collect();
    tasks.into_par_iter().with_max_len(1).for_each(|(row, column, width, part)| {
        let (count, x) = (part.len() / width, Rows::new(x, inner).from(row, 0));
        let range = column..column + width;
        let start = start.from(row, column);
        panels.multiply_columns(kernel, (count, inner), range, x, (part, width), start);
    });
    for (part, column) in parts.values().chunks(rows * task_columns).zip(first_columns) {
        let width = part.len() / rows;
        for (row, part) in part.chunks_exact(width).enumerate() {
            out[row * stride + column..][..width].copy_from_slice(part);
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_are_the_same_however_they_are_cut() {
        let value = |i: usize| ((i * 7919) % 1009) as f32 / 504.5 - 1.0;
        let values = |count: usize, seed: usize| -> Vec<f32> {
            (0..count).map(|i| value(i + seed)).collect()
        };
        // Few rows, and rows of several blocks, on more threads than these; columns that fill no panel.
        for (rows, inner, columns) in
            [(11, 300, 1500), (20, 512, 1024), (31, 256, 700), (70, 400, 1201)]
        {
            let (x, weight) = (values(rows * inner, 1), values(columns * inner, 2));
            let stride = columns + 5;
            let (bias, before) = (values(columns, 3), values(rows * stride, 4));
            let added = Rows::new(&before, stride);
            for start in [Start::Zero, Start::Row(&bias), Start::Rows(added), Start::Output] {
                let product = |threads: usize| {
                    let pool =
                        rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                    let mut out = before.clone();
                    pool.install(|| {
                        multiply_rows(&mut out, stride, (&x, &weight), inner, start);
                    });
                    out
                };
                let alone = product(1);
                assert_eq!(product(16), alone, "{rows}x{inner}x{columns}");
                for (at, ours) in alone.iter().enumerate() {
                    let (row, column) = (at / stride, at % stride);
                    if column >= columns {
                        assert_eq!(ours.to_bits(), before[at].to_bits(), "beside the output");
                        continue;
                    }
                    let first = match start {
                        Start::Zero => 0.0,
                        Start::Row(bias) => bias[column],
                        Start::Rows(_) | Start::Output => before[at],
                    };
                    let terms = x[row * inner..][..inner].iter().zip(&weight[column * inner..]);
                    let sum: f64 = terms.map(|(x, w)| f64::from(*x) * f64::from(*w)).sum();
                    assert!((f64::from(*ours) - sum - f64::from(first)).abs() < 1e-3);
                }
            }
        }
    }
}
