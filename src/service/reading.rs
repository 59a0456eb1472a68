//! The fields of one answer on their way to the client: read from the text as it comes, sent where
//! the client wants them, and all of them again at the end.

use prost_types::value::Kind;

use super::document::{self, NotADocument};
use crate::engine::Text;
use crate::fields::{
    self, Check, Confidence, Field, FieldEvent, FieldReader, FieldValue, Normal, Normals, Rule,
    TokenScore,
};
use crate::pb::v1;
use crate::pb::v1::extract_response::Event as Message;

/// What was read so far.
#[derive(Debug, Default)]
pub(super) struct Reading {
    reader: FieldReader,
    /// Of all tokens so far: a few bytes for each that the answer may have.
    scores: Vec<TokenScore>,
    completed: Vec<v1::ExtractedField>,
    /// None where the fields are not built-in ones.
    normals: Option<Normals>,
}

impl Reading {
    /// Of a built-in kind of document, or of whatever a prompt asked for.
    pub(super) fn new(is_document: bool) -> Self {
        Self { normals: is_document.then(Normals::new), ..Self::default() }
    }

    /// Takes the next piece of the answer; says what it brought, in order.
    pub(super) fn push(&mut self, text: &Text) -> Vec<Message> {
        self.scores.extend_from_slice(&text.scores);
        let events = self.reader.push(&text.text);
        events.into_iter().map(|event| self.message(event)).collect()
    }

    /// The JSON object that `output`, the whole answer, holds.
    pub(super) fn object<'a>(&self, output: &'a str) -> Result<&'a str, NotADocument> {
        document::object(output, &self.reader)
    }

    /// All fields that completed, and what the checks of their values say.
    pub(super) fn finish(self) -> (Vec<v1::ExtractedField>, Vec<v1::Check>) {
        let checks = self.normals.iter().flat_map(fields::check).map(checked).collect();
        (self.completed, checks)
    }

    fn message(&mut self, event: FieldEvent) -> Message {
        match event {
            FieldEvent::Delta { pointer, text } => {
                Message::FieldDelta(v1::FieldDelta { pointer, text })
            }
            FieldEvent::Completed(field) => {
                let confidence = Confidence::of(&field.said(), &self.scores);
                let normals = self.normals.as_mut();
                let normal = normals.and_then(|normals| fields::note(normals, &field));
                let field = extracted(field, confidence, normal);
                self.completed.push(field.clone());
                Message::FieldCompleted(field)
            }
        }
    }
}

fn extracted(
    field: Field,
    confidence: Option<Confidence>,
    normal: Option<Normal>,
) -> v1::ExtractedField {
    let value = value(field.value).map(|kind| prost_types::Value { kind: Some(kind) });
    v1::ExtractedField {
        pointer: field.pointer,
        value,
        raw: field.raw,
        confidence: confidence.map(|confidence| confidence.mean),
        min_token_probability: confidence.map(|confidence| confidence.least),
        normalized: normal.map(normalized),
    }
}

fn checked(check: Check) -> v1::Check {
    let rule = match check.rule {
        Rule::AbnChecksum => v1::CheckRule::AbnChecksum,
        Rule::LineItemsSum => v1::CheckRule::LineItemsSum,
        Rule::GstShare => v1::CheckRule::GstShare,
        Rule::DateOrder => v1::CheckRule::DateOrder,
    };
    v1::Check {
        rule: rule.into(),
        passed: check.problem.is_none(),
        message: check.problem.unwrap_or_default(),
        pointers: check.fields.into_iter().map(|name| format!("/{name}")).collect(),
    }
}

fn normalized(normal: Normal) -> prost_types::Value {
    let kind = match normal {
        Normal::Absent => Kind::NullValue(0),
        Normal::Bool(bool) => Kind::BoolValue(bool),
        Normal::Text(text) => Kind::StringValue(text),
        Normal::List(items) => {
            let values = items.into_iter().map(normalized).collect();
            Kind::ListValue(prost_types::ListValue { values })
        }
    };
    prost_types::Value { kind: Some(kind) }
}

/// None for a number that no double is near to.
fn value(value: FieldValue) -> Option<Kind> {
    match value {
        FieldValue::Null => Some(Kind::NullValue(0)),
        FieldValue::Bool(bool) => Some(Kind::BoolValue(bool)),
        FieldValue::Number(number) => number.is_finite().then_some(Kind::NumberValue(number)),
        FieldValue::Text(text) => Some(Kind::StringValue(text)),
        FieldValue::EmptyList => Some(Kind::ListValue(prost_types::ListValue::default())),
        FieldValue::EmptyObject => Some(Kind::StructValue(prost_types::Struct::default())),
    }
}
