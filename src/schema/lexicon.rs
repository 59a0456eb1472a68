//! How values are spelt, as regular expressions over the whole JSON text of the value. All are
//! bounded: an answer that is held to them ends.

use serde_json::Value;

use super::{Absent, EMPTY_LIST, Kind, NOT_FOUND, Printed};

/// A character of a JSON string; escapes only where JSON needs them, and for line breaks.
const CHARACTER: &str = r#"([^"\\\x00-\x1F\x7F]|\\["\\n])"#;

/// As [`CHARACTER`], but for the bar between items.
const ITEM_CHARACTER: &str = r#"([^"\\|\x00-\x1F\x7F]|\\["\\])"#;

const INTEGER: &str = "(0|-?[1-9][0-9]{0,14})";
const DECIMAL: &str = r"-?(0|[1-9][0-9]{0,14})(\.[0-9]{1,6})?";

/// Digits, each with at most one mark before it that groups them or begins the fraction.
const NUMBER: &str = "[.]?[0-9]([.,' ]?[0-9]){0,17}";

/// Signs, a currency before or behind, brackets or DR for what is owed.
const MONEY: &str =
    r"[-−+(]?[-+]? ?([A-Z]{1,3} ?)?[$£€¥₹]?[-−+]? ?NUMBER( ?([A-Z]{1,3}|[$£€¥₹%+−-]))?\)?";

const QUANTITY: &str = r"[-−+]?NUMBER( ?[A-Za-z%]{1,8})?";

/// Numbers and names of months or days: two to five of them.
const DATE: &str = r"([0-9]{1,4}(st|nd|rd|th)?|[A-Za-z]{3,9})((, ?|[.] ?|[-/ ])?([0-9]{1,4}(st|nd|rd|th)?|[A-Za-z]{3,9})){1,4}";

const DATE_RANGE: &str = r"DATE( (to|TO|To|until|through|[-–—]) |[-–—/])DATE";

/// Eleven digits; more or fewer where the page has them so, which a check then says.
const ABN: &str = "[0-9]([ .-]?[0-9]){8,13}";

/// A day of the Gregorian calendar, leap years included.
const CALENDAR_DAY: &str = concat!(
    "([0-9]{4}-((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])",
    "|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|1[0-9]|2[0-8]))",
    "|([0-9]{2}(0[48]|[2468][048]|[13579][26])|([02468][048]|[13579][26])00)-02-29)",
);

/// The JSON text of a scalar of this kind; none where it is no scalar.
pub(super) fn scalar(kind: &Kind, absent: Absent) -> Option<String> {
    let not_found = absent == Absent::NotFound;
    let inside = match kind {
        Kind::Integer => return Some(INTEGER.to_owned()),
        Kind::Decimal => return Some(DECIMAL.to_owned()),
        Kind::Boolean => return Some("(true|false)".to_owned()),
        Kind::Choice(choices) => return Some(choice(choices, not_found)),
        Kind::List { .. } | Kind::Object(_) => return None,
        Kind::Text { chars_min, chars_max } => {
            // What is not there has another form than an empty text.
            let least = if absent == Absent::Never { *chars_min } else { (*chars_min).max(1) };
            return Some(format!("\"{CHARACTER}{{{least},{chars_max}}}\""));
        }
        Kind::Date => CALENDAR_DAY.to_owned(),
        Kind::Printed(printed) => self::printed(*printed),
        Kind::Joined { item, items_max } => joined(item, *items_max),
    };
    let or_not = if not_found { format!("|{NOT_FOUND}") } else { String::new() };
    Some(format!("\"({inside}{or_not})\""))
}

/// The value of this kind in a `KEY: value` line; none where a line cannot have it.
pub(super) fn in_line(kind: &Kind, absent: Absent) -> Option<String> {
    let inside = match kind {
        Kind::List { item, items_min, items_max } => {
            let item = item_in_line(item)?;
            let (fewest, most) = (items_min.saturating_sub(1), items_max.saturating_sub(1));
            let items = format!(r"{item}( \| {item}){{{fewest},{most}}}");
            let empty = literal(EMPTY_LIST);
            if *items_min == 0 { format!("({empty}|{items})") } else { items }
        }
        Kind::Joined { item, items_max } => {
            let item = format!("({}|{NOT_FOUND})", item_in_line(item)?);
            format!(r"{item}( \| {item}){{0,{}}}", items_max.saturating_sub(1))
        }
        Kind::Text { chars_min, chars_max } => text_in_line(*chars_min, *chars_max, ""),
        kind => plain_in_line(kind)?,
    };
    Some(match absent {
        Absent::NotFound => format!("({inside}|{NOT_FOUND})"),
        Absent::Null => format!("({inside}|null)"),
        Absent::Never | Absent::LeftOut => format!("({inside})"),
    })
}

fn item_in_line(kind: &Kind) -> Option<String> {
    match kind {
        Kind::Text { chars_min, chars_max } => Some(text_in_line(*chars_min, *chars_max, "|")),
        Kind::Choice(choices) if choices.iter().any(|choice| unquoted(choice).contains('|')) => {
            None
        }
        kind => plain_in_line(kind).map(|item| format!("({item})")),
    }
}

/// A scalar that a line has as JSON has it, but for the quotes.
fn plain_in_line(kind: &Kind) -> Option<String> {
    match kind {
        Kind::Integer => Some(INTEGER.to_owned()),
        Kind::Decimal => Some(DECIMAL.to_owned()),
        Kind::Boolean => Some("true|false".to_owned()),
        Kind::Date => Some(CALENDAR_DAY.to_owned()),
        Kind::Printed(printed) => Some(self::printed(*printed)),
        Kind::Choice(choices) => {
            let choices: Vec<String> = choices.iter().map(unquoted).collect();
            let is_line =
                |choice: &String| !choice.is_empty() && !choice.contains(char::is_control);
            let all: Vec<String> = choices.iter().map(|choice| literal(choice)).collect();
            choices.iter().all(is_line).then(|| all.join("|"))
        }
        Kind::Text { .. } | Kind::Joined { .. } | Kind::List { .. } | Kind::Object(_) => None,
    }
}

/// So many characters, of which the first and the last are no space. There is no other sign of an empty text.
fn text_in_line(chars_min: usize, chars_max: usize, without: &str) -> String {
    let inner = format!(r"[^{without}\x00-\x1F\x7F]");
    let outer = format!(r"[^ {without}\x00-\x1F\x7F]");
    match (chars_min, chars_max) {
        (_, 0 | 1) => outer,
        (0 | 1, most) => format!("{outer}({inner}{{0,{}}}{outer})?", most - 2),
        (least, most) => format!("{outer}{inner}{{{},{}}}{outer}", least - 2, most - 2),
    }
}

/// A choice as a line has it.
pub(super) fn unquoted(choice: &Value) -> String {
    choice.as_str().map_or_else(|| choice.to_string(), str::to_owned)
}

fn printed(printed: Printed) -> String {
    match printed {
        Printed::Money => MONEY.replace("NUMBER", NUMBER),
        Printed::Quantity => QUANTITY.replace("NUMBER", NUMBER),
        Printed::Date => DATE.to_owned(),
        Printed::DateRange => DATE_RANGE.replace("DATE", DATE),
        Printed::Abn => ABN.to_owned(),
        Printed::Boolean => "true|false".to_owned(),
    }
}

/// Items with bars between them; one of several may be missing.
fn joined(item: &Kind, items_max: usize) -> String {
    let item = match item {
        Kind::Printed(printed) => format!("({}|{NOT_FOUND})", self::printed(*printed)),
        Kind::Text { chars_max, .. } => format!("{ITEM_CHARACTER}{{1,{chars_max}}}"),
        // No schema has others: `check` refuses them.
        _ => NOT_FOUND.to_owned(),
    };
    format!(r"{item}( \| {item}){{0,{}}}", items_max.saturating_sub(1))
}

fn choice(choices: &[Value], not_found: bool) -> String {
    let mut all: Vec<String> = choices.iter().map(|choice| literal(&choice.to_string())).collect();
    if not_found {
        all.push(format!("\"{NOT_FOUND}\""));
    }
    format!("({})", all.join("|"))
}

/// `text` itself, with nothing in it that means something in a regular expression.
fn literal(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_ascii_punctuation() && !matches!(c, '"' | '_' | '/' | '<' | '>' | '\'' | ',') {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}
