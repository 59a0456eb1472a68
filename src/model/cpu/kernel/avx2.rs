//! The inner loops in AVX2 and fused multiply-add, for processors that were found to have them.

use std::arch::asm;
use std::arch::x86_64::{
    __m256, _mm256_add_ps, _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_permute2f128_ps,
    _mm256_setzero_ps, _mm256_shuffle_ps, _mm256_storeu_ps, _mm256_unpackhi_ps, _mm256_unpacklo_ps,
};

use super::{PANEL, STRIP, Start, add_rest, registers, steps};

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
    let steps = steps::<LANES>(&x, &weight);
    let (x_wide, weight_wide) = (registers(x, steps), registers(weight, steps));
    let mut wide = [[_mm256_setzero_ps(); COLUMNS]; ROWS];
    for step in 0..steps {
        let mut x = [_mm256_setzero_ps(); ROWS];
        for (x, wide) in x.iter_mut().zip(&x_wide) {
            *x = load(&wide[step]);
        }
        for (column, weight) in weight_wide.iter().enumerate() {
            let weight = load(&weight[step]);
            for (wide, x) in wide.iter_mut().zip(x) {
                wide[column] = _mm256_fmadd_ps(x, weight, wide[column]);
            }
        }
    }
    let mut out = [[0.0; COLUMNS]; ROWS];
    let of_eight = wide.as_flattened().chunks(LANES).zip(out.as_flattened_mut().chunks_mut(LANES));
    for (wide, out) in of_eight {
        let mut all = [_mm256_setzero_ps(); LANES];
        all[..wide.len()].copy_from_slice(wide);
        let mut sums = [0.0; LANES];
        store(add_lanes(all), &mut sums);
        out.copy_from_slice(&sums[..out.len()]);
    }
    add_rest::<LANES, ROWS, COLUMNS>(&mut out, x, weight);
    out
}

/// The sums of the lanes of each register, all in the same order: each half's with the other's, then in pairs.
#[inline]
#[target_feature(enable = "avx2,fma")]
pub(super) fn add_lanes(wide: [__m256; LANES]) -> __m256 {
    let [a, b, c, d, e, f, g, h] = wide;
    let (ae, bf, cg, dh) = (add_halves(a, e), add_halves(b, f), add_halves(c, g), add_halves(d, h));
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
pub(super) fn write_rows(_: Detected, panel: &mut [[f32; PANEL]], rows: [&[f32]; PANEL]) -> usize {
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
pub(super) fn store(wide: __m256, values: &mut [f32; LANES]) {
    // SAFETY: the array has `LANES` values.
    #[expect(unsafe_code, reason = "the store takes a raw pointer")]
    unsafe {
        _mm256_storeu_ps(values.as_mut_ptr(), wide);
    }
}
