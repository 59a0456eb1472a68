//! Fields by documents, a cell each: where a model is wrong, at one look.

use std::fmt::Write as _;

use super::judged::{Judged, Judgement};
use super::summary::names;
use crate::cli::chart::escape;

const WIDTH: f64 = 1100.0;
const NAMES: f64 = 230.0;
const ROW: f64 = 18.0;
const HEAD: f64 = 20.0;
const CELL_MAX: f64 = 18.0;
/// A letter is about as wide.
const LETTER: f64 = 6.2;
/// Columns beyond it would be thinner than a line.
const DOCUMENTS_MAX: usize = 1500;

/// One `<svg>`: rows are fields in the order of the documents, columns documents by type.
pub(super) fn svg(judged: &[Judged]) -> String {
    let mut columns: Vec<&Judged> = judged.iter().take(DOCUMENTS_MAX).collect();
    columns.sort_by(|a, b| {
        let key = |judged: &Judged| (judged.record.kind.clone(), judged.record.image.clone());
        key(a).cmp(&key(b))
    });
    let names = names(judged);
    let cell = ((WIDTH - NAMES) / columns.len().max(1) as f64).min(CELL_MAX);
    let height = HEAD + ROW * names.len() as f64;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" \
         aria-label=\"Fields by documents\" font-family=\"system-ui, sans-serif\" font-size=\"11\">\n"
    );
    kinds(&mut out, &columns, cell, height);
    for (row, name) in names.iter().enumerate() {
        let top = HEAD + ROW * row as f64;
        let _ = writeln!(
            out,
            "<text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\" class=\"t\">{}</text>",
            NAMES - 8.0,
            top + 13.0,
            escape(name)
        );
        for (column, judged) in columns.iter().enumerate() {
            let judgement = judged.judgements.iter().find(|judgement| judgement.name == *name);
            if let Some(judgement) = judgement {
                draw(&mut out, judged, judgement, (NAMES + cell * column as f64, top, cell));
            }
        }
    }
    out.push_str("</svg>\n");
    out
}

/// The name of each type above its columns, and a line where it begins.
fn kinds(out: &mut String, columns: &[&Judged], cell: f64, height: f64) {
    let mut last = "";
    for (column, judged) in columns.iter().enumerate() {
        if judged.record.kind != last {
            last = &judged.record.kind;
            let own = columns.iter().filter(|judged| judged.record.kind == last).count();
            // A name that is wider than its columns would run into the next.
            let room = (cell * own as f64 / LETTER) as usize;
            let name: String = last.chars().take(room.max(1)).collect();
            let x = NAMES + cell * column as f64;
            let _ = writeln!(
                out,
                "<text x=\"{:.1}\" y=\"13\" class=\"t\">{}</text><line x1=\"{x:.1}\" x2=\"{x:.1}\" \
                 y1=\"4\" y2=\"{height}\" stroke=\"#888\"/>",
                x + 3.0,
                escape(&name)
            );
        }
    }
}

fn draw(out: &mut String, judged: &Judged, judgement: &Judgement, (x, y, cell): (f64, f64, f64)) {
    let right = judgement.scores.is_right();
    let colour = colour(judged.record.is_ok(), right, judgement.scores.anls);
    let (width, height) = ((cell - cell * 0.08).max(0.6), ROW - 2.0);
    let _ = write!(
        out,
        "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height}\" fill=\"{colour}\""
    );
    // What is right needs no words, and there may be thousands.
    if right {
        out.push_str("/>\n");
        return;
    }
    let found = judgement.found.as_deref().unwrap_or(&judged.record.status);
    let _ = writeln!(
        out,
        "><title>{} {}\nis {}\nread {}</title></rect>",
        escape(&judged.record.image),
        escape(&judgement.name),
        escape(&judgement.truth),
        escape(found)
    );
}

/// Green where right; from yellow to red by letters; grey where the document was not read.
fn colour(is_read: bool, is_right: bool, letters: f64) -> String {
    match (is_read, is_right) {
        (false, _) => "#777777".to_owned(),
        (true, true) => "#1a9850".to_owned(),
        (true, false) => {
            let mix = |from: f64, to: f64| (from + (to - from) * letters).round() as u8;
            format!("#{:02x}{:02x}{:02x}", mix(215.0, 254.0), mix(48.0, 224.0), mix(39.0, 139.0))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_go_from_red_to_yellow() {
        assert_eq!(colour(true, false, 0.0), "#d73027");
        assert_eq!(colour(true, false, 1.0), "#fee08b");
        assert_eq!(colour(true, true, 1.0), "#1a9850");
        assert_eq!(colour(false, false, 0.0), "#777777");
    }
}
