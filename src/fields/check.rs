//! Whether the values of one document agree with one another. A check looks at normalised values, says
//! what it found, and changes nothing; one whose values are not all there is not made.

use serde::{Deserialize, Serialize};

use super::{Normal, Normals};

/// Rounding to cents, once for each sum and once for the tax.
const CENTS_APART_MAX: i128 = 2;

/// Lists with an item for each line of a bill.
const LINE_ITEMS: &[&str] = &[
    "LINE_ITEM_DESCRIPTIONS",
    "LINE_ITEM_QUANTITIES",
    "LINE_ITEM_PRICES",
    "LINE_ITEM_TOTAL_PRICES",
];

/// Lists with an item for each transaction of a statement.
const TRANSACTIONS: &[&str] = &[
    "TRANSACTION_DATES",
    "TRANSACTION_DESCRIPTIONS",
    "TRANSACTION_AMOUNTS_PAID",
    "TRANSACTION_AMOUNTS_RECEIVED",
];

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
    /// Balances follow from what was paid and received.
    Balance,
    /// Lists of one table have an item for each of its rows.
    ListLengths,
}

/// What a check says about the values that it looked at, beside how sure the model was of them.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evidence {
    /// Where it agrees, the doubt about each value is multiplied by it.
    pub passed: f64,
    /// Where it does not, the confidence in each value is multiplied by it.
    pub failed: f64,
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
    let mut checks: Vec<Check> = [abn_checksum, line_items_sum, gst_share, date_order, balance]
        .into_iter()
        .filter_map(|check| check(normals))
        .collect();
    checks
        .extend([LINE_ITEMS, TRANSACTIONS].into_iter().filter_map(|of| list_lengths(normals, of)));
    checks
}

// === impl Rule ===

impl Rule {
    pub const ALL: [Self; 6] = [
        Self::AbnChecksum,
        Self::LineItemsSum,
        Self::GstShare,
        Self::DateOrder,
        Self::Balance,
        Self::ListLengths,
    ];

    /// As the API and a calibration name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::AbnChecksum => "ABN_CHECKSUM",
            Self::LineItemsSum => "LINE_ITEMS_SUM",
            Self::GstShare => "GST_SHARE",
            Self::DateOrder => "DATE_ORDER",
            Self::Balance => "BALANCE",
            Self::ListLengths => "LIST_LENGTHS",
        }
    }

    /// What it says where no calibration knows better: half the doubt where values meet that hardly
    /// meet by chance, and half the confidence where they do not. Most misread values, too, are in the
    /// bounds that the other rules set: being there says nothing.
    pub fn evidence(self) -> Evidence {
        let passed = match self {
            Self::AbnChecksum | Self::LineItemsSum | Self::Balance => 0.5,
            Self::GstShare | Self::DateOrder | Self::ListLengths => 1.0,
        };
        Evidence { passed, failed: 0.5 }
    }
}

// === impl Check ===

impl Check {
    pub fn passed(&self) -> bool {
        self.problem.is_none()
    }

    /// Whether it looked at the value at `pointer`, or at the list that it is an item of.
    pub fn looked_at(&self, pointer: &str) -> bool {
        let name = pointer.trim_start_matches('/').split('/').next().unwrap_or_default();
        self.fields.contains(&name)
    }
}

// === impl Evidence ===

impl Evidence {
    /// A confidence after a check that `passed`, or did not.
    pub fn weigh(self, confidence: f64, passed: bool) -> f64 {
        if passed { 1.0 - (1.0 - confidence) * self.passed } else { confidence * self.failed }
    }

    /// Whether both are shares: a check that passes never lowers, one that fails never raises.
    pub(super) fn is_sound(self) -> bool {
        [self.passed, self.failed].iter().all(|share| (0.0..=1.0).contains(share))
    }
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

/// The closing balance is the opening one and all transactions; or each balance of a list is the one
/// before it and its transaction. The built-in statement has one balance, which nothing follows from.
fn balance(normals: &Normals) -> Option<Check> {
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

fn list_lengths(normals: &Normals, names: &[&'static str]) -> Option<Check> {
    let length = |name: &&'static str| match normals.get(*name) {
        Some(Normal::List(items)) => Some((*name, items.len())),
        _ => None,
    };
    let lengths: Vec<(&'static str, usize)> = names.iter().filter_map(length).collect();
    let (first, rows) = *lengths.first().filter(|_| lengths.len() > 1)?;
    let other = lengths.iter().find(|(_, length)| *length != rows);
    let problem =
        other.map(|(name, length)| format!("{first} has {rows} items, {name} has {length}"));
    let fields = lengths.into_iter().map(|(name, _)| name).collect();
    Some(Check { rule: Rule::ListLengths, fields, problem })
}

fn amount(item: &Normal) -> Option<i128> {
    if let Normal::Text(text) = item { cents(text) } else { None }
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

    /// With a schema of one's own that has both balances.
    fn own(fields: &serde_json::Value) -> Vec<Check> {
        let text = serde_json::json!({"type": "object", "properties": {
            "OPENING_BALANCE": {"type": "string", "format": "money"},
            "ACCOUNT_BALANCE": {"type": "string", "format": "money-list"},
            "CLOSING_BALANCE": {"type": "string", "format": "money"},
            "TRANSACTION_AMOUNTS_PAID": {"type": "string", "format": "money-list"},
            "TRANSACTION_AMOUNTS_RECEIVED": {"type": "string", "format": "money-list"},
        }});
        let schema = Schema::from_json_schema(&text.to_string()).unwrap();
        let mut normals = Normals::new();
        for event in FieldReader::default().push(&fields.to_string()) {
            if let FieldEvent::Completed(field) = event {
                note(&mut normals, &schema, &field);
            }
        }
        check(&normals)
    }

    #[test]
    fn balances_follow_from_transactions() {
        let closing = |closing: &str, paid: &str| {
            own(&serde_json::json!({
                "OPENING_BALANCE": "$100.00",
                "CLOSING_BALANCE": closing,
                "TRANSACTION_AMOUNTS_PAID": paid,
                "TRANSACTION_AMOUNTS_RECEIVED": "NOT_FOUND | +$10.50",
            }))
        };
        let [found, _] = &closing("80.50", "- $30.00 | NOT_FOUND")[..] else { panic!() };
        assert_eq!((found.rule, &found.problem), (Rule::Balance, &None));
        assert!(found.looked_at("/CLOSING_BALANCE") && !found.looked_at("/ACCOUNT_BALANCE"));
        let [found, _] = &closing("85.50", "30.00 | NOT_FOUND")[..] else { panic!() };
        expect![
            "the opening balance and all transactions make 80.50, the closing balance is 85.50"
        ]
        .assert_eq(found.problem.as_deref().unwrap());
        let [found] = &closing("110.50", "NOT_FOUND")[..] else { panic!() };
        assert!(found.passed(), "nothing was paid: {found:?}");

        let running = |balances: &str| {
            own(&serde_json::json!({
                "ACCOUNT_BALANCE": balances,
                "TRANSACTION_AMOUNTS_PAID": "30.00 | NOT_FOUND | 1.00",
                "TRANSACTION_AMOUNTS_RECEIVED": "NOT_FOUND | 10.50 | NOT_FOUND",
            }))
        };
        assert!(running("70.00 | 80.50 | 79.50").iter().all(Check::passed));
        let [found, _] = &running("70.00 | 80.60 | 79.50")[..] else { panic!() };
        expect!["the balance goes from 70.00 to 80.60, but 10.50 was moved"]
            .assert_eq(found.problem.as_deref().unwrap());
    }

    #[test]
    fn lists_of_one_table_are_equally_long() {
        expect_checks(
            &serde_json::json!({
                "LINE_ITEM_DESCRIPTIONS": "Tea | Milk",
                "LINE_ITEM_QUANTITIES": "1 | NOT_FOUND",
                "LINE_ITEM_PRICES": "NOT_FOUND",
                "LINE_ITEM_TOTAL_PRICES": "1.00",
            }),
            &expect![[r#"
                ListLengths LINE_ITEM_DESCRIPTIONS LINE_ITEM_QUANTITIES LINE_ITEM_TOTAL_PRICES: LINE_ITEM_DESCRIPTIONS has 2 items, LINE_ITEM_TOTAL_PRICES has 1
            "#]],
        );
    }

    #[test]
    fn a_check_raises_or_lowers_and_stays_a_share() {
        for rule in Rule::ALL {
            let evidence = rule.evidence();
            assert!(evidence.is_sound(), "{rule:?}");
            for confidence in [0.0, 0.3, 0.9, 1.0] {
                let (up, down) =
                    (evidence.weigh(confidence, true), evidence.weigh(confidence, false));
                assert!(
                    down <= confidence && confidence <= up && up <= 1.0,
                    "{rule:?} {confidence}"
                );
            }
        }
        let evidence = Rule::AbnChecksum.evidence();
        assert!((evidence.weigh(0.9, true) - 0.95).abs() < 1e-9);
        assert!((evidence.weigh(0.9, false) - 0.45).abs() < 1e-9);
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
