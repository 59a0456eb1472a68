//! Chooses the next token from a row of logits. What is chosen depends on the row and the request's
//! own random numbers alone: the rest of the batch has no say.
//!
//! In this order: a row that is not finite is refused; tokens that are there already are made less likely;
//! tokens that are not allowed are left out; temperature; `min_p`, `top_k`, `top_p`; then one is drawn.

use std::cmp::Ordering;

use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use crate::engine::Sampling;
use crate::model::{likeliest, log_sum_exp};

/// The random numbers of one request, and what it has said.
#[derive(Debug, Clone)]
pub(super) struct Chance {
    sampling: Sampling,
    rng: ChaCha8Rng,
    /// Tokens of the prompt and the answer, sorted; empty where they do not matter.
    seen: Vec<u32>,
}

/// A row of logits held a value that is no finite number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NotFinite;

/// Chooses tokens; keeps its buffers from one choice to the next.
#[derive(Debug)]
pub(super) struct Sampler {
    /// Never chosen: it stands for an image feature row, of which an answer has none.
    image_token_id: u32,
    /// Logits with the penalty.
    row: Vec<f32>,
    /// Weight of each kept token, not normalised.
    weights: Vec<(u32, f64)>,
}

// === impl Chance ===

impl Chance {
    /// For a request with this prompt.
    pub(super) fn new(sampling: Sampling, prompt: &[u32]) -> Self {
        let mut chance =
            Self { sampling, rng: ChaCha8Rng::seed_from_u64(sampling.seed), seen: Vec::new() };
        if chance.has_penalty() {
            chance.seen = prompt.to_vec();
            chance.seen.sort_unstable();
            chance.seen.dedup();
        }
        chance
    }

    /// Whether the likeliest token of a row is always the one.
    pub(super) fn is_greedy(&self) -> bool {
        self.sampling.temperature <= 0.0 && !self.has_penalty()
    }

    /// The answer goes on with `token`.
    pub(super) fn saw(&mut self, token: u32) {
        if self.has_penalty()
            && let Err(at) = self.seen.binary_search(&token)
        {
            self.seen.insert(at, token);
        }
    }

    fn has_penalty(&self) -> bool {
        (self.sampling.repetition_penalty - 1.0).abs() > f32::EPSILON
    }
}

// === impl Sampler ===

impl Sampler {
    pub(super) fn new(image_token_id: u32) -> Self {
        Self { image_token_id, row: Vec::new(), weights: Vec::new() }
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
        if !chance.has_penalty() {
            return Ok(self.choose(logits, chance, allowed));
        }
        let mut row = std::mem::take(&mut self.row);
        row.clear();
        row.extend_from_slice(logits);
        penalize(&mut row, &chance.seen, chance.sampling.repetition_penalty);
        let token = self.choose(&row, chance, allowed);
        self.row = row;
        Ok(token)
    }

    /// Natural logarithm of the probability of `token` at temperature 1 and without a cut.
    pub(super) fn logprob(token: u32, logits: &[f32]) -> f32 {
        (logits[token as usize] - log_sum_exp(logits)).min(0.0)
    }

    fn choose(&mut self, logits: &[f32], chance: &mut Chance, allowed: Option<&[u32]>) -> u32 {
        let (best, max) = likeliest(logits, self.image_token_id, allowed);
        let Sampling { temperature, top_k, top_p, min_p, .. } = chance.sampling;
        if temperature <= 0.0 {
            return best;
        }
        self.weigh(logits, (max, temperature), f64::from(min_p), allowed);
        if let Some(top_k) = top_k {
            self.keep_most(top_k);
        }
        if top_p < 1.0 {
            self.keep_top(f64::from(top_p));
        }
        self.draw(chance.rng.random::<f64>()).unwrap_or(best)
    }

    /// Softmax without its denominator; the most probable token weighs 1. Tokens below `min_p` are left out.
    fn weigh(
        &mut self,
        logits: &[f32],
        (max, temperature): (f32, f32),
        min_p: f64,
        allowed: Option<&[u32]>,
    ) {
        let weigh = |logit: f32| (f64::from(logit - max) / f64::from(temperature)).exp();
        let is_allowed = |token: u32| {
            allowed.is_none_or(|words| {
                words.get(token as usize / 32).is_some_and(|word| word >> (token % 32) & 1 == 1)
            })
        };
        let tokens = (0..)
            .zip(logits)
            .filter(|&(token, _)| token != self.image_token_id && is_allowed(token));
        self.weights.clear();
        self.weights.extend(
            tokens
                .map(|(token, logit)| (token, weigh(*logit)))
                .filter(|(_, weight)| *weight >= min_p),
        );
    }

    /// Keeps the `count` most probable tokens.
    fn keep_most(&mut self, count: usize) {
        let count = count.max(1);
        if count < self.weights.len() {
            self.weights.select_nth_unstable_by(count - 1, more_probable);
            self.weights.truncate(count);
        }
        // Whatever the selection made of it, the order is one.
        self.weights.sort_unstable_by(more_probable);
    }

    /// Keeps the smallest set of the most probable tokens that has at least `top_p` of all weight.
    fn keep_top(&mut self, top_p: f64) {
        let total: f64 = self.weights.iter().map(|(_, weight)| weight).sum();
        // All tokens below this together have less than `1 - top_p`: they are never needed, and
        // without them there is little left to sort.
        let cutoff = (1.0 - top_p) * total / self.weights.len() as f64;
        self.weights.retain(|&(_, weight)| weight >= cutoff);
        self.weights.sort_unstable_by(more_probable);
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

/// Of equals the lower token comes first.
fn more_probable(a: &(u32, f64), b: &(u32, f64)) -> Ordering {
    b.1.total_cmp(&a.1).then(a.0.cmp(&b.0))
}

/// Makes the tokens of `seen` less likely, or more where `penalty` is below 1.
fn penalize(row: &mut [f32], seen: &[u32], penalty: f32) {
    for token in seen {
        if let Some(logit) = row.get_mut(*token as usize) {
            *logit = if *logit > 0.0 { *logit / penalty } else { *logit * penalty };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pick(logits: &[f32], temperature: f32, top_p: f32, seed: u64) -> Result<u32, NotFinite> {
        with(Sampling { temperature, top_p, seed, ..Sampling::GREEDY }, logits)
    }

    fn with(sampling: Sampling, logits: &[f32]) -> Result<u32, NotFinite> {
        let mut chance = Chance::new(sampling, &[]);
        Sampler::new(u32::MAX).pick(logits, &mut chance, None)
    }

    /// The tokens that 500 seeds draw.
    fn drawn(sampling: Sampling, logits: &[f32]) -> Vec<u32> {
        let draw = |seed| with(Sampling { seed, ..sampling }, logits).unwrap();
        let mut tokens: Vec<u32> = (0..500).map(draw).collect();
        tokens.sort_unstable();
        tokens.dedup();
        tokens
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
            let mut chance =
                Chance::new(Sampling { temperature, top_p: 0.9, seed: 1, ..Sampling::GREEDY }, &[]);
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
        let drawn =
            |top_p| drawn(Sampling { temperature: 1.0, top_p, ..Sampling::GREEDY }, &logits);
        assert_eq!(drawn(0.49), [0]);
        assert_eq!(drawn(0.79), [0, 1]);
        assert_eq!(drawn(0.94), [0, 1, 2]);
        assert_eq!(drawn(1.0), [0, 1, 2, 3]);
    }

    #[test]
    fn frequencies_follow_the_temperature() {
        let logits = [0.7f32, 0.3].map(f32::ln);
        let share = |temperature: f32| {
            let mut chance =
                Chance::new(Sampling { temperature, seed: 7, ..Sampling::GREEDY }, &[]);
            let mut sampler = Sampler::new(u32::MAX);
            let zeros =
                (0..20_000).filter(|_| sampler.pick(&logits, &mut chance, None) == Ok(0)).count();
            zeros as f64 / 20_000.0
        };
        assert!((share(1.0) - 0.7).abs() < 0.02);
        // 0.7^2 / (0.7^2 + 0.3^2)
        assert!((share(0.5) - 0.845).abs() < 0.02);
    }

    #[test]
    fn cuts_keep_what_they_say() {
        // Probabilities 0.5, 0.3, 0.15, 0.05.
        let logits = [0.5f32, 0.3, 0.15, 0.05].map(f32::ln);
        let warm = Sampling { temperature: 1.0, ..Sampling::GREEDY };
        for (top_k, expected) in [(1, &[0][..]), (2, &[0, 1]), (3, &[0, 1, 2]), (9, &[0, 1, 2, 3])]
        {
            assert_eq!(drawn(Sampling { top_k: Some(top_k), ..warm }, &logits), expected);
        }
        // Shares of the likeliest: 1, 0.6, 0.3, 0.1.
        for (min_p, expected) in
            [(1.0, &[0][..]), (0.5, &[0, 1]), (0.2, &[0, 1, 2]), (0.0, &[0, 1, 2, 3])]
        {
            assert_eq!(drawn(Sampling { min_p, ..warm }, &logits), expected);
        }
        // Of the two that are left, the likelier has five eighths.
        assert_eq!(drawn(Sampling { top_k: Some(2), top_p: 0.6, ..warm }, &logits), [0]);
        assert_eq!(drawn(Sampling { top_k: Some(2), top_p: 0.7, ..warm }, &logits), [0, 1]);
    }

    #[test]
    fn equals_are_cut_from_the_end() {
        let warm = Sampling { temperature: 1.0, top_k: Some(2), ..Sampling::GREEDY };
        assert_eq!(drawn(warm, &[1.0; 50]), [0, 1]);
    }

    #[test]
    fn only_allowed_tokens_are_drawn() {
        let logits = [3.0, 2.0, 1.0];
        let mut sampler = Sampler::new(u32::MAX);
        for seed in 0..100 {
            let warm = Sampling { temperature: 2.0, seed, ..Sampling::GREEDY };
            let token = sampler.pick(&logits, &mut Chance::new(warm, &[]), Some(&[0b110]));
            assert!(matches!(token, Ok(1 | 2)));
        }
        let mut greedy = Chance::new(Sampling::GREEDY, &[]);
        assert_eq!(sampler.pick(&logits, &mut greedy, Some(&[0b110])), Ok(1));
    }

    #[test]
    fn what_was_said_is_less_likely() {
        let penalty = |repetition_penalty| Sampling { repetition_penalty, ..Sampling::GREEDY };
        let mut sampler = Sampler::new(u32::MAX);
        // From the prompt, then from the answer; a negative logit moves away from 0.
        let mut chance = Chance::new(penalty(1.5), &[0, 0]);
        assert!(!chance.is_greedy());
        assert_eq!(sampler.pick(&[3.0, 2.5, -1.0], &mut chance, None), Ok(1));
        chance.saw(1);
        assert_eq!(sampler.pick(&[3.0, 2.9, 2.1], &mut chance, None), Ok(2));
        assert_eq!(sampler.pick(&[-1.0, -1.1, -1.4], &mut chance, None), Ok(2));
        let mut none = Chance::new(penalty(1.0), &[0]);
        assert!(none.is_greedy());
        assert_eq!(sampler.pick(&[3.0, 2.5, -1.0], &mut none, None), Ok(0));
    }

    #[test]
    fn the_same_seed_draws_the_same_tokens() {
        let row: Vec<f32> = (0..1000).map(|i| (i * 7919 % 1009) as f32 / 200.0).collect();
        let sampling = Sampling {
            temperature: 0.8,
            top_k: Some(40),
            top_p: 0.95,
            min_p: 0.01,
            repetition_penalty: 1.1,
            seed: 5,
        };
        let answer = || -> Vec<u32> {
            let (mut chance, mut sampler) =
                (Chance::new(sampling, &[1, 2]), Sampler::new(u32::MAX));
            let mut next = || {
                let token = sampler.pick(&row, &mut chance, None).unwrap();
                chance.saw(token);
                token
            };
            (0..50).map(|_| next()).collect()
        };
        assert_eq!(answer(), answer());
    }
}
