//! Metrics as Prometheus reads them: text format 0.0.4, or `OpenMetrics` 1.0 for those who ask for it, which
//! has exemplars. Names are translated as OpenTelemetry's compatibility rules have it
//! (`gen_ai.server.request.duration` in `s` becomes `gen_ai_server_request_duration_seconds`).

use std::fmt::Write as _;
use std::time::UNIX_EPOCH;

use opentelemetry::KeyValue;
use opentelemetry_sdk::metrics::data::{
    AggregatedMetrics, Histogram, Metric, MetricData, ResourceMetrics, ScopeMetrics,
};

use super::alias::{ALIASES, Alias};
use super::exemplars::{Buckets, Exemplar, Exemplars};
use super::names;

/// In which of its two formats the text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Text,
    OpenMetrics,
}

pub(super) type Labels = Vec<(String, String)>;

/// One sample line without its name.
struct Sample {
    labels: Labels,
    value: Value,
}

enum Value {
    Number(f64),
    /// Upper bounds with the count at or below each, the last one being all; then the sum.
    Buckets(Vec<(f64, u64)>, f64, Option<Buckets>),
}

/// A text that is being written.
struct Writer {
    out: String,
    format: Format,
}

/// The text. `aliases` are the names of other servers to say the same under, for this model.
pub(super) fn render(
    metrics: &ResourceMetrics,
    aliases_of: Option<&str>,
    (format, exemplars): (Format, &Exemplars),
) -> String {
    let mut writer = Writer { out: String::new(), format };
    let resource = metrics.resource().iter().map(|(key, value)| (key.as_str(), value.as_str()));
    writer.target(&labels(resource));
    let all: Vec<&Metric> = metrics.scope_metrics().flat_map(ScopeMetrics::metrics).collect();
    for metric in &all {
        let Some((kind, samples)) = samples(metric, exemplars) else { continue };
        let name = family(metric.name(), metric.unit(), kind);
        writer.head(&name, kind, metric.description());
        for sample in &samples {
            writer.sample(&name, sample);
        }
    }
    if let Some(model) = aliases_of {
        for alias in ALIASES {
            let metric = all.iter().find(|metric| metric.name() == alias.of.name);
            if let Some((kind, found)) = metric.and_then(|metric| samples(metric, exemplars)) {
                write_alias(&mut writer, alias, kind, found, model);
            }
        }
    }
    writer.end()
}

fn write_alias(writer: &mut Writer, alias: &Alias, kind: &str, samples: Vec<Sample>, model: &str) {
    let chosen = samples.into_iter().filter(|sample| alias.takes(&sample.labels));
    for (number, sample) in chosen.enumerate() {
        if number == 0 {
            writer.head(alias.name, kind, &format!("The same as {}", alias.of.name));
        }
        let mut labels = vec![("model_name".to_owned(), model.to_owned())];
        if let Some((from, to)) = alias.keeps {
            let kept = sample.labels.iter().find(|(key, _)| key == from);
            labels.extend(kept.map(|(_, value)| (to.to_owned(), value.clone())));
        }
        writer.sample(alias.name, &Sample { labels, value: sample.value });
    }
}

/// The metric's kind and samples; none for what is never recorded here.
fn samples(metric: &Metric, exemplars: &Exemplars) -> Option<(&'static str, Vec<Sample>)> {
    let name = names::ALL.iter().map(|spec| spec.name).find(|name| *name == metric.name());
    let seen = |labels: &Labels| name.and_then(|name| exemplars.of(name, labels));
    match metric.data() {
        AggregatedMetrics::F64(data) => data_samples(data, |value| value, &seen),
        AggregatedMetrics::U64(data) => data_samples(data, |value| value as f64, &seen),
        AggregatedMetrics::I64(data) => data_samples(data, |value| value as f64, &seen),
    }
}

fn data_samples<T: Copy>(
    data: &MetricData<T>,
    number: impl Fn(T) -> f64,
    seen: &impl Fn(&Labels) -> Option<Buckets>,
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
        MetricData::Histogram(histogram) => histogram_samples(histogram, &number, seen),
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

fn histogram_samples<T: Copy>(
    histogram: &Histogram<T>,
    number: &impl Fn(T) -> f64,
    seen: &impl Fn(&Labels) -> Option<Buckets>,
) -> Vec<Sample> {
    let points = histogram.data_points().map(|point| {
        let mut below = 0;
        let bounds = point.bounds().chain([f64::INFINITY]);
        let buckets = bounds.zip(point.bucket_counts()).map(|(bound, count)| {
            below += count;
            (bound, below)
        });
        let buckets = buckets.collect();
        let labels = attribute_labels(&mut point.attributes());
        let value = Value::Buckets(buckets, number(point.sum()), seen(&labels));
        Sample { labels, value }
    });
    points.collect()
}

pub(super) fn attribute_labels(attributes: &mut dyn Iterator<Item = &KeyValue>) -> Labels {
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

// === impl Format ===

impl Format {
    /// What a scraper that sends this `Accept` header is given.
    pub fn accepted(header: &str) -> Self {
        let weight = |kind: &str| {
            let wanted = header.split(',').map(str::trim).filter(|part| part.starts_with(kind));
            let weights = wanted.map(|part| {
                let q = part.split(';').find_map(|word| word.trim().strip_prefix("q="));
                q.map_or(1.0, |q| q.parse().unwrap_or(0.0))
            });
            weights.fold(0.0, f64::max)
        };
        let open = weight("application/openmetrics-text");
        if open > 0.0 && open >= weight("text/plain") { Self::OpenMetrics } else { Self::Text }
    }

    /// As an HTTP header says it.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

// === impl Writer ===

impl Writer {
    fn is_open(&self) -> bool {
        self.format == Format::OpenMetrics
    }

    /// What the process says of itself.
    fn target(&mut self, labels: &Labels) {
        let (family, kind) =
            if self.is_open() { ("target", "info") } else { ("target_info", "gauge") };
        self.head(family, kind, "Which process this is");
        self.line("target_info", labels, None, "1", None);
    }

    fn head(&mut self, name: &str, kind: &str, help: &str) {
        // There a family's name is that of its samples without what the kind adds.
        let is_counter = self.is_open() && kind == "counter";
        let name = name.strip_suffix("_total").filter(|_| is_counter).unwrap_or(name);
        let mut help = help.replace('\\', "\\\\").replace('\n', "\\n");
        if self.is_open() {
            help = help.replace('"', "\\\"");
        }
        let _ = writeln!(self.out, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn sample(&mut self, name: &str, sample: &Sample) {
        match &sample.value {
            Value::Number(value) => self.line(name, &sample.labels, None, &float(*value), None),
            Value::Buckets(buckets, sum, seen) => {
                let bucket = format!("{name}_bucket");
                for (at, (bound, count)) in buckets.iter().enumerate() {
                    let seen = seen.as_ref().and_then(|seen| seen.get(at)?.as_ref());
                    let bound = self.bound(*bound);
                    self.line(&bucket, &sample.labels, Some(&bound), &count.to_string(), seen);
                }
                let count = buckets.last().map_or(0, |(_, count)| *count).to_string();
                self.line(&format!("{name}_sum"), &sample.labels, None, &float(*sum), None);
                self.line(&format!("{name}_count"), &sample.labels, None, &count, None);
            }
        }
    }

    /// An upper bound as the label `le` has it; `OpenMetrics` writes whole numbers with a point.
    fn bound(&self, bound: f64) -> String {
        if self.is_open() && bound.is_finite() { format!("{bound:?}") } else { float(bound) }
    }

    fn line(
        &mut self,
        name: &str,
        labels: &Labels,
        le: Option<&str>,
        value: &str,
        seen: Option<&Exemplar>,
    ) {
        let out = &mut self.out;
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
        let _ = write!(out, " {value}");
        if let Some(Exemplar { trace_id, span_id, value, time }) =
            seen.filter(|_| self.format == Format::OpenMetrics)
        {
            let since = time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
            let _ = write!(
                out,
                " # {{trace_id=\"{trace_id}\",span_id=\"{span_id}\"}} {value} {since:.3}"
            );
        }
        out.push('\n');
    }

    fn end(mut self) -> String {
        if self.is_open() {
            self.out.push_str("# EOF\n");
        }
        self.out
    }
}

fn float(value: f64) -> String {
    if value == f64::INFINITY { "+Inf".to_owned() } else { value.to_string() }
}
