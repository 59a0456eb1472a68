//! Two runs over the same documents: is one better, or is it chance?

use rand::{Rng as _, SeedableRng as _};
use serde::Serialize;

/// Draws of the bootstrap: enough for two digits of a 95 % interval.
const DRAWS: usize = 10_000;
/// The same runs give the same interval.
const SEED: u64 = 20_261_122;

/// `McNemar`'s test, exact: of what only one of two runs had right, how lopsided the split is.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct McNemar {
    /// Right before, wrong now.
    pub lost: usize,
    /// Wrong before, right now.
    pub won: usize,
    /// Probability of a split this lopsided, in either direction, if neither run is better.
    pub p: f64,
}

/// How much better the second run is on average, with a 95 % interval over draws of documents.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Bootstrap {
    pub difference: f64,
    pub low: f64,
    pub high: f64,
}

/// `pairs` are whether each value was right before and now.
pub fn mcnemar(pairs: impl IntoIterator<Item = (bool, bool)>) -> McNemar {
    let (mut lost, mut won) = (0, 0);
    for pair in pairs {
        match pair {
            (true, false) => lost += 1,
            (false, true) => won += 1,
            _ => {}
        }
    }
    McNemar { lost, won, p: two_sided(lost.min(won), lost + won) }
}

/// Twice the probability of at most `few` heads in `all` tosses, at most 1.
fn two_sided(few: usize, all: usize) -> f64 {
    // log of the binomial coefficient, step by step: no number here gets large.
    let mut log_term = -(all as f64) * std::f64::consts::LN_2;
    let mut sum = log_term.exp();
    for k in 1..=few {
        log_term += ((all - k + 1) as f64).ln() - (k as f64).ln();
        sum += log_term.exp();
    }
    (2.0 * sum).min(1.0)
}

/// `documents` are, for each, the sum of the first run's scores, of the second's, and how many fields
/// they are over. Whole documents are drawn: fields of one page are right or wrong together.
pub fn bootstrap(documents: &[(f64, f64, usize)]) -> Option<Bootstrap> {
    let mean = |draw: &mut dyn Iterator<Item = &(f64, f64, usize)>| {
        let (mut sum, mut fields) = (0.0, 0);
        for (before, now, count) in draw {
            sum += now - before;
            fields += count;
        }
        if fields == 0 { 0.0 } else { sum / fields as f64 }
    };
    if documents.iter().all(|document| document.2 == 0) {
        return None;
    }
    let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(SEED);
    let mut means: Vec<f64> = (0..DRAWS)
        .map(|_| {
            let mut draw =
                (0..documents.len()).map(|_| &documents[random.random_range(0..documents.len())]);
            mean(&mut draw)
        })
        .collect();
    means.sort_by(f64::total_cmp);
    let at = |share: f64| means[((DRAWS - 1) as f64 * share).round() as usize];
    Some(Bootstrap { difference: mean(&mut documents.iter()), low: at(0.025), high: at(0.975) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lopsided_splits_are_unlikely() {
        let pairs = |lost, won| {
            let of = |pair, count| std::iter::repeat_n(pair, count);
            of((true, false), lost).chain(of((false, true), won)).chain(of((true, true), 50))
        };
        let even = mcnemar(pairs(5, 5));
        assert!((even.p - 1.0).abs() < 1e-9, "{even:?}");
        // 2 · (1 + 10) / 1024
        let lopsided = mcnemar(pairs(1, 9));
        assert!((lopsided.p - 22.0 / 1024.0).abs() < 1e-9, "{lopsided:?}");
        assert!((mcnemar(pairs(0, 0)).p - 1.0).abs() < 1e-9);
        assert!(mcnemar(pairs(2000, 2200)).p.is_finite());
    }

    #[test]
    fn the_interval_holds_the_difference() {
        let documents: Vec<(f64, f64, usize)> =
            (0..40).map(|i| (8.0, if i % 2 == 0 { 10.0 } else { 8.0 }, 10)).collect();
        let found = bootstrap(&documents).unwrap();
        assert!((found.difference - 0.1).abs() < 1e-9, "{found:?}");
        assert!(0.05 < found.low && found.low < 0.1 && 0.1 < found.high && found.high < 0.15);
        assert_eq!(bootstrap(&[]), None);
    }
}
