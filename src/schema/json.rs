//! Properties as JSON Schema, in the keywords that [`read`] understands.

use serde_json::{Map, Value, json};

use super::{Absent, Kind, NOT_FOUND, Property, read};
use crate::limits;

/// Of an object with these properties and no others.
pub(super) fn schema(properties: &[Property]) -> Value {
    Value::Object(object(properties))
}

fn object(properties: &[Property]) -> Map<String, Value> {
    let named: Map<String, Value> =
        properties.iter().map(|property| (property.name.clone(), value(property))).collect();
    let required: Vec<&str> = properties
        .iter()
        .filter(|property| property.absent != Absent::LeftOut)
        .map(|property| property.name.as_str())
        .collect();
    let mut schema = Map::new();
    schema.insert("type".to_owned(), "object".into());
    schema.insert("properties".to_owned(), named.into());
    if !required.is_empty() {
        schema.insert("required".to_owned(), required.into());
    }
    schema.insert("additionalProperties".to_owned(), false.into());
    schema
}

fn value(property: &Property) -> Value {
    let mut schema = kind(&property.kind);
    if property.absent == Absent::Null {
        if let Some(Value::Array(choices)) = schema.get_mut("enum") {
            choices.push(Value::Null);
        } else {
            let name = schema.get("type").cloned();
            schema.insert("type".to_owned(), json!([name, "null"]));
        }
    }
    if property.absent == Absent::NotFound {
        schema.insert("default".to_owned(), NOT_FOUND.into());
    }
    if !property.description.is_empty() {
        schema.insert("description".to_owned(), property.description.clone().into());
    }
    schema.into()
}

fn kind(kind: &Kind) -> Map<String, Value> {
    let mut schema = Map::new();
    let mut set = |key: &str, value: Value| schema.insert(key.to_owned(), value);
    match kind {
        Kind::Integer => _ = set("type", "integer".into()),
        Kind::Decimal => _ = set("type", "number".into()),
        Kind::Boolean => _ = set("type", "boolean".into()),
        Kind::Choice(choices) => _ = set("enum", choices.clone().into()),
        Kind::Object(properties) => return object(properties),
        Kind::Text { chars_min, chars_max } => {
            set("type", "string".into());
            if *chars_min > 0 {
                set("minLength", (*chars_min).into());
            }
            if *chars_max != limits::TEXT_CHARS_DEFAULT {
                set("maxLength", (*chars_max).into());
            }
        }
        Kind::Date | Kind::Printed(_) | Kind::Joined { .. } => {
            set("type", "string".into());
            if let Some(format) = read::format_of(kind) {
                set("format", format.into());
            }
        }
        Kind::List { item, items_min, items_max } => {
            set("type", "array".into());
            set("items", self::kind(item).into());
            if *items_min > 0 {
                set("minItems", (*items_min).into());
            }
            if *items_max != limits::LIST_ITEMS_DEFAULT {
                set("maxItems", (*items_max).into());
            }
        }
    }
    schema
}
