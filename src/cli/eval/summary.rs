//! The figures of a whole run.

use std::collections::BTreeMap;

use serde::Serialize;

use super::judged::{Judged, Judgement, mean};
use super::record::{Run, Session};
use crate::accuracy::{ABSENT, Reliability, Scorer, reliability};
use crate::cli::distribution::Distribution;
use crate::fields;

/// Means by scorer.
pub(super) type Scores = BTreeMap<&'static str, f64>;

#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Summary {
    pub run: Run,
    pub documents: usize,
    /// Answers that ended by themselves with a whole object.
    pub whole: usize,
    pub success_rate: f64,
    /// Documents that were not read, by status.
    pub failures: BTreeMap<String, usize>,
    /// Where the server was asked for the type: documents whose truth has one, and how many the server
    /// found right.
    pub types: Option<Types>,
    /// Every field right.
    pub perfect: usize,
    /// Over all fields of all documents.
    pub fields: usize,
    pub scores: Scores,
    /// Mean of the documents' means.
    pub scores_by_document: Scores,
    pub scalars: Scores,
    pub lists: Scores,
    pub kinds: BTreeMap<String, Group>,
    /// In the order in which fields are asked for.
    pub by_field: Vec<FieldGroup>,
    pub seconds: Option<Times>,
    pub first_field: Option<Times>,
    /// Wall time of all sessions; none where nothing was read.
    pub images_per_minute: Option<f64>,
    /// Strict, over the fields of documents that were read and that have a confidence.
    pub confidence: Option<Reliability>,
    pub resumed: usize,
}

/// How often the type was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) struct Types {
    pub documents: usize,
    pub right: usize,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Group {
    pub documents: usize,
    pub perfect: usize,
    pub scores: Scores,
    pub seconds: Option<Times>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct FieldGroup {
    pub name: String,
    pub documents: usize,
    pub scores: Scores,
    /// Documents that have the field, and how right it is on them.
    pub present: usize,
    pub strict_where_present: Option<f64>,
    pub confidence: Option<f64>,
}

/// Percentiles, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) struct Times {
    pub mean: f64,
    pub p50: f64,
    pub p90: f64,
    pub p99: f64,
}

impl Times {
    fn of(values: impl Iterator<Item = f64>) -> Option<Self> {
        let all: Distribution = values.collect();
        Some(Self {
            mean: all.mean()?,
            p50: all.percentile(50.0)?,
            p90: all.percentile(90.0)?,
            p99: all.percentile(99.0)?,
        })
    }
}

impl Summary {
    pub(super) fn of(judged: &[Judged], session: &Session) -> Self {
        let read: Vec<&Judged> = judged.iter().filter(|judged| judged.record.is_ok()).collect();
        let whole = read.iter().filter(|judged| judged.record.whole).count();
        let mut failures = BTreeMap::new();
        for judged in judged.iter().filter(|judged| !judged.record.is_ok()) {
            *failures.entry(judged.record.status.clone()).or_insert(0) += 1;
        }
        let all = || judged.iter().flat_map(|judged| &judged.judgements);
        let by_document = Scorer::ALL.into_iter().filter_map(|scorer| {
            let means = judged.iter().filter_map(|judged| judged.mean(scorer));
            Some((scorer.name(), mean(means)?))
        });
        let run = session.run.clone();
        Self {
            documents: judged.len(),
            whole,
            success_rate: whole as f64 / judged.len().max(1) as f64,
            failures,
            types: types(judged),
            perfect: judged.iter().filter(|judged| judged.is_perfect()).count(),
            fields: all().count(),
            scores: scores(all()),
            scores_by_document: by_document.collect(),
            scalars: scores(all().filter(|judgement| !fields::is_list(&judgement.name))),
            lists: scores(all().filter(|judgement| fields::is_list(&judgement.name))),
            kinds: kinds(judged),
            by_field: by_field(judged),
            seconds: Times::of(read.iter().map(|judged| judged.record.seconds)),
            first_field: Times::of(read.iter().filter_map(|judged| judged.record.first_field)),
            images_per_minute: (run.wall_documents > 0)
                .then(|| run.wall_documents as f64 / run.wall_seconds * 60.0),
            confidence: reliability(&confidences(judged)),
            resumed: session.resumed,
            run,
        }
    }
}

/// A score in percent, with `unit` behind it; a dash where there is none.
pub(super) fn percent(scores: &Scores, scorer: Scorer, unit: &str) -> String {
    let score = scores.get(scorer.name());
    score.map_or_else(|| "–".to_owned(), |score| format!("{:.1}{unit}", score * 100.0))
}

fn scores<'a>(judgements: impl Iterator<Item = &'a Judgement> + Clone) -> Scores {
    let of = |scorer: Scorer| mean(judgements.clone().filter_map(|j| j.scores.get(scorer)));
    Scorer::ALL.into_iter().filter_map(|scorer| Some((scorer.name(), of(scorer)?))).collect()
}

fn types(judged: &[Judged]) -> Option<Types> {
    let found: Vec<bool> = judged
        .iter()
        .filter_map(|judged| {
            judged.record.found_kind.as_ref().map(|found| *found == judged.record.kind)
        })
        .collect();
    let right = found.iter().filter(|right| **right).count();
    (!found.is_empty()).then_some(Types { documents: found.len(), right })
}

fn kinds(judged: &[Judged]) -> BTreeMap<String, Group> {
    let mut by_kind: BTreeMap<String, Vec<&Judged>> = BTreeMap::new();
    for judged in judged {
        by_kind.entry(judged.record.kind.clone()).or_default().push(judged);
    }
    let group = |all: Vec<&Judged>| Group {
        documents: all.len(),
        perfect: all.iter().filter(|judged| judged.is_perfect()).count(),
        scores: scores(all.iter().flat_map(|judged| &judged.judgements)),
        seconds: Times::of(
            all.iter().filter(|judged| judged.record.is_ok()).map(|judged| judged.record.seconds),
        ),
    };
    by_kind.into_iter().map(|(kind, all)| (kind, group(all))).collect()
}

fn by_field(judged: &[Judged]) -> Vec<FieldGroup> {
    names(judged)
        .into_iter()
        .map(|name| {
            let all: Vec<&Judgement> = judged
                .iter()
                .flat_map(|judged| &judged.judgements)
                .filter(|judgement| judgement.name == name)
                .collect();
            let present = || all.iter().filter(|judgement| judgement.truth != ABSENT);
            FieldGroup {
                documents: all.len(),
                scores: scores(all.iter().copied()),
                present: present().count(),
                strict_where_present: mean(present().map(|judgement| judgement.scores.strict)),
                confidence: mean(all.iter().filter_map(|judgement| judgement.confidence)),
                name,
            }
        })
        .collect()
}

/// Names of all fields, each once, in the order in which documents have them.
pub(super) fn names(judged: &[Judged]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for judgement in judged.iter().flat_map(|judged| &judged.judgements) {
        if !names.contains(&judgement.name) {
            names.push(judgement.name.clone());
        }
    }
    names
}

/// Confidences, each with whether the value was right.
pub(super) fn confidences(judged: &[Judged]) -> Vec<(f64, bool)> {
    judged
        .iter()
        .flat_map(|judged| &judged.judgements)
        .filter_map(|judgement| Some((judgement.confidence?, judgement.scores.is_right())))
        .collect()
}
