//! How sure the model was of a value: the probabilities that it gave to the tokens it wrote.
//!
//! A value's confidence is their geometric mean, so that long and short values compare. By itself it is
//! not calibrated: of values at 0.9, nothing says that nine in ten are right.

use std::ops::Range;

/// A token of the answer that became text.
#[derive(Debug, Clone, PartialEq)]
pub struct TokenScore {
    /// Bytes of the answer that it wrote. Tokens that make one character together share them.
    pub text: Range<usize>,
    /// Natural logarithm of its probability, before anything else chose among the tokens.
    pub logprob: f32,
    /// How much of the attention that chose it fell on each page; empty where that is not known.
    pub page_shares: Vec<f32>,
}

/// Both in `0..=1`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Confidence {
    /// Geometric mean over the value's tokens.
    pub mean: f32,
    /// Of the least probable of them.
    pub least: f32,
}

impl Confidence {
    /// Of the text `said`, from those of `scores`, in their order, that wrote a part of it; none
    /// where nobody kept their probabilities.
    pub fn of(said: &Range<usize>, scores: &[TokenScore]) -> Option<Self> {
        let (mut sum, mut least, mut count) = (0.0, 0.0f32, 0u16);
        for score in writers(said, scores) {
            sum += f64::from(score.logprob);
            least = least.min(score.logprob);
            count += 1;
        }
        (count > 0).then(|| Self {
            mean: (sum / f64::from(count)).exp().min(1.0) as f32,
            least: least.exp(),
        })
    }
}

/// Those of `scores`, which are in their order, that wrote a part of the text `said`.
pub(super) fn writers<'a>(
    said: &Range<usize>,
    scores: &'a [TokenScore],
) -> impl Iterator<Item = &'a TokenScore> {
    let first = scores.partition_point(|score| score.text.end <= said.start);
    let end = said.end;
    scores[first..].iter().take_while(move |score| score.text.start < end)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Tokens of these lengths and probabilities, one after the other.
    fn scores(tokens: &[(usize, f32)]) -> Vec<TokenScore> {
        let mut end = 0;
        let score = |&(len, probability): &(usize, f32)| {
            end += len;
            TokenScore { text: end - len..end, logprob: probability.ln(), page_shares: Vec::new() }
        };
        tokens.iter().map(score).collect()
    }

    fn of(said: Range<usize>, tokens: &[(usize, f32)]) -> Option<(f32, f32)> {
        let round = |x: f32| (x * 1000.0).round() / 1000.0;
        Confidence::of(&said, &scores(tokens)).map(|c| (round(c.mean), round(c.least)))
    }

    #[test]
    fn every_token_that_overlaps_counts() {
        let tokens = [(3, 0.1), (2, 0.5), (4, 0.32), (1, 1.0), (5, 0.2)];
        for (said, expected) in [
            (3..5, Some((0.5, 0.5))),
            (3..9, Some((0.4, 0.32))),
            // Parts of tokens.
            (4..6, Some((0.4, 0.32))),
            (9..10, Some((1.0, 1.0))),
            (9..12, Some((0.447, 0.2))),
            (15..20, None),
        ] {
            assert_eq!(of(said.clone(), &tokens), expected, "{said:?}");
        }
    }

    #[test]
    fn tokens_of_one_character_all_count() {
        let mut tokens = scores(&[(1, 1.0), (3, 0.5), (1, 1.0)]);
        tokens.insert(1, TokenScore { text: 1..4, ..scores(&[(3, 0.02)]).remove(0) });
        let confidence = Confidence::of(&(1..4), &tokens).unwrap();
        assert!((confidence.mean - 0.1).abs() < 1e-6, "{confidence:?}");
    }

    #[test]
    fn nothing_is_sure_without_scores() {
        assert_eq!(of(0..3, &[]), None);
    }
}
