//! Values in one form, whatever form the page has: beside what the model wrote,
//! never in its place. A value that is not understood has none; nothing is guessed.

mod date;
mod decimal;

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Field, FieldValue};
use crate::schema::{Kind, Printed, Schema};

#[cfg(test)]
mod tests;

/// A value in one form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Normal {
    /// The page does not have it.
    Absent,
    Bool(bool),
    /// Amounts as decimal numbers, dates as `YYYY-MM-DD`, ranges as `YYYY-MM-DD/YYYY-MM-DD`, numbers
    /// that identify as their digits alone.
    Text(String),
    List(Vec<Self>),
}

/// Normalised values of one document, by the names of its fields.
pub type Normals = BTreeMap<String, Normal>;

/// Between the items of a list.
pub(super) const SEPARATOR: char = '|';

/// How models say that the page does not have a value.
const ABSENT: &[&str] = &["not_found", "not found", "n/a", "none", "null", "-", ""];

/// Adds the normalised value of `field`, if `schema` has it and it is understood, and returns it. Items
/// of a JSON list go into one list, which is kept only as long as all of them are understood.
pub fn note(normals: &mut Normals, schema: &Schema, field: &Field) -> Option<Normal> {
    let parts: Vec<&str> = field.pointer.split('/').skip(1).collect();
    let kind_of = |name: &str| schema.kind_at(&format!("/{name}"));
    match parts[..] {
        [name] => {
            let value = of_field(kind_of(name)?, field)?;
            normals.insert(name.to_owned(), value.clone());
            Some(value)
        }
        [name, item] => {
            // Models write a list as JSON has it also where one text was asked for.
            let (Kind::Joined { item: kind, .. } | Kind::List { item: kind, .. }) = kind_of(name)?
            else {
                return of_field(schema.kind_at(&field.pointer)?, field);
            };
            let value = of_item(kind, field);
            let items = match normals.remove(name) {
                Some(Normal::List(items)) => items,
                _ => Vec::new(),
            };
            if item.parse() == Ok(items.len()) {
                let items = items.into_iter().map(Some).chain([value.clone()]);
                let list = items.collect::<Option<_>>().map(Normal::List);
                normals.extend(list.map(|list| (name.to_owned(), list)));
            }
            value
        }
        [name, ..] => {
            normals.remove(name);
            of_field(schema.kind_at(&field.pointer)?, field)
        }
        [] => None,
    }
}

/// Whether the built-in field `name` is a list, of which an answer may write all items into one text.
pub fn is_list(name: &str) -> bool {
    let kind = Schema::of_every_kind().kind_at(&format!("/{name}"));
    kind.is_some_and(|kind| matches!(kind, Kind::Joined { .. }))
}

fn of_field(kind: &Kind, field: &Field) -> Option<Normal> {
    match (&field.value, kind) {
        (FieldValue::Text(text), Kind::Joined { item, .. }) => list(item, text),
        (FieldValue::EmptyList, Kind::Joined { .. } | Kind::List { .. }) => {
            Some(Normal::List(Vec::new()))
        }
        _ => of_item(kind, field),
    }
}

fn of_item(kind: &Kind, field: &Field) -> Option<Normal> {
    match &field.value {
        FieldValue::Null => Some(Normal::Absent),
        FieldValue::Bool(bool) => matches!(kind, Kind::Boolean | Kind::Printed(Printed::Boolean))
            .then_some(Normal::Bool(*bool)),
        FieldValue::Text(text) => scalar(kind, text),
        FieldValue::Number(_) => scalar(kind, &field.raw),
        FieldValue::EmptyList | FieldValue::EmptyObject => None,
    }
}

/// The items of a list in one text; none where an item is not understood.
fn list(kind: &Kind, text: &str) -> Option<Normal> {
    if is_absent(text) {
        return Some(Normal::Absent);
    }
    let items = text.split(SEPARATOR).map(|item| match kind {
        Kind::Text { .. } if !is_absent(item) => Some(Normal::Text(item.trim().to_owned())),
        kind => scalar(kind, item),
    });
    items.collect::<Option<_>>().map(Normal::List)
}

fn scalar(kind: &Kind, text: &str) -> Option<Normal> {
    let text = text.trim();
    if is_absent(text) {
        return Some(Normal::Absent);
    }
    let normal = match kind {
        Kind::Choice(choices) => choice(choices, text),
        Kind::Boolean | Kind::Printed(Printed::Boolean) => return bool(text).map(Normal::Bool),
        Kind::Printed(Printed::Abn) => abn(text),
        Kind::Integer | Kind::Decimal | Kind::Printed(Printed::Money | Printed::Quantity) => {
            decimal::of(text)
        }
        Kind::Date | Kind::Printed(Printed::Date) => date::of(text),
        Kind::Printed(Printed::DateRange) => date::range(text),
        Kind::Text { .. } | Kind::Joined { .. } | Kind::List { .. } | Kind::Object(_) => None,
    };
    normal.map(Normal::Text)
}

/// The choice that `text` means, as the schema spells it.
fn choice(choices: &[Value], text: &str) -> Option<String> {
    let plain = |text: &str| text.to_lowercase().replace([' ', '-'], "_");
    let texts = choices.iter().filter_map(Value::as_str);
    texts.into_iter().find(|choice| plain(choice) == plain(text)).map(str::to_owned)
}

pub(super) fn is_absent(text: &str) -> bool {
    ABSENT.contains(&text.trim().to_lowercase().as_str())
}

fn bool(text: &str) -> Option<bool> {
    match text.to_lowercase().as_str() {
        "true" | "yes" => Some(true),
        "false" | "no" => Some(false),
        _ => None,
    }
}

/// The eleven digits of an Australian Business Number.
pub(super) fn abn(text: &str) -> Option<String> {
    let number = text.trim_start_matches(|c: char| c.is_ascii_alphabetic() || " .:".contains(c));
    let digits: String = number.chars().filter(|c| !" -.".contains(*c)).collect();
    (digits.len() == 11 && digits.bytes().all(|byte| byte.is_ascii_digit())).then_some(digits)
}
