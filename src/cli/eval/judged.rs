//! Documents with their outcome, truth and scores.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Serialize;

use super::documents::Asked;
use super::record::Record;
use crate::accuracy::{FieldScores, Scorer, field_scores};
use crate::fields::{self, Check, FieldEvent, FieldReader, Normals};
use crate::schema::Schema;

/// One document, judged.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Judged {
    #[serde(flatten)]
    pub record: Record,
    /// In the order of the truth.
    pub judgements: Vec<Judgement>,
    #[serde(skip)]
    pub path: PathBuf,
}

/// One field of one document.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Judgement {
    pub name: String,
    pub truth: String,
    /// None where the answer leaves it out, or there is no answer.
    pub found: Option<String>,
    pub confidence: Option<f64>,
    pub scores: FieldScores,
}

/// Judges every document of `asked` that has a record, in order.
pub(super) fn judge(asked: &[Asked], records: &BTreeMap<String, Record>) -> Vec<Judged> {
    asked
        .iter()
        .filter_map(|asked| {
            let record = records.get(&asked.document.image)?.clone();
            let judgements = asked.truth.iter().map(|(name, truth)| {
                let found = record.fields.get(name).cloned();
                Judgement {
                    name: name.clone(),
                    truth: truth.clone(),
                    scores: field_scores(name, truth, found.as_deref()),
                    confidence: record.confidence.get(name).copied(),
                    found,
                }
            });
            let judgements = judgements.collect();
            Some(Judged { record, judgements, path: asked.document.path.clone() })
        })
        .collect()
}

impl Judged {
    /// Mean over the fields that `scorer` has a score for.
    pub(super) fn mean(&self, scorer: Scorer) -> Option<f64> {
        mean(self.judgements.iter().filter_map(|judgement| judgement.scores.get(scorer)))
    }

    /// How sure the model was when it wrote the value, before checks counted. Older results have no other
    /// confidence.
    pub(super) fn read_confidence(&self, judgement: &Judgement) -> Option<f64> {
        self.record.read_confidence.get(&judgement.name).copied().or(judgement.confidence)
    }

    /// The checks of the values against one another, made once more.
    pub(super) fn checks(&self) -> Vec<Check> {
        let schema = Schema::of_every_kind();
        let document = serde_json::to_string(&self.record.fields).unwrap_or_default();
        let mut normals = Normals::new();
        for event in FieldReader::default().push(&document) {
            if let FieldEvent::Completed(field) = event {
                fields::note(&mut normals, schema, &field);
            }
        }
        fields::check(&normals)
    }

    /// Whether every field is right.
    pub(super) fn is_perfect(&self) -> bool {
        self.judgements.iter().all(|judgement| judgement.scores.is_right())
    }
}

pub(super) fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = values.fold((0.0, 0_usize), |(sum, count), value| (sum + value, count + 1));
    (count > 0).then(|| sum / count as f64)
}
