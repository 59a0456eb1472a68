//! The inner loops of matrix products in f32: a strip of rows by a panel of columns, and products of few
//! rows that take a weight as it is stored.
//!
//! A panel is [`PANEL`] columns of the right matrix side by side, row after row, so that the loop reads one
//! cache line a step; sums of a strip stay in registers until they are done. Which instructions do it is
//! chosen at run time: AVX-512, AVX2 with fused multiply-add, or what the compiler makes of plain loops. Processors that
//! multiply tiles have `amx` beside these, with panels of its own.

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
pub(super) mod amx;
#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;

/// Columns of a panel: two registers of AVX2, one of AVX-512.
pub(super) const PANEL: usize = 16;

/// Rows whose sums are in registers together: with two registers each, twelve of AVX2's sixteen.
pub(super) const STRIP: usize = 6;

/// Rows of weights that are taken as they are stored together: enough sums for additions to overlap.
const DOTS: usize = 8;

/// Which implementation multiplies. They round differently, each always in the same way.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kernel {
    #[cfg(target_arch = "x86_64")]
    Avx512(avx512::Detected),
    #[cfg(target_arch = "x86_64")]
    Avx2(avx2::Detected),
    Portable,
}

/// Rows in a slice, `stride` apart.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rows<'a> {
    pub(super) values: &'a [f32],
    pub(super) stride: usize,
}

/// What sums begin with.
#[derive(Clone, Copy, Debug)]
pub(super) enum Start<'a> {
    Zero,
    /// One value a column, the same for all rows.
    Row(&'a [f32]),
    /// One value for each element.
    Rows(Rows<'a>),
    /// What the output holds.
    Output,
}

impl<'a> Rows<'a> {
    pub(super) fn new(values: &'a [f32], stride: usize) -> Self {
        Self { values, stride }
    }

    /// From `row` and `column` on.
    pub(super) fn from(self, row: usize, column: usize) -> Self {
        Self { values: &self.values[row * self.stride + column..], ..self }
    }

    pub(super) fn row(self, row: usize, columns: usize) -> &'a [f32] {
        &self.values[row * self.stride..][..columns]
    }
}

impl Start<'_> {
    /// Of the elements from `row` and `column` on.
    pub(super) fn from(self, row: usize, column: usize) -> Self {
        match self {
            Self::Row(values) => Self::Row(&values[column..]),
            Self::Rows(rows) => Self::Rows(rows.from(row, column)),
            other => other,
        }
    }

    /// Writes the beginnings of one row's first columns to `out`, which holds the output.
    pub(super) fn write(self, row: usize, out: &mut [f32]) {
        match self {
            Self::Zero => out.fill(0.0),
            Self::Row(values) => out.copy_from_slice(&values[..out.len()]),
            Self::Rows(rows) => out.copy_from_slice(rows.row(row, out.len())),
            Self::Output => {}
        }
    }
}

// === impl Kernel ===

impl Kernel {
    /// The fastest one that this processor has.
    pub(super) fn new() -> Self {
        #[cfg(target_arch = "x86_64")]
        if let Some(detected) = avx512::Detected::new() {
            return Self::Avx512(detected);
        } else if let Some(detected) = avx2::Detected::new() {
            return Self::Avx2(detected);
        }
        Self::Portable
    }

    /// `out = start + a · panel` for `rows` rows and the first `columns` columns of the panel. Rows of `out`
    /// are `stride` apart.
    ///
    /// # Panics
    ///
    /// Where something does not fit into its slice.
    pub(super) fn multiply(
        self,
        (rows, columns): (usize, usize),
        a: Rows<'_>,
        panel: &[[f32; PANEL]],
        (out, stride): (&mut [f32], usize),
        start: Start<'_>,
    ) {
        for first in (0..rows).step_by(STRIP) {
            let count = STRIP.min(rows - first);
            // A strip that is not full repeats its last row.
            let a: [&[f32]; STRIP] =
                std::array::from_fn(|row| a.row(first + row.min(count - 1), panel.len()));
            let start = start.from(first, 0);
            let out = &mut out[first * stride..];
            if (count, columns) == (STRIP, PANEL) {
                self.strip(a, panel, (out, stride), start);
                continue;
            }
            // What is not full is computed whole, beside the output.
            let mut whole = [0.0; STRIP * PANEL];
            for (row, whole) in whole.chunks_exact_mut(PANEL).enumerate().take(count) {
                let whole = &mut whole[..columns];
                whole.copy_from_slice(&out[row * stride..][..columns]);
                start.write(row, whole);
            }
            self.strip(a, panel, (&mut whole, PANEL), Start::Output);
            for (row, whole) in whole.chunks_exact(PANEL).enumerate().take(count) {
                out[row * stride..][..columns].copy_from_slice(&whole[..columns]);
            }
        }
    }

    /// The same for two whole panels side by side, where there are instructions for both at once.
    ///
    /// # Panics
    ///
    /// Where something does not fit into its slice.
    pub(super) fn multiply_two(
        self,
        rows: usize,
        a: Rows<'_>,
        panels: [&[[f32; PANEL]]; 2],
        (out, stride): (&mut [f32], usize),
        start: Start<'_>,
    ) {
        let mut done = 0;
        #[cfg(target_arch = "x86_64")]
        if let Self::Avx512(detected) = self {
            let inner = panels[0].len();
            while done + STRIP <= rows {
                let a: [&[f32]; STRIP] = std::array::from_fn(|row| a.row(done + row, inner));
                let out = (&mut out[done * stride..], stride);
                avx512::strip_of_two(detected, a, panels, out, start.from(done, 0));
                done += STRIP;
            }
        }
        if done == rows {
            return;
        }
        for (index, panel) in panels.into_iter().enumerate() {
            let first = index * PANEL;
            let out = (&mut out[done * stride + first..], stride);
            let start = start.from(done, first);
            self.multiply((rows - done, PANEL), a.from(done, 0), panel, out, start);
        }
    }

    /// A whole strip of a whole panel; rows of `a` are as long as the panel.
    fn strip(
        self,
        a: [&[f32]; STRIP],
        panel: &[[f32; PANEL]],
        out: (&mut [f32], usize),
        start: Start<'_>,
    ) {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(detected) => avx2::strip(detected.avx2, a, panel, out, start),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(detected) => avx2::strip(detected, a, panel, out, start),
            Self::Portable => portable::strip(a, panel, out, start),
        }
    }

    /// Makes rows of as many values as the panel has rows its columns.
    pub(super) fn write_rows(self, panel: &mut [[f32; PANEL]], rows: [&[f32]; PANEL]) {
        let mut done = 0;
        #[cfg(target_arch = "x86_64")]
        match self {
            Self::Avx512(detected) => done = avx2::write_rows(detected.avx2, panel, rows),
            Self::Avx2(detected) => done = avx2::write_rows(detected, panel, rows),
            Self::Portable => {}
        }
        let rows = rows.map(|row| &row[done..]);
        for (k, out) in panel[done..].iter_mut().enumerate() {
            *out = rows.map(|row| row[k]);
        }
    }

    /// `out[row][column] += x[row] · weight[column]` for `rows` rows of `x` and all rows of `weight`, both
    /// `inner` wide and dense. Rows of `out` are `stride` apart. A sum is the same whatever stands beside it.
    pub(super) fn dots(
        self,
        rows: usize,
        (x, weight): (&[f32], &[f32]),
        inner: usize,
        (out, stride): (&mut [f32], usize),
    ) {
        // Rows of weights stay in the caches until all rows of `x` were multiplied with them.
        for (group, weight) in weight.chunks(DOTS * inner).enumerate() {
            let mut first = 0;
            while first < rows {
                let count = dot_rows(rows - first);
                let x = &x[first * inner..][..count * inner];
                let out = (&mut out[first * stride + group * DOTS..], stride);
                match count {
                    1 => self.dots_of_rows::<1, DOTS>(x, weight, inner, out),
                    2 => self.dots_of_rows::<2, 4>(x, weight, inner, out),
                    3 => self.dots_of_rows::<3, 4>(x, weight, inner, out),
                    _ => self.dots_of_rows::<4, 2>(x, weight, inner, out),
                }
                first += count;
            }
        }
    }

    /// The same for `ROWS` rows of `x`, `COLUMNS` rows of `weight` at a time.
    fn dots_of_rows<const ROWS: usize, const COLUMNS: usize>(
        self,
        x: &[f32],
        weight: &[f32],
        inner: usize,
        (out, stride): (&mut [f32], usize),
    ) {
        let mut first = 0;
        let mut whole = weight.chunks_exact(COLUMNS * inner);
        for weight in whole.by_ref() {
            let sums = self.dots_of::<ROWS, COLUMNS>(x, weight, inner);
            for (row, sums) in sums.iter().enumerate() {
                for (out, sum) in out[row * stride + first..][..COLUMNS].iter_mut().zip(sums) {
                    *out += sum;
                }
            }
            first += COLUMNS;
        }
        for (column, weight) in whole.remainder().chunks_exact(inner).enumerate() {
            for (row, x) in x.chunks_exact(inner).enumerate() {
                let [[sum]] = self.dots_of::<1, 1>(x, weight, inner);
                out[row * stride + first + column] += sum;
            }
        }
    }

    fn dots_of<const ROWS: usize, const COLUMNS: usize>(
        self,
        x: &[f32],
        weight: &[f32],
        inner: usize,
    ) -> [[f32; COLUMNS]; ROWS] {
        let x: [&[f32]; ROWS] = std::array::from_fn(|row| &x[row * inner..][..inner]);
        let weight: [&[f32]; COLUMNS] = std::array::from_fn(|row| &weight[row * inner..][..inner]);
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(detected) => avx512::dots(detected, x, weight),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(detected) => avx2::dots(detected, x, weight),
            Self::Portable => portable::dots(x, weight),
        }
    }
}

/// Of so many rows of `x`, how many are multiplied together next. Three, by four rows of weights, fill the registers
/// best; four, by two, are better than three and one.
fn dot_rows(left: usize) -> usize {
    if left == 4 { 4 } else { left.min(3) }
}

/// Rows of which all have `steps` registers of `LANES` values, cut into these.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn registers<const LANES: usize, const ROWS: usize>(
    rows: [&[f32]; ROWS],
    steps: usize,
) -> [&[[f32; LANES]]; ROWS] {
    let mut wide: [&[[f32; LANES]]; ROWS] = [&[]; ROWS];
    for (wide, row) in wide.iter_mut().zip(rows) {
        *wide = &row.as_chunks().0[..steps];
    }
    wide
}

/// Registers of `LANES` values that all of these rows have.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn steps<const LANES: usize>(x: &[&[f32]], weight: &[&[f32]]) -> usize {
    x.iter().chain(weight).map(|row| row.len() / LANES).min().unwrap_or(0)
}

/// Adds the products of what is behind whole registers of `LANES` values.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn add_rest<const LANES: usize, const ROWS: usize, const COLUMNS: usize>(
    out: &mut [[f32; COLUMNS]; ROWS],
    x: [&[f32]; ROWS],
    weight: [&[f32]; COLUMNS],
) {
    for (x, out) in x.iter().zip(out) {
        let (_, x) = x.as_chunks::<LANES>();
        for (weight, out) in weight.iter().zip(out) {
            let (_, weight) = weight.as_chunks::<LANES>();
            *out += x.iter().zip(weight).map(|(x, weight)| x * weight).sum::<f32>();
        }
    }
}

/// Plain Rust, for any processor.
mod portable {
    use super::{PANEL, STRIP, Start};

    /// Whether a fused multiplication is an instruction and not a call.
    const FUSED: bool = cfg!(any(target_arch = "aarch64", target_feature = "fma"));

    #[inline(always)]
    fn multiply_add(a: f32, b: f32, sum: f32) -> f32 {
        if FUSED { a.mul_add(b, sum) } else { a * b + sum }
    }

    pub(super) fn strip(
        a: [&[f32]; STRIP],
        panel: &[[f32; PANEL]],
        (out, stride): (&mut [f32], usize),
        start: Start<'_>,
    ) {
        let mut sums = [[0.0; PANEL]; STRIP];
        for (row, sums) in sums.iter_mut().enumerate() {
            sums.copy_from_slice(&out[row * stride..][..PANEL]);
            start.write(row, sums);
        }
        for (k, b) in panel.iter().enumerate() {
            for (a, sums) in a.iter().zip(&mut sums) {
                for (sum, b) in sums.iter_mut().zip(b) {
                    *sum = multiply_add(a[k], *b, *sum);
                }
            }
        }
        for (row, sums) in sums.iter().enumerate() {
            out[row * stride..][..PANEL].copy_from_slice(sums);
        }
    }

    pub(super) fn dots<const ROWS: usize, const COLUMNS: usize>(
        x: [&[f32]; ROWS],
        weight: [&[f32]; COLUMNS],
    ) -> [[f32; COLUMNS]; ROWS] {
        const LANES: usize = 8;
        x.map(|x| {
            weight.map(|weight| {
                let mut lanes = [0.0; LANES];
                let (x, x_rest) = x.as_chunks::<LANES>();
                let (weight, weight_rest) = weight.as_chunks::<LANES>();
                for (x, weight) in x.iter().zip(weight) {
                    for ((lane, x), weight) in lanes.iter_mut().zip(x).zip(weight) {
                        *lane = multiply_add(*x, *weight, *lane);
                    }
                }
                let rest = x_rest.iter().zip(weight_rest).map(|(x, weight)| x * weight);
                lanes.iter().sum::<f32>() + rest.sum::<f32>()
            })
        })
    }
}

#[cfg(test)]
mod tests;
