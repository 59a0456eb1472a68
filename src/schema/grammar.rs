//! What an answer must match, written down for llguidance's parser (a dialect of Lark).
//!
//! It is compact: between values stands exactly what `json.dumps` of Python puts there, so that no
//! model can fill its answer with blanks, and properties come in the schema's order.

use std::collections::HashMap;
use std::fmt::{self, Write as _};

use serde_json::Value;

use super::{Absent, Kind, Property, lexicon};

/// A grammar as text. Equal grammars are equal texts, so it can be a key.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Grammar(String);

#[derive(Debug, Default)]
struct Writer {
    rules: String,
    /// Names of terminals by their expressions.
    terminals: HashMap<String, String>,
    definitions: String,
    objects: usize,
    lists: usize,
}

// === impl Grammar ===

impl Grammar {
    /// One of these words, without quotes.
    pub fn one_of<'a>(words: impl IntoIterator<Item = &'a str>) -> Self {
        let words: Vec<String> = words.into_iter().map(literal).collect();
        Self(format!("start: {}\n", words.join(" | ")))
    }

    /// One that no parser takes.
    #[cfg(test)]
    pub(crate) fn broken() -> Self {
        Self("start: (".to_owned())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Grammar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Of an object with these properties.
pub(super) fn of(properties: &[Property]) -> Grammar {
    let mut writer = Writer::default();
    let root = writer.object(properties);
    Grammar(format!("start: {root}\n{}{}", writer.rules, writer.definitions))
}

// === impl Writer ===

impl Writer {
    /// The name of the rule of an object.
    fn object(&mut self, properties: &[Property]) -> String {
        let name = format!("o{}", self.objects);
        self.objects += 1;
        let pairs: Vec<(String, String, bool)> = properties
            .iter()
            .map(|property| {
                let key = format!("{}: ", Value::from(property.name.as_str()));
                (key, self.property(property), property.absent == Absent::LeftOut)
            })
            .collect();
        if pairs.iter().any(|(_, _, optional)| *optional) {
            self.object_with_gaps(&name, &pairs);
        } else {
            let mut rule = String::new();
            for (index, (key, value, _)) in pairs.iter().enumerate() {
                let before = if index == 0 { "{" } else { ", " };
                let _ = write!(rule, "{} {value} ", literal(&format!("{before}{key}")));
            }
            self.rule(&name, &format!("{rule}{}", literal("}")));
        }
        name
    }

    /// Properties that may be left out: `begin` rules have written none yet, `rest` rules some.
    fn object_with_gaps(&mut self, name: &str, pairs: &[(String, String, bool)]) {
        self.rule(name, &format!("{} {name}_begin0 {}", literal("{"), literal("}")));
        let last = pairs.len() - 1;
        for (index, (key, value, optional)) in pairs.iter().enumerate() {
            let next = index + 1;
            let rest = if index < last { format!(" {name}_rest{next}") } else { String::new() };
            if pairs[..index].iter().all(|(_, _, optional)| *optional) {
                let pair = format!("{} {value}{rest}", literal(key));
                let rule = match (*optional, index < last) {
                    (false, _) => pair,
                    (true, true) => format!("{pair} | {name}_begin{next}"),
                    (true, false) => format!("({pair})?"),
                };
                self.rule(&format!("{name}_begin{index}"), &rule);
            }
            if index > 0 {
                let pair = format!("{} {value}", literal(&format!(", {key}")));
                let rule = if *optional { format!("({pair})?{rest}") } else { pair + &rest };
                self.rule(&format!("{name}_rest{index}"), &rule);
            }
        }
    }

    fn property(&mut self, property: &Property) -> String {
        let value = self.value(&property.kind, property.absent);
        if property.absent == Absent::Null { format!("({value} | \"null\")") } else { value }
    }

    fn value(&mut self, kind: &Kind, absent: Absent) -> String {
        match kind {
            Kind::Object(properties) => self.object(properties),
            Kind::List { item, items_min, items_max } => self.list(item, *items_min, *items_max),
            scalar => {
                let expression = lexicon::scalar(scalar, absent).unwrap_or_default();
                self.terminal(expression)
            }
        }
    }

    fn list(&mut self, item: &Kind, min: usize, max: usize) -> String {
        let name = format!("l{}", self.lists);
        self.lists += 1;
        let item = self.value(item, Absent::Never);
        let more = if max > 1 {
            format!(" ({} {item}){{{},{}}}", literal(", "), min.saturating_sub(1), max - 1)
        } else {
            String::new()
        };
        let items = if min == 0 { format!("({item}{more})?") } else { format!("{item}{more}") };
        self.rule(&name, &format!("{} {items} {}", literal("["), literal("]")));
        name
    }

    /// The name of the terminal that matches `expression`.
    fn terminal(&mut self, expression: String) -> String {
        let count = self.terminals.len();
        let definitions = &mut self.definitions;
        let name = self.terminals.entry(expression).or_insert_with_key(|expression| {
            let name = format!("V{count}");
            let _ = writeln!(definitions, "{name}: /{}/", expression.replace('/', r"\/"));
            name
        });
        name.clone()
    }

    fn rule(&mut self, name: &str, body: &str) {
        let _ = writeln!(self.rules, "{name}: {body}");
    }
}

/// `text` as a literal: the grammar's strings are written as JSON's are.
fn literal(text: &str) -> String {
    Value::from(text).to_string()
}
