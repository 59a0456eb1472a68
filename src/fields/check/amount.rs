//! Amounts of a document as cents, so that sums are exact.

use super::CENTS_APART_MAX;
use crate::fields::{Normal, Normals};

pub(super) fn amount(item: &Normal) -> Option<i128> {
    if let Normal::Text(text) = item { cents(text) } else { None }
}

pub(super) fn text<'a>(normals: &'a Normals, name: &str) -> Option<&'a str> {
    if let Some(Normal::Text(text)) = normals.get(name) { Some(text) } else { None }
}

/// A normalised amount in cents; none where it has parts of a cent.
pub(super) fn cents(amount: &str) -> Option<i128> {
    let (whole, fraction) = amount.split_once('.').unwrap_or((amount, ""));
    let fraction = fraction.trim_end_matches('0');
    if fraction.len() > 2 {
        return None;
    }
    format!("{whole}{fraction:0<2}").parse().ok()
}

pub(super) fn near(a: i128, b: i128) -> bool {
    (a - b).abs() <= CENTS_APART_MAX
}

/// Cents as an amount.
pub(super) fn shown(cents: i128) -> String {
    let sign = if cents < 0 { "-" } else { "" };
    format!("{sign}{}.{:02}", cents.abs() / 100, cents.abs() % 100)
}
