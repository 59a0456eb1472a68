//! Branch-free f32 functions that the compiler vectorises, inlined into the loops of their callers.
//! Those loops are types with a `call` that is inlined itself: a closure would be compiled once, for
//! the oldest processor.

/// Adding and taking away 1.5 * 2^23 rounds to the nearest integer without a call.
const ROUND: f32 = 12_582_912.0;

/// `e^x` for `x <= 88`, to 2 ulp; 0 below -87.
#[inline(always)]
pub(super) fn exp(x: f32) -> f32 {
    const LN2_HIGH: f32 = 0.693_359_4;
    const LN2_LOW: f32 = -2.121_944_4e-4;
    let clamped = x.clamp(-87.0, 88.0);
    let shifted = clamped * std::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = (clamped - n * LN2_HIGH) - n * LN2_LOW;
    // Minimax polynomial of e^r on [-ln2/2, ln2/2] (Cephes).
    let mut p = 1.987_569_2e-4;
    for coefficient in [1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5] {
        p = p * r + coefficient;
    }
    let p = p * r * r + r + 1.0;
    // The low bits of `shifted` hold n as an integer.
    let exponent = (shifted.to_bits() << 23).wrapping_add(0x3f80_0000);
    let value = p * f32::from_bits(exponent);
    if x < -87.0 { 0.0 } else { value }
}

/// The error function, to 4e-7: 7e-8 of the approximation, the rest the rounding of its f32 terms.
#[inline(always)]
pub(super) fn erf(x: f32) -> f32 {
    // Rational approximation on [-4, 4] (as in Eigen and XLA); beyond, erf is 1 in f32.
    const ALPHA: [f32; 7] = [
        -2.726_142_4e-10,
        2.770_681_3e-8,
        -2.101_024e-6,
        -5.692_506e-5,
        -7.349_906e-4,
        -2.954_6e-3,
        -1.609_603_3e-2,
    ];
    const BETA: [f32; 5] =
        [-1.456_607_2e-5, -2.133_740_5e-4, -1.682_827e-3, -7.373_329_3e-3, -1.426_473_9e-2];
    let x = x.clamp(-4.0, 4.0);
    let square = x * x;
    let numerator = ALPHA.iter().fold(0.0, |sum: f32, c| sum * square + c);
    let denominator = BETA.iter().fold(0.0, |sum: f32, c| sum * square + c);
    (x * numerator / denominator).clamp(-1.0, 1.0)
}

/// A fold with independent lanes, so that it vectorises.
#[inline(always)]
pub(super) fn fold_lanes(values: &[f32], start: f32, f: impl Fn(f32, f32) -> f32) -> f32 {
    const LANES: usize = 32;
    let mut lanes = [start; LANES];
    let chunks = values.chunks_exact(LANES);
    let rest = chunks.remainder();
    for chunk in chunks {
        for (lane, value) in lanes.iter_mut().zip(chunk) {
            *lane = f(*lane, *value);
        }
    }
    lanes.iter().chain(rest).fold(start, |a, b| f(a, *b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_is_close_over_its_range() {
        for i in -8700..=8800 {
            let x = i as f32 / 100.0;
            let expected = f64::from(x).exp();
            let error = (f64::from(exp(x)) - expected).abs() / expected;
            assert!(error < 3e-7, "exp({x}): {error:e}");
        }
        assert_eq!(
            [exp(f32::NEG_INFINITY), exp(0.0)].map(f32::to_bits),
            [0.0f32, 1.0].map(f32::to_bits)
        );
    }

    #[test]
    fn erf_agrees_with_its_series() {
        // erf(x) = 2/sqrt(pi) * sum (-1)^n x^(2n+1) / (n! (2n+1)), in f64.
        for i in -400..=400 {
            let x = f64::from(i) / 100.0;
            let mut term = x;
            let mut sum = x;
            for n in 1..200 {
                term *= -x * x / f64::from(n);
                sum += term / f64::from(2 * n + 1);
            }
            let expected = sum * 2.0 / std::f64::consts::PI.sqrt();
            let error = (f64::from(erf(x as f32)) - expected).abs();
            assert!(error < 4e-7, "erf({x}): {error:e}");
        }
        assert!((erf(50.0) - 1.0).abs() < 1e-6);
    }
}
