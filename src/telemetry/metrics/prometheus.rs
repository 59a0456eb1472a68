//! Metrics as Prometheus reads them: text format 0.0.4, names translated as OpenTelemetry's
//! compatibility rules have it (`gen_ai.server.request.duration` in `s` becomes
//! `gen_ai_server_request_duration_seconds`).

use std::fmt::Write as _;

use opentelemetry::KeyValue;
use opentelemetry_sdk::metrics::data::{
    AggregatedMetrics, Histogram, Metric, MetricData, ResourceMetrics, ScopeMetrics,
};

use super::alias::{ALIASES, Alias};

/// What the text is, as an HTTP header says it.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

type Labels = Vec<(String, String)>;

/// One sample line without its name.
struct Sample {
    labels: Labels,
    value: Value,
}

enum Value {
    Number(f64),
    /// Upper bounds with the count at or below each, the last one being all; then the sum.
    Buckets(Vec<(f64, u64)>, f64),
}

/// The text. `aliases` are the names of other servers to say the same under, for this model.
pub(super) fn render(metrics: &ResourceMetrics, aliases_of: Option<&str>) -> String {
    let mut out = String::new();
    let labels =
        labels(metrics.resource().iter().map(|(key, value)| (key.as_str(), value.as_str())));
    head(&mut out, "target_info", "gauge", "Which process this is");
    line(&mut out, "target_info", &labels, None, "1");
    let all: Vec<&Metric> = metrics.scope_metrics().flat_map(ScopeMetrics::metrics).collect();
    for metric in &all {
        let Some((kind, samples)) = samples(metric) else { continue };
        let name = family(metric.name(), metric.unit(), kind);
        head(&mut out, &name, kind, metric.description());
        for sample in &samples {
            write_sample(&mut out, &name, sample);
        }
    }
    if let Some(model) = aliases_of {
        for alias in ALIASES {
            let metric = all.iter().find(|metric| metric.name() == alias.of.name);
            if let Some((kind, found)) = metric.and_then(|metric| samples(metric)) {
                write_alias(&mut out, alias, kind, &found, model);
            }
        }
    }
    out
}

fn write_alias(out: &mut String, alias: &Alias, kind: &str, samples: &[Sample], model: &str) {
    let chosen = samples.iter().filter(|sample| alias.takes(&sample.labels));
    for (number, sample) in chosen.enumerate() {
        if number == 0 {
            head(out, alias.name, kind, &format!("The same as {}", alias.of.name));
        }
        let mut labels = vec![("model_name".to_owned(), model.to_owned())];
        if let Some((from, to)) = alias.keeps {
            let kept = sample.labels.iter().find(|(key, _)| key == from);
            labels.extend(kept.map(|(_, value)| (to.to_owned(), value.clone())));
        }
        let value = match &sample.value {
            Value::Number(number) => Value::Number(*number),
            Value::Buckets(buckets, sum) => Value::Buckets(buckets.clone(), *sum),
        };
        write_sample(out, alias.name, &Sample { labels, value });
    }
}

/// The metric's kind and samples; none for what is never recorded here.
fn samples(metric: &Metric) -> Option<(&'static str, Vec<Sample>)> {
    match metric.data() {
        AggregatedMetrics::F64(data) => data_samples(data, |value| value),
        AggregatedMetrics::U64(data) => data_samples(data, |value| value as f64),
        AggregatedMetrics::I64(data) => data_samples(data, |value| value as f64),
    }
}

fn data_samples<T: Copy>(
    data: &MetricData<T>,
    number: impl Fn(T) -> f64,
) -> Option<(&'static str, Vec<Sample>)> {
    let sample = |attributes: &mut dyn Iterator<Item = &KeyValue>, value| Sample {
        labels: attribute_labels(attributes),
        value: Value::Number(value),
    };
    let mut samples: Vec<Sample> = match data {
        MetricData::Gauge(gauge) => gauge
            .data_points()
            .map(|point| sample(&mut point.attributes(), number(point.value())))
            .collect(),
        MetricData::Sum(sum) => sum
            .data_points()
            .map(|point| sample(&mut point.attributes(), number(point.value())))
            .collect(),
        MetricData::Histogram(histogram) => histogram_samples(histogram, &number),
        MetricData::ExponentialHistogram(_) => return None,
    };
    // The same order in every scrape.
    samples.sort_by(|a, b| a.labels.cmp(&b.labels));
    let kind = match data {
        MetricData::Sum(sum) if sum.is_monotonic() => "counter",
        MetricData::Histogram(_) => "histogram",
        _ => "gauge",
    };
    Some((kind, samples))
}

fn histogram_samples<T: Copy>(histogram: &Histogram<T>, number: &impl Fn(T) -> f64) -> Vec<Sample> {
    let points = histogram.data_points().map(|point| {
        let mut below = 0;
        let bounds = point.bounds().chain([f64::INFINITY]);
        let buckets = bounds.zip(point.bucket_counts()).map(|(bound, count)| {
            below += count;
            (bound, below)
        });
        let buckets = buckets.collect();
        Sample {
            labels: attribute_labels(&mut point.attributes()),
            value: Value::Buckets(buckets, number(point.sum())),
        }
    });
    points.collect()
}

fn attribute_labels(attributes: &mut dyn Iterator<Item = &KeyValue>) -> Labels {
    let pairs: Vec<_> =
        attributes.map(|pair| (pair.key.as_str(), pair.value.as_str().into_owned())).collect();
    labels(pairs.iter().map(|(key, value)| (*key, value.as_str())))
}

fn labels<K: AsRef<str>, V: AsRef<str>>(pairs: impl Iterator<Item = (K, V)>) -> Labels {
    let mut labels: Labels =
        pairs.map(|(key, value)| (plain(key.as_ref()), value.as_ref().to_owned())).collect();
    labels.sort();
    labels
}

/// The name with what Prometheus does not allow replaced.
fn plain(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect()
}

/// The family's name: with its unit, and `_total` for a counter.
pub(super) fn family(name: &str, unit: &str, kind: &str) -> String {
    let mut family = plain(name);
    let suffix = match unit {
        "s" => "_seconds",
        "By" => "_bytes",
        "By/s" => "_bytes_per_second",
        "1" if kind == "gauge" => "_ratio",
        // What is counted is in the name already.
        _ => "",
    };
    family.push_str(suffix);
    if kind == "counter" {
        family.push_str("_total");
    }
    family
}

fn head(out: &mut String, name: &str, kind: &str, help: &str) {
    let help = help.replace('\\', "\\\\").replace('\n', "\\n");
    let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

fn write_sample(out: &mut String, name: &str, sample: &Sample) {
    match &sample.value {
        Value::Number(value) => line(out, name, &sample.labels, None, &float(*value)),
        Value::Buckets(buckets, sum) => {
            let bucket = format!("{name}_bucket");
            for (bound, count) in buckets {
                line(out, &bucket, &sample.labels, Some(&float(*bound)), &count.to_string());
            }
            let count = buckets.last().map_or(0, |(_, count)| *count);
            line(out, &format!("{name}_sum"), &sample.labels, None, &float(*sum));
            line(out, &format!("{name}_count"), &sample.labels, None, &count.to_string());
        }
    }
}

fn line(out: &mut String, name: &str, labels: &Labels, le: Option<&str>, value: &str) {
    out.push_str(name);
    let le = le.map(|bound| ("le", bound));
    let pairs = labels.iter().map(|(key, value)| (key.as_str(), value.as_str())).chain(le);
    let mut open = '{';
    for (key, value) in pairs {
        let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        let _ = write!(out, "{open}{key}=\"{value}\"");
        open = ',';
    }
    if open == ',' {
        out.push('}');
    }
    let _ = writeln!(out, " {value}");
}

fn float(value: f64) -> String {
    if value == f64::INFINITY { "+Inf".to_owned() } else { value.to_string() }
}
