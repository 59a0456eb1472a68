//! The inner loops of matrix products in f32: a strip of rows by a panel of columns, and products of few
//! rows that take a weight as it is stored.
//!
//! A panel is [`PANEL`] columns of the right matrix side by side, row after row, so that the loop reads one
//! cache line a step; sums of a strip stay in registers until they are done. Which instructions do it is
//! chosen at run time: AVX2 with fused multiply-add, or what the compiler makes of plain loops.

/// Columns of a panel: two AVX2 registers.
pub(super) const PANEL: usize = 16;

/// Rows whose sums are in registers together: with two registers each, twelve of sixteen.
pub(super) const STRIP: usize = 6;

/// Sums that are in registers together where a weight is taken as it is stored: enough for additions to overlap.
const SUMS: usize = 8;

/// Rows of `x` that are multiplied together, at most: each with two rows of weights.
const DOT_ROWS: usize = 4;

/// Which implementation multiplies. They round differently, each always in the same way.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kernel {
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
    fn write(self, row: usize, out: &mut [f32]) {
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
        if let Some(detected) = avx2::Detected::new() {
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
            Self::Avx2(detected) => avx2::strip(detected, a, panel, out, start),
            Self::Portable => portable::strip(a, panel, out, start),
        }
    }

    /// Makes rows of as many values as the panel has rows its columns.
    pub(super) fn write_rows(self, panel: &mut [[f32; PANEL]], rows: [&[f32]; PANEL]) {
        let mut done = 0;
        #[cfg(target_arch = "x86_64")]
        if let Self::Avx2(detected) = self {
            done = avx2::write_rows(detected, panel, rows);
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
        for (group, weight) in weight.chunks(SUMS * inner).enumerate() {
            for first in (0..rows).step_by(DOT_ROWS) {
                let count = DOT_ROWS.min(rows - first);
                let x = &x[first * inner..][..count * inner];
                let out = (&mut out[first * stride + group * SUMS..], stride);
                match count {
                    1 => self.dots_of_rows::<1, SUMS>(x, weight, inner, out),
                    2 => self.dots_of_rows::<2, 4>(x, weight, inner, out),
                    3 => self.dots_of_rows::<3, 2>(x, weight, inner, out),
                    _ => self.dots_of_rows::<DOT_ROWS, 2>(x, weight, inner, out),
                }
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
            Self::Avx2(detected) => avx2::dots(detected, x, weight),
            Self::Portable => portable::dots(x, weight),
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

#[cfg(target_arch = "x86_64")]
mod avx2 {
    use std::arch::asm;
    use std::arch::x86_64::{
        __m256, _mm256_add_ps, _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_permute2f128_ps,
        _mm256_setzero_ps, _mm256_shuffle_ps, _mm256_storeu_ps, _mm256_unpackhi_ps,
        _mm256_unpacklo_ps,
    };

    use super::{PANEL, STRIP, SUMS, Start};

    const LANES: usize = 8;

    /// Proof that this processor has AVX2 and FMA: only [`Detected::new`] makes one.
    #[derive(Clone, Copy, Debug)]
    pub(in super::super) struct Detected(());

    impl Detected {
        pub(super) fn new() -> Option<Self> {
            let both = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
            both.then_some(Self(()))
        }
    }

    pub(super) fn strip(
        _: Detected,
        a: [&[f32]; STRIP],
        panel: &[[f32; PANEL]],
        out: (&mut [f32], usize),
        start: Start<'_>,
    ) {
        // SAFETY: a `Detected` exists only where the processor has what the function was compiled for.
        #[expect(unsafe_code, reason = "calling code compiled for a newer processor than the rest")]
        unsafe {
            strip_avx2(a, panel, out, start);
        }
    }

    #[target_feature(enable = "avx2,fma")]
    fn strip_avx2(
        a: [&[f32]; STRIP],
        panel: &[[f32; PANEL]],
        (out, stride): (&mut [f32], usize),
        start: Start<'_>,
    ) {
        let mut sums = [[_mm256_setzero_ps(); 2]; STRIP];
        for (row, sums) in sums.iter_mut().enumerate() {
            *sums = match start {
                Start::Zero => *sums,
                Start::Row(values) => halves(values),
                Start::Rows(rows) => halves(rows.row(row, PANEL)),
                Start::Output => halves(&out[row * stride..]),
            };
        }
        add_products(a, panel, &mut sums);
        for (row, sums) in sums.iter().enumerate() {
            let (out, _) = out[row * stride..][..PANEL].as_chunks_mut();
            for (sums, out) in sums.iter().zip(out) {
                store(*sums, out);
            }
        }
    }

    /// Where all the time goes. In assembler, so that test builds, which are hardly optimised, are as fast.
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    fn add_products(a: [&[f32]; STRIP], panel: &[[f32; PANEL]], sums: &mut [[__m256; 2]; STRIP]) {
        assert!(!panel.is_empty() && a.iter().all(|row| row.len() == panel.len()), "rows differ");
        let [a0, a1, a2, a3, a4, a5] = a.map(<[f32]>::as_ptr);
        let [s0, s1, s2, s3, s4, s5] = sums;
        // SAFETY: reads `panel.len()` values of each row, which the assertion says that it has, and as many
        // rows of 16 values of the panel; writes registers only.
        #[expect(unsafe_code, reason = "the loop is assembler")]
        unsafe {
            asm!(
                "2:",
                "vmovups ymm0, [{b}]",
                "vmovups ymm1, [{b} + 32]",
                "vbroadcastss ymm2, dword ptr [{a0} + 4*{k}]",
                "vbroadcastss ymm3, dword ptr [{a1} + 4*{k}]",
                "vfmadd231ps ymm4, ymm2, ymm0",
                "vfmadd231ps ymm5, ymm2, ymm1",
                "vfmadd231ps ymm6, ymm3, ymm0",
                "vfmadd231ps ymm7, ymm3, ymm1",
                "vbroadcastss ymm2, dword ptr [{a2} + 4*{k}]",
                "vbroadcastss ymm3, dword ptr [{a3} + 4*{k}]",
                "vfmadd231ps ymm8, ymm2, ymm0",
                "vfmadd231ps ymm9, ymm2, ymm1",
                "vfmadd231ps ymm10, ymm3, ymm0",
                "vfmadd231ps ymm11, ymm3, ymm1",
                "vbroadcastss ymm2, dword ptr [{a4} + 4*{k}]",
                "vbroadcastss ymm3, dword ptr [{a5} + 4*{k}]",
                "vfmadd231ps ymm12, ymm2, ymm0",
                "vfmadd231ps ymm13, ymm2, ymm1",
                "vfmadd231ps ymm14, ymm3, ymm0",
                "vfmadd231ps ymm15, ymm3, ymm1",
                "add {b}, 64",
                "inc {k}",
                "cmp {k}, {end}",
                "jne 2b",
                a0 = in(reg) a0, a1 = in(reg) a1, a2 = in(reg) a2,
                a3 = in(reg) a3, a4 = in(reg) a4, a5 = in(reg) a5,
                b = inout(reg) panel.as_ptr() => _,
                k = inout(reg) 0_usize => _,
                end = in(reg) panel.len(),
                out("ymm0") _, out("ymm1") _, out("ymm2") _, out("ymm3") _,
                inout("ymm4") s0[0], inout("ymm5") s0[1], inout("ymm6") s1[0], inout("ymm7") s1[1],
                inout("ymm8") s2[0], inout("ymm9") s2[1], inout("ymm10") s3[0], inout("ymm11") s3[1],
                inout("ymm12") s4[0], inout("ymm13") s4[1], inout("ymm14") s5[0], inout("ymm15") s5[1],
                options(nostack, readonly),
            );
        }
    }

    pub(super) fn dots<const ROWS: usize, const COLUMNS: usize>(
        _: Detected,
        x: [&[f32]; ROWS],
        weight: [&[f32]; COLUMNS],
    ) -> [[f32; COLUMNS]; ROWS] {
        // SAFETY: a `Detected` exists only where the processor has what the function was compiled for.
        #[expect(unsafe_code, reason = "calling code compiled for a newer processor than the rest")]
        unsafe {
            dots_avx2(x, weight)
        }
    }

    /// Loops instead of closures: what the library calls for each element is not compiled for AVX2, and stays a call.
    #[target_feature(enable = "avx2,fma")]
    fn dots_avx2<const ROWS: usize, const COLUMNS: usize>(
        x: [&[f32]; ROWS],
        weight: [&[f32]; COLUMNS],
    ) -> [[f32; COLUMNS]; ROWS] {
        const { assert!(ROWS * COLUMNS <= SUMS) };
        let steps = x.iter().chain(&weight).map(|row| row.len() / LANES).min().unwrap_or(0);
        let mut x_wide: [&[[f32; LANES]]; ROWS] = [&[]; ROWS];
        for (wide, x) in x_wide.iter_mut().zip(x) {
            *wide = &x.as_chunks().0[..steps];
        }
        let mut weight_wide: [&[[f32; LANES]]; COLUMNS] = [&[]; COLUMNS];
        for (wide, weight) in weight_wide.iter_mut().zip(weight) {
            *wide = &weight.as_chunks().0[..steps];
        }
        let mut wide = [[_mm256_setzero_ps(); COLUMNS]; ROWS];
        for step in 0..steps {
            let mut x = [_mm256_setzero_ps(); ROWS];
            for row in 0..ROWS {
                x[row] = load(&x_wide[row][step]);
            }
            for column in 0..COLUMNS {
                let weight = load(&weight_wide[column][step]);
                for row in 0..ROWS {
                    wide[row][column] = _mm256_fmadd_ps(x[row], weight, wide[row][column]);
                }
            }
        }
        let mut all = [_mm256_setzero_ps(); SUMS];
        for (all, wide) in all.iter_mut().zip(wide.as_flattened()) {
            *all = *wide;
        }
        let mut sums = [0.0; SUMS];
        store(add_lanes(all), &mut sums);
        let mut out = [[0.0; COLUMNS]; ROWS];
        for (out, sum) in out.as_flattened_mut().iter_mut().zip(sums) {
            *out = sum;
        }
        for (x, out) in x.iter().zip(&mut out) {
            let (_, x) = x.as_chunks::<LANES>();
            for (weight, out) in weight.iter().zip(out) {
                let (_, weight) = weight.as_chunks::<LANES>();
                *out += x.iter().zip(weight).map(|(x, weight)| x * weight).sum::<f32>();
            }
        }
        out
    }

    /// The sums of the lanes of each register, all in the same order: each half's with the other's, then in pairs.
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    fn add_lanes(wide: [__m256; SUMS]) -> __m256 {
        let [a, b, c, d, e, f, g, h] = wide;
        let (ae, bf, cg, dh) =
            (add_halves(a, e), add_halves(b, f), add_halves(c, g), add_halves(d, h));
        let (aebf, cgdh) = (add_pairs(ae, bf), add_pairs(cg, dh));
        _mm256_add_ps(_mm256_shuffle_ps::<0x88>(aebf, cgdh), _mm256_shuffle_ps::<0xdd>(aebf, cgdh))
    }

    /// Four sums of two registers each.
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    fn add_halves(a: __m256, b: __m256) -> __m256 {
        _mm256_add_ps(_mm256_permute2f128_ps::<0x20>(a, b), _mm256_permute2f128_ps::<0x31>(a, b))
    }

    /// Two sums of two registers and both halves each.
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    fn add_pairs(a: __m256, b: __m256) -> __m256 {
        _mm256_add_ps(_mm256_shuffle_ps::<0x44>(a, b), _mm256_shuffle_ps::<0xee>(a, b))
    }

    /// Squares at a time; returns how many rows of the panel are written.
    pub(super) fn write_rows(
        _: Detected,
        panel: &mut [[f32; PANEL]],
        rows: [&[f32]; PANEL],
    ) -> usize {
        let (out, _) = panel.as_chunks_mut();
        // SAFETY: a `Detected` exists only where the processor has what the function was compiled for.
        #[expect(unsafe_code, reason = "calling code compiled for a newer processor than the rest")]
        unsafe {
            write_squares(out, rows.map(|row| row.as_chunks().0));
        }
        out.len() * LANES
    }

    #[target_feature(enable = "avx2,fma")]
    fn write_squares(out: &mut [[[f32; PANEL]; LANES]], rows: [&[[f32; LANES]]; PANEL]) {
        // Both squares of a cache line before the next rows, which may push it out.
        let pairs = out.chunks_mut(2).enumerate();
        for (index, out) in pairs {
            for (half, rows) in rows.as_chunks::<LANES>().0.iter().enumerate() {
                for (next, out) in out.iter_mut().enumerate() {
                    let square = transpose(rows.map(|row| load(&row[2 * index + next])));
                    for (column, out) in square.into_iter().zip(out) {
                        store(column, &mut out.as_chunks_mut().0[half]);
                    }
                }
            }
        }
    }

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    fn transpose(rows: [__m256; LANES]) -> [__m256; LANES] {
        let [a, b, c, d, e, f, g, h] = rows;
        let fours = |a, b, c, d| {
            let (low, high) = (_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b));
            let (low_next, high_next) = (_mm256_unpacklo_ps(c, d), _mm256_unpackhi_ps(c, d));
            [
                _mm256_shuffle_ps::<0x44>(low, low_next),
                _mm256_shuffle_ps::<0xee>(low, low_next),
                _mm256_shuffle_ps::<0x44>(high, high_next),
                _mm256_shuffle_ps::<0xee>(high, high_next),
            ]
        };
        let (top, bottom) = (fours(a, b, c, d), fours(e, f, g, h));
        std::array::from_fn(|column| {
            let (top, bottom) = (top[column % 4], bottom[column % 4]);
            if column < 4 {
                _mm256_permute2f128_ps::<0x20>(top, bottom)
            } else {
                _mm256_permute2f128_ps::<0x31>(top, bottom)
            }
        })
    }

    /// The first [`PANEL`] values.
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    fn halves(values: &[f32]) -> [__m256; 2] {
        let (chunks, _) = values[..PANEL].as_chunks();
        [load(&chunks[0]), load(&chunks[1])]
    }

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    fn load(values: &[f32; LANES]) -> __m256 {
        // SAFETY: the array has `LANES` values.
        #[expect(unsafe_code, reason = "the load takes a raw pointer")]
        unsafe {
            _mm256_loadu_ps(values.as_ptr())
        }
    }

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    fn store(wide: __m256, values: &mut [f32; LANES]) {
        // SAFETY: the array has `LANES` values.
        #[expect(unsafe_code, reason = "the store takes a raw pointer")]
        unsafe {
            _mm256_storeu_ps(values.as_mut_ptr(), wide);
        }
    }
}

#[cfg(test)]
mod tests;
