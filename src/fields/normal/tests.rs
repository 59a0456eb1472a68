//! What pages say, and what is meant.

use super::*;
use crate::fields::{FieldEvent, FieldReader};
use crate::schema::{Absent, Property};

/// As people read it: lists in brackets, `-` for what is absent, `?` for what is not understood.
fn shown(normal: Option<&Normal>) -> String {
    match normal {
        None => "?".to_owned(),
        Some(Normal::Absent) => "-".to_owned(),
        Some(Normal::Bool(bool)) => bool.to_string(),
        Some(Normal::Text(text)) => text.clone(),
        Some(Normal::List(items)) => {
            let items: Vec<String> = items.iter().map(|item| shown(Some(item))).collect();
            format!("[{}]", items.join(", "))
        }
    }
}

fn read_by(schema: &Schema, document: &str) -> (Vec<Option<Normal>>, Normals) {
    let mut normals = Normals::new();
    let mut each = Vec::new();
    for event in FieldReader::default().push(document) {
        if let FieldEvent::Completed(field) = event {
            each.push(note(&mut normals, schema, &field));
        }
    }
    (each, normals)
}

fn read(document: &str) -> (Vec<Option<Normal>>, Normals) {
    read_by(Schema::of_every_kind(), document)
}

fn check(name: &str, cases: &[(&str, &str)]) {
    for (text, expected) in cases {
        let document = serde_json::json!({ name: text }).to_string();
        assert_eq!(shown(read(&document).0[0].as_ref()), *expected, "{name} {text:?}");
    }
}

#[test]
fn a_field_that_the_schema_does_not_have_is_not_understood() {
    check("OF_SOMEBODY_ELSE", &[("$1.00", "?")]);
}

/// Values of the caller's own schema, also inside lists and objects.
#[test]
fn values_of_any_schema() {
    let property = |name: &str, kind| Property::new(name, kind, Absent::Null);
    let line = Kind::Object(vec![
        property("on", Kind::Printed(Printed::Date)),
        property("price", Kind::Printed(Printed::Money)),
    ]);
    let schema = Schema::new(vec![
        property("count", Kind::Integer),
        property("rate", Kind::Decimal),
        property("paid", Kind::Boolean),
        property("unit", Kind::Choice(vec!["Box".into(), "per hour".into()])),
        property("day", Kind::Date),
        property("lines", Kind::list_of(line)),
        property("tags", Kind::list_of(Kind::TEXT)),
        property("sums", Kind::list_of(Kind::Printed(Printed::Money))),
    ])
    .unwrap();
    let (each, normals) = read_by(
        &schema,
        r#"{"count": 12, "rate": 0.50, "paid": true, "unit": "Per-Hour", "day": "2024-02-29",
            "lines": [{"on": "3 May 2021", "price": "$4"}], "tags": ["a"], "sums": ["$1", "2.50"]}"#,
    );
    let each: Vec<String> = each.iter().map(|normal| shown(normal.as_ref())).collect();
    assert_eq!(
        each,
        ["12", "0.50", "true", "per hour", "2024-02-29", "2021-05-03", "4", "?", "1", "2.50"]
    );
    assert_eq!(shown(normals.get("sums")), "[1, 2.50]");
    assert_eq!(normals.get("lines"), None);
}

#[test]
fn amounts() {
    check(
        "TOTAL_AMOUNT",
        &[
            ("$5976.93", "5976.93"),
            ("12", "12"),
            ("AUD 392.05", "392.05"),
            ("£5,895.02", "5895.02"),
            ("A$1,234,567.8", "1234567.8"),
            ("AUD $4.00", "4.00"),
            ("12.50 AUD", "12.50"),
            ("-$3.20", "-3.20"),
            ("$-3.20", "-3.20"),
            ("3.20-", "-3.20"),
            ("(3.20)", "-3.20"),
            ("5.00 DR", "-5.00"),
            ("-500,911.12 CR", "-500911.12"),
            ("007.10", "7.10"),
            ("NOT_FOUND", "-"),
            ("n/a", "-"),
            ("1.234,56", "?"),
            ("1,23", "?"),
            ("12,3456", "?"),
            ("1234,567", "?"),
            ("12.", "?"),
            (".50", "?"),
            ("twelve", "?"),
            ("1 2", "?"),
            ("é5", "?"),
            ("9999999999999999", "?"),
        ],
    );
}

#[test]
fn dates() {
    check(
        "INVOICE_DATE",
        &[
            ("11 Dec 2017", "2017-12-11"),
            ("01 AUG 2012", "2012-08-01"),
            ("27th March 2020", "2020-03-27"),
            ("3/4/2028", "2028-04-03"),
            ("06-01-2015", "2015-01-06"),
            ("16.07.25", "2025-07-16"),
            ("01-May-98", "1998-05-01"),
            ("2019-12-13", "2019-12-13"),
            ("Dec 11, 2017", "2017-12-11"),
            ("Monday, 3 Sept 2018", "2018-09-03"),
            ("29/02/2024", "2024-02-29"),
            ("NOT_FOUND", "-"),
            ("29/02/2023", "?"),
            ("31/04/2024", "?"),
            ("05/14/2003", "?"),
            ("2 May", "?"),
            ("7/12", "?"),
            ("soon", "?"),
        ],
    );
    check(
        "STATEMENT_DATE_RANGE",
        &[
            ("01 May 2014-27 May 2014", "2014-05-01/2014-05-27"),
            ("01/01/2015 to 27/01/2015", "2015-01-01/2015-01-27"),
            ("01-May-98 to 29-May-98", "1998-05-01/1998-05-29"),
            ("2019-12-13 to 2019-12-29", "2019-12-13/2019-12-29"),
            ("01-05-2014 – 27-05-2014", "2014-05-01/2014-05-27"),
            ("May 2014", "?"),
        ],
    );
}

#[test]
fn the_rest() {
    check(
        "BUSINESS_ABN",
        &[
            ("93 283 243 719", "93283243719"),
            ("ABN: 07-591-372-931", "07591372931"),
            ("93 283", "?"),
            ("93 283 243 71é", "?"),
        ],
    );
    check(
        "IS_GST_INCLUDED",
        &[("true", "true"), ("No", "false"), ("NOT_FOUND", "-"), ("maybe", "?")],
    );
    check("DOCUMENT_TYPE", &[("Bank Statement", "bank_statement")]);
    check("SUPPLIER_NAME", &[("ACME", "?"), ("NOT_FOUND", "-")]);
}

#[test]
fn lists() {
    check(
        "LINE_ITEM_PRICES",
        &[
            ("$9.39 | $289.29", "[9.39, 289.29]"),
            ("4.00 | NOT_FOUND", "[4.00, -]"),
            ("NOT_FOUND", "-"),
            ("1.00 | x", "?"),
        ],
    );
    check("LINE_ITEM_DESCRIPTIONS", &[("lamb cake | Notebook", "[lamb cake, Notebook]")]);
    check("TRANSACTION_DATES", &[("04 May 14 | 06 May 14", "[2014-05-04, 2014-05-06]")]);
}

#[test]
fn items_of_a_json_list_are_one_list() {
    let (each, normals) =
        read(r#"{"LINE_ITEM_PRICES": ["$1.50", 2.25, null], "LINE_ITEM_QUANTITIES": []}"#);
    let each: Vec<String> = each.iter().map(|normal| shown(normal.as_ref())).collect();
    assert_eq!(each, ["1.50", "2.25", "-", "[]"]);
    assert_eq!(shown(normals.get("LINE_ITEM_PRICES")), "[1.50, 2.25, -]");
    for half in [
        r#"["x", 1, 2]"#,
        r#"[1, "x"]"#,
        r#"[1, "x", 2]"#,
        r#"[1, {"A": 2}, 3]"#,
        r#"[1, {"A": 2}]"#,
    ] {
        let (_, normals) = read(&format!("{{\"LINE_ITEM_PRICES\": {half}}}"));
        assert!(normals.is_empty(), "{half} is {normals:?}");
    }
}
