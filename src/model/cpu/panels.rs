//! The right matrix of a product, laid out as the kernels read it.

use std::ops::Range;

use rayon::prelude::*;

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
use super::kernel::amx;
use super::kernel::{Kernel, PANEL, Rows, STRIP, Start};
use super::scratch::Scratch;
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
use super::tiles;

/// Rows of panels that are multiplied before the next: with one strip of rows one panel fits a first-level cache of 32 KB, and
/// two, where they are multiplied together, one of 48. Half as many took a tenth longer on a processor with that.
const DEPTH: usize = 256;

/// Panels that a task writes at least.
const TASK_PANELS: usize = 4;

/// Panels of one matrix: 16 of its columns, then the next 16. The last panel is filled up.
#[derive(Debug)]
pub(super) struct Panels {
    values: Scratch,
    inner: usize,
    columns: usize,
    layout: Layout,
}

/// How a panel stands in memory.
#[derive(Clone, Copy, Debug)]
pub(super) enum Layout {
    /// Row behind row, 16 values each.
    Rows,
    /// Tiles of so many parts of each value.
    #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
    Tiles(amx::Detected, usize),
}

/// A panel that is yet to be written.
#[derive(Debug)]
pub(super) struct PanelMut<'a> {
    lines: &'a mut [[f32; PANEL]],
    /// Of the matrix.
    inner: usize,
    /// Its first column, and how many it has.
    pub(super) first: usize,
    pub(super) count: usize,
    layout: Layout,
}

/// `columns` stored rows of `inner` values, which are the columns of a right matrix.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stored<'a> {
    pub(super) rows: Rows<'a>,
    pub(super) columns: usize,
    pub(super) inner: usize,
}

impl Layout {
    /// The one that this processor multiplies fastest, of values in f32.
    fn of_values() -> Self {
        #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
        if let Some(detected) = amx::Detected::new() {
            return Self::Tiles(detected, amx::PARTS);
        }
        Self::Rows
    }

    /// Of values that bf16 holds, too.
    fn of_short_values() -> Self {
        match Self::of_values() {
            #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
            Self::Tiles(detected, _) => Self::Tiles(detected, 1),
            rows => rows,
        }
    }

    /// Lines of a panel of a matrix with `inner` rows.
    fn panel_lines(self, inner: usize) -> usize {
        match self {
            Self::Rows => inner,
            #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
            Self::Tiles(_, parts) => tiles::panel_lines(inner, parts),
        }
    }

    /// Those lines of a panel that hold rows beyond the matrix, too.
    fn last_lines(self) -> usize {
        match self {
            Self::Rows => 0,
            #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
            Self::Tiles(_, parts) => parts * amx::TILE,
        }
    }
}

/// Rows of the left matrix that a task multiplies best at a time: whole strips, or whole tiles.
pub(super) fn block_rows() -> usize {
    match Layout::of_values() {
        Layout::Rows => BLOCK_ROWS_MAX,
        #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
        Layout::Tiles(..) => tiles::BLOCK,
    }
}

/// At most so many: 36 rows of 1,025 scores are 148 KB.
pub(super) const BLOCK_ROWS_MAX: usize = 6 * STRIP;

impl Panels {
    /// Of a matrix of `inner` rows and `columns` columns that is yet to be written.
    pub(super) fn new(inner: usize, columns: usize) -> Self {
        Self::with(inner, columns, Layout::of_values(), Scratch::new)
    }

    fn with(
        inner: usize,
        columns: usize,
        layout: Layout,
        memory: impl Fn(usize) -> Scratch,
    ) -> Self {
        let panel_lines = layout.panel_lines(inner);
        let mut values = memory(columns.div_ceil(PANEL) * panel_lines * PANEL);
        // Rows beyond the matrix count for nothing, if they are numbers.
        let last = layout.last_lines().min(panel_lines);
        if last > 0 {
            for panel in values.lines_mut().chunks_exact_mut(panel_lines) {
                panel[panel_lines - last..].fill([0.0; PANEL]);
            }
        }
        Self { values, inner, columns, layout }
    }

    /// Of stored rows, cut into tasks.
    pub(super) fn of_rows(stored: Stored<'_>) -> Self {
        Self::of_all(&[stored]).swap_remove(0)
    }

    /// Of stored rows, to be kept, in memory of their own; none where nothing is gained: without tiles, or where bf16 does not
    /// hold every value.
    pub(super) fn kept(stored: Stored<'_>) -> Option<Self> {
        let layout = Layout::of_short_values();
        if matches!(layout, Layout::Rows) {
            return None;
        }
        let mut panels = Self::with(stored.inner, stored.columns, layout, Scratch::own);
        let write = |mut panel: PanelMut<'_>| panel.write_rows(stored.rows.from(panel.first, 0));
        let is_whole = panels.iter_mut().all(write);
        is_whole.then_some(panels)
    }

    /// Of several matrices at once.
    pub(super) fn of_all(stored: &[Stored<'_>]) -> Vec<Self> {
        let layout = Layout::of_short_values();
        let new = |one: &Stored<'_>| Self::with(one.inner, one.columns, layout, Scratch::new);
        let mut all: Vec<Self> = stored.iter().map(new).collect();
        let tasks: Vec<_> = all
            .iter_mut()
            .zip(stored)
            .enumerate()
            .flat_map(|(at, (panels, one))| panels.iter_mut().map(move |task| (at, task, one.rows)))
            .collect();
        let written: Vec<(usize, bool)> = tasks
            .into_par_iter()
            .with_min_len(TASK_PANELS)
            .map(|(at, mut panel, rows)| (at, panel.write_rows(rows.from(panel.first, 0))))
            .collect();
        // Weights were stored in bf16 mostly; what was not takes all its parts.
        for (at, one) in stored.iter().enumerate() {
            if written.iter().any(|(matrix, is_whole)| *matrix == at && !is_whole) {
                all[at] = Self::new(one.inner, one.columns);
                all[at].iter_mut().par_bridge().for_each(|mut panel| {
                    panel.write_rows(one.rows.from(panel.first, 0));
                });
            }
        }
        all
    }

    /// The panels one by one.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = PanelMut<'_>> {
        let Self { inner, columns, layout, .. } = *self;
        let panels = self.values.lines_mut().chunks_exact_mut(layout.panel_lines(inner));
        panels.enumerate().map(move |(index, lines)| {
            let first = index * PANEL;
            PanelMut { lines, inner, first, count: PANEL.min(columns - first), layout }
        })
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
        self.multiply_columns(kernel, (rows, inner), 0..self.columns, a, out, start);
    }

    /// The same for some columns, from the first of a panel on. `out` and `start` begin with it.
    pub(super) fn multiply_columns(
        &self,
        kernel: Kernel,
        (rows, inner): (usize, usize),
        columns: Range<usize>,
        a: Rows<'_>,
        (out, stride): (&mut [f32], usize),
        start: Start<'_>,
    ) {
        assert!(inner <= self.inner && columns.end <= self.columns, "panels are too small");
        assert!(columns.start.is_multiple_of(PANEL), "columns begin within a panel");
        let panel_lines = self.layout.panel_lines(self.inner);
        let lines = &self.values.lines()[columns.start / PANEL * panel_lines..];
        let columns = columns.len();
        #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
        if let Layout::Tiles(detected, parts) = self.layout {
            let right = tiles::Right { lines, panel_lines, parts };
            tiles::multiply(detected, (rows, inner, columns), a, right, (out, stride), start);
            return;
        }
        for depth in (0..inner).step_by(DEPTH) {
            let end = inner.min(depth + DEPTH);
            let a = a.from(0, depth);
            let start_at = |first| if depth == 0 { start.from(0, first) } else { Start::Output };
            let mut panels = lines.chunks_exact(panel_lines);
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

impl PanelMut<'_> {
    /// Makes rows its columns; says whether all of their values is in its parts.
    pub(super) fn write_rows(&mut self, rows: Rows<'_>) -> bool {
        let Self { inner, count, .. } = *self;
        match self.layout {
            Layout::Rows => {
                write_rows(self.lines, rows, count);
                true
            }
            #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
            Layout::Tiles(detected, parts) => {
                tiles::write_rows(detected, (self.lines, parts), rows, (count, inner))
            }
        }
    }

    /// Copies the panel's columns of `len` rows to its rows from `first` on.
    pub(super) fn write_columns(&mut self, first: usize, rows: Rows<'_>, len: usize) {
        match self.layout {
            Layout::Rows => write_columns(&mut self.lines[first..first + len], rows, self.count),
            #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
            Layout::Tiles(detected, parts) => {
                assert_eq!(parts, amx::PARTS, "columns have all their parts");
                tiles::write_columns(detected, self.lines, first, rows, (self.count, len));
            }
        }
    }
}

/// Makes `count` rows the columns of `panel`, from its first row on.
fn write_rows(panel: &mut [[f32; PANEL]], rows: Rows<'_>, count: usize) {
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
fn write_columns(panel: &mut [[f32; PANEL]], rows: Rows<'_>, count: usize) {
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
        let of_rows = Panels::of_rows(Stored { rows: stored, columns, inner });
        let mut in_rows = Panels::with(inner, columns, Layout::Rows, Scratch::new);
        in_rows.iter_mut().for_each(|mut panel| {
            panel.write_rows(stored.from(panel.first, 0));
        });
        for panels in [of_rows, in_rows] {
            let mut out = vec![0.0; rows * columns];
            panels.multiply(
                Kernel::new(),
                (rows, inner),
                Rows::new(&a, inner),
                (&mut out, columns),
                Start::Zero,
            );
            check(&out, (&a, &weight), (inner, columns));
        }
    }

    #[track_caller]
    fn check(out: &[f32], (a, weight): (&[f32], &[f32]), (inner, columns): (usize, usize)) {
        for (at, ours) in out.iter().enumerate() {
            let (a, weight) = (&a[at / columns * inner..], &weight[at % columns * inner..]);
            let products = a[..inner].iter().zip(weight);
            let sum: f64 = products.map(|(a, w)| f64::from(*a) * f64::from(*w)).sum();
            assert!((f64::from(*ours) - sum).abs() < 1e-4, "{ours} {sum}");
        }
    }
}
