//! The report as Markdown, and its first lines for the terminal.

use std::fmt::Write as _;

use super::compare::Comparison;
use super::judged::Judged;
use super::summary::{Summary, Times, percent};
use crate::accuracy::Scorer;

/// Wrong fields that the report lists.
const WRONG_MAX: usize = 60;

/// The figures that matter most, for a terminal.
pub(super) fn short(summary: &Summary, compared: Option<&Comparison>) -> String {
    let mut out = format!(
        "{} documents, {} read whole, {} without a wrong field\n",
        summary.documents, summary.whole, summary.perfect
    );
    let _ = writeln!(
        out,
        "  {} fields: {} right (scalars {}, lists {}); letters {}",
        summary.fields,
        percent(&summary.scores, Scorer::Strict, " %"),
        percent(&summary.scalars, Scorer::Strict, " %"),
        percent(&summary.lists, Scorer::Strict, " %"),
        percent(&summary.scores, Scorer::Anls, " %"),
    );
    if let Some(seconds) = summary.seconds {
        let _ = writeln!(
            out,
            "  {:.2} s a document (p50), {:.2} s (p99){}",
            seconds.p50,
            seconds.p99,
            summary
                .images_per_minute
                .map_or_else(String::new, |rate| format!(", {rate:.1} images a minute")),
        );
    }
    if let Some(confidence) = &summary.confidence {
        let _ = writeln!(out, "  confidence: expected calibration error {:.3}", confidence.ece);
    }
    if let Some(strict) = compared.and_then(|compared| compared.scores.get("strict")) {
        let _ = writeln!(
            out,
            "  before {:.1} %, now {:.1} %: {:+.1} points (95 % interval {:+.1} to {:+.1})",
            strict.before * 100.0,
            strict.now * 100.0,
            strict.interval.difference * 100.0,
            strict.interval.low * 100.0,
            strict.interval.high * 100.0
        );
    }
    out.trim_end().to_owned()
}

pub(super) fn report(
    judged: &[Judged],
    summary: &Summary,
    compared: Option<&Comparison>,
) -> String {
    let mut out = "# Evaluation\n\n".to_owned();
    for (name, value) in facts(summary) {
        let _ = writeln!(out, "- {name}: {value}");
    }
    out.push_str("\n## Accuracy\n\n");
    accuracy(&mut out, summary);
    by_kind(&mut out, summary);
    by_field(&mut out, summary);
    speed(&mut out, summary);
    confidence(&mut out, summary);
    if let Some(compared) = compared {
        comparison(&mut out, compared);
    }
    wrong(&mut out, judged);
    out
}

/// What the figures are of.
pub(super) fn facts(summary: &Summary) -> Vec<(&'static str, String)> {
    let run = &summary.run;
    let mut facts = vec![
        ("model", format!("{} ({})", run.model, run.revision)),
        ("server", run.server_version.clone()),
        ("devices", run.devices.clone()),
        ("computes in", run.computes_in.clone()),
        ("documents", summary.documents.to_string()),
        ("read whole", format!("{} ({:.1} %)", summary.whole, summary.success_rate * 100.0)),
        ("without a wrong field", summary.perfect.to_string()),
    ];
    let style = if run.asking.in_lines { "KEY: value lines" } else { "JSON" };
    let held = if run.asking.held { "held to the schema" } else { "not held to the schema" };
    facts.push(("answers", format!("{style}, {held}")));
    if let Some(types) = summary.types {
        facts.push(("type found", format!("{} of {}", types.right, types.documents)));
    }
    for (code, count) in &summary.failures {
        facts.push(("not read", format!("{count}: {code}")));
    }
    facts
}

fn accuracy(out: &mut String, summary: &Summary) {
    out.push_str("| scorer | all fields | scalars | lists | mean of documents |\n|---|---:|---:|---:|---:|\n");
    for scorer in Scorer::ALL {
        let _ = writeln!(
            out,
            "| {} | {} | {} | {} | {} |",
            scorer.name(),
            percent(&summary.scores, scorer, " %"),
            percent(&summary.scalars, scorer, " %"),
            percent(&summary.lists, scorer, " %"),
            percent(&summary.scores_by_document, scorer, " %"),
        );
    }
}

fn by_kind(out: &mut String, summary: &Summary) {
    out.push_str("\n| type | documents | without a wrong field | strict | anls | guide | seconds p50 |\n|---|---:|---:|---:|---:|---:|---:|\n");
    for (kind, group) in &summary.kinds {
        let _ = writeln!(
            out,
            "| {kind} | {} | {} | {} | {} | {} | {} |",
            group.documents,
            group.perfect,
            percent(&group.scores, Scorer::Strict, " %"),
            percent(&group.scores, Scorer::Anls, " %"),
            percent(&group.scores, Scorer::Guide, " %"),
            group.seconds.map_or_else(|| "–".to_owned(), |seconds| format!("{:.2}", seconds.p50)),
        );
    }
}

fn by_field(out: &mut String, summary: &Summary) {
    out.push_str("\n| field | documents | exact | strict | where present | of | anls | guide | confidence |\n|---|---:|---:|---:|---:|---:|---:|---:|---:|\n");
    let share = |share: Option<f64>| {
        share.map_or_else(|| "–".to_owned(), |share| format!("{:.1} %", share * 100.0))
    };
    for field in &summary.by_field {
        let _ = writeln!(
            out,
            "| {} | {} | {} | {} | {} | {} | {} | {} | {} |",
            field.name,
            field.documents,
            percent(&field.scores, Scorer::Exact, " %"),
            percent(&field.scores, Scorer::Strict, " %"),
            share(field.strict_where_present),
            field.present,
            percent(&field.scores, Scorer::Anls, " %"),
            percent(&field.scores, Scorer::Guide, " %"),
            share(field.confidence),
        );
    }
}

fn speed(out: &mut String, summary: &Summary) {
    let times = |times: Option<Times>| {
        times.map_or_else(
            || "–".to_owned(),
            |t| {
                format!(
                    "mean {:.2}, p50 {:.2}, p90 {:.2}, p99 {:.2} s",
                    t.mean, t.p50, t.p90, t.p99
                )
            },
        )
    };
    let _ = writeln!(
        out,
        "\n## Speed\n\n- whole answer: {}\n- first field: {}\n- images a minute: {}, {} at once",
        times(summary.seconds),
        times(summary.first_field),
        summary.images_per_minute.map_or_else(|| "–".to_owned(), |rate| format!("{rate:.1}")),
        summary.run.concurrency,
    );
}

fn confidence(out: &mut String, summary: &Summary) {
    let Some(found) = &summary.confidence else { return };
    let _ = writeln!(
        out,
        "\n## Confidence\n\nOver {} values: expected calibration error {:.4} (bins of equal count {:.4}), \
         Brier score {:.4}, order (AUROC) {}.\n\n| confidence | values | right |\n|---:|---:|---:|",
        found.values,
        found.ece,
        found.ece_equal_count,
        found.brier,
        found.auroc.map_or_else(|| "–".to_owned(), |auroc| format!("{auroc:.3}")),
    );
    for bin in &found.bins {
        let _ = writeln!(
            out,
            "| {:.1} % | {} | {:.1} % |",
            bin.confidence * 100.0,
            bin.count,
            bin.accuracy * 100.0
        );
    }
}

fn comparison(out: &mut String, compared: &Comparison) {
    let _ = writeln!(
        out,
        "\n## Against the other run\n\n{} documents in both. Intervals are of 95 %, over draws of documents.\n\n\
         | scorer | before | now | difference | interval |\n|---|---:|---:|---:|---:|",
        compared.documents
    );
    for (scorer, change) in &compared.scores {
        let _ = writeln!(
            out,
            "| {scorer} | {:.1} % | {:.1} % | {:+.2} | {:+.2} to {:+.2} |",
            change.before * 100.0,
            change.now * 100.0,
            change.interval.difference * 100.0,
            change.interval.low * 100.0,
            change.interval.high * 100.0
        );
    }
    let _ = writeln!(
        out,
        "\n- fields: {} won, {} lost, McNemar p = {:.3}\n- documents without a wrong field: {} won, {} lost, p = {:.3}",
        compared.fields.won,
        compared.fields.lost,
        compared.fields.p,
        compared.perfect.won,
        compared.perfect.lost,
        compared.perfect.p
    );
    if let Some((before, now)) = compared.seconds {
        let _ = writeln!(out, "- seconds a document: {before:.2} before, {now:.2} now");
    }
    for change in &compared.changes {
        let _ = writeln!(
            out,
            "- {} {} {}: is {}, before {}, now {}",
            if change.won { "won" } else { "lost" },
            change.image,
            change.field,
            code(&change.truth),
            value(change.before.as_ref()),
            value(change.now.as_ref())
        );
    }
}

fn wrong(out: &mut String, judged: &[Judged]) {
    let wrong: Vec<(&Judged, &super::judged::Judgement)> = judged
        .iter()
        .flat_map(|judged| judged.judgements.iter().map(move |judgement| (judged, judgement)))
        .filter(|(_, judgement)| !judgement.scores.is_right())
        .collect();
    if wrong.is_empty() {
        return;
    }
    let _ = writeln!(
        out,
        "\n## Wrong fields\n\n{} in all{}.\n",
        wrong.len(),
        if wrong.len() > WRONG_MAX { format!("; the first {WRONG_MAX}") } else { String::new() }
    );
    out.push_str("| image | field | is | read | confidence |\n|---|---|---|---|---:|\n");
    for (judged, judgement) in wrong.into_iter().take(WRONG_MAX) {
        let _ = writeln!(
            out,
            "| {} | {} | {} | {} | {} |",
            judged.record.image,
            judgement.name,
            code(&judgement.truth),
            value(judgement.found.as_ref()),
            judgement.confidence.map_or_else(String::new, |c| format!("{:.0} %", c * 100.0)),
        );
    }
}

fn value(value: Option<&String>) -> String {
    value.map_or_else(|| "nothing".to_owned(), |value| code(value))
}

/// `text` as code inside a table: on one line, with bars and backquotes that end nothing.
fn code(text: &str) -> String {
    let text = text.replace(['\n', '\r'], " ").replace('|', "\\|").replace('`', "'");
    format!("`{text}`")
}
