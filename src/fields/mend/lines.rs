//! `KEY: value` lines, as the guide's prompts ask for them: as they were asked for, where a grammar held the answer,
//! or as models write them.

use std::ops::Range;

use serde_json::{Map, Value};

use super::{Mended, Repair, fields_of};
use crate::schema::{
    Absent, COLON, EMPTY_LIST, Kind, NOT_FOUND, Printed, Property, SEPARATOR, Schema,
};

/// One key with what follows it, up to the next key.
struct Entry<'a> {
    property: &'a Property,
    value: String,
    said: Range<usize>,
}

/// The object that the lines of `answer` make, which were held to the grammar of `schema`.
pub(super) fn held(answer: &str, schema: &Schema, whole: bool) -> Option<Mended> {
    let mut properties = schema.properties().iter();
    let mut object = Map::new();
    let mut said = Vec::new();
    let mut start = 0;
    for line in answer.split_inclusive('\n') {
        let (from, text) = (start, line.strip_suffix('\n'));
        start += line.len();
        // The last one may go on.
        let Some(text) = text.or(whole.then_some(line)) else { break };
        let found = properties.find_map(|property| {
            let value = text.strip_prefix(property.name.as_str())?.strip_prefix(COLON)?;
            Some((property, value))
        });
        let (property, text_of) = found?;
        let value = held_value(property, text_of)?;
        let at = from + property.name.len() + COLON.len();
        let leaves = value.as_array().map_or(1, |items| items.len().max(1));
        said.extend(std::iter::repeat_n(at..at + text_of.len(), leaves));
        object.insert(property.name.clone(), value);
    }
    let is_there = |property: &Property| {
        object.contains_key(&property.name) || property.absent == Absent::LeftOut
    };
    let is_whole = whole && schema.properties().iter().all(is_there);
    let text = Value::Object(object).to_string();
    let fields = fields_of(&text, &said);
    Some(Mended { document: is_whole.then_some(text), fields, repairs: Vec::new() })
}

/// What `text` is as a value of `property` where the grammar has nothing else.
fn held_value(property: &Property, text: &str) -> Option<Value> {
    match property.absent {
        Absent::NotFound if text == NOT_FOUND => Some(NOT_FOUND.into()),
        Absent::Null if text == "null" => Some(Value::Null),
        _ => held_scalar(&property.kind, text),
    }
}

fn held_scalar(kind: &Kind, text: &str) -> Option<Value> {
    match kind {
        Kind::List { .. } if text == EMPTY_LIST => Some(Value::Array(Vec::new())),
        Kind::List { item, .. } => {
            let items = text.split(SEPARATOR).map(|text| held_scalar(item, text));
            items.collect::<Option<Vec<Value>>>().map(Value::Array)
        }
        Kind::Choice(choices) => {
            let is_it = |choice: &&Value| match choice {
                Value::String(choice) => choice == text,
                choice => serde_json::from_str::<Value>(text).is_ok_and(|value| value == **choice),
            };
            choices.iter().find(is_it).cloned()
        }
        kind => scalar(kind, text),
    }
}

/// The object that the lines of `answer` make; keys that `schema` does not have are passed over.
pub(super) fn object(answer: &str, schema: &Schema, whole: bool) -> Option<Mended> {
    let mut entries = entries(answer, schema);
    if !whole {
        // Its value may go on in the next line.
        entries.pop();
    }
    if entries.is_empty() {
        return None;
    }
    let mut object = Map::new();
    let mut said = Vec::new();
    // In the order of the schema, each once: the first of equal keys stands.
    for property in schema.properties() {
        let Some(entry) = entries.iter().find(|entry| entry.property.name == property.name) else {
            continue;
        };
        let Some(value) = value_of(property, &entry.value) else { continue };
        let leaves = value.as_array().map_or(1, |items| items.len().max(1));
        said.extend(std::iter::repeat_n(entry.said.clone(), leaves));
        object.insert(property.name.clone(), value);
    }
    let is_whole = whole
        && schema.properties().iter().all(|property| {
            object.contains_key(&property.name) || property.absent == Absent::LeftOut
        });
    let text = Value::Object(object).to_string();
    let mut fields = fields_of(&text, &said);
    // As they were said, whether they are read line by line or all at once.
    fields.sort_by_key(|(_, said)| said.start);
    if fields.is_empty() {
        return None;
    }
    Some(Mended { document: is_whole.then_some(text), fields, repairs: vec![Repair::Lines] })
}

fn entries<'a>(answer: &str, schema: &'a Schema) -> Vec<Entry<'a>> {
    let mut entries: Vec<Entry<'a>> = Vec::new();
    let mut start = 0;
    for line in answer.split_inclusive('\n') {
        let from = start;
        start += line.len();
        let text = plain(line);
        if let Some((key, value)) = text.split_once(':')
            && let Some(property) = property_of(schema, key)
        {
            let value = value.trim().trim_matches(['*', '`']).trim().to_owned();
            // The whole line, where the value is empty or has marks in it.
            let found = line.find(value.as_str()).filter(|_| !value.is_empty());
            let (at, len) = found.map_or((0, line.trim_end().len()), |at| (at, value.len()));
            let said = from + at..from + at + len;
            entries.push(Entry { property, value, said });
        } else if let Some(entry) = entries.last_mut()
            && let Some(item) = bullet(line)
        {
            // A list under its key, an item a line.
            if !entry.value.is_empty() {
                entry.value.push_str(SEPARATOR);
            }
            entry.value.push_str(item);
            entry.said.end = start;
        }
    }
    entries
}

/// A line without what markdown puts around keys.
fn plain(line: &str) -> String {
    line.trim().trim_start_matches(['#', '-', '*', '>', ' ']).replace("**", "")
}

/// An item of a list in markdown.
fn bullet(line: &str) -> Option<&str> {
    let line = line.trim();
    let item = line.strip_prefix(['-', '*', '•']).map(str::trim).or_else(|| {
        let (number, item) = line.split_once(['.', ')'])?;
        number.parse::<u32>().is_ok().then_some(item.trim())
    })?;
    (!item.is_empty()).then_some(item)
}

/// The property that `key` names, however it is spelt.
fn property_of<'a>(schema: &'a Schema, key: &str) -> Option<&'a Property> {
    let plain = |name: &str| {
        name.trim().trim_matches(['"', '\'', '`']).to_lowercase().replace([' ', '-'], "_")
    };
    let key = plain(key);
    schema.properties().iter().find(|property| plain(&property.name) == key)
}

/// What `text` is as a value of `property`; none where it is no such value.
fn value_of(property: &Property, text: &str) -> Option<Value> {
    let text = text.trim_matches('"');
    let is_absent = text.is_empty()
        || ["not_found", "not found", "null", "none", "n/a", "-"]
            .contains(&text.to_lowercase().as_str());
    if is_absent {
        return match property.absent {
            Absent::NotFound => Some(NOT_FOUND.into()),
            Absent::Null => Some(Value::Null),
            Absent::Never | Absent::LeftOut => None,
        };
    }
    scalar(&property.kind, text)
}

fn scalar(kind: &Kind, text: &str) -> Option<Value> {
    match kind {
        Kind::Text { .. } | Kind::Printed(_) | Kind::Joined { .. } | Kind::Date => {
            Some(text.into())
        }
        Kind::Integer | Kind::Decimal => {
            let plain = text.replace(',', "");
            let number: serde_json::Number = serde_json::from_str(&plain).ok()?;
            (*kind == Kind::Decimal || number.is_i64()).then_some(number.into())
        }
        Kind::Boolean => match text.to_lowercase().as_str() {
            "true" | "yes" => Some(true.into()),
            "false" | "no" => Some(false.into()),
            _ => None,
        },
        Kind::Choice(choices) => {
            let means = |choice: &&Value| match choice {
                Value::String(choice) => choice.eq_ignore_ascii_case(text),
                choice => serde_json::from_str::<Value>(text).is_ok_and(|value| value == **choice),
            };
            choices.iter().find(means).cloned()
        }
        Kind::List { item, .. } => {
            let separator = if text.contains('|') { '|' } else { ',' };
            // Amounts have commas of their own.
            let is_one = separator == ','
                && matches!(**item, Kind::Printed(Printed::Money | Printed::Quantity));
            let items: Vec<&str> =
                if is_one { vec![text] } else { text.split(separator).map(str::trim).collect() };
            let items: Option<Vec<Value>> = items.iter().map(|text| scalar(item, text)).collect();
            items.map(Value::Array)
        }
        // Lines do not nest.
        Kind::Object(_) => None,
    }
}
