//! Answers as models give them, and what they mean.

use std::fmt::Write as _;

use expect_test::{Expect, expect};
use proptest::prelude::*;

use super::*;
use crate::schema::{Absent, DocumentKind, Kind, Printed, Property};

fn schema() -> Schema {
    Schema::new(vec![
        Property::new("supplier", Kind::TEXT, Absent::Null),
        Property::new("total", Kind::Printed(Printed::Money), Absent::Null),
        Property::new("count", Kind::Integer, Absent::Null),
        Property::new("paid", Kind::Boolean, Absent::LeftOut),
        Property::new("tags", Kind::list_of(Kind::TEXT), Absent::Null),
    ])
    .unwrap()
}

/// The document, the fields with what said them, the repairs.
fn shown(answer: &str, mended: Option<Mended>) -> String {
    let Some(Mended { document, fields, repairs }) = mended else { return "nothing\n".to_owned() };
    let mut text = format!("{}\n", document.unwrap_or_else(|| "no document".to_owned()));
    for (field, said) in fields {
        let _ = writeln!(text, "{} {} from {:?}", field.pointer, field.raw, &answer[said]);
    }
    text + &format!("{repairs:?}\n")
}

fn check(answer: &str, expected: &Expect) {
    expected.assert_eq(&shown(answer, mend(answer, &schema(), true)));
}

#[test]
fn nearly_json() {
    check(
        "Sure!\n```json\n{'supplier': 'O\\'Neil', total: \"$1\", \"count\": 7,}\n```",
        &expect![[r#"
            {"supplier": "O'Neil", "total": "$1", "count": 7}
            /supplier "O'Neil" from "O\\'Neil'"
            /total "$1" from "$1\""
            /count 7 from "7"
            [Quotes, BareNames, TrailingComma, Characters]
        "#]],
    );
    check(
        "{“supplier”: “A”\n \"paid\": True, \"count\": None // none\n}",
        &expect![[r#"
        {"supplier": "A", "paid": true, "count": null}
        /supplier "A" from "A”"
        /paid true from "True"
        /count null from "None"
        [Quotes, MissingComma, Words, Comments]
    "#]],
    );
    check(
        "{\"supplier\": \"two\nlines\", \"tags\": [\"a\" \"b\",], \"x\": {}}",
        &expect![[r#"
        {"supplier": "two\nlines", "tags": ["a", "b"], "x": {}}
        /supplier "two\nlines" from "two\nlines\""
        /tags/0 "a" from "a\""
        /tags/1 "b" from "b\""
        /x {} from "}"
        [TrailingComma, MissingComma, Characters]
    "#]],
    );
}

#[test]
fn what_was_cut_off_is_left_out() {
    check(
        r#"{"supplier": "ACME", "tags": ["a", "b"#,
        &expect![[r#"
        no document
        /supplier "ACME" from "ACME\""
        /tags/0 "a" from "a\""
        []
    "#]],
    );
    check(
        r#"{"supplier": "ACME", "count": 12"#,
        &expect![[r#"
        no document
        /supplier "ACME" from "ACME\""
        []
    "#]],
    );
    check(
        r#"{"supplier": "#,
        &expect![[r#"
        nothing
    "#]],
    );
    check(
        "I cannot read this.",
        &expect![[r#"
        nothing
    "#]],
    );
}

#[test]
fn lines_with_keys() {
    check(
        "Here is the data:\n**SUPPLIER**: O'Neil & Sons\n- Total: **$1,250.00**\ncount: 1,200\npaid: yes\nTAGS:\n- red\n- blue\nother: x",
        &expect![[r#"
            {"supplier":"O'Neil & Sons","total":"$1,250.00","count":1200,"paid":true,"tags":["red","blue"]}
            /supplier "O'Neil & Sons" from "O'Neil & Sons"
            /total "$1,250.00" from "$1,250.00"
            /count 1200 from "1,200"
            /paid true from "yes"
            /tags/0 "red" from "TAGS:\n- red\n- blue\n"
            /tags/1 "blue" from "TAGS:\n- red\n- blue\n"
            [Lines]
        "#]],
    );
    check(
        "supplier: NOT_FOUND\ntotal: $3\ncount: n/a\ntags: a | b",
        &expect![[r#"
        {"supplier":null,"total":"$3","count":null,"tags":["a","b"]}
        /supplier null from "NOT_FOUND"
        /total "$3" from "$3"
        /count null from "n/a"
        /tags/0 "a" from "a | b"
        /tags/1 "b" from "a | b"
        [Lines]
    "#]],
    );
    check(
        "supplier: A\nsupplier: B\ncount: many",
        &expect![[r#"
        no document
        /supplier "A" from "A"
        [Lines]
    "#]],
    );
}

#[test]
fn lines_complete_with_the_next_key() {
    let text = "supplier: ACME\ntotal: $1";
    let found = shown(text, mend_lines(text, &schema(), false));
    expect![[r#"
        no document
        /supplier "ACME" from "ACME"
        [Lines]
    "#]]
    .assert_eq(&found);
    assert_eq!(mend_lines("supplier: ACME\n", &schema(), false), None);
}

/// An answer that was cut may be so in the middle of its last value, whether JSON or lines were asked for.
#[test]
fn the_last_line_of_a_cut_answer_is_left_out() {
    let text = "supplier: ACME\ntotal: $12";
    expect![[r#"
        no document
        /supplier "ACME" from "ACME"
        [Lines]
    "#]]
    .assert_eq(&shown(text, mend(text, &schema(), false)));
    assert_eq!(mend("total: $12", &schema(), false), None);
    // An item of a list that goes on over lines.
    assert_eq!(mend("tags:\n- red\n- bl", &schema(), false), None);
    // An object that is whole is so, whatever was cut behind it.
    let text = r#"{'count': 12} so the cou"#;
    let found = mend(text, &schema(), false).and_then(|mended| mended.document);
    assert_eq!(found.as_deref(), Some(r#"{"count": 12}"#));
}

fn amounts() -> Schema {
    let property = |name: &str, kind| Property::new(name, kind, Absent::Null);
    Schema::new(vec![
        property("total", Kind::Decimal),
        property("rates", Kind::list_of(Kind::Decimal)),
        property("vat", Kind::Choice(vec![serde_json::json!(7.5), serde_json::json!("none")])),
    ])
    .unwrap()
}

#[test]
fn numbers_keep_their_digits() {
    let text = "total: 12.50\nrates: 123456789012345.123456 | 0.10\nvat: 7.50";
    let held = held_lines(text, &amounts(), true).unwrap();
    let expected = r#"{"total":12.50,"rates":[123456789012345.123456,0.10],"vat":7.50}"#;
    assert_eq!(held.document.as_deref(), Some(expected));
    let raw: Vec<&str> = held.fields.iter().map(|(field, _)| field.raw.as_str()).collect();
    assert_eq!(raw, ["12.50", "123456789012345.123456", "0.10", "7.50"]);
    let mended = mend(text, &amounts(), true).unwrap();
    assert_eq!((mended.document, mended.fields), (held.document, held.fields));
    // Commas between digits are no part of a number in JSON, and two of them are no number.
    let text = "total: 1,234.50\nrates: 12.5.0 | 3";
    expect![[r#"
        no document
        /total 1234.50 from "1,234.50"
        [Lines]
    "#]]
    .assert_eq(&shown(text, mend(text, &amounts(), true)));
}

/// Values of repeated keys are no fields, and each of the others keeps its own place in the answer.
#[test]
fn fields_behind_repeated_keys_keep_their_places() {
    let long = "k".repeat(300);
    let text = format!(r#"{{"A": 1, "A": {{"x": 2, "y": []}}, "{long}": 3, "B": 4, "C": {{}},}}"#);
    let found = shown(&text, mend(&text, &schema(), true));
    let (_, fields) = found.split_once('\n').unwrap();
    expect![[r#"
        /A 1 from "1"
        /B 4 from "4"
        /C {} from "}"
        [TrailingComma]
    "#]]
    .assert_eq(fields);
}

/// The guide's form, for a built-in kind of document.
#[test]
fn built_in_fields_in_lines() {
    let schema = Schema::of(DocumentKind::BankStatement);
    let text = "DOCUMENT_TYPE: bank_statement\nSTATEMENT_DATE_RANGE: 01/05/2014 to 27/05/2014\nTRANSACTION_DATES: 04 May 14 | 06 May 14\nTRANSACTION_DESCRIPTIONS: A | B\nTRANSACTION_AMOUNTS_PAID: -4.00 | NOT_FOUND\nTRANSACTION_AMOUNTS_RECEIVED: NOT_FOUND\nACCOUNT_BALANCE: $3.00";
    let mended = mend(text, &schema, true).unwrap();
    let document: serde_json::Value = serde_json::from_str(&mended.document.unwrap()).unwrap();
    assert_eq!(document["TRANSACTION_AMOUNTS_PAID"], "-4.00 | NOT_FOUND");
    assert_eq!(document["TRANSACTION_AMOUNTS_RECEIVED"], "NOT_FOUND");
    assert_eq!(mended.fields.len(), 7);
}

proptest! {
    #[test]
    fn whatever_it_finds_is_json(answer in "[ \\n]{0,2}\\{?(['\"a-c:,{}\\[\\]\\\\ \\n1tn/*“”]|true|null|supplier: ){0,40}", whole: bool) {
        if let Some(mended) = mend(&answer, &schema(), whole) {
            for (field, said) in &mended.fields {
                prop_assert!(answer.get(said.clone()).is_some(), "{:?}", said);
                prop_assert!(serde_json::from_str::<serde_json::Value>(&field.raw).is_ok());
            }
            if let Some(document) = mended.document {
                prop_assert!(serde_json::from_str::<serde_json::Value>(&document).unwrap().is_object());
            }
        }
    }

    /// Whatever repeats or is too long for a pointer, a field's place is where its own digits stand.
    #[test]
    fn each_field_has_its_own_place(
        keys in prop::collection::vec(prop_oneof!["[ab]", "[k]{257}", "c/~d"], 1..8),
        nested in prop::collection::vec(any::<bool>(), 8),
    ) {
        let mut text = "{".to_owned();
        for (index, key) in keys.iter().enumerate() {
            let number = 1000 + index;
            let _ = if nested[index] {
                write!(text, "\"{key}\": [{number}0, {{\"x\": {number}1, \"x\": {number}2}}],")
            } else {
                write!(text, "\"{key}\": {number},")
            };
        }
        text.push('}');
        let mended = mend(&text, &schema(), true).unwrap();
        let mut firsts: Vec<&String> = Vec::new();
        for key in keys.iter().filter(|key| key.len() <= 256) {
            if !firsts.contains(&key) {
                firsts.push(key);
            }
        }
        prop_assert_eq!(mended.fields.is_empty(), firsts.is_empty());
        for (field, said) in &mended.fields {
            prop_assert_eq!(&text[said.clone()], &field.raw, "{}", field.pointer);
        }
    }

    /// Digits of a number in lines, held or not: as they were written.
    #[test]
    fn decimals_in_lines_are_what_was_written(
        total in "-?(0|[1-9][0-9]{0,14})(\\.[0-9]{1,6})?",
        rates in prop::collection::vec("-?(0|[1-9][0-9]{0,14})(\\.[0-9]{1,6})?", 1..5),
    ) {
        let text = format!("total: {total}\nrates: {}\nvat: null", rates.join(" | "));
        let document = format!("{{\"total\":{total},\"rates\":[{}],\"vat\":null}}", rates.join(","));
        let held = held_lines(&text, &amounts(), true).unwrap();
        prop_assert_eq!(held.document.as_deref(), Some(document.as_str()));
        let raw: Vec<&String> = held.fields.iter().map(|(field, _)| &field.raw).collect();
        prop_assert_eq!(raw[0], &total);
        prop_assert!(raw[1..].iter().copied().take(rates.len()).eq(&rates));
        if rates.len() > 1 {
            // One item has no bar, and a comma between items may be one between digits.
            let mended = mend(&text, &amounts(), true).unwrap();
            prop_assert_eq!((mended.document, mended.fields), (held.document, held.fields));
        }
    }

    /// However an answer in lines is cut, what completes is what the whole answer says.
    #[test]
    fn what_a_cut_answer_completes_stays_true(
        supplier in "[A-Z][a-z]{0,6}( [A-Z][a-z]{0,6})?",
        total in "\\$[1-9][0-9]{0,3}\\.[0-9]{2}",
        count in 1..10_000i32,
        tags in prop::collection::vec("[a-z]{1,5}", 1..4),
        bullets: bool,
        cut: prop::sample::Index,
    ) {
        let tags = if bullets { format!("\n- {}", tags.join("\n- ")) } else { tags.join(" | ") };
        let text = format!("supplier: {supplier}\ntotal: {total}\ncount: {count}\ntags: {tags}");
        let whole = mend(&text, &schema(), true).unwrap().fields;
        let cut = &text[..cut.index(text.len())];
        for (field, _) in mend(cut, &schema(), false).into_iter().flat_map(|mended| mended.fields) {
            let is_it = |other: &Field| (&other.pointer, &other.raw) == (&field.pointer, &field.raw);
            prop_assert!(whole.iter().any(|(other, _)| is_it(other)), "{:?} of {:?}", field, cut);
        }
    }

    /// What is JSON already needs no mending and means the same.
    #[test]
    fn json_is_left_as_it_is(
        members in prop::collection::btree_map("[a-z]{1,4}", prop_oneof![
            any::<bool>().prop_map(serde_json::Value::from),
            any::<i32>().prop_map(serde_json::Value::from),
            "\\PC{0,12}".prop_map(serde_json::Value::from),
            Just(serde_json::json!([1, {"a": []}, null])),
        ], 1..5),
        pretty: bool,
    ) {
        let value = serde_json::json!(members);
        let text = if pretty { serde_json::to_string_pretty(&value).unwrap() } else { value.to_string() };
        let mended = mend(&text, &schema(), true).unwrap();
        prop_assert_eq!(&mended.repairs, &[]);
        let again: serde_json::Value = serde_json::from_str(&mended.document.unwrap()).unwrap();
        prop_assert_eq!(again, value);
    }
}

/// Every document whose truth is known, written both ways: as JSON and as the lines that the other prompt asks for.
#[test]
fn lines_and_json_parse_to_the_same_fields() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("models");
    let mut documents = 0;
    for dir in ["tessera-tiny/samples", "training/holdout/data"] {
        for entry in std::fs::read_dir(root.join(dir)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_none_or(|extension| extension != "json") {
                continue;
            }
            let truth: serde_json::Value =
                serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
            let kind = DocumentKind::from_name(truth["document_type"].as_str().unwrap()).unwrap();
            let schema = Schema::of(kind);
            let mut lines = String::new();
            for (name, value) in truth["fields"].as_object().unwrap() {
                let _ = writeln!(lines, "{name}: {}", value.as_str().unwrap());
            }
            let json = truth["fields"].to_string();
            let read = |fields: Vec<Field>| {
                let mut normals = crate::fields::Normals::new();
                for field in &fields {
                    crate::fields::note(&mut normals, &schema, field);
                }
                (fields, normals)
            };
            let of_json =
                FieldReader::default().push(&json).into_iter().filter_map(|event| match event {
                    FieldEvent::Completed(field) => Some(Field { start: 0, ..field }),
                    FieldEvent::Delta { .. } => None,
                });
            let mended = mend_lines(&lines, &schema, true).unwrap();
            let of_lines = mended.fields.into_iter().map(|(field, _)| Field { start: 0, ..field });
            assert_eq!(read(of_lines.collect()), read(of_json.collect()), "{}", path.display());
            let document: serde_json::Value =
                serde_json::from_str(&mended.document.unwrap()).unwrap();
            assert_eq!(document, truth["fields"], "{}", path.display());
            documents += 1;
        }
    }
    assert_eq!(documents, 12 + 96);
}
