//! The inner loop of both passes: weighted sums, sixteen at a time.
//!
//! Samples that share their weights lie side by side ("lanes"), and the samples of the next tap lie
//! `stride` bytes further on. The vertical pass has that layout by nature; the horizontal pass
//! makes it by transposing sixteen rows. So one kernel serves both.
//!
//! Sums are exact: products and sums wrap modulo 2^32, and the complete sum fits `i32` (as Pillow
//! relies on too), so neither the order of summation nor splitting a weight in two changes a bit.
//!
//! This file holds the module's one use of instructions chosen at run time: compiled for the oldest
//! supported `x86_64`, the plain Rust loop has no multiplication of 32-bit vectors to use.

use std::ops::Range;

use super::coefficients::{PRECISION_BITS, ROUNDING};

/// Samples summed side by side.
pub(super) const LANES: usize = 16;

/// Which implementation sums. Both give the same bytes.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kernel {
    #[cfg(target_arch = "x86_64")]
    Avx2(avx2::Detected),
    Portable,
}

/// What one output position sums: `taps` input positions from `first` on, weighted by the pairs
/// from `pairs_at` on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    pub(super) first: usize,
    pub(super) taps: usize,
    pub(super) pairs_at: usize,
}

/// The weights of two neighbouring taps, each split in two; a last tap without a partner has a
/// second weight of zero. In each field the first tap's half is the lower 16 bits, as the
/// multiplying instruction wants it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pair {
    high: i32,
    low: i32,
}

/// Bits of the lower half of a weight: it must fit an `i16` without its sign.
const LOW_BITS: u32 = 15;

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

    /// Sums the windows, one after another into equal parts of `out`: lane 0 of input position 0 is
    /// `samples[0]`. The lanes of a part are at most `stride`.
    pub(super) fn sum(
        self,
        windows: &[Window],
        pairs: &[Pair],
        samples: &[u8],
        stride: usize,
        out: &mut [[u8; LANES]],
    ) {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(detected) => avx2::sum(detected, windows, pairs, samples, stride, out),
            Self::Portable => portable::sum(windows, pairs, samples, stride, out),
        }
    }
}

// === impl Window ===

impl Window {
    pub(super) fn inputs(self) -> Range<usize> {
        self.first..self.first + self.taps
    }

    fn pairs(self, pairs: &[Pair]) -> &[Pair] {
        &pairs[self.pairs_at..][..self.taps.div_ceil(2)]
    }
}

// === impl Pair ===

impl Pair {
    pub(super) fn all(weights: &[i32]) -> impl Iterator<Item = Self> {
        weights.chunks(2).map(|both| Self::new(both[0], both.get(1).copied().unwrap_or(0)))
    }

    fn new(first: i32, second: i32) -> Self {
        let both = |first: i32, second: i32| (second << 16) | (first & 0xffff);
        let low = |weight: i32| weight & ((1 << LOW_BITS) - 1);
        Self {
            high: both(first >> LOW_BITS, second >> LOW_BITS),
            low: both(low(first), low(second)),
        }
    }

    /// The two whole weights.
    fn weights(self) -> [i32; 2] {
        let halves = |packed: i32| [i32::from(packed as i16), packed >> 16];
        let ([h0, h1], [l0, l1]) = (halves(self.high), halves(self.low));
        [(h0 << LOW_BITS) + l0, (h1 << LOW_BITS) + l1]
    }
}

/// Plain Rust, for any processor.
mod portable {
    use super::{LANES, PRECISION_BITS, Pair, ROUNDING, Window};

    pub(super) fn sum(
        windows: &[Window],
        pairs: &[Pair],
        samples: &[u8],
        stride: usize,
        out: &mut [[u8; LANES]],
    ) {
        let chunks = out.len() / windows.len();
        for (window, out) in windows.iter().zip(out.chunks_exact_mut(chunks)) {
            for (chunk, out) in out.iter_mut().enumerate() {
                let at = window.first * stride + chunk * LANES;
                *out = sum_lanes(*window, pairs, &samples[at..], stride);
            }
        }
    }

    fn sum_lanes(window: Window, pairs: &[Pair], samples: &[u8], stride: usize) -> [u8; LANES] {
        let mut sums = [ROUNDING; LANES];
        let weights = window.pairs(pairs).iter().flat_map(|pair| pair.weights());
        for (tap, weight) in weights.take(window.taps).enumerate() {
            for (sum, &lane) in sums.iter_mut().zip(&samples[tap * stride..][..LANES]) {
                *sum = sum.wrapping_add(i32::from(lane).wrapping_mul(weight));
            }
        }
        sums.map(|sum| (sum >> PRECISION_BITS).clamp(0, 255) as u8)
    }
}

/// The same with `vpmaddwd`: it multiplies eight pairs of 16-bit numbers and adds each pair up.
/// Weights have 24 bits, so each is split into two halves, whose sums are put together at the end.
#[cfg(target_arch = "x86_64")]
mod avx2 {
    use std::arch::x86_64::{
        __m128i, __m256i, _mm_cvtsi128_si64, _mm_packus_epi16, _mm_set_epi64x, _mm_setzero_si128,
        _mm_unpackhi_epi8, _mm_unpackhi_epi64, _mm_unpacklo_epi8, _mm256_add_epi32,
        _mm256_castsi256_si128, _mm256_cvtepu8_epi16, _mm256_extracti128_si256, _mm256_madd_epi16,
        _mm256_packs_epi32, _mm256_permute4x64_epi64, _mm256_set1_epi32, _mm256_setzero_si256,
        _mm256_slli_epi32, _mm256_srai_epi32,
    };

    use super::{LANES, LOW_BITS, PRECISION_BITS, Pair, ROUNDING, Window};

    /// Proof that this processor has AVX2: only [`Detected::new`] makes one.
    #[derive(Clone, Copy, Debug)]
    pub(in super::super) struct Detected(());

    impl Detected {
        pub(super) fn new() -> Option<Self> {
            is_x86_feature_detected!("avx2").then_some(Self(()))
        }
    }

    pub(super) fn sum(
        _: Detected,
        windows: &[Window],
        pairs: &[Pair],
        samples: &[u8],
        stride: usize,
        out: &mut [[u8; LANES]],
    ) {
        // SAFETY: `sum_avx2` is a safe function but for needing AVX2, and a `Detected` exists only
        // where `is_x86_feature_detected!` found it. It reads and writes through slices only.
        #[expect(unsafe_code, reason = "calling code compiled for a newer processor than the rest")]
        unsafe {
            sum_avx2(windows, pairs, samples, stride, out);
        }
    }

    #[target_feature(enable = "avx2")]
    fn sum_avx2(
        windows: &[Window],
        pairs: &[Pair],
        samples: &[u8],
        stride: usize,
        out: &mut [[u8; LANES]],
    ) {
        let chunks = out.len() / windows.len();
        for (window, out) in windows.iter().zip(out.chunks_exact_mut(chunks)) {
            let pairs = window.pairs(pairs);
            let samples = &samples[window.first * stride..];
            // Chunks that are summed together share the loads of the weights; three fill the
            // registers, and are what the horizontal pass asks for: one a channel.
            let (threes, rest) = out.as_chunks_mut();
            for (index, out) in threes.iter_mut().enumerate() {
                let samples = &samples[index * 3 * LANES..];
                *out = sum_chunks::<3>(pairs, window.taps, samples, stride);
            }
            let first = threes.len() * 3;
            for (index, out) in rest.iter_mut().enumerate() {
                let samples = &samples[(first + index) * LANES..];
                [*out] = sum_chunks::<1>(pairs, window.taps, samples, stride);
            }
        }
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn sum_chunks<const CHUNKS: usize>(
        pairs: &[Pair],
        taps: usize,
        samples: &[u8],
        stride: usize,
    ) -> [[u8; LANES]; CHUNKS] {
        let mut sums = [Sums::new(); CHUNKS];
        let mut both_taps = samples.chunks(2 * stride);
        for (pair, samples) in pairs[..taps / 2].iter().zip(&mut both_taps) {
            let (first, second) = samples.split_at(stride);
            for (chunk, sums) in sums.iter_mut().enumerate() {
                let at = chunk * LANES;
                sums.add(load(&first[at..]), load(&second[at..]), *pair);
            }
        }
        if taps % 2 == 1
            && let Some(samples) = both_taps.next()
        {
            for (chunk, sums) in sums.iter_mut().enumerate() {
                let lanes = load(&samples[chunk * LANES..]);
                sums.add(lanes, _mm_setzero_si128(), pairs[taps / 2]);
            }
        }
        let mut out = [[0; LANES]; CHUNKS];
        for (out, sums) in out.iter_mut().zip(sums) {
            *out = sums.finish();
        }
        out
    }

    /// Eight lanes a register, the halves of the weights apart.
    #[derive(Clone, Copy)]
    struct Sums {
        high: [__m256i; 2],
        low: [__m256i; 2],
    }

    impl Sums {
        #[inline]
        #[target_feature(enable = "avx2")]
        fn new() -> Self {
            Self { high: [_mm256_setzero_si256(); 2], low: [_mm256_set1_epi32(ROUNDING); 2] }
        }

        #[inline]
        #[target_feature(enable = "avx2")]
        fn add(&mut self, first: __m128i, second: __m128i, weights: Pair) {
            let (high, low) = (_mm256_set1_epi32(weights.high), _mm256_set1_epi32(weights.low));
            let front = _mm256_cvtepu8_epi16(_mm_unpacklo_epi8(first, second));
            let back = _mm256_cvtepu8_epi16(_mm_unpackhi_epi8(first, second));
            self.high[0] = _mm256_add_epi32(self.high[0], _mm256_madd_epi16(front, high));
            self.high[1] = _mm256_add_epi32(self.high[1], _mm256_madd_epi16(back, high));
            self.low[0] = _mm256_add_epi32(self.low[0], _mm256_madd_epi16(front, low));
            self.low[1] = _mm256_add_epi32(self.low[1], _mm256_madd_epi16(back, low));
        }

        /// Puts the halves together, rounds, and clips: both packs saturate.
        #[inline]
        #[target_feature(enable = "avx2")]
        fn finish(self) -> [u8; LANES] {
            let front = whole(self.high[0], self.low[0]);
            let back = whole(self.high[1], self.low[1]);
            // The pack works within 128-bit halves; the permutation puts its quarters in order.
            let packed = _mm256_permute4x64_epi64::<0b11_01_10_00>(_mm256_packs_epi32(front, back));
            store(_mm_packus_epi16(
                _mm256_castsi256_si128(packed),
                _mm256_extracti128_si256::<1>(packed),
            ))
        }
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn whole(high: __m256i, low: __m256i) -> __m256i {
        let sum = _mm256_add_epi32(low, _mm256_slli_epi32::<{ LOW_BITS as i32 }>(high));
        _mm256_srai_epi32::<{ PRECISION_BITS as i32 }>(sum)
    }

    /// Compiles to one unaligned load.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn load(samples: &[u8]) -> __m128i {
        let (lanes, _) = samples.split_at(LANES);
        let lanes = lanes.first_chunk::<LANES>().map_or(0, |lanes| u128::from_le_bytes(*lanes));
        _mm_set_epi64x((lanes >> 64) as i64, lanes as i64)
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn store(lanes: __m128i) -> [u8; LANES] {
        let low = _mm_cvtsi128_si64(lanes) as u64;
        let high = _mm_cvtsi128_si64(_mm_unpackhi_epi64(lanes, lanes)) as u64;
        ((u128::from(high) << 64) | u128::from(low)).to_le_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_kernels_agree() {
        let samples: Vec<u8> =
            (0..8192_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        let weights: Vec<i32> =
            (0..41_i32).map(|i| if i % 3 == 0 { -90_001 * i } else { 77_777 * i }).collect();
        for taps in 1..=weights.len() {
            let pairs: Vec<_> = Pair::all(&weights[..taps]).collect();
            let windows = [0, 2].map(|first| Window { first, taps, pairs_at: 0 });
            for (chunks, stride) in [(1, LANES), (3, 3 * LANES), (3, 99), (5, 97)] {
                let mut fast = vec![[0; LANES]; chunks * windows.len()];
                let mut plain = vec![[1; LANES]; chunks * windows.len()];
                Kernel::new().sum(&windows, &pairs, &samples, stride, &mut fast);
                Kernel::Portable.sum(&windows, &pairs, &samples, stride, &mut plain);
                assert_eq!(fast, plain, "{taps} taps, {chunks} chunks, stride {stride}");
            }
        }
    }
}
