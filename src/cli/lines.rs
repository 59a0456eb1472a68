//! One JSON line per document, for programs.

use std::collections::BTreeMap;

use prost_types::value::Kind;
use serde::Serialize;
use serde_json::Value;

use super::client::Answer;
use super::refusal::Refusal;
use super::view::{Seconds, disagreements, seconds, tokens_per_second};
use crate::pb::v1::{ExtractedField, FinishReason, PageEvidence, PageSource};

/// What is known of one field.
#[derive(Debug, Serialize)]
struct Details {
    confidence: Option<f32>,
    min_token_probability: Option<f32>,
    /// Left out where the value is not understood.
    #[serde(skip_serializing_if = "Option::is_none")]
    normalized: Option<Value>,
    /// Left out where it is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    page: Option<Origin>,
}

/// Where a value is from.
#[derive(Debug, Serialize)]
struct Origin {
    /// Index into `files`.
    file: u32,
    /// In the file; the first is 1.
    number: u32,
    /// How that is known: `only_page`, `text` or `attention`.
    evidence: &'static str,
    /// Of the attention that fell on pages while the value was written.
    #[serde(skip_serializing_if = "Option::is_none")]
    share: Option<f32>,
}

/// All of a document but its fields.
#[derive(Debug, Serialize)]
struct Rest<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    fields_error: &'a str,
    /// What is known of each field beside its value, by its JSON pointer.
    field_details: BTreeMap<&'a str, Details>,
    /// Those of the checks that failed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    disagreements: Vec<&'a str>,
    text: &'a str,
    /// `stop`, or `length` where the answer was cut.
    finish_reason: &'static str,
    model: &'a str,
    model_revision: &'a str,
    /// The question and its version; none for a prompt of the caller's.
    #[serde(skip_serializing_if = "str::is_empty")]
    prompt_template: &'a str,
    request_id: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    trace_id: &'a str,
    tiles_per_page: &'a [u32],
    input_tokens: u32,
    output_tokens: u32,
    seconds: Seconds,
    tokens_per_second: Option<f64>,
}

/// `{"files":[…],"fields":{…},"text":…,…}` for a document that was read.
pub(super) fn answered(files: &[String], answer: &Answer) -> String {
    let Answer { accepted, completed } = answer;
    let usage = completed.usage.unwrap_or_default();
    let rest = Rest {
        fields_error: &completed.document_error,
        field_details: completed
            .fields
            .iter()
            .map(|field| details(field, &accepted.pages))
            .collect(),
        disagreements: disagreements(completed).collect(),
        text: &completed.text,
        finish_reason: match completed.finish_reason() {
            FinishReason::Stop => "stop",
            FinishReason::Length => "length",
            FinishReason::Unspecified => "unspecified",
        },
        model: &accepted.model,
        model_revision: &accepted.model_revision,
        prompt_template: &accepted.prompt_template,
        request_id: &accepted.request_id,
        trace_id: &accepted.trace_id,
        tiles_per_page: &accepted.tiles_per_page,
        input_tokens: usage.input_tokens,
        output_tokens: usage.output_tokens,
        seconds: seconds(&completed.timings.unwrap_or_default()),
        tokens_per_second: tokens_per_second(answer),
    };
    // The fields go in as the text they came as, so that no digit of theirs changes. A newline in JSON
    // can only stand between tokens: inside strings it is escaped.
    let fields = completed
        .document_json
        .as_deref()
        .map_or_else(|| "null".to_owned(), |json| json.replace(['\n', '\r'], " "));
    let rest = json(&rest);
    format!("{{\"files\":{},\"fields\":{fields},{}", json(&files), &rest[1..])
}

fn details<'a>(field: &'a ExtractedField, pages: &[PageSource]) -> (&'a str, Details) {
    let page = field.page.and_then(|page| pages.get(page as usize));
    let details = Details {
        confidence: field.confidence,
        min_token_probability: field.min_token_probability,
        normalized: field.normalized.clone().map(value),
        page: page.map(|page| Origin {
            file: page.file,
            number: page.page,
            evidence: evidence(field),
            share: field.page_share,
        }),
    };
    (&field.pointer, details)
}

fn evidence(field: &ExtractedField) -> &'static str {
    match field.page_evidence() {
        PageEvidence::OnlyPage => "only_page",
        PageEvidence::Text => "text",
        PageEvidence::Attention => "attention",
        PageEvidence::Unspecified => "unspecified",
    }
}

/// The wire's value as JSON.
fn value(value: prost_types::Value) -> Value {
    match value.kind {
        None | Some(Kind::NullValue(_)) => Value::Null,
        Some(Kind::BoolValue(bool)) => bool.into(),
        Some(Kind::NumberValue(number)) => number.into(),
        Some(Kind::StringValue(text)) => text.into(),
        Some(Kind::ListValue(list)) => list.values.into_iter().map(self::value).collect(),
        Some(Kind::StructValue(object)) => {
            let members = object.fields.into_iter().map(|(key, member)| (key, self::value(member)));
            Value::Object(members.collect())
        }
    }
}

/// `{"files":[…],"error":{…}}` for a document that was not.
pub(super) fn refused(files: &[String], refusal: &Refusal) -> String {
    format!("{{\"files\":{},\"error\":{}}}", json(&files), json(refusal))
}

/// Strings, numbers and lists always have a JSON text; the fallback cannot be reached.
fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value)
        .unwrap_or_else(|error| Value::String(error.to_string()).to_string())
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;
    use crate::pb::v1::{Accepted, Completed, Usage};

    #[test]
    fn a_document_is_one_line_with_its_own_digits() {
        let answer = Answer {
            accepted: Accepted {
                request_id: "r-1".to_owned(),
                model: "tessera-tiny".to_owned(),
                model_revision: "0123".to_owned(),
                tiles_per_page: vec![3],
                pages: vec![PageSource { page: 7, ..PageSource::default() }],
                ..Accepted::default()
            },
            completed: Completed {
                finish_reason: FinishReason::Stop.into(),
                text: "{\n\"TOTAL\": 1.10}".to_owned(),
                fields: vec![ExtractedField {
                    pointer: "/TOTAL".to_owned(),
                    raw: "1.10".to_owned(),
                    confidence: Some(0.75),
                    min_token_probability: Some(0.5),
                    normalized: Some(prost_types::Value {
                        kind: Some(Kind::StringValue("1.10".to_owned())),
                    }),
                    page: Some(0),
                    page_evidence: PageEvidence::Attention.into(),
                    page_share: Some(0.75),
                    ..ExtractedField::default()
                }],
                document_json: Some("{\n\"TOTAL\": 1.10}".to_owned()),
                usage: Some(Usage {
                    input_tokens: 800,
                    image_tokens: 768,
                    output_tokens: 9,
                    cached_input_tokens: 0,
                }),
                ..Completed::default()
            },
        };
        let line = answered(&["a.png".to_owned()], &answer);
        assert!(serde_json::from_str::<Value>(&line).is_ok());
        expect![[r#"{"files":["a.png"],"fields":{ "TOTAL": 1.10},"field_details":{"/TOTAL":{"confidence":0.75,"min_token_probability":0.5,"normalized":"1.10","page":{"file":0,"number":7,"evidence":"attention","share":0.75}}},"text":"{\n\"TOTAL\": 1.10}","finish_reason":"stop","model":"tessera-tiny","model_revision":"0123","request_id":"r-1","tiles_per_page":[3],"input_tokens":800,"output_tokens":9,"seconds":{"queue":0.0,"preprocess":0.0,"vision":0.0,"prefill":0.0,"decode":0.0,"first_token":0.0,"total":0.0},"tokens_per_second":null}"#]]
            .assert_eq(&line);
    }
}
