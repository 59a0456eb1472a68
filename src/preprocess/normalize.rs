//! Turns 8-bit samples into the model's `f32` by table: there are only 256 answers a channel.
//!
//! A table is both exact (each entry is computed once, in the order of operations of the reference)
//! and faster than two divisions a sample.

use crate::preprocess::config::{Config, Normalization};

/// Answers for every sample value, one table a channel.
pub(crate) struct Lookup([[f32; 256]; 3]);

impl Lookup {
    pub(crate) fn new(config: &Config) -> Self {
        Self(std::array::from_fn(|channel| {
            let (mean, std) = (config.mean[channel], config.std[channel]);
            std::array::from_fn(|sample| one(sample as f32, mean, std, config.normalization))
        }))
    }

    /// Fills `out` from as many samples of `channel`.
    pub(crate) fn apply(&self, channel: usize, samples: &[u8], out: &mut [f32]) {
        let table = &self.0[channel];
        for (value, &sample) in out.iter_mut().zip(samples) {
            *value = table[usize::from(sample)];
        }
    }
}

/// Every operation rounds to `f32`, as in the references.
fn one(sample: f32, mean: f32, std: f32, form: Normalization) -> f32 {
    match form {
        Normalization::TwoStep => (sample / 255.0 - mean) / std,
        Normalization::Fused => (sample - mean * 255.0) / (std * 255.0),
    }
}
