//! Checks of bank statements: the order of dates, and balances that follow from transactions.

use super::amount::{amount, cents, near, shown, text};
use super::{Check, Rule};
use crate::fields::{Normal, Normals};

pub(super) fn date_order(normals: &Normals) -> Option<Check> {
    let (from, to) = text(normals, "STATEMENT_DATE_RANGE")?.split_once('/')?;
    let mut fields = vec!["STATEMENT_DATE_RANGE"];
    let mut problem = (from > to).then(|| format!("{to} is before {from}"));
    if let Some(Normal::List(dates)) = normals.get("TRANSACTION_DATES") {
        fields.push("TRANSACTION_DATES");
        // Dates in this form are in order where their texts are.
        let outside = dates.iter().find_map(|date| match date {
            Normal::Text(date) if !(from..=to).contains(&date.as_str()) => Some(date),
            _ => None,
        });
        let outside = outside.map(|date| format!("{date} is not from {from} to {to}"));
        problem = problem.or(outside);
    }
    Some(Check { rule: Rule::DateOrder, fields, problem })
}

/// The closing balance is the opening one and all transactions; or each balance of a list is the one
/// before it and its transaction. The built-in statement has one balance, which nothing follows from.
pub(super) fn balance(normals: &Normals) -> Option<Check> {
    const PAID: &str = "TRANSACTION_AMOUNTS_PAID";
    const RECEIVED: &str = "TRANSACTION_AMOUNTS_RECEIVED";
    let (mut paid, mut received) = (changes(normals, PAID)?, changes(normals, RECEIVED)?);
    // Nothing went one of the two ways.
    let rows = paid.len().max(received.len());
    for list in [&mut paid, &mut received].into_iter().filter(|list| list.is_empty()) {
        list.resize(rows, 0);
    }
    if rows == 0 || paid.len() != received.len() {
        return None;
    }
    let moved: Vec<i128> = received.iter().zip(&paid).map(|(more, less)| more - less).collect();
    if let Some(Normal::List(balances)) = normals.get("ACCOUNT_BALANCE") {
        let balances: Vec<i128> = balances.iter().map(amount).collect::<Option<_>>()?;
        if balances.len() != moved.len() || balances.len() < 2 {
            return None;
        }
        let wrong =
            balances.windows(2).zip(&moved[1..]).find(|(two, by)| !near(two[0] + **by, two[1]));
        let problem = wrong.map(|(two, by)| {
            let [before, after, by] = [two[0], two[1], *by].map(shown);
            format!("the balance goes from {before} to {after}, but {by} was moved")
        });
        return Some(Check {
            rule: Rule::Balance,
            fields: vec!["ACCOUNT_BALANCE", PAID, RECEIVED],
            problem,
        });
    }
    let opening = cents(text(normals, "OPENING_BALANCE")?)?;
    let name = ["CLOSING_BALANCE", "ACCOUNT_BALANCE"]
        .into_iter()
        .find(|name| text(normals, name).is_some())?;
    let closing = cents(text(normals, name)?)?;
    let sum = opening + moved.iter().sum::<i128>();
    let problem = (!near(sum, closing)).then(|| {
        format!(
            "the opening balance and all transactions make {}, the closing balance is {}",
            shown(sum),
            shown(closing)
        )
    });
    Some(Check {
        rule: Rule::Balance,
        fields: vec!["OPENING_BALANCE", name, PAID, RECEIVED],
        problem,
    })
}

/// Amounts of a list without their signs: the list's name says which way they went. A row without one
/// has zero; a list that the page does not have is empty.
fn changes(normals: &Normals, name: &str) -> Option<Vec<i128>> {
    let items = match normals.get(name)? {
        Normal::List(items) => items,
        Normal::Absent => return Some(Vec::new()),
        _ => return None,
    };
    let change = |item: &Normal| match item {
        Normal::Absent => Some(0),
        item => amount(item).map(i128::abs),
    };
    items.iter().map(change).collect()
}
