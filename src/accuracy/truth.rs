//! Ground truth: what the fields of each document are, from CSV, JSON lines, or a JSON file beside each
//! page.
//!
//! CSV: the first column names the image (`image_file`), each other column is a field; lists are joined
//! with ` | `, what the page does not have is `NOT_FOUND`, and an empty cell is a field that nobody
//! labelled. JSON: `{"image": …, "document_type": …, "fields": {…}}`; lists may be JSON lists.

use serde_json::{Map, Value};

use super::ABSENT;

/// The truth about one document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Truth {
    /// Name of the image file, as the truth has it: with or without directory and ending.
    pub image: String,
    /// `receipt`, `invoice`, `bank_statement`
    pub kind: Option<String>,
    /// Names and values, in the order of the file.
    pub fields: Vec<(String, String)>,
}

#[derive(Debug, thiserror::Error)]
pub enum TruthError {
    #[error("line {line}: {reason}")]
    Line { line: usize, reason: String },
    #[error("{0}")]
    Csv(#[from] csv::Error),
    #[error(
        "it has no documents: a first line with the names of columns, and one line for each image"
    )]
    Empty,
}

/// Columns that name the image.
const IMAGE_NAMES: &[&str] = &["image_file", "filename", "image_name", "file", "image"];
/// The field that says what kind a document is.
const KIND_FIELD: &str = "DOCUMENT_TYPE";

pub fn from_csv(text: &str) -> Result<Vec<Truth>, TruthError> {
    // Spreadsheets begin their files with a mark.
    let text = text.trim_start_matches('\u{feff}');
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(text.as_bytes());
    let names: Vec<String> = reader.headers()?.iter().map(str::to_owned).collect();
    let known = names.iter().position(|name| IMAGE_NAMES.contains(&name.as_str()));
    let image_column = known.unwrap_or(0);
    let mut truths = Vec::new();
    for row in reader.records() {
        let row = row?;
        let line = row.position().map_or(0, |position| position.line() as usize);
        let image = row.get(image_column).unwrap_or_default().to_owned();
        if image.is_empty() {
            let column = names.get(image_column).map_or("", String::as_str);
            let reason = format!("column {column:?} names no image");
            return Err(TruthError::Line { line, reason });
        }
        let fields: Vec<(String, String)> = names
            .iter()
            .zip(row.iter())
            .enumerate()
            .filter(|(column, (_, value))| *column != image_column && !value.is_empty())
            .map(|(_, (name, value))| (name.clone(), value.to_owned()))
            .collect();
        truths.push(Truth { image, kind: kind_of(&fields), fields });
    }
    if truths.is_empty() { Err(TruthError::Empty) } else { Ok(truths) }
}

pub fn from_jsonl(text: &str) -> Result<Vec<Truth>, TruthError> {
    let mut truths = Vec::new();
    for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let wrong = |reason: String| TruthError::Line { line: index + 1, reason };
        let object: Map<String, Value> =
            serde_json::from_str(line).map_err(|error| wrong(error.to_string()))?;
        let image = IMAGE_NAMES.iter().find_map(|name| object.get(*name)?.as_str());
        let image = image.ok_or_else(|| {
            wrong(format!("it names no image: give one of {}", IMAGE_NAMES.join(", ")))
        })?;
        truths.push(of_object(image, &object).map_err(wrong)?);
    }
    if truths.is_empty() { Err(TruthError::Empty) } else { Ok(truths) }
}

/// The truth about `image` in a file of its own.
pub fn from_json(image: &str, text: &str) -> Result<Truth, TruthError> {
    let wrong = |reason: String| TruthError::Line { line: 1, reason };
    let object: Map<String, Value> =
        serde_json::from_str(text).map_err(|error| wrong(error.to_string()))?;
    of_object(image, &object).map_err(wrong)
}

fn of_object(image: &str, object: &Map<String, Value>) -> Result<Truth, String> {
    let nested = object.get("fields").and_then(Value::as_object);
    let fields = nested
        .unwrap_or(object)
        .iter()
        .filter(|(name, _)| {
            nested.is_some()
                || !(IMAGE_NAMES.contains(&name.as_str()) || name.as_str() == "document_type")
        })
        .map(|(name, value)| Ok((name.clone(), text_of(name, value)?)))
        .collect::<Result<Vec<_>, String>>()?;
    let kind = object.get("document_type").and_then(Value::as_str).map(canonical);
    Ok(Truth { image: image.to_owned(), kind: kind.or_else(|| kind_of(&fields)), fields })
}

fn text_of(name: &str, value: &Value) -> Result<String, String> {
    match value {
        Value::Null => Ok(ABSENT.to_owned()),
        Value::String(text) => Ok(text.trim().to_owned()),
        Value::Bool(_) | Value::Number(_) => Ok(value.to_string()),
        Value::Array(items) if items.is_empty() => Ok(ABSENT.to_owned()),
        Value::Array(items) => {
            let items = items.iter().map(|item| text_of(name, item));
            Ok(items.collect::<Result<Vec<_>, _>>()?.join(" | "))
        }
        Value::Object(_) => {
            Err(format!("{name} is an object; a value or a list of values is needed"))
        }
    }
}

fn kind_of(fields: &[(String, String)]) -> Option<String> {
    let (_, kind) = fields.iter().find(|(name, value)| name == KIND_FIELD && value != ABSENT)?;
    Some(canonical(kind))
}

fn canonical(kind: &str) -> String {
    kind.trim().to_lowercase().replace([' ', '-'], "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_read_by_its_columns() {
        let text = "\u{feff}DOCUMENT_TYPE,image_file,TOTAL_AMOUNT,PAYER_NAME\n\
                    Bank Statement,a.png,\"$1,000.00\",\n\
                    receipt,b.png,NOT_FOUND,Jo\n";
        let truths = from_csv(text).unwrap();
        assert_eq!(truths.len(), 2);
        assert_eq!(
            (truths[0].image.as_str(), truths[0].kind.as_deref()),
            ("a.png", Some("bank_statement"))
        );
        let names: Vec<&str> = truths[0].fields.iter().map(|field| field.0.as_str()).collect();
        assert_eq!(names, ["DOCUMENT_TYPE", "TOTAL_AMOUNT"], "an empty cell is no truth");
        assert_eq!(truths[1].fields[1].1, "NOT_FOUND");
    }

    #[test]
    fn json_may_be_nested_or_flat() {
        let text = r#"{"image":"a.png","document_type":"receipt","fields":{"A":["1","2"],"B":null,"C":1.10}}
                      {"file":"b.png","A":"x"}"#;
        let truths = from_jsonl(text).unwrap();
        let fields = |i: usize| -> Vec<(&str, &str)> {
            truths[i].fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
        };
        assert_eq!(fields(0), [("A", "1 | 2"), ("B", "NOT_FOUND"), ("C", "1.1")]);
        assert_eq!((fields(1), truths[1].kind.clone()), (vec![("A", "x")], None));
        assert_eq!(from_json("c.png", r#"{"fields":{}}"#).unwrap().image, "c.png");
    }

    #[test]
    fn mistakes_have_a_line() {
        let said = |result: Result<Vec<Truth>, TruthError>| result.unwrap_err().to_string();
        assert!(said(from_csv("image_file,A\n,1\n")).starts_with("line 2: column \"image_file\""));
        assert!(said(from_jsonl("{\"image\":\"a\"}\n{}")).starts_with("line 2: it names no image"));
        assert!(said(from_jsonl("[1]")).starts_with("line 1: "));
        assert!(matches!(from_csv("image_file\n"), Err(TruthError::Empty)));
        assert!(matches!(from_json("a", r#"{"fields":{"A":{}}}"#), Err(TruthError::Line { .. })));
    }
}
