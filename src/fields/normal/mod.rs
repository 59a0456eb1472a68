//! Values of the built-in fields in one form, whatever form the page has: beside what the model wrote,
//! never in its place. A value that is not understood has none; nothing is guessed.

mod date;
mod decimal;

use std::collections::BTreeMap;

use super::{Field, FieldValue};

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

/// What a built-in field holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Type {
    /// Names, addresses: there is no one form.
    Text,
    /// `receipt`, `bank_statement`
    Kind,
    Abn,
    Bool,
    Decimal,
    Date,
    DateRange,
}

/// Between the items of a list.
const SEPARATOR: char = '|';

/// How models say that the page does not have a value.
const ABSENT: &[&str] = &["not_found", "not found", "n/a", "none", "null", "-", ""];

/// Adds the normalised value of `field`, if it is a built-in one and understood, and returns it. Items
/// of a JSON list go into one list, which is kept only as long as all of them are understood.
pub fn note(normals: &mut Normals, field: &Field) -> Option<Normal> {
    let parts: Vec<&str> = field.pointer.split('/').skip(1).collect();
    match parts[..] {
        [name] => {
            let value = of_field(type_of(name)?, field)?;
            normals.insert(name.to_owned(), value.clone());
            Some(value)
        }
        [name, item] => {
            let (kind, true) = type_of(name)? else { return None };
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
            None
        }
        [] => None,
    }
}

/// Whether the built-in field `name` is a list, of which an answer may write all items into one text.
pub fn is_list(name: &str) -> bool {
    type_of(name).is_some_and(|(_, is_list)| is_list)
}

fn of_field((kind, is_list): (Type, bool), field: &Field) -> Option<Normal> {
    match &field.value {
        FieldValue::Text(text) if is_list => list(kind, text),
        FieldValue::EmptyList if is_list => Some(Normal::List(Vec::new())),
        _ => of_item(kind, field),
    }
}

fn of_item(kind: Type, field: &Field) -> Option<Normal> {
    match &field.value {
        FieldValue::Null => Some(Normal::Absent),
        FieldValue::Bool(bool) if kind == Type::Bool => Some(Normal::Bool(*bool)),
        FieldValue::Text(text) => scalar(kind, text),
        FieldValue::Number(_) => scalar(kind, &field.raw),
        FieldValue::Bool(_) | FieldValue::EmptyList | FieldValue::EmptyObject => None,
    }
}

fn type_of(name: &str) -> Option<(Type, bool)> {
    Some(match name {
        "DOCUMENT_TYPE" => (Type::Kind, false),
        "BUSINESS_ABN" => (Type::Abn, false),
        "SUPPLIER_NAME" | "BUSINESS_ADDRESS" | "PAYER_NAME" | "PAYER_ADDRESS" => {
            (Type::Text, false)
        }
        "INVOICE_DATE" => (Type::Date, false),
        "STATEMENT_DATE_RANGE" => (Type::DateRange, false),
        "IS_GST_INCLUDED" => (Type::Bool, false),
        "GST_AMOUNT" | "TOTAL_AMOUNT" | "ACCOUNT_BALANCE" => (Type::Decimal, false),
        "LINE_ITEM_DESCRIPTIONS" | "TRANSACTION_DESCRIPTIONS" => (Type::Text, true),
        "LINE_ITEM_QUANTITIES"
        | "LINE_ITEM_PRICES"
        | "LINE_ITEM_TOTAL_PRICES"
        | "TRANSACTION_AMOUNTS_PAID"
        | "TRANSACTION_AMOUNTS_RECEIVED" => (Type::Decimal, true),
        "TRANSACTION_DATES" => (Type::Date, true),
        _ => return None,
    })
}

/// The items of a list in one text; none where an item is not understood.
fn list(kind: Type, text: &str) -> Option<Normal> {
    if is_absent(text) {
        return Some(Normal::Absent);
    }
    let items = text.split(SEPARATOR).map(|item| match kind {
        Type::Text if !is_absent(item) => Some(Normal::Text(item.trim().to_owned())),
        kind => scalar(kind, item),
    });
    items.collect::<Option<_>>().map(Normal::List)
}

fn scalar(kind: Type, text: &str) -> Option<Normal> {
    let text = text.trim();
    if is_absent(text) {
        return Some(Normal::Absent);
    }
    let normal = match kind {
        Type::Text => None,
        Type::Kind => Some(text.to_lowercase().replace([' ', '-'], "_")),
        Type::Abn => abn(text),
        Type::Bool => return bool(text).map(Normal::Bool),
        Type::Decimal => decimal::of(text),
        Type::Date => date::of(text),
        Type::DateRange => date::range(text),
    };
    normal.map(Normal::Text)
}

fn is_absent(text: &str) -> bool {
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
fn abn(text: &str) -> Option<String> {
    let number = text.trim_start_matches(|c: char| c.is_ascii_alphabetic() || " .:".contains(c));
    let digits: String = number.chars().filter(|c| !" -.".contains(*c)).collect();
    (digits.len() == 11 && digits.bytes().all(|byte| byte.is_ascii_digit())).then_some(digits)
}
