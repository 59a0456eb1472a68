//! Which page a value was read from, by where the model looked while it wrote it.

use std::ops::Range;

use super::confidence::{TokenScore, writers};

/// A page, and its share of the attention that fell on pages.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Looked {
    pub(super) page: usize,
    /// `0..=1`
    pub(super) share: f32,
}

/// Share from which on a page is named: twice as much as all others together. How often that is right is in
/// `docs/fields.md`.
const SHARE_MIN: f32 = 2.0 / 3.0;

// === impl Looked ===

impl Looked {
    /// Where the tokens of `scores` that wrote the text `said` were read; none where nobody measured it, and where no
    /// page stands out.
    pub(super) fn of(said: &Range<usize>, scores: &[TokenScore]) -> Option<Self> {
        let mut pages: Vec<f32> = Vec::new();
        for score in writers(said, scores) {
            pages.resize(pages.len().max(score.page_shares.len()), 0.0);
            for (sum, share) in pages.iter_mut().zip(&score.page_shares) {
                *sum += share;
            }
        }
        let total: f32 = pages.iter().sum();
        let (page, most) = pages.into_iter().enumerate().max_by(|a, b| a.1.total_cmp(&b.1))?;
        let share = most / total;
        // A share of nothing is no number, and below any bound.
        (share >= SHARE_MIN).then_some(Self { page, share })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Tokens of two bytes each that looked at the pages so much.
    fn scores(shares: &[&[f32]]) -> Vec<TokenScore> {
        let score = |(at, shares): (usize, &&[f32])| TokenScore {
            text: 2 * at..2 * at + 2,
            logprob: 0.0,
            page_shares: shares.to_vec(),
        };
        shares.iter().enumerate().map(score).collect()
    }

    fn of(said: Range<usize>, shares: &[&[f32]]) -> Option<(usize, f32)> {
        let looked = Looked::of(&said, &scores(shares))?;
        Some((looked.page, (looked.share * 1000.0).round() / 1000.0))
    }

    #[test]
    fn the_page_that_its_tokens_looked_at_most() {
        let shares: &[&[f32]] = &[&[0.5, 0.1], &[0.1, 0.3], &[0.0, 0.2], &[0.4, 0.0]];
        assert_eq!(of(2..6, shares), Some((1, 0.833)));
        assert_eq!(of(6..7, shares), Some((0, 1.0)));
        // Half of a token is a part of it.
        assert_eq!(of(5..6, shares), Some((1, 1.0)));
        // A token that looked elsewhere says little.
        assert_eq!(of(0..4, &[&[0.5, 0.1], &[0.001, 0.003]]), Some((0, 0.829)));
    }

    #[test]
    fn no_page_is_named_that_does_not_stand_out() {
        assert_eq!(of(0..2, &[&[0.2, 0.2]]), None);
        assert_eq!(of(0..2, &[&[0.25, 0.13]]), None);
        assert_eq!(of(0..2, &[&[0.25, 0.12]]), Some((0, 0.676)));
        assert_eq!(of(0..2, &[&[0.2, 0.2, 0.2]]), None);
        assert_eq!(of(0..2, &[&[0.0, 0.0]]), None);
        assert_eq!(of(0..2, &[&[f32::NAN, 0.3]]), None);
        // Forced tokens looked nowhere.
        assert_eq!(of(0..4, &[&[], &[0.1, 0.5]]), Some((1, 0.833)));
        assert_eq!(of(0..2, &[&[]]), None);
        assert_eq!(of(0..2, &[]), None);
    }
}
