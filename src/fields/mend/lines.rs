//! `KEY: value` lines, as the guide's prompts ask for them: as they were asked for, where a grammar held the answer,
//! or as models write them.

use std::collections::BTreeSet;
use std::ops::Range;

use serde_json::{Number, Value};

use super::{Draft, Mended, Repair};
use crate::schema::{
    Absent, COLON, EMPTY_LIST, Kind, NOT_FOUND, Printed, Property, SEPARATOR, Schema,
};

/// One key with what follows it, up to the next key.
struct Entry<'a> {
    property: &'a Property,
    value: String,
    said: Range<usize>,
}

/// A value as JSON text. Numbers keep the digits that the answer has: through a double they would lose some.
enum Json {
    Leaf(String),
    /// Of leaves: lines do not nest.
    List(Vec<String>),
}

/// The object that lines make, member by member.
#[derive(Default)]
struct Object<'a> {
    draft: Draft,
    names: BTreeSet<&'a str>,
}

/// The object that the lines of `answer` make, which were held to the grammar of `schema`.
pub(super) fn held(answer: &str, schema: &Schema, whole: bool) -> Option<Mended> {
    let mut properties = schema.properties().iter();
    let mut object = Object::default();
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
        object.insert(&property.name, &value, &(at..at + text_of.len()));
    }
    Some(object.mended(schema, whole, Vec::new()))
}

/// What `text` is as a value of `property` where the grammar has nothing else.
fn held_value(property: &Property, text: &str) -> Option<Json> {
    match property.absent {
        Absent::NotFound if text == NOT_FOUND => Some(Json::text(NOT_FOUND)),
        Absent::Null if text == "null" => Some(Json::null()),
        _ => value_by(&property.kind, text, |_| held_items(text), held_leaf),
    }
}

fn held_items(text: &str) -> Vec<&str> {
    if text == EMPTY_LIST { Vec::new() } else { text.split(SEPARATOR).collect() }
}

fn held_leaf(kind: &Kind, text: &str) -> Option<String> {
    match kind {
        Kind::Choice(choices) => chosen(choices, text, |choice| choice == text),
        kind => leaf(kind, text),
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
    let mut object = Object::default();
    // In the order of the schema, each once: the first of equal keys stands.
    for property in schema.properties() {
        let entry = entries.iter().find(|entry| entry.property.name == property.name);
        let Some(entry) = entry else { continue };
        let Some(value) = value_of(property, &entry.value) else { continue };
        object.insert(&property.name, &value, &entry.said);
    }
    let mut mended = object.mended(schema, whole, vec![Repair::Lines]);
    // As they were said, whether they are read line by line or all at once.
    mended.fields.sort_by_key(|(_, said)| said.start);
    (!mended.fields.is_empty()).then_some(mended)
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
fn value_of(property: &Property, text: &str) -> Option<Json> {
    let text = text.trim_matches('"');
    let is_absent = text.is_empty()
        || ["not_found", "not found", "null", "none", "n/a", "-"]
            .contains(&text.to_lowercase().as_str());
    if is_absent {
        return match property.absent {
            Absent::NotFound => Some(Json::text(NOT_FOUND)),
            Absent::Null => Some(Json::null()),
            Absent::Never | Absent::LeftOut => None,
        };
    }
    value_by(&property.kind, text, |item| items(item, text), leaf)
}

/// A value of `kind`: a leaf, or a list of them.
fn value_by<'a>(
    kind: &Kind,
    text: &'a str,
    items: impl FnOnce(&Kind) -> Vec<&'a str>,
    leaf: impl Fn(&Kind, &str) -> Option<String>,
) -> Option<Json> {
    let Kind::List { item, .. } = kind else { return leaf(kind, text).map(Json::Leaf) };
    let items: Option<Vec<String>> = items(item).into_iter().map(|text| leaf(item, text)).collect();
    items.map(Json::List)
}

/// The items of a list as models write them.
fn items<'a>(item: &Kind, text: &'a str) -> Vec<&'a str> {
    let separator = if text.contains('|') { '|' } else { ',' };
    // Amounts have commas of their own.
    let is_one =
        separator == ',' && matches!(item, Kind::Printed(Printed::Money | Printed::Quantity));
    if is_one { vec![text] } else { text.split(separator).map(str::trim).collect() }
}

/// The JSON text of a leaf.
fn leaf(kind: &Kind, text: &str) -> Option<String> {
    match kind {
        Kind::Text { .. } | Kind::Printed(_) | Kind::Joined { .. } | Kind::Date => {
            Some(Value::from(text).to_string())
        }
        Kind::Integer => number(text, Number::is_i64),
        Kind::Decimal => number(text, |_| true),
        Kind::Boolean => match text.to_lowercase().as_str() {
            "true" | "yes" => Some("true".to_owned()),
            "false" | "no" => Some("false".to_owned()),
            _ => None,
        },
        Kind::Choice(choices) => chosen(choices, text, |choice| choice.eq_ignore_ascii_case(text)),
        // Lines do not nest.
        Kind::List { .. } | Kind::Object(_) => None,
    }
}

/// A number as it was written, but for the commas between its digits.
fn number(text: &str, is_it: impl Fn(&Number) -> bool) -> Option<String> {
    let digits = text.replace(',', "").trim().to_owned();
    let number: Number = serde_json::from_str(&digits).ok()?;
    is_it(&number).then_some(digits)
}

/// The one of `choices` that `text` is: a text that `is_text` says, or another scalar as it was written.
fn chosen(choices: &[Value], text: &str, is_text: impl Fn(&str) -> bool) -> Option<String> {
    choices.iter().find_map(|choice| match choice {
        Value::String(choice) => is_text(choice).then(|| Value::from(choice.as_str()).to_string()),
        choice => {
            let said: Value = serde_json::from_str(text).ok()?;
            (said == *choice).then(|| text.trim().to_owned())
        }
    })
}

// === impl Json ===

impl Json {
    fn text(text: &str) -> Self {
        Self::Leaf(Value::from(text).to_string())
    }

    fn null() -> Self {
        Self::Leaf("null".to_owned())
    }
}

// === impl Object ===

impl<'a> Object<'a> {
    /// `said` is all that the answer has of the value, whichever of its leaves.
    fn insert(&mut self, name: &'a str, value: &Json, said: &Range<usize>) {
        let json = &mut self.draft.json;
        json.push(if json.is_empty() { '{' } else { ',' });
        json.push_str(&Value::from(name).to_string());
        json.push(':');
        match value {
            Json::Leaf(leaf) => self.draft.leaf(leaf, said.clone()),
            Json::List(items) if items.is_empty() => self.draft.leaf("[]", said.clone()),
            Json::List(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.draft.json.push(if index == 0 { '[' } else { ',' });
                    self.draft.leaf(item, said.clone());
                }
                self.draft.json.push(']');
            }
        }
        self.names.insert(name);
    }

    /// All that was said. Where the answer is not `whole`, more may follow, and it is no document yet.
    fn mended(mut self, schema: &Schema, whole: bool, repairs: Vec<Repair>) -> Mended {
        self.draft.json.push_str(if self.draft.json.is_empty() { "{}" } else { "}" });
        let is_there = |property: &Property| {
            self.names.contains(property.name.as_str()) || property.absent == Absent::LeftOut
        };
        let is_whole = whole && schema.properties().iter().all(is_there);
        let fields = self.draft.fields();
        Mended { document: is_whole.then_some(self.draft.json), fields, repairs }
    }
}
