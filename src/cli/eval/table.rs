//! The results as a table for spreadsheets: a row for each document, for each field its truth, what was
//! found, its confidence and whether it is right.

use super::judged::Judged;
use super::summary::names;
use crate::accuracy::Scorer;

pub(super) fn results(judged: &[Judged]) -> Result<String, csv::Error> {
    let names = names(judged);
    let mut out = csv::Writer::from_writer(Vec::new());
    let mut head: Vec<String> =
        ["image_file", "document_type", "status", "whole"].map(str::to_owned).into();
    head.extend(Scorer::ALL.map(|scorer| scorer.name().to_owned()));
    let numbers = [
        "fields_right",
        "fields",
        "seconds",
        "first_field_seconds",
        "pages",
        "tiles",
        "input_tokens",
        "output_tokens",
    ];
    head.extend(numbers.map(str::to_owned));
    for name in &names {
        head.push(name.clone());
        head.extend(["truth", "confidence", "strict", "anls"].map(|what| format!("{name}.{what}")));
    }
    head.extend(["disagreements", "message"].map(str::to_owned));
    out.write_record(&head)?;
    for judged in judged {
        out.write_record(row(judged, &names))?;
    }
    let bytes = out.into_inner().map_err(|error| csv::Error::from(error.into_error()))?;
    // What went in was text.
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn row(judged: &Judged, names: &[String]) -> Vec<String> {
    let record = &judged.record;
    let number = |value: Option<f64>| value.map_or_else(String::new, |value| format!("{value:.4}"));
    let mut row = vec![
        record.image.clone(),
        record.kind.clone(),
        record.status.clone(),
        record.whole.to_string(),
    ];
    row.extend(Scorer::ALL.map(|scorer| number(judged.mean(scorer))));
    let right = judged.judgements.iter().filter(|judgement| judgement.scores.is_right()).count();
    row.extend([
        right.to_string(),
        judged.judgements.len().to_string(),
        number(Some(record.seconds)),
        number(record.first_field),
        record.pages.to_string(),
        record.tiles.to_string(),
        record.input_tokens.to_string(),
        record.output_tokens.to_string(),
    ]);
    for name in names {
        match judged.judgements.iter().find(|judgement| judgement.name == *name) {
            Some(judgement) => row.extend([
                judgement.found.clone().unwrap_or_default(),
                judgement.truth.clone(),
                number(judgement.confidence),
                number(Some(judgement.scores.strict)),
                number(Some(judgement.scores.anls)),
            ]),
            None => row.extend(std::iter::repeat_n(String::new(), 5)),
        }
    }
    row.extend([record.disagreements.join("; "), record.message.clone()]);
    row
}
