//! Whether confidence means what it says: of values at 0.9, nine in ten should be right.

use serde::{Deserialize, Serialize};

const BINS: usize = 10;

/// Values whose confidence is about the same.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Bin {
    pub count: usize,
    /// Mean confidence.
    pub confidence: f64,
    /// Share that was right.
    pub accuracy: f64,
}

/// How confidence and accuracy go together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reliability {
    pub values: usize,
    /// Expected calibration error over ten bins of equal width: how far confidence is from accuracy, on
    /// average over the values.
    pub ece: f64,
    /// The same over ten bins of equal count, which looks closer where most values are.
    pub ece_equal_count: f64,
    /// Mean squared distance of confidence from what came of it.
    pub brier: f64,
    /// Chance that a right value has more confidence than a wrong one, ties half; none where all are
    /// right, or none.
    pub auroc: Option<f64>,
    /// Of equal width; empty ones left out.
    pub bins: Vec<Bin>,
}

/// `points` are confidences, each with whether the value was right.
pub fn reliability(points: &[(f64, bool)]) -> Option<Reliability> {
    if points.is_empty() {
        return None;
    }
    let mut points = points.to_vec();
    points.sort_by(|a, b| a.0.total_cmp(&b.0));
    let count = points.len();
    let mut by_width = vec![Vec::new(); BINS];
    for point in &points {
        by_width[((point.0 * BINS as f64) as usize).min(BINS - 1)].push(*point);
    }
    let by_count: Vec<Bin> = (0..BINS)
        .filter_map(|index| bin(&points[count * index / BINS..count * (index + 1) / BINS]))
        .collect();
    let bins: Vec<Bin> = by_width.iter().filter_map(|points| bin(points)).collect();
    let brier =
        points.iter().map(|&(c, right)| (c - f64::from(u8::from(right))).powi(2)).sum::<f64>();
    Some(Reliability {
        values: count,
        ece: ece(&bins, count),
        ece_equal_count: ece(&by_count, count),
        brier: brier / count as f64,
        auroc: auroc(&points),
        bins,
    })
}

fn bin(points: &[(f64, bool)]) -> Option<Bin> {
    let count = points.len();
    (count > 0).then(|| Bin {
        count,
        confidence: points.iter().map(|point| point.0).sum::<f64>() / count as f64,
        accuracy: points.iter().filter(|point| point.1).count() as f64 / count as f64,
    })
}

fn ece(bins: &[Bin], count: usize) -> f64 {
    let off = |bin: &Bin| bin.count as f64 * (bin.confidence - bin.accuracy).abs();
    bins.iter().map(off).sum::<f64>() / count as f64
}

/// By ranks; `points` are sorted by confidence.
fn auroc(points: &[(f64, bool)]) -> Option<f64> {
    let right = points.iter().filter(|point| point.1).count();
    let wrong = points.len() - right;
    if right == 0 || wrong == 0 {
        return None;
    }
    let (mut at, mut ranks) = (0, 0.0);
    while at < points.len() {
        let tied = points[at..].partition_point(|point| point.0 <= points[at].0);
        let mean_rank = at as f64 + f64::midpoint(tied as f64, 1.0);
        ranks += mean_rank * points[at..at + tied].iter().filter(|point| point.1).count() as f64;
        at += tied;
    }
    let right = right as f64;
    Some((ranks - right * (right + 1.0) / 2.0) / (right * wrong as f64))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(confidence: f64, right: usize, wrong: usize) -> Vec<(f64, bool)> {
        let of = |is_right, count| std::iter::repeat_n((confidence, is_right), count);
        of(true, right).chain(of(false, wrong)).collect()
    }

    #[test]
    fn what_says_what_it_means_has_no_error() {
        let good = [points(0.9, 9, 1), points(0.5, 5, 5)].concat();
        let found = reliability(&good).unwrap();
        assert!(found.ece < 1e-9, "{found:?}");
        assert_eq!(found.bins.iter().map(|bin| bin.count).collect::<Vec<_>>(), [10, 10]);
    }

    #[test]
    fn overconfidence_is_seen() {
        let found = reliability(&points(0.95, 5, 5)).unwrap();
        assert!((found.ece - 0.45).abs() < 1e-9, "{found:?}");
        assert!((found.auroc.unwrap() - 0.5).abs() < 1e-9, "all alike says nothing");
        assert!(reliability(&[]).is_none());
    }

    #[test]
    fn order_is_measured_by_itself() {
        let ordered = [points(0.2, 0, 4), points(0.3, 3, 0)].concat();
        assert!((reliability(&ordered).unwrap().auroc.unwrap() - 1.0).abs() < 1e-9);
        let reversed = [points(0.2, 4, 0), points(0.3, 0, 3)].concat();
        assert!(reliability(&reversed).unwrap().auroc.unwrap().abs() < 1e-9);
        assert!(reliability(&points(1.0, 3, 0)).unwrap().auroc.is_none());
    }
}
