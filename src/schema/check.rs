//! What every schema must keep, whatever form it came in.

use std::collections::BTreeSet;

use super::{Absent, Kind, Problem, Property, escaped};
use crate::limits;

/// Bytes of the longest index of a list item in a pointer, with its slash.
const INDEX_BYTES: usize = 4;

#[derive(Debug, Default)]
struct Checker {
    problems: Vec<Problem>,
    /// Of all objects.
    properties: usize,
}

/// Everything that is wrong with the root object's properties.
pub(super) fn problems(properties: &[Property]) -> Vec<Problem> {
    let mut checker = Checker::default();
    checker.object("", properties, 1);
    if checker.properties > limits::SCHEMA_PROPERTIES_MAX {
        checker.say(
            "",
            format!(
                "has {} properties in all, the most is {}: ask in several requests",
                checker.properties,
                limits::SCHEMA_PROPERTIES_MAX
            ),
        );
    }
    checker.problems
}

// === impl Checker ===

impl Checker {
    fn say(&mut self, at: &str, what: impl Into<String>) {
        self.problems.push(Problem { at: at.to_owned(), what: what.into() });
    }

    fn object(&mut self, at: &str, properties: &[Property], depth: usize) {
        if properties.is_empty() {
            self.say(at, "has no properties: name at least one");
        }
        if depth > limits::SCHEMA_DEPTH_MAX {
            let most = limits::SCHEMA_DEPTH_MAX;
            return self.say(at, format!("is more than {most} levels deep: ask for it flatter"));
        }
        let mut names = BTreeSet::new();
        for property in properties {
            self.properties += 1;
            let pointer = format!("{at}/{}", escaped(&property.name));
            if !names.insert(&property.name) {
                self.say(&pointer, "is named twice: names of one object differ");
            }
            self.name(&pointer, &property.name);
            self.kind(&pointer, &property.kind, depth);
            if property.absent == Absent::NotFound && !is_text(&property.kind) {
                self.say(&pointer, "is no string, so it cannot be NOT_FOUND: let it be null");
            }
        }
    }

    fn name(&mut self, pointer: &str, name: &str) {
        if name.is_empty() {
            self.say(pointer, "has no name");
        }
        if name.chars().any(char::is_control) {
            self.say(pointer, "has a control character in its name");
        }
        if pointer.len() > limits::FIELD_POINTER_BYTES_MAX {
            let most = limits::FIELD_POINTER_BYTES_MAX;
            self.say(pointer, format!("is more than {most} bytes long as a path: shorten names"));
        }
    }

    fn kind(&mut self, at: &str, kind: &Kind, depth: usize) {
        match kind {
            Kind::Text { chars_min, chars_max } => {
                let most = limits::TEXT_CHARS_MAX;
                if *chars_max > most {
                    self.say(at, format!("may be {chars_max} characters long, the most is {most}"));
                }
                if chars_min > chars_max || *chars_max == 0 {
                    let what =
                        format!("has lengths from {chars_min} to {chars_max}: there is none");
                    self.say(at, what);
                }
            }
            Kind::Choice(choices) => self.choices(at, choices),
            Kind::Joined { item, items_max } => {
                if !matches!(**item, Kind::Text { .. } | Kind::Printed(_)) {
                    self.say(at, "joins items that are no texts: use a list");
                }
                self.items(at, 1, *items_max);
                self.kind(at, item, depth);
            }
            Kind::List { item, items_min, items_max } => {
                self.items(at, *items_min, *items_max);
                if matches!(**item, Kind::List { .. }) {
                    self.say(at, "is a list of lists: name what is inside in an object");
                }
                self.kind(&format!("{at}/{}", "0".repeat(INDEX_BYTES - 1)), item, depth);
            }
            Kind::Object(properties) => self.object(at, properties, depth + 1),
            Kind::Integer | Kind::Decimal | Kind::Boolean | Kind::Date | Kind::Printed(_) => {}
        }
    }

    fn choices(&mut self, at: &str, choices: &[serde_json::Value]) {
        let most = limits::CHOICES_MAX;
        if choices.is_empty() || choices.len() > most {
            let count = choices.len();
            let what = format!("has {count} values to choose from, there must be 1 to {most}");
            return self.say(at, what);
        }
        for (index, choice) in choices.iter().enumerate() {
            if choice.is_array() || choice.is_object() {
                self.say(at, "has a list or an object to choose from: only scalars can be");
            }
            if choice.to_string().len() > limits::CHOICE_BYTES_MAX {
                let most = limits::CHOICE_BYTES_MAX;
                self.say(at, format!("has a value of more than {most} bytes to choose from"));
            }
            if choices[..index].contains(choice) {
                self.say(at, format!("has {choice} twice to choose from"));
            }
        }
    }

    fn items(&mut self, at: &str, min: usize, max: usize) {
        let most = limits::LIST_ITEMS_MAX;
        if max > most {
            self.say(at, format!("may have {max} items, the most is {most}"));
        }
        if min > max || max == 0 {
            self.say(at, format!("has from {min} to {max} items: there is no such list"));
        }
    }
}

/// Whether the value is a JSON string in any case.
fn is_text(kind: &Kind) -> bool {
    match kind {
        Kind::Text { .. } | Kind::Date | Kind::Printed(_) | Kind::Joined { .. } => true,
        Kind::Choice(choices) => choices.iter().all(serde_json::Value::is_string),
        _ => false,
    }
}
