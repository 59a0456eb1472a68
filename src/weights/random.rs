//! Weights made of random numbers, of a scale that keeps activations healthy.
//!
//! The same seed, name, shape and kind of device give the same numbers.

use candle_core::{Device, Result, Tensor};
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use sha2::{Digest as _, Sha256};

/// Makes each tensor when it is asked for.
pub(super) struct RandomWeights {
    seed: u64,
}

impl RandomWeights {
    pub(super) fn new(seed: u64) -> Self {
        Self { seed }
    }

    pub(super) fn seed(&self) -> u64 {
        self.seed
    }

    /// Matrices have a standard deviation of `1/sqrt(columns)`, norm weights lie around 1.
    pub(super) fn tensor(&self, name: &str, shape: &[usize], device: &Device) -> Result<Tensor> {
        let seed = tensor_seed(self.seed, name);
        let is_norm_weight = shape.len() == 1 && name.ends_with("weight");
        let (mean, std) = match shape {
            _ if is_norm_weight => (1.0, 0.1),
            [_] if name.contains(".ls") => (0.1, 0.02),
            [_] => (0.0, 0.02),
            [_, rest @ ..] => (0.0, 1.0 / (rest.iter().product::<usize>() as f64).sqrt()),
            [] => (0.0, 1.0),
        };
        // The GPU makes its own: 8 billion numbers from the host would take minutes.
        if device.is_cuda() {
            device.set_seed(seed)?;
            return Tensor::randn(mean as f32, std as f32, shape, device);
        }
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        // Uniform with the same deviation: as healthy as a normal one, and quick.
        let half_width = std * 3f64.sqrt();
        let count: usize = shape.iter().product();
        let values: Vec<f32> = (0..count)
            .map(|_| (mean + half_width * (2.0 * rng.random::<f64>() - 1.0)) as f32)
            .collect();
        Tensor::from_vec(values, shape, device)
    }
}

fn tensor_seed(seed: u64, name: &str) -> u64 {
    let digest = Sha256::new().chain_update(seed.to_le_bytes()).chain_update(name).finalize();
    digest.iter().take(8).fold(0, |value, byte| value << 8 | u64::from(*byte))
}
