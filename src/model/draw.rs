//! How a token is drawn from a row of logits: what [`Want::Drawn`](super::Want) asks for, and what comes of it on the host.
//!
//! In this order: tokens that are there already are made less likely; tokens that are not allowed are left out; temperature;
//! `min_p`, `top_k`, `top_p`; then one is drawn. What is drawn depends on the row, the odds and the number drawn by, alone:
//! the rest of the batch has no say.
//!
//! It is done in whole numbers. A token's distance from the likeliest one is counted in halvings of its probability, with 26
//! bits behind the point; its mass is 2^40 over two to the power of that, and nothing beyond 40 halvings. Sums of these are
//! the same in any order, so that a device draws with a thousand threads at a time, by `cuda/draw.cu`, the very token that is
//! drawn here.

use super::output::{is_set, likeliest};
use crate::constraint::Mask;

/// Bits of a distance that are behind the point.
const FRACTION_BITS: u32 = 26;

/// Binary logarithm of the likeliest token's mass, and the halvings beyond which a token has none.
const HALVINGS: u32 = 40;

/// Two to the power of `-x` for `x` in `0..=1`, as `1 - x (a - x (b - x (c - ...)))`, in units of 2^-32: a polynomial that is
/// right where `x` is 0 and 1, and within 1.6e-7 of it between. The same stands in `cuda/draw.cu`.
const POLYNOMIAL: [u32; 5] = [2_977_034_827, 1_031_600_030, 237_568_913, 39_589_773, 4_069_712];

/// So many of the likeliest tokens are sorted at first, to find where `top_p` cuts.
const SORTED: usize = 256;

/// How far from the likeliest token a draw may go.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Odds {
    /// 0: the likeliest token.
    pub temperature: f32,
    /// So many of the most probable tokens are kept; none: all.
    pub top_k: Option<usize>,
    /// The smallest set of tokens with this much probability is kept; 1: all.
    pub top_p: f32,
    /// Tokens with less than this share of the greatest probability are not kept; 0: all are.
    pub min_p: f32,
    /// Logits of tokens that are there already are divided by it, or multiplied where they are negative; 1: they stay.
    pub repetition_penalty: f32,
}

/// One draw from one row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Draw<'a> {
    pub odds: Odds,
    /// Tokens that are there already, as a [`Mask`] has them; what words it lacks are not. Read where there is a penalty.
    pub seen: &'a [u32],
    /// Tokens that may be drawn; none: all.
    pub allowed: Option<&'a Mask>,
    /// Any number is as good as another; the same one draws the same token.
    pub number: u64,
}

/// Odds in whole numbers, as far as they are.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::model) struct Rule {
    /// Halvings of a token's probability for each unit of its logit; 0: the likeliest token.
    pub(in crate::model) sharpness: f32,
    /// None: logits stay.
    pub(in crate::model) penalty: Option<f32>,
    /// The greatest distance that is kept.
    pub(in crate::model) reach: u32,
    /// So many tokens are kept.
    pub(in crate::model) top_k: Option<u32>,
    /// The share of all mass that is kept, in units of 2^-64.
    pub(in crate::model) top_p: Option<u64>,
}

/// A token by its distance: sorted, the likelier come first, of equals the lower token.
type Candidate = (u32, u32);

// === impl Odds ===

impl Odds {
    /// Always the likeliest token.
    pub const GREEDY: Self =
        Self { temperature: 0.0, top_k: None, top_p: 1.0, min_p: 0.0, repetition_penalty: 1.0 };

    /// Whether it matters which tokens are there already.
    pub fn has_penalty(&self) -> bool {
        (self.repetition_penalty - 1.0).abs() > f32::EPSILON
    }

    /// Whether the likeliest token of a row is always the one.
    pub fn is_greedy(&self) -> bool {
        self.temperature <= 0.0 && !self.has_penalty()
    }
}

// === impl Rule ===

impl Rule {
    pub(in crate::model) fn new(odds: &Odds) -> Self {
        let Odds { temperature, top_k, top_p, min_p, repetition_penalty } = *odds;
        let sharpness = (std::f32::consts::LOG2_E / temperature).min(f32::MAX);
        let reach = -f64::from(min_p).log2() * f64::from(1 << FRACTION_BITS);
        Self {
            sharpness: if temperature > 0.0 { sharpness } else { 0.0 },
            penalty: odds.has_penalty().then_some(repetition_penalty),
            // Infinite where there is no cut.
            reach: (reach as u32).min(HALVINGS << FRACTION_BITS),
            top_k: top_k.map(|count| u32::try_from(count.max(1)).unwrap_or(u32::MAX)),
            top_p: (top_p < 1.0).then_some((f64::from(top_p) * 2f64.powi(64)) as u64),
        }
    }

    /// Of a token with this logit, where `peak` is the greatest.
    fn distance(&self, peak: f32, logit: f32) -> u32 {
        let halvings = (peak - logit) * self.sharpness;
        (halvings * (1 << FRACTION_BITS) as f32) as u32
    }

    /// The last of `kept` that `top_k` and `top_p` leave; none where they leave all.
    fn last(&self, kept: &[Candidate]) -> Option<Candidate> {
        if self.top_k.is_none() && self.top_p.is_none() {
            return None;
        }
        let mut rest = kept.to_vec();
        let mut last = None;
        if let Some(count) = self.top_k.map(|count| count as usize)
            && count < rest.len()
        {
            last = Some(*rest.select_nth_unstable(count - 1).1);
            rest.truncate(count);
        }
        let Some(share) = self.top_p else { return last };
        let all: u64 = rest.iter().map(|(distance, _)| mass(*distance)).sum();
        reaching(&mut rest, share_of(all, share)).or(last)
    }
}

/// The first of `candidates` up to which they have this much mass together; none where they have less.
fn reaching(candidates: &mut [Candidate], target: u64) -> Option<Candidate> {
    let (mut rest, mut sum, mut count) = (candidates, 0, SORTED);
    // Mostly a few have almost all of it.
    while !rest.is_empty() {
        let some = count.min(rest.len());
        if some < rest.len() {
            rest.select_nth_unstable(some - 1);
        }
        let (first, behind) = rest.split_at_mut(some);
        first.sort_unstable();
        let reached = first.iter().find(|(distance, _)| {
            sum += mass(*distance);
            sum >= target
        });
        if reached.is_some() {
            return reached.copied();
        }
        (rest, count) = (behind, count * 8);
    }
    None
}

/// Of a token at `distance`, in units of 2^-40 of the likeliest one's.
fn mass(distance: u32) -> u64 {
    let x = distance << (u32::BITS - FRACTION_BITS);
    let high = |a: u32, b: u32| ((u64::from(a) * u64::from(b)) >> 32) as u32;
    let mut terms = POLYNOMIAL.iter().rev().copied();
    let least = terms.next().unwrap_or_default();
    let sum = terms.fold(least, |sum, term| term - high(x, sum));
    let power = (1u64 << 32) - u64::from(high(x, sum));
    (power << (HALVINGS - 32)) >> (distance >> FRACTION_BITS)
}

/// `share`, in units of 2^-64, of `all`, rounded up.
fn share_of(all: u64, share: u64) -> u64 {
    let product = u128::from(all) * u128::from(share);
    (product >> 64) as u64 + u64::from(product as u64 != 0)
}

// === impl Draw ===

impl Draw<'_> {
    /// A token of `row`, all of whose logits are finite. `never` is not drawn.
    pub(in crate::model) fn choose(&self, row: &[f32], never: u32) -> u32 {
        let rule = Rule::new(&self.odds);
        match rule.penalty {
            Some(penalty) => self.by(&rule, &self.penalized(row, penalty), never),
            None => self.by(&rule, row, never),
        }
    }

    fn by(&self, rule: &Rule, row: &[f32], never: u32) -> u32 {
        let allowed = self.allowed.map(Mask::words);
        let (best, peak) = likeliest(row, never, allowed);
        if rule.sharpness <= 0.0 {
            return best;
        }
        let is_allowed =
            |token: u32| token != never && allowed.is_none_or(|words| is_set(words, token));
        let candidates = (0..).zip(row).filter(|(token, _)| is_allowed(*token));
        let mut kept: Vec<Candidate> = candidates
            .map(|(token, logit)| (rule.distance(peak, *logit), token))
            .filter(|(distance, _)| *distance <= rule.reach)
            .collect();
        if let Some(last) = rule.last(&kept) {
            kept.retain(|candidate| *candidate <= last);
        }
        let all: u64 = kept.iter().map(|(distance, _)| mass(*distance)).sum();
        let mut rest = ((u128::from(all) * u128::from(self.number)) >> 64) as u64;
        for (distance, token) in kept {
            let mass = mass(distance);
            if rest < mass {
                return token;
            }
            rest -= mass;
        }
        // Nothing may be drawn.
        best
    }

    /// `row` with the tokens that were seen less likely, or more where `penalty` is below 1.
    fn penalized(&self, row: &[f32], penalty: f32) -> Vec<f32> {
        let penalize = |(token, logit): (u32, &f32)| match *logit {
            logit if !is_set(self.seen, token) => logit,
            logit if logit > 0.0 => logit / penalty,
            logit => logit * penalty,
        };
        (0..).zip(row).map(penalize).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: u32 = u32::MAX;
    const WARM: Odds = Odds { temperature: 1.0, ..Odds::GREEDY };

    fn draw(odds: Odds, number: u64) -> Draw<'static> {
        Draw { odds, seen: &[], allowed: None, number }
    }

    /// Numbers that are spread evenly.
    fn numbers(count: u64) -> impl Iterator<Item = u64> {
        (0..count).map(move |i| i * (u64::MAX / count) + u64::MAX / count / 2)
    }

    /// The tokens that 500 numbers draw.
    fn drawn(odds: Odds, logits: &[f32]) -> Vec<u32> {
        let mut tokens: Vec<u32> =
            numbers(500).map(|number| draw(odds, number).choose(logits, NONE)).collect();
        tokens.sort_unstable();
        tokens.dedup();
        tokens
    }

    #[test]
    fn greedy_takes_the_first_of_equals() {
        assert_eq!(draw(Odds::GREEDY, 7).choose(&[1.0, 3.0, 3.0, 2.0], NONE), 1);
        assert!(Odds::GREEDY.is_greedy() && !WARM.is_greedy());
    }

    #[test]
    fn a_mass_is_a_power_of_two() {
        assert_eq!(mass(0), 1 << 40);
        for halvings in 1..=HALVINGS {
            assert_eq!(mass(halvings << FRACTION_BITS), 1 << (40 - halvings));
        }
        // One bit more would be none.
        assert_eq!(mass((HALVINGS + 1) << FRACTION_BITS), 0);
        for distance in (0..10 << FRACTION_BITS).step_by(9973) {
            let power = (-f64::from(distance) / f64::from(1 << FRACTION_BITS)).exp2();
            let error = mass(distance) as f64 / 2f64.powi(40) / power - 1.0;
            assert!(error.abs() < 1.6e-7, "{distance}: {error:e}");
        }
    }

    #[test]
    fn a_share_is_rounded_up() {
        assert_eq!(share_of(10, 0), 0);
        assert_eq!(share_of(10, 1), 1);
        assert_eq!(share_of(10, 1 << 63), 5);
        assert_eq!(share_of(11, 1 << 63), 6);
        assert_eq!(share_of(u64::MAX, u64::MAX), u64::MAX);
    }

    #[test]
    fn the_image_token_is_never_drawn() {
        for odds in [Odds::GREEDY, Odds { top_p: 0.9, ..WARM }] {
            assert_eq!(draw(odds, 3).choose(&[1.0, 90.0, 20.0], 1), 2);
        }
    }

    #[test]
    fn small_top_p_is_greedy() {
        let odds = Odds { temperature: 2.0, top_p: 0.01, ..WARM };
        assert_eq!(drawn(odds, &[0.1, 0.3, 0.2]), [1]);
        assert_eq!(drawn(Odds { top_p: f32::MIN_POSITIVE, ..odds }, &[0.1, 0.3, 0.2]), [1]);
    }

    #[test]
    fn a_temperature_may_be_as_small_as_can_be() {
        let odds = Odds { temperature: f32::from_bits(1), ..WARM };
        assert_eq!(drawn(odds, &[0.1, 0.3, 0.2]), [1]);
    }

    #[test]
    fn top_p_keeps_the_smallest_sufficient_set() {
        // Probabilities 0.5, 0.3, 0.15, 0.05.
        let logits = [0.5f32, 0.3, 0.15, 0.05].map(f32::ln);
        let drawn = |top_p| drawn(Odds { top_p, ..WARM }, &logits);
        assert_eq!(drawn(0.49), [0]);
        assert_eq!(drawn(0.79), [0, 1]);
        assert_eq!(drawn(0.94), [0, 1, 2]);
        assert_eq!(drawn(1.0), [0, 1, 2, 3]);
    }

    /// More tokens than are sorted at first, of which most have equals.
    #[test]
    fn cuts_are_where_a_sorted_row_has_them() {
        let row: Vec<f32> = (0..5000).map(|i| (i * 7919 % 1009) as f32 / 400.0).collect();
        let rule = |odds: Odds| Rule::new(&odds);
        let mut sorted: Vec<Candidate> = (0..)
            .zip(&row)
            .map(|(token, logit)| (rule(WARM).distance(1008.0 / 400.0, *logit), token))
            .collect();
        let kept = sorted.clone();
        sorted.sort_unstable();
        let sums: Vec<u64> = sorted
            .iter()
            .scan(0, |sum, (distance, _)| {
                *sum += mass(*distance);
                Some(*sum)
            })
            .collect();
        for top_p in [0.1f32, 0.5, 0.9, 0.99, 0.99999] {
            let share = f64::from(top_p) * sums[4999] as f64;
            let expected = sums.iter().position(|sum| *sum as f64 >= share).unwrap();
            assert_eq!(rule(Odds { top_p, ..WARM }).last(&kept), Some(sorted[expected]), "{top_p}");
        }
        for top_k in [1, 7, 300, 4999] {
            let odds = Odds { top_k: Some(top_k), ..WARM };
            assert_eq!(rule(odds).last(&kept), Some(sorted[top_k - 1]));
            // Half of what is left.
            let half = sums.iter().position(|sum| *sum * 2 >= sums[top_k - 1]).unwrap();
            assert_eq!(rule(Odds { top_p: 0.5, ..odds }).last(&kept), Some(sorted[half]));
        }
        assert_eq!(rule(Odds { top_k: Some(5000), ..WARM }).last(&kept), None);
    }

    #[test]
    fn frequencies_follow_the_temperature() {
        let logits = [0.7f32, 0.3].map(f32::ln);
        let share = |temperature: f32| {
            let odds = Odds { temperature, ..WARM };
            let is_first = |number: &u64| draw(odds, *number).choose(&logits, NONE) == 0;
            numbers(20_000).filter(is_first).count() as f64 / 20_000.0
        };
        assert!((share(1.0) - 0.7).abs() < 1e-3);
        // 0.7^2 / (0.7^2 + 0.3^2)
        assert!((share(0.5) - 0.8448).abs() < 1e-3);
    }

    #[test]
    fn cuts_keep_what_they_say() {
        // Probabilities 0.5, 0.3, 0.15, 0.05.
        let logits = [0.5f32, 0.3, 0.15, 0.05].map(f32::ln);
        for (top_k, expected) in [(1, &[0][..]), (2, &[0, 1]), (3, &[0, 1, 2]), (9, &[0, 1, 2, 3])]
        {
            assert_eq!(drawn(Odds { top_k: Some(top_k), ..WARM }, &logits), expected);
        }
        // Shares of the likeliest: 1, 0.6, 0.3, 0.1.
        for (min_p, expected) in
            [(1.0, &[0][..]), (0.5, &[0, 1]), (0.2, &[0, 1, 2]), (0.0, &[0, 1, 2, 3])]
        {
            assert_eq!(drawn(Odds { min_p, ..WARM }, &logits), expected);
        }
        // Of the two that are left, the likelier has five eighths.
        assert_eq!(drawn(Odds { top_k: Some(2), top_p: 0.6, ..WARM }, &logits), [0]);
        assert_eq!(drawn(Odds { top_k: Some(2), top_p: 0.7, ..WARM }, &logits), [0, 1]);
    }

    #[test]
    fn equals_are_cut_from_the_end() {
        assert_eq!(drawn(Odds { top_k: Some(2), ..WARM }, &[1.0; 50]), [0, 1]);
        assert_eq!(drawn(Odds { top_p: 0.5, ..WARM }, &[1.0; 4]), [0, 1]);
    }

    #[test]
    fn only_allowed_tokens_are_drawn() {
        let (logits, mask) = ([3.0, 2.0, 1.0], Mask::of(vec![0b110]));
        for number in numbers(100) {
            let odds = Odds { temperature: 2.0, ..WARM };
            let one = Draw { allowed: Some(&mask), ..draw(odds, number) };
            assert!(matches!(one.choose(&logits, NONE), 1 | 2));
            let greedy = Draw { odds: Odds::GREEDY, ..one };
            assert_eq!(greedy.choose(&logits, NONE), 1);
        }
        let (nothing, one) = (Mask::of(vec![0]), draw(WARM, 5));
        assert_eq!(Draw { allowed: Some(&nothing), ..one }.choose(&logits, NONE), 0);
    }

    #[test]
    fn what_was_said_is_less_likely() {
        let odds = Odds { repetition_penalty: 1.5, ..Odds::GREEDY };
        assert!(!odds.is_greedy());
        let with = |seen: &[u32], row: &[f32]| Draw { seen, ..draw(odds, 0) }.choose(row, NONE);
        assert_eq!(with(&[0b001], &[3.0, 2.5, -1.0]), 1);
        assert_eq!(with(&[0b011], &[3.0, 2.9, 2.1]), 2);
        // A negative logit moves away from 0.
        assert_eq!(with(&[0b011], &[-1.0, -1.1, -1.4]), 2);
        assert_eq!(with(&[], &[3.0, 2.5, -1.0]), 0);
        // Only the penalty makes it matter.
        let plain = Draw { seen: &[1], ..draw(Odds::GREEDY, 0) };
        assert_eq!(plain.choose(&[3.0, 2.5, -1.0], NONE), 0);
    }
}
