//! Equality of values, whatever form they are written in: amounts as numbers, dates as days, numbers
//! that identify as their digits, lists item by item and in order. Text is compared as it stands, but
//! for the width of its spaces: a letter of another case is a mistake.

use crate::fields::{self, Field, FieldValue, Normal, Normals};
use crate::schema::Schema;

use super::{is_absent, items};

/// Whether `found` is the value that `truth` is, of the field `name`.
pub(super) fn equal(name: &str, truth: &str, found: &str) -> bool {
    if !fields::is_list(name) {
        return same(&format!("/{name}"), truth, found);
    }
    let (truth, found) = (items(truth), items(found));
    let item = format!("/{name}/0");
    truth.len() == found.len() && truth.iter().zip(found).all(|(a, b)| same(&item, a, b))
}

/// Whether two items of the list `name` are equal.
pub(super) fn equal_items(name: &str, truth: &str, found: &str) -> bool {
    same(&format!("/{name}/0"), truth, found)
}

fn same(pointer: &str, truth: &str, found: &str) -> bool {
    if is_absent(truth) || is_absent(found) {
        return is_absent(truth) && is_absent(found);
    }
    match (normal(pointer, truth), normal(pointer, found)) {
        (Some(Normal::Text(a)), Some(Normal::Text(b))) => same_text(&a, &b),
        (Some(a), Some(b)) => a == b,
        // One of them is not understood: all that is left is how they are written.
        _ => spaced(truth) == spaced(found),
    }
}

/// Normal texts; numbers with a different number of decimals are the same number.
fn same_text(a: &str, b: &str) -> bool {
    a == b || number(a).is_some_and(|a| Some(a) == number(b))
}

/// A decimal number without the zeros that say nothing.
fn number(text: &str) -> Option<&str> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let is_number = digits.contains('.') && digits.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    let is_whole = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    if is_number {
        Some(text.trim_end_matches('0').trim_end_matches('.'))
    } else {
        is_whole.then_some(text)
    }
}

fn normal(pointer: &str, text: &str) -> Option<Normal> {
    let field = Field {
        pointer: pointer.to_owned(),
        value: FieldValue::Text(text.to_owned()),
        raw: String::new(),
        start: 0,
    };
    fields::note(&mut Normals::new(), Schema::of_every_kind(), &field)
}

fn spaced(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(name: &str, truth: &str, found: &str, is_equal: bool) {
        assert_eq!(equal(name, truth, found), is_equal, "{name}: {truth:?} and {found:?}");
    }

    #[test]
    fn form_does_not_count() {
        check("TOTAL_AMOUNT", "$5,976.90", "5976.9", true);
        check("TOTAL_AMOUNT", "$5,976.90", "5967.90", false);
        check("BUSINESS_ABN", "06 082 698 025", "06082698025", true);
        check("INVOICE_DATE", "16-Jul-25", "16/07/2025", true);
        check("INVOICE_DATE", "05/07/2025", "07/05/2025", false);
        check("IS_GST_INCLUDED", "true", "True", true);
        check("SUPPLIER_NAME", "ACME  Pty Ltd", "ACME Pty Ltd", true);
        check("SUPPLIER_NAME", "ACME", "Acme", false);
        check("LINE_ITEM_QUANTITIES", "1 | 2", "1.0|2", true);
    }

    #[test]
    fn lists_are_compared_in_order() {
        check("LINE_ITEM_PRICES", "$1.00 | $2.50", "1.00 | 2.50", true);
        check("LINE_ITEM_PRICES", "1.00 | 2.50", "2.50 | 1.00", false);
        check("LINE_ITEM_PRICES", "1.00 | 2.50", "1.00", false);
        check("TRANSACTION_AMOUNTS_PAID", "1.00 | NOT_FOUND", "1.00 | NOT_FOUND", true);
        check("TRANSACTION_AMOUNTS_PAID", "1.00 | NOT_FOUND", "1.00 | 0.00", false);
    }

    #[test]
    fn absence_is_a_value() {
        check("PAYER_NAME", "NOT_FOUND", "NOT_FOUND", true);
        check("PAYER_NAME", "NOT_FOUND", "", false);
        check("PAYER_NAME", "Jo", "NOT_FOUND", false);
        check("LINE_ITEM_PRICES", "NOT_FOUND", "1.00", false);
    }
}
