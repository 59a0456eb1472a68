//! Fits curves from confidence to how often values were right, and says how well they do on documents
//! that they were not fitted to.

use crate::fields::{Curve, Evidence};

/// A value of a labelled document.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// Which document it is of: values of one page are right or wrong together, and must not be on both
    /// sides of a test.
    pub document: usize,
    pub confidence: f64,
    pub is_right: bool,
}

/// A value that a check looked at.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Checked {
    pub point: Point,
    pub passed: bool,
}

/// Ways to fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// One number, which stretches or shrinks the odds. Needs few values.
    Temperature,
    /// Steps that rise. Follows any shape; needs many values.
    Isotonic,
}

/// Parts that documents are dealt into for the test: each is predicted by a curve fitted to the others.
const FOLDS: usize = 5;
/// Wrong values below which there is nothing to learn a shape from.
const WRONG_MIN_ISOTONIC: usize = 20;
/// Values of one step at least.
const STEP_MIN: usize = 25;
/// Values that a check's evidence is drawn to nothing by: a few are no proof.
const EVIDENCE_PRIOR: f64 = 2.0;
/// Confidences are kept this far from 0 and 1, whose odds have no bound.
const EDGE: f64 = 1e-6;

/// A curve of all of `points`.
pub fn fit(method: Method, points: &[Point]) -> Curve {
    match method {
        Method::Temperature => Curve::Temperature(temperature(points)),
        Method::Isotonic => Curve::Isotonic(isotonic(points)),
    }
}

/// The method that predicts unseen documents best; none where the confidences as they are do.
pub fn best(points: &[Point]) -> Option<Method> {
    let wrong = points.iter().filter(|point| !point.is_right).count();
    let methods = [
        (Method::Temperature, wrong > 0 && wrong < points.len()),
        (Method::Isotonic, wrong >= WRONG_MIN_ISOTONIC),
    ];
    let as_it_is = loss(points.iter().map(|point| (point.confidence, point.is_right)));
    methods
        .into_iter()
        .filter(|(_, possible)| *possible)
        .map(|(method, _)| (method, loss(unseen(method, points).into_iter())))
        .filter(|(_, loss)| *loss < as_it_is)
        .min_by(|a, b| a.1.total_cmp(&b.1))
        .map(|(method, _)| method)
}

/// What curves fitted to other documents make of each point.
pub fn unseen(method: Method, points: &[Point]) -> Vec<(f64, bool)> {
    let curves: Vec<Curve> = (0..FOLDS)
        .map(|fold| {
            let others: Vec<Point> =
                points.iter().filter(|point| point.document % FOLDS != fold).copied().collect();
            fit(method, &others)
        })
        .collect();
    points
        .iter()
        .map(|point| (curves[point.document % FOLDS].at(point.confidence), point.is_right))
        .collect()
}

/// What a check says about `values`, beside their confidence.
pub fn evidence(values: &[Checked]) -> Evidence {
    // How many are wrong, or right, of those that the confidence says should be.
    let share = |passed: bool| {
        let (mut found, mut expected) = (EVIDENCE_PRIOR, EVIDENCE_PRIOR);
        for value in values.iter().filter(|value| value.passed == passed) {
            let Point { confidence, is_right, .. } = value.point;
            found += f64::from(u8::from(is_right != passed));
            expected += if passed { 1.0 - confidence } else { confidence };
        }
        round((found / expected).min(1.0))
    };
    Evidence { passed: share(true), failed: share(false) }
}

/// What evidence from other documents makes of each value; none where that predicts them no better than
/// the confidence as it is.
pub fn unseen_with_evidence(values: &[Checked]) -> Option<Vec<f64>> {
    let folds: Vec<Evidence> = (0..FOLDS)
        .map(|fold| {
            let others: Vec<Checked> = values
                .iter()
                .filter(|value| value.point.document % FOLDS != fold)
                .copied()
                .collect();
            evidence(&others)
        })
        .collect();
    let weigh = |value: &Checked| {
        folds[value.point.document % FOLDS].weigh(value.point.confidence, value.passed)
    };
    let found: Vec<f64> = values.iter().map(weigh).collect();
    let right = || values.iter().map(|value| value.point.is_right);
    let before = loss(values.iter().map(|value| value.point.confidence).zip(right()));
    (loss(found.iter().copied().zip(right())) < before).then_some(found)
}

/// Mean negative log-likelihood.
fn loss(points: impl Iterator<Item = (f64, bool)>) -> f64 {
    let (mut sum, mut count) = (0.0, 0_usize);
    for (confidence, is_right) in points {
        let confidence = confidence.clamp(EDGE, 1.0 - EDGE);
        sum -= if is_right { confidence.ln() } else { (1.0 - confidence).ln() };
        count += 1;
    }
    sum / count.max(1) as f64
}

/// The temperature of least loss, by golden section over its logarithm: the loss has one minimum.
fn temperature(points: &[Point]) -> f64 {
    let loss_at = |log: f64| {
        let curve = Curve::Temperature(log.exp());
        loss(points.iter().map(|point| (curve.at(point.confidence), point.is_right)))
    };
    let ratio = (5.0_f64.sqrt() - 1.0) / 2.0;
    let (mut low, mut high) = (0.05_f64.ln(), 20.0_f64.ln());
    for _ in 0..60 {
        let (a, b) = (high - ratio * (high - low), low + ratio * (high - low));
        if loss_at(a) < loss_at(b) { high = b } else { low = a }
    }
    round(f64::midpoint(low, high).exp())
}

/// Values that stand together as one step.
#[derive(Debug, Clone, Copy)]
struct Step {
    confidence: f64,
    right: f64,
    count: f64,
}

impl Step {
    fn joined(self, other: Self) -> Self {
        Self {
            confidence: self.confidence + other.confidence,
            right: self.right + other.right,
            count: self.count + other.count,
        }
    }

    /// Share that is right, drawn a little to the middle: a few right values are no certainty.
    fn share(&self) -> f64 {
        (self.right + 1.0) / (self.count + 2.0)
    }
}

/// Pool-adjacent-violators over groups of at least [`STEP_MIN`]; a point at the middle of each step.
fn isotonic(points: &[Point]) -> Vec<(f64, f64)> {
    let mut sorted = points.to_vec();
    sorted.sort_by(|a, b| a.confidence.total_cmp(&b.confidence));
    let mut steps: Vec<Step> = Vec::new();
    let groups = (sorted.len() / STEP_MIN).max(1);
    for index in 0..groups {
        let group = &sorted[sorted.len() * index / groups..sorted.len() * (index + 1) / groups];
        let mut step = Step {
            confidence: group.iter().map(|point| point.confidence).sum(),
            right: group.iter().filter(|point| point.is_right).count() as f64,
            count: group.len() as f64,
        };
        while let Some(last) = steps.last().filter(|last| last.share() >= step.share()) {
            step = last.joined(step);
            steps.pop();
        }
        steps.push(step);
    }
    let mut curve: Vec<(f64, f64)> = Vec::new();
    for step in steps {
        let point = (round(step.confidence / step.count.max(1.0)), round(step.share()));
        // Rounding may have made two of one.
        match curve.last_mut().filter(|last| last.0 >= point.0) {
            Some(last) => last.1 = point.1,
            None => curve.push(point),
        }
    }
    curve
}

/// Six digits say more than any set of documents knows.
fn round(value: f64) -> f64 {
    (value * 1e6).round() / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accuracy::reliability;

    /// Values of a model that says `said` where `real` is true, each many times.
    fn model(levels: &[(f64, f64)]) -> Vec<Point> {
        let mut points = Vec::new();
        for (level, &(said, real)) in levels.iter().enumerate() {
            for index in 0..200 {
                points.push(Point {
                    document: index * levels.len() + level,
                    confidence: said,
                    is_right: (index as f64 + 0.5) / 200.0 < real,
                });
            }
        }
        points
    }

    fn ece(points: impl Iterator<Item = (f64, bool)>) -> f64 {
        reliability(&points.collect::<Vec<_>>()).unwrap().ece
    }

    #[test]
    fn overconfidence_is_cooled() {
        // Log-odds twice too large.
        let odds = |p: f64| (p / (1.0 - p)).powi(2) / (1.0 + (p / (1.0 - p)).powi(2));
        let points = model(&[(odds(0.6), 0.6), (odds(0.8), 0.8), (odds(0.9), 0.9)]);
        let Curve::Temperature(found) = fit(Method::Temperature, &points) else { panic!() };
        assert!((found - 2.0).abs() < 0.1, "{found}");
        assert!(best(&points).is_some());
        let before = ece(points.iter().map(|point| (point.confidence, point.is_right)));
        let after = ece(unseen(Method::Temperature, &points).into_iter());
        assert!(after < before / 3.0, "{before} {after}");
    }

    #[test]
    fn any_rising_shape_is_followed() {
        let points = model(&[(0.3, 0.7), (0.5, 0.71), (0.9, 0.75), (0.99, 0.98)]);
        let Curve::Isotonic(curve) = fit(Method::Isotonic, &points) else { panic!() };
        assert!(
            curve.windows(2).all(|two| two[0].0 < two[1].0 && two[0].1 <= two[1].1),
            "{curve:?}"
        );
        assert!(ece(unseen(Method::Isotonic, &points).into_iter()) < 0.05);
        assert_eq!(best(&points), Some(Method::Isotonic));
    }

    #[test]
    fn what_is_right_already_is_left_alone() {
        assert_eq!(best(&model(&[(0.5, 0.5), (0.9, 0.9)])), None);
        assert_eq!(best(&[]), None);
    }

    /// Values at 0.8 of which those that pass are nearly all right, and those that fail nearly all wrong.
    fn checked(right_if_passed: f64, right_if_failed: f64) -> Vec<Checked> {
        let of = |passed: bool, share: f64, count: usize| {
            (0..count).map(move |index| Checked {
                point: Point {
                    document: index,
                    confidence: 0.8,
                    is_right: (index as f64 + 0.5) / (count as f64) < share,
                },
                passed,
            })
        };
        of(true, right_if_passed, 400).chain(of(false, right_if_failed, 100)).collect()
    }

    #[test]
    fn a_check_that_knows_something_is_weighed() {
        let values = checked(0.95, 0.2);
        let found = evidence(&values);
        assert!((found.weigh(0.8, true) - 0.95).abs() < 0.01, "{found:?}");
        assert!((found.weigh(0.8, false) - 0.2).abs() < 0.02, "{found:?}");
        let unseen = unseen_with_evidence(&values).unwrap();
        assert!(unseen[0] > 0.9 && unseen[450] < 0.4, "{} {}", unseen[0], unseen[450]);
    }

    #[test]
    fn a_check_that_knows_nothing_is_not() {
        assert_eq!(unseen_with_evidence(&checked(0.8, 0.8)), None);
        assert_eq!(unseen_with_evidence(&[]), None);
        assert_eq!(evidence(&[]), Evidence { passed: 1.0, failed: 1.0 });
        // One that is right of what fails: it is not raised.
        assert!(evidence(&checked(0.8, 1.0)).failed >= 1.0);
    }

    #[test]
    fn a_few_right_values_are_no_certainty() {
        let sure = Point { document: 0, confidence: 0.9, is_right: true };
        let Curve::Isotonic(curve) = fit(Method::Isotonic, &[sure; 8]) else { panic!() };
        assert_eq!(curve, [(0.9, 0.9)]);
        let Curve::Isotonic(none) = fit(Method::Isotonic, &[]) else { panic!() };
        assert!(none.iter().all(|(x, y)| x.is_finite() && y.is_finite()), "{none:?}");
    }
}
