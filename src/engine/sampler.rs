//! Chooses the next token from a row of logits. What is chosen depends on the row and the request's
//! own random numbers alone: the rest of the batch has no say.

use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use crate::engine::Sampling;
use crate::model::{likeliest, log_sum_exp};

/// The random numbers of one request.
#[derive(Debug, Clone)]
pub(super) struct Chance {
    sampling: Sampling,
    rng: ChaCha8Rng,
}

/// A row of logits held a value that is no finite number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NotFinite;

/// Chooses tokens; keeps its buffers from one choice to the next.
#[derive(Debug)]
pub(super) struct Sampler {
    /// Never chosen: it stands for an image feature row, of which an answer has none.
    image_token_id: u32,
    /// Weight of each kept token, not normalised.
    weights: Vec<(u32, f64)>,
}

// === impl Chance ===

impl Chance {
    pub(super) fn new(sampling: Sampling) -> Self {
        Self { sampling, rng: ChaCha8Rng::seed_from_u64(sampling.seed) }
    }

    /// Whether the likeliest token is always the one.
    pub(super) fn is_greedy(&self) -> bool {
        self.sampling.temperature <= 0.0
    }
}

// === impl Sampler ===

impl Sampler {
    pub(super) fn new(image_token_id: u32) -> Self {
        Self { image_token_id, weights: Vec::new() }
    }

    /// A token of those that `allowed` has a bit for, as [`Want::GreedyAmong`](crate::model::Want) has
    /// it, or of all.
    pub(super) fn pick(
        &mut self,
        logits: &[f32],
        chance: &mut Chance,
        allowed: Option<&[u32]>,
    ) -> Result<u32, NotFinite> {
        if !logits.iter().all(|logit| logit.is_finite()) {
            return Err(NotFinite);
        }
        let (best, _) = likeliest(logits, self.image_token_id, allowed);
        let Sampling { temperature, top_p, .. } = chance.sampling;
        if chance.is_greedy() {
            return Ok(best);
        }
        self.weigh(logits, logits[best as usize], temperature, allowed);
        if top_p < 1.0 {
            self.keep_top(f64::from(top_p));
        }
        Ok(self.draw(chance.rng.random::<f64>()).unwrap_or(best))
    }

    /// Natural logarithm of the probability of `token` at temperature 1 and without a cut.
    pub(super) fn logprob(token: u32, logits: &[f32]) -> f32 {
        (logits[token as usize] - log_sum_exp(logits)).min(0.0)
    }

    /// Softmax without its denominator; the most probable token weighs 1.
    fn weigh(&mut self, logits: &[f32], max: f32, temperature: f32, allowed: Option<&[u32]>) {
        let weigh = |logit: &f32| (f64::from(logit - max) / f64::from(temperature)).exp();
        let is_allowed = |token: u32| {
            allowed.is_none_or(|words| words[token as usize / 32] >> (token % 32) & 1 == 1)
        };
        let tokens = (0..)
            .zip(logits)
            .filter(|&(token, _)| token != self.image_token_id && is_allowed(token));
        self.weights.clear();
        self.weights.extend(tokens.map(|(token, logit)| (token, weigh(logit))));
    }

    /// Keeps the smallest set of the most probable tokens that has at least `top_p` of all weight.
    fn keep_top(&mut self, top_p: f64) {
        let total: f64 = self.weights.iter().map(|(_, weight)| weight).sum();
        // All tokens below this together have less than `1 - top_p`: they are never needed, and
        // without them there is little left to sort.
        let cutoff = (1.0 - top_p) * total / self.weights.len() as f64;
        self.weights.retain(|&(_, weight)| weight >= cutoff);
        self.weights.sort_unstable_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        let mut sum = 0.0;
        let kept = self.weights.iter().position(|&(_, weight)| {
            sum += weight;
            sum >= top_p * total
        });
        self.weights.truncate(kept.map_or(self.weights.len(), |last| last + 1));
    }

    /// The token at `share`, in `0..1`, of the kept weight.
    fn draw(&self, share: f64) -> Option<u32> {
        let total: f64 = self.weights.iter().map(|(_, weight)| weight).sum();
        let mut rest = share * total;
        for &(token, weight) in &self.weights {
            rest -= weight;
            if rest < 0.0 {
                return Some(token);
            }
        }
        // Rounding ate the last of it.
        self.weights.last().map(|&(token, _)| token)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pick(logits: &[f32], temperature: f32, top_p: f32, seed: u64) -> Result<u32, NotFinite> {
        let mut chance = Chance::new(Sampling { temperature, top_p, seed });
        Sampler::new(u32::MAX).pick(logits, &mut chance, None)
    }

    #[test]
    fn greedy_takes_the_first_of_equals() {
        assert_eq!(pick(&[1.0, 3.0, 3.0, 2.0], 0.0, 1.0, 0), Ok(1));
    }

    #[test]
    fn no_token_from_a_row_that_is_not_finite() {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            assert_eq!(pick(&[1.0, bad, 3.0], 0.0, 1.0, 0), Err(NotFinite));
            assert_eq!(pick(&[1.0, bad, 3.0], 1.0, 0.9, 0), Err(NotFinite));
        }
    }

    #[test]
    fn the_image_token_is_never_chosen() {
        let mut sampler = Sampler::new(1);
        for temperature in [0.0, 1.0] {
            let mut chance = Chance::new(Sampling { temperature, top_p: 0.9, seed: 1 });
            assert_eq!(sampler.pick(&[1.0, 90.0, 20.0], &mut chance, None), Ok(2));
        }
    }

    #[test]
    fn probabilities_are_those_of_the_whole_row() {
        let logits = [0.5f32, 0.3, 0.15, 0.05].map(|p| p.ln() + 7.0);
        for (token, probability) in (0..).zip([0.5f32, 0.3, 0.15, 0.05]) {
            let error = (Sampler::logprob(token, &logits).exp() - probability).abs();
            assert!(error < 1e-6, "token {token}: {error:e}");
        }
    }

    #[test]
    fn small_top_p_is_greedy() {
        for seed in 0..100 {
            assert_eq!(pick(&[0.1, 0.3, 0.2], 2.0, 0.01, seed), Ok(1));
        }
    }

    #[test]
    fn top_p_keeps_the_smallest_sufficient_set() {
        // Probabilities 0.5, 0.3, 0.15, 0.05.
        let logits = [0.5f32, 0.3, 0.15, 0.05].map(f32::ln);
        let drawn = |top_p| -> Vec<u32> {
            let mut tokens: Vec<u32> =
                (0..500).map(|seed| pick(&logits, 1.0, top_p, seed).unwrap()).collect();
            tokens.sort_unstable();
            tokens.dedup();
            tokens
        };
        assert_eq!(drawn(0.49), [0]);
        assert_eq!(drawn(0.79), [0, 1]);
        assert_eq!(drawn(0.94), [0, 1, 2]);
        assert_eq!(drawn(1.0), [0, 1, 2, 3]);
    }

    #[test]
    fn frequencies_follow_the_temperature() {
        let logits = [0.7f32, 0.3].map(f32::ln);
        let share = |temperature: f32| {
            let mut chance = Chance::new(Sampling { temperature, top_p: 1.0, seed: 7 });
            let mut sampler = Sampler::new(u32::MAX);
            let zeros =
                (0..20_000).filter(|_| sampler.pick(&logits, &mut chance, None) == Ok(0)).count();
            zeros as f64 / 20_000.0
        };
        assert!((share(1.0) - 0.7).abs() < 0.02);
        // 0.7^2 / (0.7^2 + 0.3^2)
        assert!((share(0.5) - 0.845).abs() < 0.02);
    }
}
