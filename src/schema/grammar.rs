//! What an answer must match, written down for llguidance's parser (a dialect of Lark).
//!
//! It is compact: between values stands exactly what `json.dumps` of Python puts there, so that no
//! model can fill its answer with blanks, and properties come in the schema's order. The same properties can be
//! written as `KEY: value` lines instead, where none of them has others inside.

use std::collections::HashMap;
use std::fmt::{self, Write as _};

use serde_json::Value;

use super::{Absent, Kind, Property, lexicon};

/// A grammar as text. Equal grammars are equal texts, so it can be a key.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Grammar(String);

#[derive(Debug)]
struct Writer {
    style: &'static Style,
    rules: String,
    /// Names of terminals by their expressions.
    terminals: HashMap<String, String>,
    definitions: String,
    objects: usize,
    lists: usize,
}

/// What stands around and between properties.
#[derive(Debug)]
struct Style {
    open: &'static str,
    between: &'static str,
    close: &'static str,
    /// Of a name, up to its value.
    key: fn(&str) -> String,
}

const JSON: Style =
    Style { open: "{", between: ", ", close: "}", key: |name| format!("{}: ", Value::from(name)) };

const LINES: Style =
    Style { open: "", between: "\n", close: "", key: |name| format!("{name}{}", super::COLON) };

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
    let mut writer = Writer::new(&JSON);
    let root = writer.object(properties);
    writer.grammar(&root)
}

/// Of a line for each property; none where one cannot be written so.
pub(super) fn of_lines(properties: &[Property]) -> Option<Grammar> {
    let mut writer = Writer::new(&LINES);
    let pair = |property: &Property| {
        // It could be the end of another name.
        let is_clear = !property.name.contains(super::COLON);
        let expression = lexicon::in_line(&property.kind, property.absent).filter(|_| is_clear)?;
        let value = writer.terminal(expression);
        Some(((LINES.key)(&property.name), value, property.absent == Absent::LeftOut))
    };
    let pairs: Option<Vec<_>> = properties.iter().map(pair).collect();
    writer.pairs("lines", &pairs?);
    Some(writer.grammar("lines"))
}

// === impl Writer ===

impl Writer {
    fn new(style: &'static Style) -> Self {
        Self {
            style,
            rules: String::new(),
            terminals: HashMap::new(),
            definitions: String::new(),
            objects: 0,
            lists: 0,
        }
    }

    fn grammar(self, root: &str) -> Grammar {
        Grammar(format!("start: {root}\n{}{}", self.rules, self.definitions))
    }

    /// The name of the rule of an object.
    fn object(&mut self, properties: &[Property]) -> String {
        let name = format!("o{}", self.objects);
        self.objects += 1;
        let key = self.style.key;
        let pairs: Vec<(String, String, bool)> = properties
            .iter()
            .map(|property| {
                let value = self.property(property);
                (key(&property.name), value, property.absent == Absent::LeftOut)
            })
            .collect();
        self.pairs(&name, &pairs);
        name
    }

    /// The rule of names with values, of which some may be left out.
    fn pairs(&mut self, name: &str, pairs: &[(String, String, bool)]) {
        let Style { open, between, close, .. } = *self.style;
        if pairs.iter().any(|(_, _, optional)| *optional) {
            self.rule(name, &format!("{}{name}_begin0 {}", mark(open), mark(close)));
            self.pairs_with_gaps(name, pairs);
            return;
        }
        let mut rule = String::new();
        for (index, (key, value, _)) in pairs.iter().enumerate() {
            let before = if index == 0 { open } else { between };
            let _ = write!(rule, "{}{value} ", mark(&format!("{before}{key}")));
        }
        self.rule(name, &format!("{rule}{}", mark(close)));
    }

    /// Properties that may be left out: `begin` rules have written none yet, `rest` rules some.
    fn pairs_with_gaps(&mut self, name: &str, pairs: &[(String, String, bool)]) {
        let between = self.style.between;
        let last = pairs.len() - 1;
        for (index, (key, value, optional)) in pairs.iter().enumerate() {
            let next = index + 1;
            let rest = if index < last { format!(" {name}_rest{next}") } else { String::new() };
            if pairs[..index].iter().all(|(_, _, optional)| *optional) {
                let pair = format!("{}{value}{rest}", mark(key));
                let rule = match (*optional, index < last) {
                    (false, _) => pair,
                    (true, true) => format!("{pair} | {name}_begin{next}"),
                    (true, false) => format!("({pair})?"),
                };
                self.rule(&format!("{name}_begin{index}"), &rule);
            }
            if index > 0 {
                let pair = format!("{}{value}", mark(&format!("{between}{key}")));
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
        let _ = writeln!(self.rules, "{name}: {}", body.trim_end());
    }
}

/// `text` as a literal with a space behind it; nothing where there is none.
fn mark(text: &str) -> String {
    if text.is_empty() { String::new() } else { literal(text) + " " }
}

/// `text` as a literal: the grammar's strings are written as JSON's are.
fn literal(text: &str) -> String {
    Value::from(text).to_string()
}
