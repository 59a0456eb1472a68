//! What a forward pass gives for a sequence's next token: its row of logits, or the token itself.

use super::cpu::log_sum_exp;
use super::draw::Draw;
use crate::constraint::Mask;

/// What a segment asks for after its last token.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Want<'a> {
    /// Only its KV entries.
    #[default]
    Nothing,
    /// The whole row of logits, on the host: 600 KB of an `InternVL3` vocabulary.
    Logits,
    /// The likeliest token. The row stays where it was computed.
    Greedy,
    /// The likeliest of the tokens that the mask allows, which may still be computed: it is waited for once all
    /// that can be done before is done.
    GreedyAmong(&'a Mask),
    /// A token that is drawn. The row stays where it was computed, and the mask is waited for as above.
    Drawn(Draw<'a>),
}

/// The token that is chosen from a row, and what its probability follows from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Choice {
    /// The first of equals where it is the likeliest, never the image token. Any token where `is_finite` is false.
    pub token: u32,
    pub logit: f32,
    /// `ln` of the sum of `e^x` over the whole row, tokens that were not allowed included.
    pub log_sum_exp: f32,
    /// Whether every logit of the row is a finite number.
    pub is_finite: bool,
}

/// What one segment asked for.
#[derive(Debug, Clone, PartialEq)]
pub enum Output {
    /// `vocab_size` values.
    Logits(Vec<f32>),
    Choice(Choice),
}

/// What the segments of a step asked for, without those that wanted nothing, in their order.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Outputs {
    outputs: Vec<Output>,
    /// One for each output, or none at all where no segment asks.
    page_shares: Vec<PageShares>,
}

/// How much of a token's attention falls on each page, `0..=1`, the rest being on other tokens: what it mostly looks
/// at is where the next token is read from. Empty where nobody asks, or the runner cannot tell.
pub type PageShares = Vec<f32>;

// === impl Want ===

impl Want<'_> {
    pub fn is_something(self) -> bool {
        self != Self::Nothing
    }
}

impl<'a> Want<'a> {
    /// Which tokens may be chosen; none: all.
    pub fn mask(self) -> Option<&'a Mask> {
        match self {
            Self::GreedyAmong(mask) => Some(mask),
            Self::Drawn(draw) => draw.allowed,
            Self::Nothing | Self::Logits | Self::Greedy => None,
        }
    }

    pub fn draw(self) -> Option<Draw<'a>> {
        match self {
            Self::Drawn(draw) => Some(draw),
            _ => None,
        }
    }
}

// === impl Choice ===

impl Choice {
    /// The greedy choice from `row` among the tokens of `allowed`, or among all. `never` is not chosen.
    pub fn greedy(row: &[f32], never: u32, allowed: Option<&[u32]>) -> Self {
        let (token, logit) = likeliest(row, never, allowed);
        let is_finite = row.iter().all(|logit| logit.is_finite());
        let log_sum_exp = if is_finite { log_sum_exp(row) } else { f32::NAN };
        Self { token, logit, log_sum_exp, is_finite }
    }

    /// The token that is drawn from `row`. Its probability is that before the draw's cuts.
    pub fn drawn(row: &[f32], never: u32, draw: &Draw<'_>) -> Self {
        let greedy = Self::greedy(row, never, None);
        if !greedy.is_finite {
            return greedy;
        }
        let token = draw.choose(row, never);
        Self { token, logit: row[token as usize], ..greedy }
    }

    /// Natural logarithm of the token's probability at temperature 1 and without a cut.
    pub fn logprob(&self) -> f32 {
        (self.logit - self.log_sum_exp).min(0.0)
    }
}

/// The first of the greatest logits, with its token; token 0 where there is none to choose.
pub(super) fn likeliest(row: &[f32], never: u32, allowed: Option<&[u32]>) -> (u32, f32) {
    let is_allowed = |token: u32| allowed.is_none_or(|words| is_set(words, token));
    let mut best = (0, f32::NEG_INFINITY);
    for (token, &logit) in (0..).zip(row) {
        if logit > best.1 && token != never && is_allowed(token) {
            best = (token, logit);
        }
    }
    best
}

/// Whether `token` is among those that words have a bit for, as those of a [`Mask`] are.
pub(super) fn is_set(words: &[u32], token: u32) -> bool {
    words.get(token as usize / 32).is_some_and(|word| word >> (token % 32) & 1 == 1)
}

// === impl Output ===

impl Output {
    /// What `want` asks for, from a row of logits on the host; None where it asks for nothing. `never`
    /// is not chosen.
    pub fn from_row(want: Want<'_>, row: Vec<f32>, never: u32) -> Option<Self> {
        match want {
            Want::Nothing => None,
            Want::Logits => Some(Self::Logits(row)),
            Want::Greedy => Some(Self::Choice(Choice::greedy(&row, never, None))),
            Want::GreedyAmong(allowed) => {
                Some(Self::Choice(Choice::greedy(&row, never, Some(allowed.words()))))
            }
            Want::Drawn(draw) => Some(Self::Choice(Choice::drawn(&row, never, &draw))),
        }
    }
}

// === impl Outputs ===

impl Outputs {
    pub fn new(outputs: Vec<Output>) -> Self {
        Self { outputs, page_shares: Vec::new() }
    }

    /// With those of each output.
    #[must_use]
    pub fn with_page_shares(self, page_shares: Vec<PageShares>) -> Self {
        Self { page_shares, ..self }
    }

    pub fn len(&self) -> usize {
        self.outputs.len()
    }

    pub fn is_empty(&self) -> bool {
        self.outputs.is_empty()
    }

    pub fn iter(&self) -> std::slice::Iter<'_, Output> {
        self.outputs.iter()
    }

    /// Each choice with where its token looked.
    pub fn into_choices(self) -> impl Iterator<Item = (Choice, PageShares)> {
        let shares = self.page_shares.into_iter().chain(std::iter::repeat_with(PageShares::new));
        self.outputs.into_iter().zip(shares).filter_map(|(output, shares)| match output {
            Output::Choice(choice) => Some((choice, shares)),
            Output::Logits(_) => None,
        })
    }

    /// The rows of logits of those that wanted them.
    pub fn rows(&self) -> impl Iterator<Item = &[f32]> {
        self.iter().filter_map(|output| match output {
            Output::Logits(row) => Some(&row[..]),
            Output::Choice(_) => None,
        })
    }
}

impl<'a> IntoIterator for &'a Outputs {
    type Item = &'a Output;
    type IntoIter = std::slice::Iter<'a, Output>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl IntoIterator for Outputs {
    type Item = Output;
    type IntoIter = std::vec::IntoIter<Output>;

    fn into_iter(self) -> Self::IntoIter {
        self.outputs.into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::draw::Odds;

    const NEVER: u32 = 2;

    #[test]
    fn the_first_of_equals_that_may_be_chosen() {
        let row = [1.0, 3.0, 90.0, 3.0];
        let choice = Choice::greedy(&row, NEVER, None);
        assert_eq!((choice.token, choice.logit, choice.is_finite), (1, 3.0, true));
        assert!((choice.log_sum_exp - 90.0).abs() < 1e-5);
        assert!((choice.logprob() - (3.0 - choice.log_sum_exp)).abs() < 1e-6);
    }

    #[test]
    fn a_mask_leaves_the_sum_alone() {
        let mut row = vec![0.0; 40];
        (row[0], row[7], row[33], row[39]) = (9.0, 8.0, 7.0, 6.0);
        let masked = |words: [u32; 2]| Choice::greedy(&row, NEVER, Some(&words));
        assert_eq!(masked([0b1000_0000, 0]).token, 7);
        assert_eq!(masked([0, 0b1000_0010]).token, 33);
        assert_eq!(masked([0, 0b1000_0000]).token, 39);
        let free = Choice::greedy(&row, NEVER, None);
        assert_eq!(free.token, 0);
        assert_eq!(masked([0, 0b10]).log_sum_exp.to_bits(), free.log_sum_exp.to_bits());
        // A word that is missing allows nothing.
        assert_eq!(Choice::greedy(&row, NEVER, Some(&[1 << 7])).token, 7);
    }

    #[test]
    fn a_row_that_is_not_finite_is_told() {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            assert!(!Choice::greedy(&[1.0, bad], NEVER, None).is_finite);
        }
    }

    #[test]
    fn outputs_are_what_was_wanted() {
        let row = || vec![1.0, 2.0];
        assert_eq!(Output::from_row(Want::Nothing, row(), NEVER), None);
        let mask = Mask::of(vec![1]);
        let odds = Odds { temperature: 1.0, ..Odds::GREEDY };
        let draw = Draw { odds, seen: &[], allowed: Some(&mask), number: u64::MAX };
        let wanted = [Want::Logits, Want::Greedy, Want::GreedyAmong(&mask), Want::Drawn(draw)];
        let outputs: Vec<Output> =
            wanted.iter().filter_map(|want| Output::from_row(*want, row(), NEVER)).collect();
        let outputs = Outputs::new(outputs);
        assert_eq!(outputs.rows().collect::<Vec<_>>(), [&[1.0, 2.0][..]]);
        let tokens: Vec<u32> = outputs
            .iter()
            .filter_map(|output| match output {
                Output::Choice(choice) => Some(choice.token),
                Output::Logits(_) => None,
            })
            .collect();
        assert_eq!(tokens, [1, 0, 0]);
        assert_eq!(outputs.into_choices().count(), 3);
        let mut masks = wanted.iter().map(|want| want.mask().is_some());
        assert!(masks.by_ref().take(2).all(|masked| !masked) && masks.all(|masked| masked));
    }

    #[test]
    fn a_draw_has_the_probability_of_the_whole_row() {
        let row = [0.5f32, 0.3, 0.15, 0.05].map(|p| p.ln() + 7.0);
        let odds = Odds { temperature: 1.0, top_k: Some(1), ..Odds::GREEDY };
        let draw = Draw { odds, seen: &[], allowed: None, number: 0 };
        let choice = Choice::drawn(&row, 0, &draw);
        assert_eq!((choice.token, choice.is_finite), (1, true));
        assert!((choice.logprob().exp() - 0.3).abs() < 1e-6);
        assert!(!Choice::drawn(&[1.0, f32::NAN], 0, &draw).is_finite);
    }
}
