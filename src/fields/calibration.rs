//! From how sure the model was to how often that is right: `calibration.json` beside the weights, made
//! from documents whose values are known.
//!
//! ```json
//! {
//!   "format": 1,
//!   "revision": "4f2c9ab01d3e5f67",
//!   "documents": 500,
//!   "kinds": {
//!     "text": {"temperature": 1.7},
//!     "money": {"isotonic": [[0.5, 0.2], [0.9, 0.7], [1.0, 0.99]]},
//!     "*": {"temperature": 1.4}
//!   },
//!   "checks": {"LIST_LENGTHS": {"passed": 0.9, "failed": 0.2}}
//! }
//! ```
//!
//! A kind is named as [`Kind::label`](crate::schema::Kind::label) has it; `*` stands for those that are
//! not named.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::check::{Check, Evidence, Rule};
use crate::checkpoint::{Checkpoint, CheckpointError};

/// The file's name in a model directory.
pub const CALIBRATION_FILE: &str = "calibration.json";

/// The only layout that there is.
pub const CALIBRATION_FORMAT: u32 = 1;

/// The kind that stands for those without an entry.
pub const OTHER_KINDS: &str = "*";

/// Curves by kind of value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calibration {
    pub format: u32,
    /// Of the model that it was made with; empty: any.
    #[serde(default)]
    pub revision: String,
    /// How many documents it was made from.
    #[serde(default)]
    pub documents: usize,
    pub kinds: BTreeMap<String, Curve>,
    /// What checks say about the values that they looked at, by the rule's name; a rule without an entry
    /// says nothing.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub checks: BTreeMap<String, Evidence>,
}

/// From the probability that the model gave to a value to how often such values are right.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Curve {
    /// The log-odds are divided by it: above 1 for a model that is too sure of itself.
    Temperature(f64),
    /// Pairs of probability and share that is right, both rising; straight lines between them.
    Isotonic(Vec<(f64, f64)>),
}

/// Why a calibration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CalibrationError {
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    #[error(
        "{CALIBRATION_FILE} has the format {found}, this version reads {CALIBRATION_FORMAT}: make it anew"
    )]
    Format { found: u32 },
    #[error(
        "{CALIBRATION_FILE} was made with the revision {found} of the model, this is {expected}: make it anew, or remove it"
    )]
    Revision { found: String, expected: String },
    #[error("kinds.{kind} of {CALIBRATION_FILE} {what}")]
    Curve { kind: String, what: &'static str },
    #[error("checks.{rule} of {CALIBRATION_FILE} {what}")]
    Check { rule: String, what: &'static str },
}

// === impl Calibration ===

impl Calibration {
    /// Of the model in `checkpoint`; none where it has no such file.
    pub fn load(checkpoint: &Checkpoint) -> Result<Option<Self>, CalibrationError> {
        let found: Option<Self> = checkpoint.json(CALIBRATION_FILE)?;
        found.map(Self::checked).transpose()
    }

    /// Itself, if it can be used.
    pub fn checked(self) -> Result<Self, CalibrationError> {
        if self.format != CALIBRATION_FORMAT {
            return Err(CalibrationError::Format { found: self.format });
        }
        for (kind, curve) in &self.kinds {
            if let Some(what) = curve.problem() {
                return Err(CalibrationError::Curve { kind: kind.clone(), what });
            }
        }
        for (rule, evidence) in &self.checks {
            let wrong = |what| Err(CalibrationError::Check { rule: rule.clone(), what });
            if Rule::ALL.iter().all(|known| known.name() != rule) {
                return wrong("is no check that is made");
            }
            if !evidence.is_sound() {
                return wrong("has shares that are not between 0 and 1");
            }
        }
        Ok(self)
    }

    /// Whether it was made for the model of this revision.
    pub fn check_revision(&self, expected: &str) -> Result<(), CalibrationError> {
        if self.revision.is_empty() || self.revision == expected {
            return Ok(());
        }
        let (found, expected) = (self.revision.clone(), expected.to_owned());
        Err(CalibrationError::Revision { found, expected })
    }

    /// The share of values of `kind`, named by its label, that are right where the model gives them
    /// `probability`; itself where nothing is known of the kind.
    pub fn apply(&self, kind: &str, probability: f32) -> f32 {
        let curve = self.kinds.get(kind).or_else(|| self.kinds.get(OTHER_KINDS));
        curve.map_or(probability, |curve| curve.at(f64::from(probability)) as f32)
    }

    /// What a check of `rule` says; none where nothing was learnt about it.
    pub fn evidence(&self, rule: Rule) -> Option<Evidence> {
        self.checks.get(rule.name()).copied()
    }
}

/// The confidence in the value at `pointer` once `checks` are made: each that looked at it raises or
/// lowers it as `calibration` has learnt, or as is usual where there is none.
pub fn after_checks(
    calibration: Option<&Calibration>,
    checks: &[Check],
    pointer: &str,
    confidence: f64,
) -> f64 {
    checks.iter().filter(|check| check.looked_at(pointer)).fold(confidence, |confidence, check| {
        let evidence = match calibration {
            Some(calibration) => calibration.evidence(check.rule),
            None => Some(check.rule.evidence()),
        };
        evidence.map_or(confidence, |evidence| evidence.weigh(confidence, check.passed()))
    })
}

// === impl Curve ===

impl Curve {
    /// What is wrong with it.
    fn problem(&self) -> Option<&'static str> {
        match self {
            Self::Temperature(temperature) => (!(temperature.is_finite() && *temperature > 0.0))
                .then_some("has a temperature that is no number above 0"),
            Self::Isotonic(points) => {
                let share = |x: f64| (0.0..=1.0).contains(&x);
                if points.is_empty() || !points.iter().all(|&(x, y)| share(x) && share(y)) {
                    return Some("has points that are not between 0 and 1");
                }
                let rises =
                    points.windows(2).all(|pair| pair[0].0 < pair[1].0 && pair[0].1 <= pair[1].1);
                (!rises).then_some("has points that do not rise")
            }
        }
    }

    /// Where `probability` leads.
    pub fn at(&self, probability: f64) -> f64 {
        let probability = probability.clamp(0.0, 1.0);
        match self {
            Self::Temperature(temperature) => {
                // The ends stay: their log-odds have no bound.
                let odds = (probability / (1.0 - probability)).powf(1.0 / temperature);
                if odds.is_finite() { odds / (1.0 + odds) } else { 1.0 }
            }
            Self::Isotonic(points) => {
                let after = points.partition_point(|&(x, _)| x < probability);
                match (after.checked_sub(1).map(|before| points[before]), points.get(after)) {
                    (Some((x0, y0)), Some(&(x1, y1))) => {
                        y0 + (y1 - y0) * (probability - x0) / (x1 - x0)
                    }
                    (Some((_, y)), None) | (None, Some(&(_, y))) => y,
                    (None, None) => probability,
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Result<Calibration, String> {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(CALIBRATION_FILE), text).unwrap();
        let loaded = Calibration::load(&Checkpoint::Dir(dir.path().to_owned()));
        loaded.map(|found| found.expect("the file is there")).map_err(|error| error.to_string())
    }

    #[test]
    fn kinds_have_their_own_curves() {
        let calibration = read(
            r#"{"format": 1, "revision": "r", "documents": 9, "kinds": {
                "text": {"temperature": 2.0},
                "money": {"isotonic": [[0.5, 0.2], [0.9, 0.6]]},
                "*": {"isotonic": [[0.3, 0.3]]}}}"#,
        )
        .unwrap();
        let near = |kind: &str, from: f32, to: f32| {
            let found = calibration.apply(kind, from);
            assert!((found - to).abs() < 1e-6, "{kind} {from}: {found}, not {to}");
        };
        // Odds of 9 to 1 become 3 to 1.
        near("text", 0.9, 0.75);
        near("text", 0.5, 0.5);
        near("text", 1.0, 1.0);
        near("text", 0.0, 0.0);
        near("money", 0.7, 0.4);
        near("money", 0.1, 0.2);
        near("money", 1.0, 0.6);
        near("date", 0.8, 0.3);
        assert!(calibration.check_revision("r").is_ok());
        let error = calibration.check_revision("s").unwrap_err().to_string();
        assert!(error.contains("make it anew"), "{error}");
        let again = serde_json::to_string(&calibration).unwrap();
        assert_eq!(read(&again).unwrap(), calibration);
    }

    #[test]
    fn a_file_that_cannot_be_used_is_refused() {
        for (text, expected) in [
            (r#"{"format": 2, "kinds": {}}"#, "format 2"),
            (r#"{"format": 1, "kinds": {"a": {"temperature": 0}}}"#, "kinds.a"),
            (r#"{"format": 1, "kinds": {"a": {"isotonic": []}}}"#, "between 0 and 1"),
            (r#"{"format": 1, "kinds": {"a": {"isotonic": [[0.1, 0.5], [0.2, 0.4]]}}}"#, "rise"),
            (r#"{"format": 1, "kinds": {}, "kind": 1}"#, "unknown field"),
            (
                r#"{"format": 1, "kinds": {}, "checks": {"LUCK": {"passed": 1, "failed": 1}}}"#,
                "LUCK",
            ),
            (
                r#"{"format": 1, "kinds": {}, "checks": {"BALANCE": {"passed": 1, "failed": 2}}}"#,
                "checks.BALANCE",
            ),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
        let dir = tempfile::tempdir().unwrap();
        assert!(Calibration::load(&Checkpoint::Dir(dir.path().to_owned())).unwrap().is_none());
    }

    #[test]
    fn checks_count_as_they_were_learnt_to() {
        let calibration = read(
            r#"{"format": 1, "kinds": {}, "checks": {"LIST_LENGTHS": {"passed": 0.5, "failed": 0.1}}}"#,
        )
        .unwrap();
        let made = |rule, problem: Option<&str>| Check {
            rule,
            fields: vec!["TRANSACTION_DATES"],
            problem: problem.map(str::to_owned),
        };
        let after = |calibration, check, pointer| after_checks(calibration, &[check], pointer, 0.8);
        let near = |found: f64, expected: f64| assert!((found - expected).abs() < 1e-9, "{found}");
        let (some, dates) = (Some(&calibration), "/TRANSACTION_DATES");
        near(after(some, made(Rule::ListLengths, None), dates), 0.9);
        near(after(some, made(Rule::ListLengths, Some("no")), dates), 0.08);
        near(after(some, made(Rule::ListLengths, Some("no")), "/TRANSACTION_DATES/3"), 0.08);
        near(after(some, made(Rule::ListLengths, Some("no")), "/TRANSACTION_DATES_2"), 0.8);
        near(after(some, made(Rule::DateOrder, Some("no")), dates), 0.8);
        near(after(None, made(Rule::DateOrder, Some("no")), dates), 0.4);
    }

    proptest! {
        #[test]
        fn curves_rise_and_stay_shares(
            temperature in 0.05f64..20.0,
            mut xs in prop::collection::vec(0.0f64..=1.0, 1..6),
            mut ys in prop::collection::vec(0.0f64..=1.0, 6),
            (a, b) in (0.0f64..=1.0, 0.0f64..=1.0),
        ) {
            xs.sort_by(f64::total_cmp);
            xs.dedup();
            ys.sort_by(f64::total_cmp);
            let points = xs.into_iter().zip(ys).collect();
            for curve in [Curve::Temperature(temperature), Curve::Isotonic(points)] {
                prop_assert_eq!(curve.problem(), None);
                let (low, high) = (curve.at(a.min(b)), curve.at(a.max(b)));
                prop_assert!(low <= high + 1e-12, "{:?} {} {}", curve, low, high);
                prop_assert!((0.0..=1.0).contains(&low) && (0.0..=1.0).contains(&high));
            }
        }
    }
}
