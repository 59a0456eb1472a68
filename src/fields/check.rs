//! Whether the values of one document agree with one another. A check looks at normalised values, says
//! what it found, and changes nothing; one whose values are not all there is not made.

use super::{Normal, Normals};

/// Rounding to cents, once for each sum and once for the tax.
const CENTS_APART_MAX: i128 = 2;

/// What is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// The check digits of an Australian Business Number.
    AbnChecksum,
    /// The line items add up to the total, with or without the tax on top.
    LineItemsSum,
    /// The tax is at most one eleventh of the total: 10 % of all goods, or of some.
    GstShare,
    /// A range of dates ends after it begins, and what happened in it has its dates.
    DateOrder,
}

/// The outcome of one check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    pub rule: Rule,
    /// Names of the fields that it looked at.
    pub fields: Vec<&'static str>,
    /// What does not agree, for people; none where all does.
    pub problem: Option<String>,
}

/// All checks that can be made.
pub fn check(normals: &Normals) -> Vec<Check> {
    [abn_checksum, line_items_sum, gst_share, date_order]
        .into_iter()
        .filter_map(|check| check(normals))
        .collect()
}

fn abn_checksum(normals: &Normals) -> Option<Check> {
    const WEIGHTS: [u32; 11] = [10, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19];
    let abn = text(normals, "BUSINESS_ABN")?;
    let digits: Vec<u32> = abn.chars().filter_map(|c| c.to_digit(10)).collect();
    // The first digit counts one less.
    let sum: u32 = digits.iter().zip(WEIGHTS).map(|(digit, weight)| digit * weight).sum();
    let right =
        digits.len() == WEIGHTS.len() && digits[0] > 0 && (sum - WEIGHTS[0]).is_multiple_of(89);
    let problem = (!right).then(|| format!("{abn} is no ABN: its check digits are wrong"));
    Some(Check { rule: Rule::AbnChecksum, fields: vec!["BUSINESS_ABN"], problem })
}

fn line_items_sum(normals: &Normals) -> Option<Check> {
    let total = cents(text(normals, "TOTAL_AMOUNT")?)?;
    let Some(Normal::List(items)) = normals.get("LINE_ITEM_TOTAL_PRICES") else { return None };
    if items.is_empty() {
        return None;
    }
    let amount = |item: &Normal| if let Normal::Text(text) = item { cents(text) } else { None };
    let sum: i128 = items.iter().map(amount).sum::<Option<i128>>()?;
    let gst = text(normals, "GST_AMOUNT").and_then(cents);
    let mut fields = vec!["LINE_ITEM_TOTAL_PRICES", "TOTAL_AMOUNT"];
    fields.extend(gst.map(|_| "GST_AMOUNT"));
    let right = [0, gst.unwrap_or(0)].iter().any(|tax| near(sum + tax, total));
    let problem = (!right).then(|| {
        let count = items.len();
        format!("{count} line items add up to {}, the total is {}", shown(sum), shown(total))
    });
    Some(Check { rule: Rule::LineItemsSum, fields, problem })
}

fn gst_share(normals: &Normals) -> Option<Check> {
    let total = cents(text(normals, "TOTAL_AMOUNT")?)?;
    let gst = cents(text(normals, "GST_AMOUNT")?)?;
    // A refund has both below zero.
    let right = gst * total >= 0 && gst.abs() * 11 <= (total.abs() + 11 * CENTS_APART_MAX);
    let problem = (!right).then(|| {
        format!("GST of {} is more than one eleventh of the total, {}", shown(gst), shown(total))
    });
    Some(Check { rule: Rule::GstShare, fields: vec!["GST_AMOUNT", "TOTAL_AMOUNT"], problem })
}

fn date_order(normals: &Normals) -> Option<Check> {
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

fn text<'a>(normals: &'a Normals, name: &str) -> Option<&'a str> {
    if let Some(Normal::Text(text)) = normals.get(name) { Some(text) } else { None }
}

/// A normalised amount in cents; none where it has parts of a cent.
fn cents(amount: &str) -> Option<i128> {
    let (whole, fraction) = amount.split_once('.').unwrap_or((amount, ""));
    let fraction = fraction.trim_end_matches('0');
    if fraction.len() > 2 {
        return None;
    }
    format!("{whole}{fraction:0<2}").parse().ok()
}

fn near(a: i128, b: i128) -> bool {
    (a - b).abs() <= CENTS_APART_MAX
}

/// Cents as an amount.
fn shown(cents: i128) -> String {
    let sign = if cents < 0 { "-" } else { "" };
    format!("{sign}{}.{:02}", cents.abs() / 100, cents.abs() % 100)
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;
    use crate::fields::{FieldEvent, FieldReader, note};
    use crate::schema::{DocumentKind, Schema};

    fn expect_checks(document: &serde_json::Value, expected: &Expect) {
        let names: Vec<&str> = document.as_object().unwrap().keys().map(String::as_str).collect();
        let fits = |kind: &&DocumentKind| {
            names.iter().all(|name| kind.fields().any(|field| field == *name))
        };
        let kind = DocumentKind::ALL.iter().find(fits).unwrap();
        let schema = Schema::of(*kind);
        let mut normals = Normals::new();
        for event in FieldReader::default().push(&document.to_string()) {
            if let FieldEvent::Completed(field) = event {
                note(&mut normals, &schema, &field);
            }
        }
        let line = |check: Check| {
            let found = check.problem.unwrap_or_else(|| "right".to_owned());
            format!("{:?} {}: {found}\n", check.rule, check.fields.join(" "))
        };
        expected.assert_eq(&check(&normals).into_iter().map(line).collect::<String>());
    }

    #[test]
    fn a_document_that_agrees() {
        expect_checks(
            &serde_json::json!({
                "BUSINESS_ABN": "51 824 753 556",
                "LINE_ITEM_TOTAL_PRICES": "$473.46 | $5,526.54",
                "GST_AMOUNT": "$545.45",
                "TOTAL_AMOUNT": "$6,000.00",
            }),
            &expect![[r#"
                AbnChecksum BUSINESS_ABN: right
                LineItemsSum LINE_ITEM_TOTAL_PRICES TOTAL_AMOUNT GST_AMOUNT: right
                GstShare GST_AMOUNT TOTAL_AMOUNT: right
            "#]],
        );
        // The tax comes on top, and some goods are free of it.
        expect_checks(
            &serde_json::json!({
                "LINE_ITEM_TOTAL_PRICES": "100.00 | 20",
                "GST_AMOUNT": "10.00",
                "TOTAL_AMOUNT": "130.0",
            }),
            &expect![[r#"
                LineItemsSum LINE_ITEM_TOTAL_PRICES TOTAL_AMOUNT GST_AMOUNT: right
                GstShare GST_AMOUNT TOTAL_AMOUNT: right
            "#]],
        );
    }

    #[test]
    fn a_document_that_does_not() {
        expect_checks(
            &serde_json::json!({
                "BUSINESS_ABN": "51 824 753 565",
                "LINE_ITEM_TOTAL_PRICES": "473.46 | 5526.45",
                "GST_AMOUNT": "600",
                "TOTAL_AMOUNT": "6000.00",
            }),
            &expect![[r#"
                AbnChecksum BUSINESS_ABN: 51824753565 is no ABN: its check digits are wrong
                LineItemsSum LINE_ITEM_TOTAL_PRICES TOTAL_AMOUNT GST_AMOUNT: 2 line items add up to 5999.91, the total is 6000.00
                GstShare GST_AMOUNT TOTAL_AMOUNT: GST of 600.00 is more than one eleventh of the total, 6000.00
            "#]],
        );
    }

    #[test]
    fn a_statement() {
        for (range, dates, expected) in [
            (
                "01/05/2014 to 27/05/2014",
                "01/05/2014 | 27/05/2014",
                expect![[r#"
                DateOrder STATEMENT_DATE_RANGE TRANSACTION_DATES: right
            "#]],
            ),
            (
                "01/05/2014 to 27/05/2014",
                "04/05/2014 | 28/05/2014",
                expect![[r#"
                DateOrder STATEMENT_DATE_RANGE TRANSACTION_DATES: 2014-05-28 is not from 2014-05-01 to 2014-05-27
            "#]],
            ),
            (
                "27/05/2014 to 01/05/2014",
                "NOT_FOUND",
                expect![[r#"
                DateOrder STATEMENT_DATE_RANGE: 2014-05-01 is before 2014-05-27
            "#]],
            ),
        ] {
            expect_checks(
                &serde_json::json!({ "STATEMENT_DATE_RANGE": range, "TRANSACTION_DATES": dates }),
                &expected,
            );
        }
    }

    #[test]
    fn what_is_not_there_is_not_checked() {
        expect_checks(
            &serde_json::json!({
                "BUSINESS_ABN": "NOT_FOUND",
                "LINE_ITEM_TOTAL_PRICES": "1.00 | NOT_FOUND",
                "GST_AMOUNT": "some",
                "TOTAL_AMOUNT": "1.00",
            }),
            &expect![""],
        );
    }
}
