//! Reads fields out of an answer as it grows.
//!
//! A field is a leaf of the JSON object that the answer holds: a scalar, null, or an empty list or
//! object, named by its JSON pointer (RFC 6901). A string grows by deltas; everything completes exactly
//! once, when its last character is there, and never changes afterwards. What stands before and after
//! the object, such as a Markdown fence, is passed over.

use std::collections::BTreeSet;
use std::ops::Range;

use super::escape::{Step, Unescaper};
use super::number::NumberPart;
use crate::limits::{FIELD_DEPTH_MAX, FIELD_POINTER_BYTES_MAX};

#[cfg(test)]
mod tests;

/// What an answer's next piece of text brought.
#[derive(Debug, Clone, PartialEq)]
pub enum FieldEvent {
    /// `text` follows what came before for this string, which is still open.
    Delta {
        pointer: String,
        text: String,
    },
    Completed(Field),
}

/// A value that is whole.
#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    /// `/LINE_ITEMS/0/PRICE`
    pub pointer: String,
    pub value: FieldValue,
    /// The JSON text as it was written: digits and escapes are kept.
    pub raw: String,
    /// Where in the answer `raw` begins, in bytes.
    pub start: usize,
}

#[derive(Debug, Clone, PartialEq)]
pub enum FieldValue {
    Null,
    Bool(bool),
    /// The nearest number that has a type; all digits are in [`Field::raw`].
    Number(f64),
    Text(String),
    EmptyList,
    EmptyObject,
}

/// Reads one answer, piece by piece.
#[derive(Debug)]
pub struct FieldReader {
    at: At,
    /// Lists and objects that are open, the outermost first.
    open: Vec<Open>,
    /// Of the value that is read, or was last.
    pointer: String,
    /// JSON text of the scalar that is read.
    raw: String,
    /// Where `raw` begins in the answer.
    raw_start: usize,
    /// Unescaped text of the string that is read.
    text: String,
    /// Bytes of `text` that went out as deltas.
    sent: usize,
    /// A value that is no field: how many lists and objects were open when it began.
    muted: Option<usize>,
    /// Bytes of the answer that were read.
    offset: usize,
    object_start: usize,
    object_end: Option<usize>,
    repeated: Vec<String>,
    events: Vec<FieldEvent>,
}

/// What may come next.
#[derive(Debug)]
enum At {
    /// The object; anything else is passed over.
    Outside,
    Value,
    ValueOrEnd,
    Key,
    KeyOrEnd,
    Colon,
    /// A comma, or the end of a list or object.
    Next,
    String {
        unescaper: Unescaper,
        is_key: bool,
    },
    Number(NumberPart),
    /// The rest of `true`, `false` or `null`.
    Word {
        rest: &'static str,
        value: FieldValue,
    },
    /// The object is whole.
    Ended,
    /// The text is no JSON from here on.
    Broken,
}

/// A list or object that is open.
#[derive(Debug)]
struct Open {
    /// Bytes of its own pointer.
    pointer_len: usize,
    start: usize,
    children: Children,
}

#[derive(Debug)]
enum Children {
    /// How many began.
    List(usize),
    /// The keys so far.
    Object(BTreeSet<String>),
}

// === impl FieldReader ===

impl Default for FieldReader {
    fn default() -> Self {
        Self {
            at: At::Outside,
            open: Vec::new(),
            pointer: String::new(),
            raw: String::new(),
            raw_start: 0,
            text: String::new(),
            sent: 0,
            muted: None,
            offset: 0,
            object_start: 0,
            object_end: None,
            repeated: Vec::new(),
            events: Vec::new(),
        }
    }
}

impl FieldReader {
    /// Takes the next piece of the answer; says what it brought. A string that is still open after it
    /// has at most one delta, the last one in the list.
    pub fn push(&mut self, piece: &str) -> Vec<FieldEvent> {
        for c in piece.chars() {
            self.step(c);
            self.offset += c.len_utf8();
        }
        self.send_delta();
        std::mem::take(&mut self.events)
    }

    /// Where in the answer the object begins, once it does.
    pub fn object_start(&self) -> Option<usize> {
        (!matches!(self.at, At::Outside)).then_some(self.object_start)
    }

    /// Where in the answer the object is, once it is whole.
    pub fn object(&self) -> Option<Range<usize>> {
        Some(self.object_start..self.object_end?)
    }

    /// Pointers of keys that their object had before: their values are no fields, since a field does
    /// not change once it is complete.
    pub fn repeated(&self) -> &[String] {
        &self.repeated
    }

    fn step(&mut self, c: char) {
        match std::mem::replace(&mut self.at, At::Broken) {
            At::Outside => self.outside(c),
            At::ValueOrEnd if c == ']' => self.close(),
            At::ValueOrEnd if is_space(c) => self.at = At::ValueOrEnd,
            At::Value | At::ValueOrEnd => self.begin_value(c),
            At::Key => self.begin_key(c, At::Key),
            At::KeyOrEnd if c == '}' => self.close(),
            At::KeyOrEnd => self.begin_key(c, At::KeyOrEnd),
            At::Colon if is_space(c) => self.at = At::Colon,
            At::Colon if c == ':' => self.at = At::Value,
            At::Colon => {}
            At::Next => self.next(c),
            At::String { unescaper, is_key } => self.in_string(c, unescaper, is_key),
            At::Number(part) => self.in_number(c, part),
            At::Word { rest, value } => self.in_word(c, rest, value),
            ended @ (At::Ended | At::Broken) => self.at = ended,
        }
    }

    fn outside(&mut self, c: char) {
        if c == '{' {
            self.object_start = self.offset;
            self.open(At::KeyOrEnd, Children::Object(BTreeSet::new()));
        } else {
            self.at = At::Outside;
        }
    }

    fn begin_key(&mut self, c: char, same: At) {
        if is_space(c) {
            self.at = same;
        } else if c == '"' {
            self.begin_string(true);
        } else if self.open.len() == 1 && matches!(same, At::KeyOrEnd) {
            // A brace in the prose before the object.
            self.open.clear();
            self.outside(c);
        }
    }

    fn begin_value(&mut self, c: char) {
        if is_space(c) {
            self.at = At::Value;
            return;
        }
        self.begin_list_item();
        match c {
            '"' => return self.begin_string(false),
            '{' => return self.open(At::KeyOrEnd, Children::Object(BTreeSet::new())),
            '[' => return self.open(At::ValueOrEnd, Children::List(0)),
            't' => self.at = At::Word { rest: "rue", value: FieldValue::Bool(true) },
            'f' => self.at = At::Word { rest: "alse", value: FieldValue::Bool(false) },
            'n' => self.at = At::Word { rest: "ull", value: FieldValue::Null },
            _ => match NumberPart::first(c) {
                Some(part) => self.at = At::Number(part),
                None => return,
            },
        }
        self.begin_raw(c);
    }

    fn begin_raw(&mut self, c: char) {
        self.raw.clear();
        self.raw.push(c);
        self.raw_start = self.offset;
    }

    fn begin_string(&mut self, is_key: bool) {
        self.begin_raw('"');
        self.text.clear();
        self.sent = 0;
        self.at = At::String { unescaper: Unescaper::default(), is_key };
    }

    fn open(&mut self, at: At, children: Children) {
        if self.open.len() >= FIELD_DEPTH_MAX {
            self.mute();
        }
        let (pointer_len, start) = (self.pointer.len(), self.offset);
        self.open.push(Open { pointer_len, start, children });
        self.at = at;
    }

    fn in_string(&mut self, c: char, mut unescaper: Unescaper, is_key: bool) {
        self.raw.push(c);
        match unescaper.step(c, &mut self.text) {
            Step::Open => self.at = At::String { unescaper, is_key },
            Step::Invalid => {}
            Step::Closed if is_key => {
                self.at = At::Colon;
                self.take_key();
            }
            Step::Closed => {
                let text = std::mem::take(&mut self.text);
                self.complete(FieldValue::Text(text));
            }
        }
    }

    fn in_number(&mut self, c: char, part: NumberPart) {
        if let Some(part) = part.next(c) {
            self.raw.push(c);
            self.at = At::Number(part);
        } else if part.is_whole() {
            let value = self.raw.parse().unwrap_or(f64::NAN);
            self.complete(FieldValue::Number(value));
            self.step(c);
        }
    }

    fn in_word(&mut self, c: char, rest: &'static str, value: FieldValue) {
        if !rest.starts_with(c) {
            return;
        }
        self.raw.push(c);
        let rest = &rest[1..];
        if rest.is_empty() {
            self.complete(value);
        } else {
            self.at = At::Word { rest, value };
        }
    }

    fn next(&mut self, c: char) {
        let in_list =
            self.open.last().is_some_and(|open| matches!(open.children, Children::List(_)));
        match c {
            c if is_space(c) => self.at = At::Next,
            ',' if in_list => self.at = At::Value,
            ',' => self.at = At::Key,
            ']' if in_list => self.close(),
            '}' if !in_list => self.close(),
            _ => {}
        }
    }

    /// The pointer of the value that the key before it names.
    fn take_key(&mut self) {
        let key = std::mem::take(&mut self.text);
        let Some(Open { pointer_len, children: Children::Object(keys), .. }) = self.open.last_mut()
        else {
            return;
        };
        self.pointer.truncate(*pointer_len);
        self.pointer.push('/');
        self.pointer.push_str(&key.replace('~', "~0").replace('/', "~1"));
        let repeated = !keys.insert(key);
        if repeated && self.muted.is_none() {
            self.repeated.push(self.pointer.clone());
        }
        if repeated || self.pointer.len() > FIELD_POINTER_BYTES_MAX {
            self.mute();
        }
    }

    /// The pointer of the value that begins, where it is an item of a list.
    fn begin_list_item(&mut self) {
        let Some(Open { pointer_len, children: Children::List(count), .. }) = self.open.last_mut()
        else {
            return;
        };
        self.pointer.truncate(*pointer_len);
        self.pointer.push('/');
        self.pointer.push_str(&count.to_string());
        *count += 1;
    }

    /// The value that begins is no field.
    fn mute(&mut self) {
        self.muted.get_or_insert(self.open.len());
    }

    /// Ends the innermost list or object.
    fn close(&mut self) {
        let Some(open) = self.open.pop() else { return };
        self.pointer.truncate(open.pointer_len);
        let empty = match open.children {
            Children::List(0) => Some(("[]", FieldValue::EmptyList)),
            Children::Object(keys) if keys.is_empty() => Some(("{}", FieldValue::EmptyObject)),
            Children::List(_) | Children::Object(_) => None,
        };
        if let Some((raw, value)) = empty {
            raw.clone_into(&mut self.raw);
            self.raw_start = open.start;
            self.complete(value);
        }
        self.end_value();
        if self.open.is_empty() {
            self.at = At::Ended;
            self.object_end = Some(self.offset + 1);
        }
    }

    fn complete(&mut self, value: FieldValue) {
        if self.muted.is_none() {
            let raw = std::mem::take(&mut self.raw);
            let (pointer, start) = (self.pointer.clone(), self.raw_start);
            self.events.push(FieldEvent::Completed(Field { pointer, value, raw, start }));
        }
        self.end_value();
    }

    fn end_value(&mut self) {
        if self.muted == Some(self.open.len()) {
            self.muted = None;
        }
        self.at = At::Next;
    }

    fn send_delta(&mut self) {
        if matches!(self.at, At::String { is_key: false, .. })
            && self.muted.is_none()
            && self.sent < self.text.len()
        {
            let text = self.text[self.sent..].to_owned();
            self.sent = self.text.len();
            self.events.push(FieldEvent::Delta { pointer: self.pointer.clone(), text });
        }
    }
}

// === impl Field ===

impl Field {
    /// Where in the answer the characters are that say what the value is: an opening quote says only
    /// that it is a string, the closing one that nothing more belongs to it.
    pub fn said(&self) -> Range<usize> {
        let quote = usize::from(matches!(self.value, FieldValue::Text(_)));
        self.start + quote..self.start + self.raw.len()
    }
}

/// Whitespace as JSON has it.
fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r')
}
