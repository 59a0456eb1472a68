//! A benchmark on paper: a Markdown table, CSV files, a chart.

use std::fmt::Write as _;
use std::path::Path;

use super::level::{Latency, Level};
use super::load::Sample;
use crate::cli::chart::{Chart, Marks, Series};
use crate::cli::failure::{Exit, Failure};

/// Host facts and a row for each level.
pub(super) fn markdown(facts: &[(String, String)], levels: &[Level]) -> String {
    let mut out = String::new();
    for (name, value) in facts {
        let _ = writeln!(out, "- {name}: {value}");
    }
    out.push_str(
        "\n| load | answers | refused | pages/s | pages/min | tokens/s | first token p50 / p99 ms \
         | first field p50 / p99 ms | per token p50 / p99 ms | whole p50 / p90 / p99 s |\n\
         |---|---:|---:|---:|---:|---:|---:|---:|---:|---:|\n",
    );
    for level in levels {
        let _ = writeln!(
            out,
            "| {} | {} | {} | {:.2} | {:.0} | {:.0} | {} | {} | {} | {} |",
            level.load,
            level.answers,
            level.refused(),
            level.pages_per_second,
            level.pages_per_second * 60.0,
            level.output_tokens_per_second,
            milliseconds(level.first_token),
            milliseconds(level.first_field),
            milliseconds(level.per_token),
            level.latency.map_or_else(dash, |latency| format!(
                "{:.2} / {:.2} / {:.2}",
                latency.p50, latency.p90, latency.p99
            )),
        );
    }
    for level in levels {
        let _ = writeln!(
            out,
            "\n{}: {:.1} s, {:.1} tiles a page, {:.0} output tokens a document; server's p50: queue {}, \
             pages {}, vision {}, prefill {} ms",
            level.load,
            level.seconds,
            level.tiles_per_page,
            level.output_tokens,
            half(level.queue),
            half(level.preprocess),
            half(level.vision),
            half(level.prefill),
        );
        for (code, count) in &level.refusals {
            let _ = writeln!(out, "  refused {count} times: {code}");
        }
    }
    out
}

fn dash() -> String {
    "–".to_owned()
}

fn milliseconds(latency: Option<Latency>) -> String {
    latency.map_or_else(dash, |l| format!("{:.1} / {:.1}", l.p50 * 1e3, l.p99 * 1e3))
}

fn half(latency: Option<Latency>) -> String {
    latency.map_or_else(dash, |latency| format!("{:.1}", latency.p50 * 1e3))
}

/// Writes `levels.csv`, `requests.csv`, `report.md`, `summary.json` and `load.svg` into `out`.
pub(super) fn write(
    out: &Path,
    facts: &[(String, String)],
    levels: &[Level],
    samples: &[Vec<Sample>],
) -> Result<(), Failure> {
    let failed = |error: &dyn std::error::Error| {
        Failure::new(Exit::Failed, format!("cannot write to {}", out.display()))
            .because(error)
            .remedy("another --out DIR")
    };
    std::fs::create_dir_all(out).map_err(|error| failed(&error))?;
    let levels_csv = levels_csv(levels).map_err(|error| failed(&error))?;
    let requests_csv = requests_csv(levels, samples).map_err(|error| failed(&error))?;
    let facts_json: serde_json::Map<String, serde_json::Value> =
        facts.iter().map(|(name, value)| (name.clone(), value.clone().into())).collect();
    let summary = serde_json::json!({ "host": facts_json, "levels": levels });
    for (name, content) in [
        ("levels.csv", levels_csv),
        ("requests.csv", requests_csv),
        ("report.md", markdown(facts, levels)),
        ("summary.json", format!("{summary:#}\n")),
        ("load.svg", chart(levels).svg()),
    ] {
        std::fs::write(out.join(name), content).map_err(|error| failed(&error))?;
    }
    Ok(())
}

/// Pages a second over the load, and beside them the latencies; of one level its own numbers only.
fn chart(levels: &[Level]) -> Chart {
    let points = |of: &dyn Fn(&Level) -> Option<f64>| -> Vec<(f64, f64)> {
        levels.iter().filter_map(|level| Some((level.amount, of(level)?))).collect()
    };
    let open = levels.iter().any(|level| level.open);
    Chart {
        title: "Load, pages and latency".to_owned(),
        x_label: if open { "documents a second offered" } else { "clients at once" }.to_owned(),
        y_label: "pages/s and seconds".to_owned(),
        series: vec![
            Series::new("pages/s", Marks::Line, points(&|level| Some(level.pages_per_second))),
            Series::new("first token p50, s", Marks::Line, points(&|l| Some(l.first_token?.p50))),
            Series::new("whole answer p50, s", Marks::Line, points(&|l| Some(l.latency?.p50))),
            Series::new("whole answer p99, s", Marks::Line, points(&|l| Some(l.latency?.p99))),
        ],
        ..Chart::default()
    }
}

fn levels_csv(levels: &[Level]) -> Result<String, csv::Error> {
    let mut out = csv::Writer::from_writer(Vec::new());
    let percentiles = ["p50", "p90", "p99"];
    let latencies = [
        "latency",
        "first_token",
        "first_field",
        "per_token",
        "queue",
        "preprocess",
        "vision",
        "prefill",
    ];
    let mut head: Vec<String> = [
        "load",
        "amount",
        "seconds",
        "answers",
        "refused",
        "pages_per_second",
        "output_tokens_per_second",
        "input_tokens_per_second",
        "tiles_per_page",
        "output_tokens",
    ]
    .map(str::to_owned)
    .into();
    for latency in latencies {
        head.extend(percentiles.map(|percentile| format!("{latency}_{percentile}_s")));
    }
    out.write_record(&head)?;
    for level in levels {
        let mut row = vec![
            level.load.clone(),
            level.amount.to_string(),
            format!("{:.3}", level.seconds),
            level.answers.to_string(),
            level.refused().to_string(),
            format!("{:.4}", level.pages_per_second),
            format!("{:.3}", level.output_tokens_per_second),
            format!("{:.3}", level.input_tokens_per_second),
            format!("{:.3}", level.tiles_per_page),
            format!("{:.2}", level.output_tokens),
        ];
        for latency in [
            level.latency,
            level.first_token,
            level.first_field,
            level.per_token,
            level.queue,
            level.preprocess,
            level.vision,
            level.prefill,
        ] {
            let values = latency.map(|l| [l.p50, l.p90, l.p99].map(|value| format!("{value:.6}")));
            row.extend(values.unwrap_or_default());
        }
        out.write_record(&row)?;
    }
    text(out)
}

fn requests_csv(levels: &[Level], samples: &[Vec<Sample>]) -> Result<String, csv::Error> {
    let mut out = csv::Writer::from_writer(Vec::new());
    out.write_record([
        "load",
        "page",
        "arrived_s",
        "latency_s",
        "first_token_s",
        "first_field_s",
        "status",
        "tiles",
        "input_tokens",
        "output_tokens",
        "queue_s",
        "preprocess_s",
        "vision_s",
        "prefill_s",
        "decode_s",
        "message",
    ])?;
    let time = |time: Option<f64>| time.map_or_else(String::new, |time| format!("{time:.6}"));
    for (level, samples) in levels.iter().zip(samples) {
        for sample in samples {
            let mut row = vec![
                level.load.clone(),
                sample.page.clone(),
                format!("{:.6}", sample.arrived),
                format!("{:.6}", sample.latency()),
                time(sample.first_token),
                time(sample.first_field),
            ];
            match &sample.outcome {
                Ok(m) => {
                    row.extend(["OK".to_owned(), m.tiles.to_string(), m.input_tokens.to_string()]);
                    row.push(m.output_tokens.to_string());
                    let s = &m.server;
                    let times = [s.queue, s.preprocess, s.vision, s.prefill, s.decode];
                    row.extend(times.map(|seconds| format!("{seconds:.6}")));
                    row.push(String::new());
                }
                Err(refused) => {
                    row.push(refused.code.clone());
                    row.extend(std::iter::repeat_n(String::new(), 8));
                    row.push(refused.message.clone());
                }
            }
            out.write_record(&row)?;
        }
    }
    text(out)
}

fn text(writer: csv::Writer<Vec<u8>>) -> Result<String, csv::Error> {
    let bytes = writer.into_inner().map_err(|error| csv::Error::from(error.into_error()))?;
    // What went in was text.
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
