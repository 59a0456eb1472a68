//! Tests of the checks: documents that agree, and ones that do not.

use expect_test::{Expect, expect};

use super::*;
use crate::fields::{FieldEvent, FieldReader, note};
use crate::schema::{DocumentKind, Schema};

fn expect_checks(document: &serde_json::Value, expected: &Expect) {
    let names: Vec<&str> = document.as_object().unwrap().keys().map(String::as_str).collect();
    let fits =
        |kind: &&DocumentKind| names.iter().all(|name| kind.fields().any(|field| field == *name));
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
    expect!["the opening balance and all transactions make 80.50, the closing balance is 85.50"]
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
            let (up, down) = (evidence.weigh(confidence, true), evidence.weigh(confidence, false));
            assert!(down <= confidence && confidence <= up && up <= 1.0, "{rule:?} {confidence}");
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
