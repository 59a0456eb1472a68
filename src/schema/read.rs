//! JSON Schema text to properties. What is not understood is refused, never passed over: an answer
//! that is said to satisfy a schema must do so.

use serde_json::{Map, Value};

use super::{Absent, Kind, NOT_FOUND, Printed, Problem, Property, escaped};
use crate::limits;

/// Keywords that mean something here.
pub const KEYWORDS: &[&str] = &[
    "$defs",
    "$ref",
    "additionalProperties",
    "anyOf",
    "const",
    "default",
    "definitions",
    "description",
    "enum",
    "format",
    "items",
    "maxItems",
    "maxLength",
    "minItems",
    "minLength",
    "properties",
    "required",
    "type",
];

/// Keywords that say nothing about which documents are valid.
const ANNOTATIONS: &[&str] = &[
    "$comment",
    "$defs",
    "$id",
    "$schema",
    "default",
    "definitions",
    "deprecated",
    "description",
    "examples",
    "readOnly",
    "title",
    "writeOnly",
];

/// Values of `format`, each with its kind.
const FORMATS: &[(&str, Kind)] = &[
    ("date", Kind::Date),
    ("money", Kind::Printed(Printed::Money)),
    ("quantity", Kind::Printed(Printed::Quantity)),
    ("page-date", Kind::Printed(Printed::Date)),
    ("page-date-range", Kind::Printed(Printed::DateRange)),
    ("abn", Kind::Printed(Printed::Abn)),
    ("page-boolean", Kind::Printed(Printed::Boolean)),
];

/// A kind with `null` beside it or not.
type Nullable = (Kind, bool);

struct Reader<'a> {
    root: &'a Value,
    problems: Vec<Problem>,
    /// References that are being followed.
    following: Vec<&'a str>,
}

/// The properties of the object that `text` describes.
pub(super) fn properties(text: &str) -> Result<Vec<Property>, Vec<Problem>> {
    let problem = |what: String| vec![Problem { at: String::new(), what }];
    if text.len() > limits::SCHEMA_BYTES_MAX {
        let (size, most) = (text.len(), limits::SCHEMA_BYTES_MAX);
        return Err(problem(format!("is {size} bytes long, the most is {most}")));
    }
    let root: Value =
        serde_json::from_str(text).map_err(|error| problem(format!("is no JSON: {error}")))?;
    let mut reader = Reader { root: &root, problems: Vec::new(), following: Vec::new() };
    let kind = reader.kind("", &root);
    let properties = match kind {
        Some((Kind::Object(properties), false)) => properties,
        Some(_) => {
            reader.say("", "is no object at its root: wrap it in one");
            Vec::new()
        }
        None => Vec::new(),
    };
    if reader.problems.is_empty() { Ok(properties) } else { Err(reader.problems) }
}

/// The kind that the value of `format` names; with `-list` behind it, many of them in one text.
fn kind_of_format(format: &str) -> Option<Kind> {
    let of = |name: &str| FORMATS.iter().find(|(known, _)| *known == name);
    if let Some((_, kind)) = of(format) {
        return Some(kind.clone());
    }
    let item = match format.strip_suffix("-list")? {
        "text" => Kind::Text { chars_min: 0, chars_max: limits::ITEM_CHARS_MAX },
        name => of(name).map(|(_, kind)| kind.clone())?,
    };
    // A day of the calendar is no text of the page.
    (item != Kind::Date)
        .then(|| Kind::Joined { item: Box::new(item), items_max: limits::LIST_ITEMS_DEFAULT })
}

/// The value of `format` for this kind of string.
pub(super) fn format_of(kind: &Kind) -> Option<String> {
    match kind {
        Kind::Joined { item, .. } => {
            Some(format!("{}-list", format_of(item).unwrap_or_else(|| "text".to_owned())))
        }
        kind => FORMATS.iter().find(|(_, known)| known == kind).map(|(name, _)| (*name).to_owned()),
    }
}

// === impl Reader ===

impl<'a> Reader<'a> {
    fn say(&mut self, at: &str, what: impl Into<String>) {
        self.problems.push(Problem { at: at.to_owned(), what: what.into() });
    }

    /// What the schema at `at` describes; none after a problem.
    fn kind(&mut self, at: &str, schema: &'a Value) -> Option<Nullable> {
        let Some(schema) = schema.as_object() else {
            self.say(at, "is no schema object");
            return None;
        };
        if let Some(reference) = schema.get("$ref") {
            self.only(at, schema, "a reference", &["$ref"]);
            return self.referred(&format!("{at}/$ref"), reference);
        }
        if let Some(options) = schema.get("anyOf") {
            self.only(at, schema, "anyOf", &["anyOf"]);
            return self.or_null(&format!("{at}/anyOf"), options);
        }
        if schema.contains_key("enum") || schema.contains_key("const") {
            self.only(at, schema, "a choice", &["enum", "const", "type"]);
            return self.choice(at, schema);
        }
        let (name, nullable) = self.type_name(at, schema)?;
        if matches!(name, "integer" | "number" | "boolean") {
            self.only(at, schema, name, &["type"]);
        }
        let kind = match name {
            "string" => self.string(at, schema),
            "integer" => Some(Kind::Integer),
            "number" => Some(Kind::Decimal),
            "boolean" => Some(Kind::Boolean),
            "array" => self.array(at, schema),
            "object" => self.object(at, schema),
            other => {
                let what = format!(
                    "{other:?} is no type: use string, integer, number, boolean, array or object"
                );
                self.say(&format!("{at}/type"), what);
                None
            }
        }?;
        Some((kind, nullable))
    }

    /// Refuses keywords that are neither `allowed` nor annotations.
    fn only(&mut self, at: &str, schema: &Map<String, Value>, what: &str, allowed: &[&str]) {
        for key in schema.keys().map(String::as_str) {
            if allowed.contains(&key) || ANNOTATIONS.contains(&key) {
                continue;
            }
            let why = if KEYWORDS.contains(&key) {
                format!("does not go with {what}: take it out")
            } else {
                "is a keyword that is not supported: take it out and check it after reading"
                    .to_owned()
            };
            self.say(&format!("{at}/{}", escaped(key)), why);
        }
    }

    fn referred(&mut self, at: &str, reference: &'a Value) -> Option<Nullable> {
        let root = self.root;
        let text = reference.as_str().unwrap_or_default();
        let target = text
            .strip_prefix('#')
            .filter(|pointer| !pointer.is_empty())
            .and_then(|pointer| root.pointer(pointer));
        let Some(target) = target else {
            self.say(at, format!("{reference} is not in this text: write #/$defs/NAME"));
            return None;
        };
        if self.following.contains(&text) {
            self.say(at, format!("{text} is inside itself: schemas here have an end"));
            return None;
        }
        self.following.push(text);
        let kind = self.kind(&text[1..], target);
        self.following.pop();
        kind
    }

    /// A schema, or null: what generators of schemas make of an optional field.
    fn or_null(&mut self, at: &str, options: &'a Value) -> Option<Nullable> {
        let is_null = |option: &&Value| option.get("type").is_some_and(|name| name == "null");
        let options = options.as_array().map(Vec::as_slice).unwrap_or_default();
        let rest: Vec<(usize, &Value)> =
            options.iter().enumerate().filter(|(_, option)| !is_null(option)).collect();
        let [(index, option)] = rest[..] else {
            self.say(at, "is not one schema beside {\"type\": \"null\"}: choose one");
            return None;
        };
        let (kind, nullable) = self.kind(&format!("{at}/{index}"), option)?;
        Some((kind, nullable || options.len() > 1))
    }

    fn choice(&mut self, at: &str, schema: &'a Map<String, Value>) -> Option<Nullable> {
        let mut choices = match (schema.get("const"), schema.get("enum")) {
            (Some(value), None) => vec![value.clone()],
            (None, Some(Value::Array(values))) => values.clone(),
            _ => {
                self.say(at, "has no list of values: write {\"enum\": [\"a\", \"b\"]}");
                return None;
            }
        };
        if schema.contains_key("type") {
            let (name, nullable) = self.type_name(at, schema)?;
            let fits = |value: &Value| match value {
                Value::Null => nullable,
                Value::Bool(_) => name == "boolean",
                Value::Number(number) => {
                    name == "number" || (name == "integer" && !number.is_f64())
                }
                Value::String(_) => name == "string",
                Value::Array(_) | Value::Object(_) => false,
            };
            if let Some(value) = choices.iter().find(|value| !fits(value)) {
                self.say(at, format!("{value} is not of the type {name}"));
                return None;
            }
        }
        let count = choices.len();
        choices.retain(|choice| !choice.is_null());
        let nullable = choices.len() < count;
        Some((Kind::Choice(choices), nullable))
    }

    /// `"string"`, or `["string", "null"]`.
    fn type_name(&mut self, at: &str, schema: &'a Map<String, Value>) -> Option<(&'a str, bool)> {
        let names: Vec<&str> = match schema.get("type") {
            Some(Value::String(name)) => vec![name],
            Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
            _ => {
                self.say(at, "has no type: write one, like {\"type\": \"string\"}");
                return None;
            }
        };
        let rest: Vec<&str> = names.iter().copied().filter(|name| *name != "null").collect();
        let [name] = rest[..] else {
            self.say(&format!("{at}/type"), "is not one type, alone or beside null: choose one");
            return None;
        };
        Some((name, names.len() > 1))
    }

    fn string(&mut self, at: &str, schema: &Map<String, Value>) -> Option<Kind> {
        if let Some(format) = schema.get("format") {
            self.only(at, schema, "a format", &["type", "format"]);
            let kind = format.as_str().and_then(kind_of_format);
            if kind.is_none() {
                let known: Vec<&str> = FORMATS.iter().map(|(name, _)| *name).collect();
                let what = format!("{format} is no format here: use {}", known.join(", "));
                self.say(&format!("{at}/format"), what);
            }
            return kind;
        }
        self.only(at, schema, "a string", &["type", "minLength", "maxLength"]);
        let chars_min = self.count(at, schema, "minLength", 0);
        let chars_max =
            self.count(at, schema, "maxLength", limits::TEXT_CHARS_DEFAULT.max(chars_min));
        Some(Kind::Text { chars_min, chars_max })
    }

    fn array(&mut self, at: &str, schema: &'a Map<String, Value>) -> Option<Kind> {
        self.only(at, schema, "an array", &["type", "items", "minItems", "maxItems"]);
        let items_min = self.count(at, schema, "minItems", 0);
        let items_max =
            self.count(at, schema, "maxItems", limits::LIST_ITEMS_DEFAULT.max(items_min));
        let path = format!("{at}/items");
        let Some(items) = schema.get("items") else {
            self.say(at, "has no items: say what the array holds");
            return None;
        };
        let (item, nullable) = self.kind(&path, items)?;
        if nullable {
            self.say(&path, "may be null: an item that is not there is no item");
            return None;
        }
        Some(Kind::List { item: Box::new(item), items_min, items_max })
    }

    fn object(&mut self, at: &str, schema: &'a Map<String, Value>) -> Option<Kind> {
        let allowed = ["type", "properties", "required", "additionalProperties"];
        self.only(at, schema, "an object", &allowed);
        if schema.get("additionalProperties").is_some_and(|more| !more.is_boolean()) {
            let what = "describes properties without names: only named ones are read";
            self.say(&format!("{at}/additionalProperties"), what);
        }
        let Some(named) = schema.get("properties").and_then(Value::as_object) else {
            self.say(at, "has no properties: name at least one");
            return None;
        };
        let required = self.required(at, schema, named);
        let mut properties = Vec::new();
        for (name, schema) in named {
            let at = format!("{at}/properties/{}", escaped(name));
            let Some((kind, nullable)) = self.kind(&at, schema) else { continue };
            let text = |key: &str| schema.get(key).and_then(Value::as_str).unwrap_or_default();
            let absent = if text("default") == NOT_FOUND {
                Absent::NotFound
            } else if nullable {
                Absent::Null
            } else if required.contains(&name.as_str()) {
                Absent::Never
            } else {
                Absent::LeftOut
            };
            let description = match text("description") {
                "" => text("title"),
                description => description,
            };
            let description = description.to_owned();
            properties.push(Property { name: name.clone(), description, kind, absent });
        }
        Some(Kind::Object(properties))
    }

    fn required(
        &mut self,
        at: &str,
        schema: &'a Map<String, Value>,
        named: &Map<String, Value>,
    ) -> Vec<&'a str> {
        let Some(required) = schema.get("required") else { return Vec::new() };
        let names: Vec<&str> =
            required.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        for name in names.iter().filter(|name| !named.contains_key(**name)) {
            self.say(&format!("{at}/required"), format!("{name:?} is not among the properties"));
        }
        names
    }

    fn count(&mut self, at: &str, schema: &Map<String, Value>, key: &str, unset: usize) -> usize {
        let Some(value) = schema.get(key) else { return unset };
        // Beyond every limit, which `check` then names.
        let count = value.as_u64().map(|count| usize::try_from(count).unwrap_or(usize::MAX));
        if count.is_none() {
            self.say(&format!("{at}/{key}"), format!("{value} is no count"));
        }
        count.unwrap_or(unset)
    }
}
