//! The figures of one level of load.

use std::collections::BTreeMap;

use serde::Serialize;

use super::load::{Load, Measured, Run, Sample};
use crate::cli::distribution::Distribution;

/// Percentiles of one latency, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) struct Latency {
    pub p50: f64,
    pub p90: f64,
    pub p99: f64,
}

/// All figures of one level. Times are seconds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Level {
    /// `4 clients`, or `2.5 documents/s`
    pub load: String,
    /// Clients, or documents a second.
    pub amount: f64,
    pub open: bool,
    /// In which requests were counted.
    pub seconds: f64,
    pub answers: usize,
    pub refusals: BTreeMap<String, usize>,
    pub pages_per_second: f64,
    pub output_tokens_per_second: f64,
    pub input_tokens_per_second: f64,
    pub tiles_per_page: f64,
    pub output_tokens: f64,
    pub latency: Option<Latency>,
    pub first_token: Option<Latency>,
    pub first_field: Option<Latency>,
    pub per_token: Option<Latency>,
    /// By the server's own clock.
    pub queue: Option<Latency>,
    pub preprocess: Option<Latency>,
    pub vision: Option<Latency>,
    pub prefill: Option<Latency>,
}

impl Latency {
    pub(super) fn of(values: impl Iterator<Item = f64>) -> Option<Self> {
        let all: Distribution = values.collect();
        Some(Self {
            p50: all.percentile(50.0)?,
            p90: all.percentile(90.0)?,
            p99: all.percentile(99.0)?,
        })
    }
}

impl Level {
    pub(super) fn of(load: Load, run: &Run) -> Self {
        let answers: Vec<(&Sample, &Measured)> = run
            .samples
            .iter()
            .filter_map(|sample| Some((sample, sample.outcome.as_ref().ok()?)))
            .collect();
        let mut refusals = BTreeMap::new();
        for refused in run.samples.iter().filter_map(|sample| sample.outcome.as_ref().err()) {
            *refusals.entry(refused.code.clone()).or_insert(0) += 1;
        }
        // A sum of no floats is -0, which would be shown.
        let sum = |of: &dyn Fn(&Measured) -> f64| -> f64 {
            answers.iter().map(|(_, measured)| of(measured)).fold(0.0, |sum, one| sum + one)
        };
        let pages = sum(&|measured| measured.pages as f64);
        let output_tokens = sum(&|measured| f64::from(measured.output_tokens));
        let server = |of: &dyn Fn(&Measured) -> f64| {
            Latency::of(answers.iter().map(|(_, measured)| of(measured)))
        };
        let (load, amount, open) = match load {
            Load::Closed(1) => ("1 client".to_owned(), 1.0, false),
            Load::Closed(clients) => (format!("{clients} clients"), clients as f64, false),
            Load::Open(rate) => (format!("{rate} documents/s"), rate, true),
        };
        Self {
            load,
            amount,
            open,
            seconds: run.seconds,
            answers: answers.len(),
            refusals,
            pages_per_second: pages / run.seconds,
            output_tokens_per_second: output_tokens / run.seconds,
            input_tokens_per_second: sum(&|measured| f64::from(measured.input_tokens))
                / run.seconds,
            tiles_per_page: sum(&|measured| f64::from(measured.tiles)) / pages.max(1.0),
            output_tokens: output_tokens / answers.len().max(1) as f64,
            latency: Latency::of(answers.iter().map(|(sample, _)| sample.latency())),
            first_token: Latency::of(answers.iter().filter_map(|(s, _)| s.first_token)),
            first_field: Latency::of(answers.iter().filter_map(|(s, _)| s.first_field)),
            per_token: Latency::of(answers.iter().filter_map(|(_, m)| m.per_token)),
            queue: server(&|measured| measured.server.queue),
            preprocess: server(&|measured| measured.server.preprocess),
            vision: server(&|measured| measured.server.vision),
            prefill: server(&|measured| measured.server.prefill),
        }
    }

    pub(super) fn refused(&self) -> usize {
        self.refusals.values().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::bench::load::Refused;
    use crate::cli::view::Seconds;

    fn answered(arrived: f64, ended: f64) -> Sample {
        Sample {
            page: String::new(),
            arrived,
            ended,
            first_token: Some(0.25),
            first_field: None,
            outcome: Ok(Measured {
                pages: 2,
                tiles: 14,
                input_tokens: 100,
                output_tokens: 50,
                per_token: Some(0.01),
                server: Seconds {
                    queue: 0.1,
                    preprocess: 0.0,
                    vision: 0.0,
                    prefill: 0.0,
                    decode: 0.5,
                    first_token: 0.2,
                    total: 1.0,
                },
            }),
        }
    }

    #[test]
    fn rates_count_answers_only() {
        let refused = Refused { code: "X".to_owned(), message: String::new() };
        let lost = Sample { outcome: Err(refused), ..answered(0.0, 9.0) };
        let run = Run { samples: vec![answered(0.0, 1.0), lost, answered(1.0, 4.0)], seconds: 4.0 };
        let level = Level::of(Load::Closed(2), &run);
        assert_eq!((level.answers, level.refused()), (2, 1));
        assert!((level.pages_per_second - 1.0).abs() < 1e-9);
        assert!((level.output_tokens_per_second - 25.0).abs() < 1e-9);
        assert!((level.tiles_per_page - 7.0).abs() < 1e-9);
        let latency = level.latency.unwrap();
        assert!((latency.p50 - 2.0).abs() < 1e-9, "{latency:?}");
        assert!(level.first_field.is_none());
    }

    #[test]
    fn nothing_is_shown_as_nothing() {
        let run = Run { samples: Vec::new(), seconds: 4.0 };
        let level = Level::of(Load::Closed(2), &run);
        assert_eq!(format!("{:.2}", level.pages_per_second), "0.00");
        assert_eq!(format!("{:.0}", level.output_tokens), "0");
    }
}
