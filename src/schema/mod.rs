//! What to read from a document: named values of known kinds, in the order in which they are written.
//!
//! Every way to ask, a built-in kind of document, a list of fields or JSON Schema text, becomes one
//! [`Schema`]. From it follow the question ([`prompt`](crate::prompt)), the grammar that the answer is
//! held to ([`Grammar`]) and the normalised form of each value ([`fields`](crate::fields)).
//!
//! Pure: no tokens, no tensors, no wire.

mod built_in;
mod check;
mod grammar;
mod json;
mod lexicon;
mod read;

pub use built_in::DocumentKind;
pub use grammar::Grammar;
pub use read::KEYWORDS;

use std::sync::LazyLock;

use serde_json::Value;

use crate::limits;

/// How the built-in kinds of document write that the page does not have a value.
pub const NOT_FOUND: &str = "NOT_FOUND";

/// Between the items of a list that is one text.
pub const SEPARATOR: &str = " | ";

/// Between name and value of a `KEY: value` line.
pub const COLON: &str = ": ";

/// A list without items in such a line.
pub const EMPTY_LIST: &str = "[]";

/// What the answer is: one JSON object with these properties, in this order.
#[derive(Debug, Clone, PartialEq)]
pub struct Schema {
    document: Option<DocumentKind>,
    properties: Vec<Property>,
}

/// One named value of an object.
#[derive(Debug, Clone, PartialEq)]
pub struct Property {
    pub name: String,
    /// What it means, for the model. May be empty.
    pub description: String,
    pub kind: Kind,
    pub absent: Absent,
}

/// What is written where the document does not show the value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Absent {
    /// There is always a value, even where the model is unsure.
    Never,
    Null,
    /// [`NOT_FOUND`], as text.
    NotFound,
    /// The property is left out.
    LeftOut,
}

/// What a value is, and how JSON has it.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// A string of so many characters.
    Text {
        chars_min: usize,
        chars_max: usize,
    },
    /// A JSON number without a fraction.
    Integer,
    /// A JSON number.
    Decimal,
    Boolean,
    /// A string `YYYY-MM-DD` that is a day of the calendar.
    Date,
    /// A string as the page has it.
    Printed(Printed),
    /// One of these scalars.
    Choice(Vec<Value>),
    /// Items in one string, with [`SEPARATOR`] between them; each is a text or printed.
    Joined {
        item: Box<Kind>,
        items_max: usize,
    },
    /// A JSON array.
    List {
        item: Box<Kind>,
        items_min: usize,
        items_max: usize,
    },
    Object(Vec<Property>),
}

/// Values that keep the form of the page; their normalised value is in one form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Printed {
    /// `$1,234.50`, `-3.20`, `AUD 12`
    Money,
    /// `12`, `1.5 kg`
    Quantity,
    /// `3/4/2028`, `27th March 2020`
    Date,
    /// `01/05/2014 to 27/05/2014`
    DateRange,
    /// `51 824 753 556`
    Abn,
    /// `true`, `false`
    Boolean,
}

/// One thing that is wrong with a schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// JSON Pointer: into the schema text where there is one, else into the document.
    pub at: String,
    /// What is wrong, and what to do about it.
    pub what: String,
}

// === impl Property ===

impl Property {
    /// Without a description.
    pub fn new(name: impl Into<String>, kind: Kind, absent: Absent) -> Self {
        Self { name: name.into(), description: String::new(), kind, absent }
    }
}

// === impl Schema ===

impl Schema {
    /// An object with these properties, or everything that is wrong with them.
    pub fn new(properties: Vec<Property>) -> Result<Self, Vec<Problem>> {
        let problems = check::problems(&properties);
        if problems.is_empty() { Ok(Self { document: None, properties }) } else { Err(problems) }
    }

    /// From JSON Schema text; the keywords are [`KEYWORDS`].
    pub fn from_json_schema(text: &str) -> Result<Self, Vec<Problem>> {
        Self::new(read::properties(text)?)
    }

    /// Of a built-in kind of document.
    pub fn of(document: DocumentKind) -> Self {
        Self { document: Some(document), properties: built_in::properties(document) }
    }

    /// Every field of any built-in kind of document.
    pub fn of_every_kind() -> &'static Self {
        static EVERY: LazyLock<Schema> = LazyLock::new(|| {
            let mut properties: Vec<Property> = Vec::new();
            for property in DocumentKind::ALL.into_iter().flat_map(built_in::properties) {
                if properties.iter().all(|known| known.name != property.name) {
                    properties.push(property);
                }
            }
            Schema { document: None, properties }
        });
        &EVERY
    }

    /// The built-in kind of document that this is the schema of.
    pub fn document(&self) -> Option<DocumentKind> {
        self.document
    }

    pub fn properties(&self) -> &[Property] {
        &self.properties
    }

    /// Names of the object's own properties, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.properties.iter().map(|property| property.name.as_str())
    }

    /// Whether a value is an object, or a list of them.
    pub fn has_objects(&self) -> bool {
        self.properties.iter().any(|property| match &property.kind {
            Kind::Object(_) => true,
            Kind::List { item, .. } => matches!(**item, Kind::Object(_)),
            _ => false,
        })
    }

    /// The kind of the value at `pointer`, a JSON Pointer into the document.
    pub fn kind_at(&self, pointer: &str) -> Option<&Kind> {
        let mut parts = pointer.split('/').skip(1);
        let name = unescaped(parts.next()?);
        let mut kind = &self.properties.iter().find(|property| property.name == name)?.kind;
        for part in parts {
            kind = match kind {
                Kind::List { item, .. } if part.parse::<usize>().is_ok() => item,
                Kind::Object(properties) => {
                    let name = unescaped(part);
                    &properties.iter().find(|property| property.name == name)?.kind
                }
                _ => return None,
            };
        }
        Some(kind)
    }

    /// As JSON Schema text has it, in the keywords that [`from_json_schema`](Self::from_json_schema)
    /// reads.
    pub fn to_json_schema(&self) -> Value {
        json::schema(&self.properties)
    }

    /// What an answer must match, character by character.
    pub fn grammar(&self) -> Grammar {
        grammar::of(&self.properties)
    }

    /// The same of an answer in `KEY: value` lines, in the order of the schema. None where its values cannot be
    /// told from lines: objects, choices with a line break or a bar in them, names with a colon.
    pub fn grammar_of_lines(&self) -> Option<Grammar> {
        grammar::of_lines(&self.properties)
    }
}

// === impl Kind ===

impl Kind {
    /// A string of any length that the limits allow.
    pub const TEXT: Self = Self::Text { chars_min: 0, chars_max: limits::TEXT_CHARS_DEFAULT };

    /// An array of `item`, as long as lists are where nothing else is asked for.
    pub fn list_of(item: Self) -> Self {
        Self::List { item: Box::new(item), items_min: 0, items_max: limits::LIST_ITEMS_DEFAULT }
    }

    /// Whether a piece of such a string means something before the string is whole. An amount, a date or
    /// a choice does not: `$1` is on the way to `$1,234.50`, and another amount.
    pub fn grows(&self) -> bool {
        match self {
            Self::Text { .. } => true,
            Self::Joined { item, .. } => item.grows(),
            Self::Integer
            | Self::Decimal
            | Self::Boolean
            | Self::Date
            | Self::Printed(_)
            | Self::Choice(_)
            | Self::List { .. }
            | Self::Object(_) => false,
        }
    }

    /// Names the kind where values of one kind are taken together, as in a calibration.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Text { .. } => "text",
            Self::Integer => "integer",
            Self::Decimal => "decimal",
            Self::Boolean => "boolean",
            Self::Date => "date",
            Self::Printed(printed) => printed.label(),
            Self::Choice(_) => "choice",
            Self::Joined { item, .. } => match **item {
                Self::Printed(Printed::Money) => "money_list",
                Self::Printed(Printed::Quantity) => "quantity_list",
                Self::Printed(Printed::Date) => "page_date_list",
                _ => "text_list",
            },
            Self::List { .. } => "list",
            Self::Object(_) => "object",
        }
    }
}

impl Printed {
    pub fn label(self) -> &'static str {
        match self {
            Self::Money => "money",
            Self::Quantity => "quantity",
            Self::Date => "page_date",
            Self::DateRange => "page_date_range",
            Self::Abn => "abn",
            Self::Boolean => "page_boolean",
        }
    }
}

/// A part of a JSON Pointer as the name it stands for.
fn unescaped(part: &str) -> String {
    part.replace("~1", "/").replace("~0", "~")
}

/// A name as a part of a JSON Pointer.
fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

#[cfg(test)]
pub(crate) mod tests;
