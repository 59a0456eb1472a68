//! The report as one HTML file that needs nothing else: tables, charts as SVG, pages as data.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use image::codecs::jpeg::JpegEncoder;
use image::imageops::FilterType;
use image::{DynamicImage, RgbImage};

use super::compare::Comparison;
use super::judged::Judged;
use super::summary::{Scores, Summary, Times, confidences, percent};
use super::{diff, heatmap, markdown};
use crate::accuracy::Scorer;
use crate::cli::chart::{Chart, Marks, Series, escape};
use crate::cli::distribution::Distribution;
use crate::preprocess::{DecodeLimits, Orientation, decode};

/// Documents that are shown with their page.
const WORST: usize = 10;
const THUMBNAIL_PX: u32 = 560;
const THUMBNAIL_QUALITY: u8 = 72;

const STYLE: &str = include_str!("report.css");

pub(super) fn report(
    judged: &[Judged],
    summary: &Summary,
    compared: Option<&Comparison>,
) -> String {
    let mut out = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>Evaluation of {model}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n\
         <h1>Evaluation of {model}</h1>\n",
        model = escape(&summary.run.model)
    );
    tiles(&mut out, summary);
    out.push_str("<dl>");
    for (name, value) in markdown::facts(summary) {
        let _ = write!(out, "<dt>{}</dt><dd>{}</dd>", escape(name), escape(&value));
    }
    out.push_str("</dl>\n");
    if let Some(compared) = compared {
        comparison(&mut out, compared);
    }
    out.push_str("<h2>Accuracy</h2>\n<div class=\"two\">\n");
    scorers(&mut out, summary);
    kinds(&mut out, summary);
    out.push_str("</div>\n");
    fields(&mut out, summary);
    out.push_str(
        "<h2>Fields by documents</h2>\n<p>Green: right. Yellow to red: how many letters are \
                  wrong. Grey: the document was not read. Point at a cell for its text.</p>\n",
    );
    out.push_str(&heatmap::svg(judged));
    charts(&mut out, judged, summary);
    worst(&mut out, judged);
    out.push_str("</body>\n</html>\n");
    out
}

fn tiles(out: &mut String, summary: &Summary) {
    let rate = |value: Option<f64>, unit: &str| {
        value.map_or_else(|| "–".to_owned(), |value| format!("{value:.1}{unit}"))
    };
    let of = |scores: &Scores, scorer: Scorer| percent(scores, scorer, " %");
    out.push_str("<div class=\"tiles\">");
    for (value, name) in [
        (of(&summary.scores, Scorer::Strict), "fields right"),
        (of(&summary.scores, Scorer::Anls), "letters (ANLS)"),
        (of(&summary.lists, Scorer::ListF1), "list items (F1)"),
        (
            format!("{} of {}", summary.perfect, summary.documents),
            "documents without a wrong field",
        ),
        (rate(Some(summary.success_rate * 100.0), " %"), "read whole"),
        (rate(summary.images_per_minute, ""), "images a minute"),
        (
            summary.seconds.map_or_else(|| "–".to_owned(), |s| format!("{:.2} s", s.p50)),
            "a document, p50",
        ),
        (
            summary.confidence.as_ref().map_or_else(|| "–".to_owned(), |c| format!("{:.3}", c.ece)),
            "calibration error",
        ),
    ] {
        let _ = write!(out, "<div><b>{}</b><span>{}</span></div>", escape(&value), escape(name));
    }
    out.push_str("</div>\n");
}

fn scorers(out: &mut String, summary: &Summary) {
    out.push_str("<table><caption>By scorer, %</caption><tr><th></th><th>all fields</th><th>scalars</th><th>lists</th><th>by document</th></tr>\n");
    for scorer in Scorer::ALL {
        let _ = write!(out, "<tr><th>{}</th>", scorer.name());
        for scores in
            [&summary.scores, &summary.scalars, &summary.lists, &summary.scores_by_document]
        {
            let _ = write!(out, "<td>{}</td>", percent(scores, scorer, ""));
        }
        out.push_str("</tr>\n");
    }
    out.push_str("</table>\n");
}

fn kinds(out: &mut String, summary: &Summary) {
    out.push_str("<table><caption>By type</caption><tr><th></th><th>documents</th><th>no wrong field</th><th>strict %</th><th>ANLS %</th><th>s, p50</th></tr>\n");
    for (kind, group) in &summary.kinds {
        let _ = writeln!(
            out,
            "<tr><th>{}</th><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
            escape(kind),
            group.documents,
            group.perfect,
            percent(&group.scores, Scorer::Strict, ""),
            percent(&group.scores, Scorer::Anls, ""),
            group.seconds.map_or_else(|| "–".to_owned(), |seconds| format!("{:.2}", seconds.p50)),
        );
    }
    out.push_str("</table>\n");
}

fn fields(out: &mut String, summary: &Summary) {
    out.push_str("<table class=\"fields\"><caption>By field, %</caption><tr><th></th><th>strict</th><th class=\"bar\"></th><th>documents</th><th>where present</th><th>of</th><th>exact</th><th>ANLS</th><th>guide</th><th>confidence</th></tr>\n");
    let share = |share: Option<f64>| {
        share.map_or_else(|| "–".to_owned(), |share| format!("{:.1}", share * 100.0))
    };
    for field in &summary.by_field {
        let strict = field.scores.get(Scorer::Strict.name()).copied().unwrap_or(0.0) * 100.0;
        let _ = writeln!(
            out,
            "<tr><th>{}</th><td>{strict:.1}</td><td class=\"bar\"><i style=\"width:{strict:.1}%\"></i></td>\
             <td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
            escape(&field.name),
            field.documents,
            share(field.strict_where_present),
            field.present,
            percent(&field.scores, Scorer::Exact, ""),
            percent(&field.scores, Scorer::Anls, ""),
            percent(&field.scores, Scorer::Guide, ""),
            share(field.confidence),
        );
    }
    out.push_str("</table>\n");
}

fn comparison(out: &mut String, compared: &Comparison) {
    let _ = writeln!(
        out,
        "<h2>Against the other run</h2>\n<p>{} documents in both. Intervals are of 95 %, over draws of \
         documents.</p>\n<table><tr><th></th><th>before %</th><th>now %</th><th>points</th><th>interval</th></tr>",
        compared.documents
    );
    for (scorer, change) in &compared.scores {
        let interval = &change.interval;
        let _ = writeln!(
            out,
            "<tr><th>{scorer}</th><td>{:.1}</td><td>{:.1}</td><td>{:+.2}</td><td>{:+.2} to {:+.2}</td></tr>",
            change.before * 100.0,
            change.now * 100.0,
            interval.difference * 100.0,
            interval.low * 100.0,
            interval.high * 100.0
        );
    }
    let _ = writeln!(
        out,
        "</table>\n<p>Fields: {} won, {} lost (McNemar p = {:.3}). Documents without a wrong field: {} \
         won, {} lost (p = {:.3}).</p>",
        compared.fields.won,
        compared.fields.lost,
        compared.fields.p,
        compared.perfect.won,
        compared.perfect.lost,
        compared.perfect.p
    );
    if compared.changes.is_empty() {
        return;
    }
    out.push_str("<table class=\"texts\"><tr><th></th><th>document</th><th>field</th><th>is</th><th>before</th><th>now</th></tr>\n");
    for change in &compared.changes {
        let text = |found: &Option<String>| {
            found.as_ref().map_or_else(
                || "<em>nothing</em>".to_owned(),
                |found| diff::of_field(&change.field, &change.truth, found),
            )
        };
        let _ = writeln!(
            out,
            "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
            if change.won { "won" } else { "lost" },
            escape(&change.image),
            escape(&change.field),
            escape(&change.truth),
            text(&change.before),
            text(&change.now)
        );
    }
    out.push_str("</table>\n");
}

fn charts(out: &mut String, judged: &[Judged], summary: &Summary) {
    out.push_str("<h2>Time and confidence</h2>\n<div class=\"two\">\n");
    let read = || judged.iter().filter(|judged| judged.record.is_ok());
    let by_kind = summary.kinds.keys().map(|kind| {
        let points = read()
            .filter(|judged| judged.record.kind == *kind)
            .filter_map(|j| Some((j.record.seconds, j.mean(Scorer::Strict)? * 100.0)));
        Series::new(kind.clone(), Marks::Points, points.collect())
    });
    let accuracy = Chart {
        title: "Fields right against time".to_owned(),
        x_label: "seconds".to_owned(),
        y_label: "fields right, %".to_owned(),
        series: by_kind.collect(),
        y_range: Some((0.0, 104.0)),
        ..Chart::default()
    };
    let curve = |values: Distribution| -> Vec<(f64, f64)> {
        values.cumulative().into_iter().map(|(x, y)| (x, y * 100.0)).collect()
    };
    let times = Chart {
        title: "Time of a document".to_owned(),
        x_label: "seconds".to_owned(),
        y_label: "documents, %".to_owned(),
        series: vec![
            Series::new(
                "first field",
                Marks::Curve,
                curve(read().filter_map(|j| j.record.first_field).collect()),
            ),
            Series::new("whole", Marks::Curve, curve(read().map(|j| j.record.seconds).collect())),
        ],
        y_range: Some((0.0, 100.0)),
        ..Chart::default()
    };
    out.push_str(&accuracy.svg());
    out.push_str(&times.svg());
    out.push_str(&histogram(judged).svg());
    self::times(out, summary);
    if let Some(reliability) = &summary.confidence {
        let points =
            reliability.bins.iter().map(|bin| (bin.confidence * 100.0, bin.accuracy * 100.0));
        let diagram = Chart {
            title: format!(
                "Confidence of {} values: calibration error {:.3}",
                reliability.values, reliability.ece
            ),
            x_label: "confidence, %".to_owned(),
            y_label: "right, %".to_owned(),
            series: vec![
                Series::new("values", Marks::Line, points.collect()),
                Series::new("as it should be", Marks::Guide, vec![(0.0, 0.0), (100.0, 100.0)]),
            ],
            x_range: Some((0.0, 101.0)),
            y_range: Some((0.0, 104.0)),
        };
        out.push_str(&diagram.svg());
        out.push_str(&sorted_out(judged).svg());
    }
    out.push_str("</div>\n");
}

/// How long documents took.
fn times(out: &mut String, summary: &Summary) {
    out.push_str("<table><caption>Seconds, by the client's clock</caption><tr><th></th><th>mean</th><th>p50</th><th>p90</th><th>p99</th></tr>\n");
    for (name, times) in [("first field", summary.first_field), ("whole answer", summary.seconds)] {
        let Some(Times { mean, p50, p90, p99 }) = times else { continue };
        let _ = writeln!(
            out,
            "<tr><th>{name}</th><td>{mean:.2}</td><td>{p50:.2}</td><td>{p90:.2}</td><td>{p99:.2}</td></tr>"
        );
    }
    out.push_str("</table>\n");
}

/// How many documents have how many fields right.
fn histogram(judged: &[Judged]) -> Chart {
    let mut bins = [0_u32; 11];
    for share in judged.iter().filter_map(|judged| judged.mean(Scorer::Strict)) {
        bins[(share * 10.0 + 1e-9) as usize] += 1;
    }
    let points = bins.iter().enumerate().map(|(bin, &count)| (bin as f64 * 10.0, f64::from(count)));
    Chart {
        title: "Documents by their share of right fields".to_owned(),
        x_label: "fields right, % (rounded down to tens)".to_owned(),
        y_label: "documents".to_owned(),
        series: vec![Series::new("", Marks::Bars, points.collect())],
        x_range: Some((-6.0, 106.0)),
        ..Chart::default()
    }
}

/// What a threshold on confidence buys: values kept, and how right they are.
fn sorted_out(judged: &[Judged]) -> Chart {
    let mut points = confidences(judged);
    points.sort_by(|a, b| b.0.total_cmp(&a.0));
    let count = points.len() as f64;
    let (mut right, mut curve) = (0.0, Vec::new());
    for (index, (_, is_right)) in points.iter().enumerate() {
        right += f64::from(u8::from(*is_right));
        let kept = (index + 1) as f64;
        // The first few say little and jump.
        if kept >= 10.0 {
            curve.push((kept / count * 100.0, right / kept * 100.0));
        }
    }
    let low = curve.iter().map(|point| point.1).fold(100.0, f64::min);
    Chart {
        title: "Values kept, surest first".to_owned(),
        x_label: "values kept, %".to_owned(),
        y_label: "of them right, %".to_owned(),
        series: vec![Series::new("", Marks::Curve, curve)],
        x_range: Some((0.0, 100.0)),
        y_range: Some(((low - 2.0).max(0.0), 100.5)),
    }
}

/// The documents that are worst, each with its page, its wrong fields and what differs.
fn worst(out: &mut String, judged: &[Judged]) {
    let mut worst: Vec<&Judged> = judged.iter().filter(|judged| !judged.is_perfect()).collect();
    worst.sort_by(|a, b| {
        let key = |judged: &Judged| {
            let [strict, anls] =
                [Scorer::Strict, Scorer::Anls].map(|s| judged.mean(s).unwrap_or(0.0));
            strict + anls
        };
        key(a).total_cmp(&key(b))
    });
    if worst.is_empty() {
        return;
    }
    let _ = writeln!(
        out,
        "<h2>Worst documents</h2>\n<p>{} of {} documents have a wrong field. <ins>Added</ins> is what was \
         read and is not there, <del>struck</del> what is there and was not read.</p>",
        worst.len(),
        judged.len()
    );
    for judged in worst.into_iter().take(WORST) {
        document(out, judged);
    }
}

fn document(out: &mut String, judged: &Judged) {
    let record = &judged.record;
    let _ = writeln!(
        out,
        "<section><h3>{} <small>{}, {}</small></h3><div class=\"page\">",
        escape(&record.image),
        escape(&record.kind),
        escape(&record.status)
    );
    match thumbnail(judged) {
        Some(data) => {
            let _ = write!(out, "<img alt=\"The page\" src=\"data:image/jpeg;base64,{data}\">");
        }
        None => out.push_str("<p>The page cannot be shown.</p>"),
    }
    out.push_str("<table class=\"texts\"><tr><th>field</th><th>is</th><th>read</th><th>confidence</th></tr>\n");
    if !record.message.is_empty() {
        let _ = writeln!(out, "<tr><td colspan=\"4\">{}</td></tr>", escape(&record.message));
    }
    for judgement in judged.judgements.iter().filter(|judgement| !judgement.scores.is_right()) {
        let found = judgement.found.as_ref();
        let _ = writeln!(
            out,
            "<tr><th>{}</th><td>{}</td><td>{}</td><td>{}</td></tr>",
            escape(&judgement.name),
            escape(&judgement.truth),
            found.map_or_else(
                || "<em>nothing</em>".to_owned(),
                |found| { diff::of_field(&judgement.name, &judgement.truth, found) }
            ),
            judgement.confidence.map_or_else(String::new, |c| format!("{:.0} %", c * 100.0)),
        );
    }
    out.push_str("</table></div></section>\n");
}

/// The first page, small, as base64.
fn thumbnail(judged: &Judged) -> Option<String> {
    let bytes = std::fs::read(&judged.path).ok()?;
    let pages = decode(&bytes, &DecodeLimits::default(), Orientation::Apply).ok()?;
    let page = pages.first()?;
    let rgb = RgbImage::from_raw(page.width_px(), page.height_px(), page.rgb().to_vec())?;
    let image = DynamicImage::ImageRgb8(rgb);
    let small = if image.width() > THUMBNAIL_PX {
        image.resize(THUMBNAIL_PX, u32::MAX, FilterType::Triangle)
    } else {
        image
    };
    let mut jpeg = Vec::new();
    JpegEncoder::new_with_quality(&mut jpeg, THUMBNAIL_QUALITY).encode_image(&small).ok()?;
    Some(STANDARD.encode(jpeg))
}
