//! The denominator of a softmax, for whoever asks how probable one value of a row is. A vocabulary has
//! 150,000 of them, so it is vectorised like the kernels.

use super::math::{exp, fold_lanes};

struct Task<'a> {
    row: &'a [f32],
}

impl pulp::NullaryFnOnce for Task<'_> {
    type Output = f32;

    #[inline(always)]
    fn call(self) -> f32 {
        let max = fold_lanes(self.row, f32::NEG_INFINITY, f32::max);
        let chunks = self.row.chunks_exact(LANES);
        let rest: f32 = chunks.remainder().iter().map(|x| exp(x - max)).sum();
        let mut lanes = [0.0f32; LANES];
        for chunk in chunks {
            // Most of a vocabulary is out of the question: its weight is not worth computing.
            if fold_lanes(chunk, f32::NEG_INFINITY, f32::max) < max - NEGLIGIBLE {
                continue;
            }
            for (lane, x) in lanes.iter_mut().zip(chunk) {
                *lane += exp(x - max);
            }
        }
        max + (lanes.iter().sum::<f32>() + rest).ln()
    }
}

const LANES: usize = 32;

/// So far below the greatest value, 150,000 others together change the sum by less than 1 in 3,000.
const NEGLIGIBLE: f32 = 20.0;

/// `ln` of the sum of `e^x` over the finite values `x` of `row`.
pub(in crate::model) fn log_sum_exp(row: &[f32]) -> f32 {
    pulp::Arch::new().dispatch(Task { row })
}

#[cfg(test)]
mod tests {
    use rand::{Rng as _, SeedableRng as _};

    use super::*;

    #[test]
    fn agrees_with_the_plain_sum() {
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(1);
        for (values, scale) in [(1, 1.0), (31, 5.0), (1024, 30.0), (151_674, 12.0)] {
            let row: Vec<f32> = (0..values).map(|_| (rng.random::<f32>() - 0.3) * scale).collect();
            let plain = row.iter().map(|x| f64::from(*x).exp()).sum::<f64>().ln();
            let error = (f64::from(log_sum_exp(&row)) - plain).abs();
            assert!(error < 2e-5, "{values} values: {error:e}");
        }
        // One value stands out by more than is looked at.
        let mut row = vec![0.0; 151_674];
        row[77] = 21.0;
        let plain = (21.0f64.exp() + 151_673.0).ln();
        let error = (f64::from(log_sum_exp(&row)) - plain).abs();
        assert!(error < 3.3e-4, "{error:e}");
        // Far beyond what e^x can hold.
        assert!((log_sum_exp(&[1000.0, 1000.0]) - 1000.6931).abs() < 1e-3);
    }
}
