//! The right matrix of a product, laid out as the kernels read it.

use rayon::prelude::*;

use super::kernel::{Kernel, PANEL, Rows, Start};
use super::scratch::Scratch;

/// Rows of panels that are multiplied before the next: with one strip of rows one panel fits a first-level cache of 32 KB, and
/// two, where they are multiplied together, one of 48. Half as many took a tenth longer on a processor with that.
const DEPTH: usize = 256;

/// Panels of one matrix: rows 0 to `inner` of columns 0 to 15, then of the next 16. The last panel is filled
/// up with zeros.
#[derive(Debug)]
pub(super) struct Panels {
    values: Scratch,
    inner: usize,
    columns: usize,
}

/// `columns` stored rows of `inner` values, which are the columns of a right matrix.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stored<'a> {
    pub(super) rows: Rows<'a>,
    pub(super) columns: usize,
    pub(super) inner: usize,
}

impl Panels {
    /// Of a matrix of `inner` rows and `columns` columns that is yet to be written.
    pub(super) fn new(inner: usize, columns: usize) -> Self {
        let values = Scratch::new(columns.div_ceil(PANEL) * inner * PANEL);
        Self { values, inner, columns }
    }

    /// Of stored rows, cut into tasks.
    pub(super) fn of_rows(stored: Stored<'_>) -> Self {
        let [panels] = Self::of_all([stored]);
        panels
    }

    /// Of several matrices at once.
    pub(super) fn of_all<const N: usize>(stored: [Stored<'_>; N]) -> [Self; N] {
        let mut all = stored.map(|one| Self::new(one.inner, one.columns));
        let tasks: Vec<_> = all
            .iter_mut()
            .zip(&stored)
            .flat_map(|(panels, one)| panels.iter_mut().map(move |task| (task, one.rows)))
            .collect();
        tasks.into_par_iter().with_min_len(TASK_PANELS).for_each(
            |((panel, first, count), rows)| {
                write_rows(panel, rows.from(first, 0), count);
            },
        );
        all
    }

    /// The panels one by one, each with its first column and how many it has.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (&mut [[f32; PANEL]], usize, usize)> {
        let columns = self.columns;
        self.values.lines_mut().chunks_exact_mut(self.inner).enumerate().map(
            move |(index, panel)| {
                let first = index * PANEL;
                (panel, first, PANEL.min(columns - first))
            },
        )
    }

    pub(super) fn columns(&self) -> usize {
        self.columns
    }

    /// `out = start + a · self` for `rows` rows, of which the first `inner` columns of `a` and rows of the
    /// panels count, on the calling thread. Rows of `out` are `stride` apart.
    pub(super) fn multiply(
        &self,
        kernel: Kernel,
        (rows, inner): (usize, usize),
        a: Rows<'_>,
        out: (&mut [f32], usize),
        start: Start<'_>,
    ) {
        self.multiply_columns(kernel, (rows, inner, self.columns), a, out, start);
    }

    /// The same for the first `columns` columns of the panels.
    pub(super) fn multiply_columns(
        &self,
        kernel: Kernel,
        (rows, inner, columns): (usize, usize, usize),
        a: Rows<'_>,
        (out, stride): (&mut [f32], usize),
        start: Start<'_>,
    ) {
        assert!(inner <= self.inner && columns <= self.columns, "panels are too small");
        for depth in (0..inner).step_by(DEPTH) {
            let end = inner.min(depth + DEPTH);
            let a = a.from(0, depth);
            let start_at = |first| if depth == 0 { start.from(0, first) } else { Start::Output };
            let mut panels = self.values.lines().chunks_exact(self.inner);
            let mut first = 0;
            while first + 2 * PANEL <= columns
                && let (Some(left), Some(right)) = (panels.next(), panels.next())
            {
                let both = [left, right].map(|panel| &panel[depth..end]);
                kernel.multiply_two(rows, a, both, (&mut out[first..], stride), start_at(first));
                first += 2 * PANEL;
            }
            for (first, panel) in (first..columns).step_by(PANEL).zip(panels) {
                kernel.multiply(
                    (rows, PANEL.min(columns - first)),
                    a,
                    &panel[depth..end],
                    (&mut out[first..], stride),
                    start_at(first),
                );
            }
        }
    }
}

/// Panels that a task writes at least.
const TASK_PANELS: usize = 4;

/// Makes `count` rows the columns of `panel`, from its first row on.
pub(super) fn write_rows(panel: &mut [[f32; PANEL]], rows: Rows<'_>, count: usize) {
    let inner = panel.len();
    if count == PANEL {
        let rows: [&[f32]; PANEL] = std::array::from_fn(|row| rows.row(row, inner));
        Kernel::new().write_rows(panel, rows);
        return;
    }
    panel.fill([0.0; PANEL]);
    for row in 0..count {
        for (out, value) in panel.iter_mut().zip(rows.row(row, inner)) {
            out[row] = *value;
        }
    }
}

/// Copies the first `count` columns of `rows` to `panel`, row by row.
pub(super) fn write_columns(panel: &mut [[f32; PANEL]], rows: Rows<'_>, count: usize) {
    for (k, out) in panel.iter_mut().enumerate() {
        out[..count].copy_from_slice(rows.row(k, count));
        out[count..].fill(0.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_product_with_stored_rows_equals_its_sums() {
        // Deeper than one pass, columns beyond whole panels, rows beyond whole strips.
        let (rows, inner, columns) = (7, DEPTH + 44, 37);
        let value = |i: usize| ((i * 7919) % 1009) as f32 / 504.5 - 1.0;
        let a: Vec<f32> = (0..rows * inner).map(value).collect();
        let weight: Vec<f32> = (0..columns * inner).map(|i| value(i + 5)).collect();
        let stored = Rows::new(&weight, inner);
        let panels = Panels::of_rows(Stored { rows: stored, columns, inner });
        let mut out = vec![0.0; rows * columns];
        panels.multiply(
            Kernel::new(),
            (rows, inner),
            Rows::new(&a, inner),
            (&mut out, columns),
            Start::Zero,
        );
        for (at, ours) in out.iter().enumerate() {
            let (a, weight) = (&a[at / columns * inner..], &weight[at % columns * inner..]);
            let products = a[..inner].iter().zip(weight);
            let sum: f64 = products.map(|(a, w)| f64::from(*a) * f64::from(*w)).sum();
            assert!((f64::from(*ours) - sum).abs() < 1e-4, "{ours} {sum}");
        }
    }
}
