//! Two runs over the same documents: what changed, and whether it is more than chance.

use std::collections::BTreeMap;

use serde::Serialize;

use super::judged::{Judged, Judgement};
use crate::accuracy::{Bootstrap, McNemar, Scorer, bootstrap, mcnemar};

/// Examples of changed fields in a report.
const CHANGES_MAX: usize = 40;

#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Comparison {
    /// Documents that both runs have.
    pub documents: usize,
    /// By scorer: the mean before and now, and the difference with its interval.
    pub scores: BTreeMap<&'static str, Change>,
    /// Of strict scores, over fields.
    pub fields: McNemar,
    /// Of documents without a wrong field.
    pub perfect: McNemar,
    /// Mean seconds of a document before and now.
    pub seconds: Option<(f64, f64)>,
    /// Fields that were right and are wrong, or the other way round; only the first ones.
    pub changes: Vec<FieldChange>,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) struct Change {
    pub before: f64,
    pub now: f64,
    pub interval: Bootstrap,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct FieldChange {
    pub image: String,
    pub field: String,
    pub truth: String,
    pub before: Option<String>,
    pub now: Option<String>,
    pub won: bool,
}

/// Compares `now` with `before`, both judged by the same truth.
pub(super) fn compare(now: &[Judged], before: &[Judged]) -> Comparison {
    let by_image: BTreeMap<&str, &Judged> =
        before.iter().map(|judged| (judged.record.image.as_str(), judged)).collect();
    let pairs: Vec<(&Judged, &Judged)> = now
        .iter()
        .filter_map(|now| Some((*by_image.get(now.record.image.as_str())?, now)))
        .collect();
    let fields =
        || pairs.iter().flat_map(|(before, now)| before.judgements.iter().zip(&now.judgements));
    let changes = pairs.iter().flat_map(|(before, now)| {
        let fields = before.judgements.iter().zip(&now.judgements);
        fields.filter(|(before, now)| before.scores.is_right() != now.scores.is_right()).map(
            |(before, after)| FieldChange {
                image: now.record.image.clone(),
                field: after.name.clone(),
                truth: after.truth.clone(),
                before: before.found.clone(),
                now: after.found.clone(),
                won: after.scores.is_right(),
            },
        )
    });
    let mean_seconds = |of: &dyn Fn(&(&Judged, &Judged)) -> f64| {
        pairs.iter().map(of).sum::<f64>() / pairs.len() as f64
    };
    Comparison {
        documents: pairs.len(),
        scores: Scorer::ALL
            .into_iter()
            .filter_map(|scorer| Some((scorer.name(), change(&pairs, scorer)?)))
            .collect(),
        fields: mcnemar(fields().map(|(a, b)| (a.scores.is_right(), b.scores.is_right()))),
        perfect: mcnemar(pairs.iter().map(|(a, b)| (a.is_perfect(), b.is_perfect()))),
        seconds: (!pairs.is_empty()).then(|| {
            (
                mean_seconds(&|pair| pair.0.record.seconds),
                mean_seconds(&|pair| pair.1.record.seconds),
            )
        }),
        changes: changes.take(CHANGES_MAX).collect(),
    }
}

fn change(pairs: &[(&Judged, &Judged)], scorer: Scorer) -> Option<Change> {
    let sum = |judgements: &[Judgement]| -> (f64, usize) {
        let scores = judgements.iter().filter_map(|judgement| judgement.scores.get(scorer));
        scores.fold((0.0, 0), |(sum, count), score| (sum + score, count + 1))
    };
    let documents: Vec<(f64, f64, usize)> = pairs
        .iter()
        .map(|(before, now)| {
            let ((before, _), (now, count)) = (sum(&before.judgements), sum(&now.judgements));
            (before, now, count)
        })
        .collect();
    let interval = bootstrap(&documents)?;
    let fields: usize = documents.iter().map(|document| document.2).sum();
    let mean = |of: &dyn Fn(&(f64, f64, usize)) -> f64| {
        documents.iter().map(of).sum::<f64>() / fields as f64
    };
    Some(Change { before: mean(&|d| d.0), now: mean(&|d| d.1), interval })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accuracy::field_scores;
    use crate::cli::eval::record::Record;

    fn judged(image: &str, found: &[&str]) -> Judged {
        let judgements = found.iter().enumerate().map(|(index, found)| Judgement {
            name: format!("F{index}"),
            truth: "x".to_owned(),
            found: Some((*found).to_owned()),
            confidence: None,
            scores: field_scores(&format!("F{index}"), "x", Some(found)),
        });
        let record = Record::failed(image, "receipt", "OK".to_owned(), String::new(), 2.0);
        Judged { record, judgements: judgements.collect(), path: "".into() }
    }

    #[test]
    fn only_documents_of_both_are_compared() {
        let before = [judged("a", &["x", "y"]), judged("b", &["x", "x"])];
        let now = [judged("a", &["x", "x"]), judged("c", &["y", "y"])];
        let found = compare(&now, &before);
        assert_eq!((found.documents, found.fields.won, found.fields.lost), (1, 1, 0));
        assert_eq!((found.perfect.won, found.perfect.lost), (1, 0));
        let strict = found.scores["strict"];
        assert!((strict.now - strict.before - 0.5).abs() < 1e-9, "{strict:?}");
        assert_eq!((found.changes.len(), found.changes[0].field.as_str()), (1, "F1"));
    }

    #[test]
    fn nothing_in_common_is_no_difference() {
        let found = compare(&[judged("a", &["x"])], &[judged("b", &["x"])]);
        assert_eq!((found.documents, found.seconds), (0, None));
        assert!(found.scores.is_empty());
    }
}
