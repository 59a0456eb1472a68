//! Which page a value stands on, by the text that pages bring with them: a PDF that a program wrote has one, a
//! scan has none.
//!
//! The model reads all pages together and does not say where it found a value, so this is said only where it
//! cannot be wrong: every page has a text, and the text of one of them alone has the value.

use std::borrow::Cow;

use super::normal::{SEPARATOR, abn, is_absent};
use super::{Field, FieldValue};
use crate::schema::{Kind, Printed};

/// What there is to read on each page of a document.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PageTexts {
    pages: usize,
    /// Of each page, in the form of [`words`]; none where a page has no text.
    texts: Option<Vec<String>>,
}

// === impl PageTexts ===

impl PageTexts {
    /// Of a document with these pages, each with its text where it brought one.
    pub fn new<'a>(pages: impl IntoIterator<Item = Option<&'a str>>) -> Self {
        let texts: Vec<Option<&str>> = pages.into_iter().collect();
        let pages = texts.len();
        // Of a single page nothing has to be found out.
        if pages < 2 {
            return Self { pages, texts: None };
        }
        let texts: Option<Vec<String>> = texts.into_iter().map(|text| text.map(words)).collect();
        let texts = texts.filter(|texts| texts.iter().all(|text| text.len() > BLANK.len()));
        Self { pages, texts }
    }

    /// The index of the page that `field` is from, where that is known. `kind` is what the schema says it is.
    pub fn page_of(&self, field: &Field, kind: Option<&Kind>) -> Option<usize> {
        if self.pages == 1 {
            return Some(0);
        }
        let texts = self.texts.as_ref()?;
        let wanted = spellings(field, kind)?;
        let has = |text: &String| {
            wanted.iter().all(|spellings| spellings.iter().any(|one| text.contains(one.as_str())))
        };
        let mut found = texts.iter().enumerate().filter(|(_, text)| has(text));
        let (page, _) = found.next()?;
        found.next().is_none().then_some(page)
    }
}

/// Words without any: a blank.
const BLANK: &str = " ";

/// What a page must have, all of it, each in one of its spellings; none for a value that no page has as it is
/// written.
fn spellings(field: &Field, kind: Option<&Kind>) -> Option<Vec<Vec<String>>> {
    let text = match &field.value {
        FieldValue::Text(text) if !is_absent(text) => text.as_str(),
        FieldValue::Number(_) => field.raw.as_str(),
        _ => return None,
    };
    let parts: Vec<&str> = match kind {
        Some(Kind::Joined { .. }) => text.split(SEPARATOR).collect(),
        // What the page is, and what is said of it: no words that stand there.
        Some(Kind::Choice(_) | Kind::Boolean | Kind::Printed(Printed::Boolean)) => return None,
        _ => vec![text],
    };
    let is_abn = matches!(kind, Some(Kind::Printed(Printed::Abn)));
    let wanted: Vec<Vec<String>> = parts
        .into_iter()
        .map(|part| match abn(part).filter(|_| is_abn) {
            Some(digits) => spellings_of_abn(&digits),
            None => vec![words(part)],
        })
        .collect();
    // A blank is on every page.
    let says = |spellings: &Vec<String>| spellings.iter().all(|one| one.len() > BLANK.len());
    (!wanted.is_empty() && wanted.iter().all(says)).then_some(wanted)
}

/// Pages have the eleven digits in one, or in groups.
fn spellings_of_abn(digits: &str) -> Vec<String> {
    let groups = [&digits[..2], &digits[2..5], &digits[5..8], &digits[8..]].join(" ");
    [digits, &groups].map(words).to_vec()
}

/// `text` as it is compared: words of letters and digits, each between two blanks, whatever stood between them.
/// Numbers keep their point and lose the commas between thousands; capital letters become small ones.
fn words(text: &str) -> String {
    let text: Cow<'_, str> = if text.is_ascii() {
        text.into()
    } else {
        text.chars().map(unligated).collect::<String>().into()
    };
    let mut out = String::with_capacity(text.len() + 2);
    out.push_str(BLANK);
    let mut before = ' ';
    let mut rest = text.chars().peekable();
    while let Some(char) = rest.next() {
        let in_number = before.is_ascii_digit() && rest.peek().is_some_and(char::is_ascii_digit);
        match char {
            ',' if in_number => {}
            '.' if in_number => out.push(char),
            char if char.is_alphanumeric() => out.extend(char.to_lowercase()),
            _ if out.ends_with(BLANK) => {}
            _ => out.push_str(BLANK),
        }
        before = char;
    }
    if !out.ends_with(BLANK) {
        out.push_str(BLANK);
    }
    out
}

/// What a glyph of two or three letters says.
fn unligated(char: char) -> Cow<'static, str> {
    match char {
        '\u{fb00}' => "ff".into(),
        '\u{fb01}' => "fi".into(),
        '\u{fb02}' => "fl".into(),
        '\u{fb03}' => "ffi".into(),
        '\u{fb04}' => "ffl".into(),
        other => other.to_string().into(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FIRST: &str =
        "ACME Pty. Ltd  ABN 51824753556\nTax invoice  03/04/2028\nQty 2  11.00  22.00 Coﬀee";
    const SECOND: &str = "Page 2\nAmount due: $1,234.50\nABN: 93 283 243 719  Qty 1  11.00";

    fn field(value: FieldValue, raw: &str) -> Field {
        Field { pointer: "/A".to_owned(), value, raw: raw.to_owned(), start: 0 }
    }

    fn said(text: &str) -> Field {
        field(FieldValue::Text(text.to_owned()), "")
    }

    fn both() -> PageTexts {
        PageTexts::new([Some(FIRST), Some(SECOND)])
    }

    #[track_caller]
    fn check(text: &str, kind: &Kind, expected: Option<usize>) {
        assert_eq!(both().page_of(&said(text), Some(kind)), expected, "{text}");
    }

    #[test]
    fn a_value_is_on_the_only_page_that_has_it() {
        let (money, text) = (Kind::Printed(Printed::Money), Kind::TEXT);
        check("acme PTY LTD", &text, Some(0));
        check("coffee", &text, Some(0));
        check("$1234.50", &money, Some(1));
        check("3/04/2028", &Kind::Printed(Printed::Date), None);
        check("03/04/2028", &Kind::Printed(Printed::Date), Some(0));
        let total = field(FieldValue::Number(1234.5), "1234.50");
        assert_eq!(both().page_of(&total, Some(&Kind::Decimal)), Some(1));
        // On both, on none, and a part of a word or a number only.
        check("11.00", &money, None);
        check("ACM", &text, None);
        check("2.00", &money, None);
        check("234.50", &money, None);
        // A quantity and a price are no price.
        check("211.00", &money, None);
    }

    #[test]
    fn an_abn_may_be_grouped() {
        let abn = Kind::Printed(Printed::Abn);
        check("51 824 753 556", &abn, Some(0));
        check("93283243719", &abn, Some(1));
        check("ABN 93 283 243 719", &abn, Some(1));
    }

    #[test]
    fn a_list_is_where_all_its_items_are() {
        let list = |item| Kind::Joined { item: Box::new(item), items_max: 8 };
        check("2 | 1", &list(Kind::Printed(Printed::Quantity)), Some(1));
        check("11.00 | 22.00", &list(Kind::Printed(Printed::Money)), Some(0));
        check("11.00 | | 22.00", &list(Kind::Printed(Printed::Money)), None);
    }

    /// A receipt does not always say that it is one, and `true` stands nowhere.
    #[test]
    fn what_stands_on_no_page_is_on_none() {
        let choice = Kind::Choice(vec!["invoice".into(), "page".into()]);
        check("invoice", &choice, None);
        let both = PageTexts::new([Some("true"), Some("null and void")]);
        assert_eq!(both.page_of(&said("true"), Some(&Kind::Printed(Printed::Boolean))), None);
        assert_eq!(both.page_of(&field(FieldValue::Bool(true), "true"), None), None);
        assert_eq!(both.page_of(&field(FieldValue::Null, "null"), None), None);
        assert_eq!(both.page_of(&said(" / "), None), None);
        let both = PageTexts::new([Some("Supplier not found"), Some("2")]);
        assert_eq!(both.page_of(&said("NOT_FOUND"), None), None);
    }

    #[test]
    fn a_page_without_text_may_have_anything() {
        for texts in [[Some(FIRST), None], [Some(FIRST), Some(" \n")], [None, None]] {
            assert_eq!(PageTexts::new(texts).page_of(&said("coffee"), None), None, "{texts:?}");
        }
        assert_eq!(PageTexts::new([None]).page_of(&said("coffee"), None), Some(0));
        assert_eq!(PageTexts::default().page_of(&said("coffee"), None), None);
    }

    proptest! {
        /// Whatever is said, and however pages are laid out: a page that is named has it, and no other does.
        #[test]
        fn only_a_page_that_has_the_value_is_named(
            pages in prop::collection::vec("[a-c1-3., \n]{0,12}", 2..4),
            value in "[a-c1-3.,$ ]{0,6}",
        ) {
            let texts = PageTexts::new(pages.iter().map(|page| Some(page.as_str())));
            if let Some(found) = texts.page_of(&said(&value), None) {
                let holds = |page: &str| {
                    let all: Vec<String> = words(page).split(' ').map(str::to_owned).collect();
                    let wanted = words(&value);
                    let wanted: Vec<&str> = wanted.trim().split(' ').collect();
                    all.windows(wanted.len()).any(|some| some == wanted)
                };
                for (index, page) in pages.iter().enumerate() {
                    prop_assert_eq!(holds(page), index == found, "{:?} in {:?}", value, pages);
                }
            }
        }
    }
}
