//! Turns 8-bit samples into the model's `f32` by table: there are only 256 answers a channel.
//!
//! A table is both exact (each entry is computed once, in the order of operations of the reference)
//! and faster than two divisions a sample. Samples become values where the model wants them, on its
//! device: until then a page is a quarter of the bytes.

use rayon::prelude::*;

use crate::preprocess::config::{Config, Normalization};
use crate::preprocess::page::CHANNELS;

/// What a sample of each channel stands for: answers for every sample value, one table a channel.
#[derive(Clone, Debug, PartialEq)]
pub struct SampleValues([[f32; 256]; CHANNELS]);

impl SampleValues {
    pub fn new(config: &Config) -> Self {
        Self(std::array::from_fn(|channel| {
            let (mean, std) = (config.mean[channel], config.std[channel]);
            std::array::from_fn(|sample| one(sample as f32, mean, std, config.normalization))
        }))
    }

    /// Of every sample of a channel, channel by channel.
    pub fn as_flat(&self) -> &[f32] {
        self.0.as_flattened()
    }

    /// Fills `out` from as many samples, in planes of `plane` samples that go through the channels in turn; over
    /// all threads of the current pool.
    pub fn fill(&self, samples: &[u8], plane: usize, out: &mut [f32]) {
        let plane = plane.max(1);
        let planes = out.par_chunks_mut(plane).zip(samples.par_chunks(plane)).enumerate();
        planes.for_each(|(index, (out, samples))| {
            let table = &self.0[index % CHANNELS];
            for (value, &sample) in out.iter_mut().zip(samples) {
                *value = table[usize::from(sample)];
            }
        });
    }
}

impl Default for SampleValues {
    fn default() -> Self {
        Self::new(&Config::default())
    }
}

/// Every operation rounds to `f32`, as in the references.
fn one(sample: f32, mean: f32, std: f32, form: Normalization) -> f32 {
    match form {
        Normalization::TwoStep => (sample / 255.0 - mean) / std,
        Normalization::Fused => (sample - mean * 255.0) / (std * 255.0),
    }
}
