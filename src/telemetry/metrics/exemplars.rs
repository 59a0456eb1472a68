//! Exemplars: for each bucket of a histogram the trace of a request that fell into it last, so that a slow
//! bucket of a dashboard leads to a trace that shows why. The SDK has the type and collects none.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use opentelemetry::KeyValue;
use opentelemetry::trace::{SpanContext, SpanId, TraceId};

use super::names::Spec;
use super::prometheus::{Labels, attribute_labels};

/// Time series that are remembered; a metric's labels come from closed lists, so there are far fewer.
const SERIES_MAX: usize = 4_096;

/// One measured value and where it comes from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Exemplar {
    pub(super) trace_id: TraceId,
    pub(super) span_id: SpanId,
    pub(super) value: f64,
    pub(super) time: SystemTime,
}

/// By bucket, the last of which has no upper bound.
pub(super) type Buckets = Vec<Option<Exemplar>>;

/// The exemplars of all histograms.
#[derive(Debug, Default)]
pub(super) struct Exemplars(Mutex<BTreeMap<Series, Buckets>>);

/// A metric's name and the labels of one of its series.
type Series = (&'static str, Labels);

/// What one request measures, and its span; none where that is not recorded.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen<'a> {
    pub(super) exemplars: &'a Exemplars,
    pub(super) span: Option<&'a SpanContext>,
}

// === impl Exemplars ===

impl Exemplars {
    /// Those of one series, where there are any.
    pub(super) fn of(&self, name: &'static str, labels: &Labels) -> Option<Buckets> {
        self.lock().get(&(name, labels.clone())).cloned()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<Series, Buckets>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Seen ===

impl Seen<'_> {
    /// Remembers `value`, which the histogram `spec` got with these labels.
    pub(super) fn note(self, spec: &Spec, labels: &[KeyValue], value: f64) {
        let Some(span) = self.span.filter(|span| span.is_valid() && span.is_sampled()) else {
            return;
        };
        let series = (spec.name, attribute_labels(&mut labels.iter()));
        let mut all = self.exemplars.lock();
        if all.len() >= SERIES_MAX && !all.contains_key(&series) {
            return;
        }
        let buckets = all.entry(series).or_insert_with(|| vec![None; spec.buckets.len() + 1]);
        // A bucket has what is at or below its bound.
        let at = spec.buckets.partition_point(|bound| *bound < value);
        buckets[at] = Some(Exemplar {
            trace_id: span.trace_id(),
            span_id: span.span_id(),
            value,
            time: SystemTime::now(),
        });
    }
}
