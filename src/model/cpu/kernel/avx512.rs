//! The inner loops in AVX-512, for processors that were found to have it. Registers are twice as wide as in AVX2; how much that
//! is worth depends on whether the processor's units are, too.

use std::arch::asm;
use std::arch::x86_64::{
    __m256, __m512, _mm256_add_ps, _mm256_castpd_ps, _mm256_setzero_ps, _mm512_castps_pd,
    _mm512_castps512_ps256, _mm512_extractf64x4_pd, _mm512_fmadd_ps, _mm512_loadu_ps,
    _mm512_setzero_ps, _mm512_storeu_ps,
};

use super::{PANEL, STRIP, Start, add_rest, avx2, registers, steps};

const LANES: usize = 16;

/// Proof that this processor has AVX-512F, and what AVX2's loops need: only [`Detected::new`] makes one.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Detected {
    pub(super) avx2: avx2::Detected,
}

impl Detected {
    pub(super) fn new() -> Option<Self> {
        let avx2 = avx2::Detected::new()?;
        is_x86_feature_detected!("avx512f").then_some(Self { avx2 })
    }
}

/// A whole strip of two whole panels side by side. Each sum is that of AVX2's strips, to the bit.
pub(super) fn strip_of_two(
    _: Detected,
    a: [&[f32]; STRIP],
    panels: [&[[f32; PANEL]]; 2],
    out: (&mut [f32], usize),
    start: Start<'_>,
) {
    // SAFETY: a `Detected` exists only where the processor has what the function was compiled for.
    #[expect(unsafe_code, reason = "calling code compiled for a newer processor than the rest")]
    unsafe {
        strip_avx512(a, panels, out, start);
    }
}

#[target_feature(enable = "avx512f")]
fn strip_avx512(
    a: [&[f32]; STRIP],
    panels: [&[[f32; PANEL]]; 2],
    (out, stride): (&mut [f32], usize),
    start: Start<'_>,
) {
    let mut sums = [[_mm512_setzero_ps(); 2]; STRIP];
    for (row, sums) in sums.iter_mut().enumerate() {
        *sums = match start {
            Start::Zero => *sums,
            Start::Row(values) => halves(values),
            Start::Rows(rows) => halves(rows.row(row, 2 * PANEL)),
            Start::Output => halves(&out[row * stride..]),
        };
    }
    add_products(a, panels, &mut sums);
    for (row, sums) in sums.iter().enumerate() {
        let (out, _) = out[row * stride..][..2 * PANEL].as_chunks_mut();
        for (sums, out) in sums.iter().zip(out) {
            store(*sums, out);
        }
    }
}

/// Where all the time goes. In assembler, so that test builds, which are hardly optimised, are as fast.
#[inline]
#[target_feature(enable = "avx512f")]
fn add_products(a: [&[f32]; STRIP], panels: [&[[f32; PANEL]]; 2], sums: &mut [[__m512; 2]; STRIP]) {
    let [left, right] = panels;
    let is_even = left.len() == right.len() && a.iter().all(|row| row.len() == left.len());
    assert!(!left.is_empty() && is_even, "rows differ");
    let [a0, a1, a2, a3, a4, a5] = a.map(<[f32]>::as_ptr);
    let [s0, s1, s2, s3, s4, s5] = sums;
    // SAFETY: reads `left.len()` values of each row, which the assertion says that it has, and as many rows of 16 values of
    // both panels; writes registers only.
    #[expect(unsafe_code, reason = "the loop is assembler")]
    unsafe {
        asm!(
            "2:",
            "vmovups zmm0, [{left}]",
            "vmovups zmm1, [{right}]",
            "vbroadcastss zmm2, dword ptr [{a0} + 4*{k}]",
            "vbroadcastss zmm3, dword ptr [{a1} + 4*{k}]",
            "vfmadd231ps zmm4, zmm2, zmm0",
            "vfmadd231ps zmm5, zmm2, zmm1",
            "vfmadd231ps zmm6, zmm3, zmm0",
            "vfmadd231ps zmm7, zmm3, zmm1",
            "vbroadcastss zmm16, dword ptr [{a2} + 4*{k}]",
            "vbroadcastss zmm17, dword ptr [{a3} + 4*{k}]",
            "vfmadd231ps zmm8, zmm16, zmm0",
            "vfmadd231ps zmm9, zmm16, zmm1",
            "vfmadd231ps zmm10, zmm17, zmm0",
            "vfmadd231ps zmm11, zmm17, zmm1",
            "vbroadcastss zmm18, dword ptr [{a4} + 4*{k}]",
            "vbroadcastss zmm19, dword ptr [{a5} + 4*{k}]",
            "vfmadd231ps zmm12, zmm18, zmm0",
            "vfmadd231ps zmm13, zmm18, zmm1",
            "vfmadd231ps zmm14, zmm19, zmm0",
            "vfmadd231ps zmm15, zmm19, zmm1",
            "add {left}, 64",
            "add {right}, 64",
            "inc {k}",
            "cmp {k}, {end}",
            "jne 2b",
            a0 = in(reg) a0, a1 = in(reg) a1, a2 = in(reg) a2,
            a3 = in(reg) a3, a4 = in(reg) a4, a5 = in(reg) a5,
            left = inout(reg) left.as_ptr() => _,
            right = inout(reg) right.as_ptr() => _,
            k = inout(reg) 0_usize => _,
            end = in(reg) left.len(),
            out("zmm0") _, out("zmm1") _, out("zmm2") _, out("zmm3") _,
            out("zmm16") _, out("zmm17") _, out("zmm18") _, out("zmm19") _,
            inout("zmm4") s0[0], inout("zmm5") s0[1], inout("zmm6") s1[0], inout("zmm7") s1[1],
            inout("zmm8") s2[0], inout("zmm9") s2[1], inout("zmm10") s3[0], inout("zmm11") s3[1],
            inout("zmm12") s4[0], inout("zmm13") s4[1], inout("zmm14") s5[0], inout("zmm15") s5[1],
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
        dots_avx512(x, weight)
    }
}

/// Loops instead of closures: what the library calls for each element is not compiled for AVX-512, and stays a call.
#[target_feature(enable = "avx512f")]
fn dots_avx512<const ROWS: usize, const COLUMNS: usize>(
    x: [&[f32]; ROWS],
    weight: [&[f32]; COLUMNS],
) -> [[f32; COLUMNS]; ROWS] {
    let steps = steps::<LANES>(&x, &weight);
    let (x_wide, weight_wide) = (registers(x, steps), registers(weight, steps));
    let mut wide = [[_mm512_setzero_ps(); COLUMNS]; ROWS];
    for step in 0..steps {
        let mut x = [_mm512_setzero_ps(); ROWS];
        for (x, wide) in x.iter_mut().zip(&x_wide) {
            *x = load(&wide[step]);
        }
        for (column, weight) in weight_wide.iter().enumerate() {
            let weight = load(&weight[step]);
            for (wide, x) in wide.iter_mut().zip(x) {
                wide[column] = _mm512_fmadd_ps(x, weight, wide[column]);
            }
        }
    }
    let mut out = [[0.0; COLUMNS]; ROWS];
    let of_eight = wide.as_flattened().chunks(8).zip(out.as_flattened_mut().chunks_mut(8));
    for (wide, out) in of_eight {
        let mut halves = [_mm256_setzero_ps(); 8];
        for (halves, wide) in halves.iter_mut().zip(wide) {
            *halves = add_halves(*wide);
        }
        let mut sums = [0.0; 8];
        avx2::store(avx2::add_lanes(halves), &mut sums);
        out.copy_from_slice(&sums[..out.len()]);
    }
    add_rest::<LANES, ROWS, COLUMNS>(&mut out, x, weight);
    out
}

/// Its lower lanes and its upper ones.
#[inline]
#[target_feature(enable = "avx512f")]
fn add_halves(wide: __m512) -> __m256 {
    let upper = _mm512_extractf64x4_pd::<1>(_mm512_castps_pd(wide));
    _mm256_add_ps(_mm512_castps512_ps256(wide), _mm256_castpd_ps(upper))
}

/// The first values of both panels.
#[inline]
#[target_feature(enable = "avx512f")]
fn halves(values: &[f32]) -> [__m512; 2] {
    let (chunks, _) = values[..2 * PANEL].as_chunks();
    [load(&chunks[0]), load(&chunks[1])]
}

#[inline]
#[target_feature(enable = "avx512f")]
fn load(values: &[f32; LANES]) -> __m512 {
    // SAFETY: the array has `LANES` values.
    #[expect(unsafe_code, reason = "the load takes a raw pointer")]
    unsafe {
        _mm512_loadu_ps(values.as_ptr())
    }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn store(wide: __m512, values: &mut [f32; LANES]) {
    // SAFETY: the array has `LANES` values.
    #[expect(unsafe_code, reason = "the store takes a raw pointer")]
    unsafe {
        _mm512_storeu_ps(values.as_mut_ptr(), wide);
    }
}
