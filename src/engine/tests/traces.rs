//! The spans of a request: which, under which parent, and that none tells what was read.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use tracing_subscriber::registry::LookupSpan;

use super::{Stage, answering, finished, job};

/// One line a span: its parent, its name and its fields.
#[derive(Debug, Clone, Default)]
struct Spans(Arc<Mutex<BTreeMap<u64, String>>>);

struct Fields<'a>(&'a mut String);

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        // Times differ from run to run.
        if field.name() == "step_ms" {
            self.0.push_str(" step_ms");
        } else {
            write!(self.0, " {}={value:?}", field.name()).unwrap();
        }
    }
}

impl<S: tracing::Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Spans {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let span = context.span(id).unwrap();
        let parent = span.parent().map_or("", |parent| parent.name());
        let mut line = format!("{parent} > {}", span.name());
        attributes.record(&mut Fields(&mut line));
        let mut spans = self.0.lock().unwrap();
        let number = spans.len() as u64;
        span.extensions_mut().insert(number);
        spans.insert(number, line);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let number = *context.span(id).unwrap().extensions().get::<u64>().unwrap();
        let mut spans = self.0.lock().unwrap();
        values.record(&mut Fields(spans.get_mut(&number).unwrap()));
    }
}

fn run_one_request() {
    let mut stage = Stage::new(answering("ab"));
    let mut job = job("what", &[2]);
    job.span = tracing::info_span!("request");
    let mut events = stage.submit(job).unwrap();
    stage.settle();
    finished(&mut events).unwrap();
}

#[test]
fn a_span_for_each_phase_and_each_token() {
    let spans = Spans::default();
    let subscriber = tracing_subscriber::registry().with(spans.clone());
    tracing::subscriber::with_default(subscriber, || {
        // A test beside this one may reach a span first, with nobody listening, and `tracing`
        // remembers that: all spans are made known, then asked about again.
        run_one_request();
        tracing::callsite::rebuild_interest_cache();
        spans.0.lock().unwrap().clear();
        run_one_request();
    });
    let spans = spans.0.lock().unwrap().values().cloned().collect::<Vec<_>>().join("\n");
    expect_test::expect![" > request"].assert_eq(&spans);
}
