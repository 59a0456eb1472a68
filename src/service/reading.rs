//! The fields of one answer on their way to the client: read from the text as it comes, sent where
//! the client wants them, and all of them again at the end.

use std::ops::Range;
use std::sync::Arc;

use prost_types::value::Kind;

use super::document::{self, NotADocument};
use crate::engine::{Done, FinishReason, Text};
use crate::fields::{
    self, Calibration, Check, Confidence, Field, FieldEvent, FieldReader, FieldValue, FoundPage,
    Mended, Normal, Normals, OTHER_KINDS, PageEvidence, PageTexts, Repair, Rule, TokenScore,
};
use crate::pb::v1;
use crate::pb::v1::extract_response::Event as Message;
use crate::prompt::AnswerStyle;
use crate::schema::{self, Schema};

/// How an answer says its fields.
#[derive(Debug, Clone)]
pub(super) struct Form {
    pub(super) schema: Arc<Schema>,
    pub(super) style: AnswerStyle,
    /// The answer is held to the schema.
    pub(super) held: bool,
}

/// What a piece of the answer brought.
#[derive(Debug)]
pub(super) struct Brought {
    pub(super) message: Message,
    /// The bytes of the answer that say the value; none for one that is still open.
    pub(super) said: Option<Range<usize>>,
}

/// What was read so far.
#[derive(Debug, Default)]
pub(super) struct Reading {
    reader: FieldReader,
    /// The answer so far, where it comes in lines.
    lines: String,
    /// Of all tokens so far: a few bytes for each that the answer may have.
    scores: Vec<TokenScore>,
    completed: Vec<v1::ExtractedField>,
    /// None where nobody said what the fields are.
    asked: Option<Form>,
    normals: Normals,
    calibration: Option<Arc<Calibration>>,
    /// By which the page that a field is from is known.
    pages: Arc<PageTexts>,
}

/// A whole answer.
#[derive(Debug, Default)]
pub(super) struct Read {
    /// JSON text of the object that was asked for; none where none was.
    pub(super) document: Option<Result<String, NotADocument>>,
    /// All fields that completed.
    pub(super) fields: Vec<v1::ExtractedField>,
    /// Those that completed only now.
    pub(super) late: Vec<Brought>,
    pub(super) checks: Vec<v1::Check>,
    pub(super) repairs: Vec<Repair>,
}

impl Form {
    /// What the lines of `answer` say; where it is not `whole`, without the last.
    fn lines(&self, answer: &str, whole: bool) -> Option<Mended> {
        if self.held {
            fields::held_lines(answer, &self.schema, whole)
        } else {
            fields::mend_lines(answer, &self.schema, whole)
        }
    }
}

impl Reading {
    /// Of the fields of a schema, or of whatever a prompt asked for.
    pub(super) fn new(
        asked: Option<Form>,
        calibration: Option<Arc<Calibration>>,
        pages: Arc<PageTexts>,
    ) -> Self {
        Self { asked, calibration, pages, ..Self::default() }
    }

    /// Takes the next piece of the answer; says what it brought, in order.
    pub(super) fn push(&mut self, text: &Text) -> Vec<Brought> {
        self.scores.extend_from_slice(&text.scores);
        if let Some(form @ Form { style: AnswerStyle::Lines, .. }) = &self.asked {
            self.lines.push_str(&text.text);
            if !text.text.contains('\n') {
                return Vec::new();
            }
            // A model that is not held may write JSON all the same: that is read at the end.
            let mended = form.lines(&self.lines, false);
            return mended.map(|mended| self.take_mended(mended.fields)).unwrap_or_default();
        }
        let events = self.reader.push(&text.text);
        events.into_iter().filter_map(|event| self.brought(event)).collect()
    }

    /// Ends with the whole answer, and mends it where it is no JSON.
    pub(super) fn finish(mut self, done: &Done) -> Read {
        let mut read = Read::default();
        if let Some(form) = self.asked.clone() {
            let Form { schema, style, .. } = &form;
            let cut = done.finish_reason == FinishReason::Length;
            let document = document::object(&done.text, &self.reader).map(str::to_owned);
            let mended = match (style, &document) {
                (AnswerStyle::Json, Ok(_)) => None,
                (AnswerStyle::Json, Err(_)) => fields::mend(&done.text, schema, !cut),
                (AnswerStyle::Lines, _) => {
                    let lines = form.lines(&done.text, !cut);
                    lines.or_else(|| fields::mend(&done.text, schema, !cut))
                }
            };
            read.document = Some(document);
            if let Some(mended) = mended {
                read.late = self.take_mended(mended.fields);
                read.repairs = mended.repairs;
                if let Some(text) = mended.document {
                    read.document = Some(Ok(text));
                }
            }
        }
        let checks = fields::check(&self.normals);
        read.fields = std::mem::take(&mut self.completed);
        for field in &mut read.fields {
            // A field is sent as it completes; what the others say of it is known only now.
            field.confidence = field.confidence.map(|confidence| {
                let (calibration, pointer) = (self.calibration.as_deref(), &field.pointer);
                let confidence = f64::from(confidence);
                fields::after_checks(calibration, &checks, pointer, confidence) as f32
            });
        }
        read.checks = checks.into_iter().map(checked).collect();
        read
    }

    /// None for a piece of a value that means something only once it is whole.
    fn brought(&mut self, event: FieldEvent) -> Option<Brought> {
        match event {
            FieldEvent::Delta { pointer, text } => {
                let kind = self.asked.as_ref().and_then(|form| form.schema.kind_at(&pointer));
                let message = Message::FieldDelta(v1::FieldDelta { pointer, text });
                kind.is_none_or(schema::Kind::grows).then_some(Brought { message, said: None })
            }
            FieldEvent::Completed(field) => {
                let said = field.said();
                Some(self.complete(field, said))
            }
        }
    }

    /// Completes those of `fields` that are not complete yet: a field does not change.
    fn take_mended(&mut self, fields: Vec<(Field, Range<usize>)>) -> Vec<Brought> {
        let mut brought = Vec::new();
        for (field, said) in fields {
            if self.completed.iter().all(|known| known.pointer != field.pointer) {
                brought.push(self.complete(field, said));
            }
        }
        brought
    }

    /// `said` are the bytes of the answer that say the value.
    fn complete(&mut self, field: Field, said: Range<usize>) -> Brought {
        let confidence = self.confidence(&field, &said);
        let schema = self.asked.as_ref().map(|form| Arc::clone(&form.schema));
        let kind = schema.as_ref().and_then(|schema| schema.kind_at(&field.pointer));
        let page = self.pages.page_of(&field, kind, &said, &self.scores);
        let normal = schema.and_then(|schema| fields::note(&mut self.normals, &schema, &field));
        let field = extracted(field, confidence, normal, page);
        self.completed.push(field.clone());
        Brought { message: Message::FieldCompleted(field), said: Some(said) }
    }

    /// How sure the model was of `field`, or how often such a value is right where that is known.
    fn confidence(&self, field: &Field, said: &Range<usize>) -> Option<Confidence> {
        let mut confidence = Confidence::of(said, &self.scores)?;
        if let Some(calibration) = &self.calibration {
            let kind = self.asked.as_ref().and_then(|form| form.schema.kind_at(&field.pointer));
            let label = kind.map_or(OTHER_KINDS, schema::Kind::label);
            confidence.mean = calibration.apply(label, confidence.mean);
        }
        Some(confidence)
    }
}

fn extracted(
    field: Field,
    confidence: Option<Confidence>,
    normal: Option<Normal>,
    page: Option<FoundPage>,
) -> v1::ExtractedField {
    let value = value(field.value).map(|kind| prost_types::Value { kind: Some(kind) });
    v1::ExtractedField {
        pointer: field.pointer,
        value,
        raw: field.raw,
        confidence: confidence.map(|confidence| confidence.mean),
        min_token_probability: confidence.map(|confidence| confidence.least),
        normalized: normal.map(normalized),
        page: page.map(|found| found.page as u32),
        page_evidence: page.map_or(v1::PageEvidence::Unspecified, evidence).into(),
        page_share: page.and_then(|found| match found.by {
            PageEvidence::Attention(share) => Some(share),
            PageEvidence::OnlyPage | PageEvidence::Text => None,
        }),
    }
}

fn evidence(found: FoundPage) -> v1::PageEvidence {
    match found.by {
        PageEvidence::OnlyPage => v1::PageEvidence::OnlyPage,
        PageEvidence::Text => v1::PageEvidence::Text,
        PageEvidence::Attention(_) => v1::PageEvidence::Attention,
    }
}

fn checked(check: Check) -> v1::Check {
    let rule = match check.rule {
        Rule::AbnChecksum => v1::CheckRule::AbnChecksum,
        Rule::LineItemsSum => v1::CheckRule::LineItemsSum,
        Rule::GstShare => v1::CheckRule::GstShare,
        Rule::DateOrder => v1::CheckRule::DateOrder,
        Rule::Balance => v1::CheckRule::Balance,
        Rule::ListLengths => v1::CheckRule::ListLengths,
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

#[cfg(test)]
mod tests;
