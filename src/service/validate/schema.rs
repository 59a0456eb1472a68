//! The schema of a request: from any of its forms to the one that the server works with.

use std::sync::Arc;

use super::{Problems, VIOLATIONS_KEPT};
use crate::limits;
use crate::pb::v1;
use crate::pb::v1::extraction_schema::Source;
use crate::schema::{Absent, DocumentKind, Kind, Printed, Problem, Property, Schema};

/// Where the fields are in a request.
const FIELDS: &str = "schema.field_list.fields";

/// What `source` asks for; none after a problem.
pub(super) fn check(source: Option<Source>, problems: &mut Problems) -> Option<Arc<Schema>> {
    let schema = match source {
        None => {
            let what = "is not set: send a document_type, a field_list or a json_schema";
            problems.invalid("schema.source", what);
            return None;
        }
        Some(Source::DocumentType(value)) => Schema::of(document_kind(value, problems)?),
        Some(Source::FieldList(list)) => field_list(&list, problems)?,
        Some(Source::JsonSchema(text)) => json_schema(&text, problems)?,
    };
    Some(Arc::new(schema))
}

fn document_kind(value: i32, problems: &mut Problems) -> Option<DocumentKind> {
    let kind = match v1::DocumentType::try_from(value) {
        Ok(v1::DocumentType::Receipt) => Some(DocumentKind::Receipt),
        Ok(v1::DocumentType::Invoice) => Some(DocumentKind::Invoice),
        Ok(v1::DocumentType::BankStatement) => Some(DocumentKind::BankStatement),
        Ok(v1::DocumentType::Auto | v1::DocumentType::Unspecified) | Err(_) => None,
    };
    if kind.is_none() {
        problems.invalid("schema.document_type", format!("{value} is no document type"));
    }
    kind
}

fn json_schema(text: &str, problems: &mut Problems) -> Option<Schema> {
    let (field, limit) = ("schema.json_schema", limits::SCHEMA_BYTES_MAX);
    if text.len() > limit {
        let remedy = "shorten it, or ask for its parts in several requests";
        problems.over_limit(field, "bytes", ("max_schema_bytes", limit), text.len(), remedy);
        return None;
    }
    made(field, Schema::from_json_schema(text), problems)
}

fn field_list(list: &v1::FieldList, problems: &mut Problems) -> Option<Schema> {
    let before = problems.violations.len();
    // One more than there may be is enough to be refused for.
    let mut left = limits::SCHEMA_PROPERTIES_MAX + 1;
    let properties = properties(FIELDS, &list.fields, &mut left, problems);
    if left == 0 {
        let most = limits::SCHEMA_PROPERTIES_MAX;
        let what = format!("has more than {most} properties in all: ask in several requests");
        problems.invalid(FIELDS, what);
    }
    if problems.violations.len() > before || before >= VIOLATIONS_KEPT {
        return None;
    }
    made(FIELDS, Schema::new(properties), problems)
}

/// The schema, or what is wrong with it; places in it are JSON Pointers behind the field's name.
fn made(
    field: &str,
    made: Result<Schema, Vec<Problem>>,
    problems: &mut Problems,
) -> Option<Schema> {
    match made {
        Ok(schema) => Some(schema),
        Err(found) => {
            for Problem { at, what } in found {
                let at = if at.is_empty() { String::new() } else { format!("{at} ") };
                problems.invalid(field, format!("{at}{what}"));
            }
            None
        }
    }
}

/// The first `left` of `fields` and of those inside them.
fn properties(
    at: &str,
    fields: &[v1::FieldSpec],
    left: &mut usize,
    problems: &mut Problems,
) -> Vec<Property> {
    let mut properties = Vec::new();
    for (index, field) in fields.iter().enumerate() {
        if *left == 0 {
            break;
        }
        *left -= 1;
        if let Some(kind) = kind(&format!("{at}[{index}]"), field, left, problems) {
            properties.push(Property {
                name: field.name.clone(),
                description: field.description.clone(),
                kind,
                absent: if field.required { Absent::Never } else { Absent::Null },
            });
        }
    }
    properties
}

fn kind(
    at: &str,
    field: &v1::FieldSpec,
    left: &mut usize,
    problems: &mut Problems,
) -> Option<Kind> {
    let mut only = |set: bool, name: &str, with: &str| {
        if set {
            problems.invalid(format!("{at}.{name}"), format!("goes only with {with}"));
        }
    };
    let kind = v1::FieldType::try_from(field.r#type).unwrap_or_default();
    only(!field.allowed_values.is_empty() && kind != v1::FieldType::Enum, "allowed_values", "ENUM");
    only(!field.fields.is_empty() && kind != v1::FieldType::Object, "fields", "OBJECT");
    only(field.max_length > 0 && kind != v1::FieldType::String, "max_length", "STRING");
    only(field.max_items > 0 && !field.list, "max_items", "list");
    let or = |value: u32, unset: usize| if value == 0 { unset } else { value as usize };
    let kind = match kind {
        v1::FieldType::Unspecified => {
            let what = format!("{} is no field type", field.r#type);
            problems.invalid(format!("{at}.type"), what);
            return None;
        }
        v1::FieldType::String => {
            Kind::Text { chars_min: 0, chars_max: or(field.max_length, limits::TEXT_CHARS_DEFAULT) }
        }
        v1::FieldType::Integer => Kind::Integer,
        v1::FieldType::Decimal => Kind::Decimal,
        v1::FieldType::Boolean => Kind::Boolean,
        v1::FieldType::Date => Kind::Printed(Printed::Date),
        v1::FieldType::Money => Kind::Printed(Printed::Money),
        v1::FieldType::Enum => {
            Kind::Choice(field.allowed_values.iter().map(|value| value.as_str().into()).collect())
        }
        // Its depth is that of the message, which the decoder bounds.
        v1::FieldType::Object => {
            Kind::Object(properties(&format!("{at}.fields"), &field.fields, left, problems))
        }
    };
    Some(if field.list {
        let items_max = or(field.max_items, limits::LIST_ITEMS_DEFAULT);
        Kind::List { item: Box::new(kind), items_min: 0, items_max }
    } else {
        kind
    })
}
