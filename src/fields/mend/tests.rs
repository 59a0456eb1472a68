//! Answers as models give them, and what they mean.

use std::fmt::Write as _;

use expect_test::{Expect, expect};
use proptest::prelude::*;

use super::*;
use crate::schema::{Absent, DocumentKind, Kind, Printed, Property};

fn schema() -> Schema {
    let property = |name: &str, kind, absent| Property {
        name: name.to_owned(),
        description: String::new(),
        kind,
        absent,
    };
    Schema::new(vec![
        property("supplier", Kind::TEXT, Absent::Null),
        property("total", Kind::Printed(Printed::Money), Absent::Null),
        property("count", Kind::Integer, Absent::Null),
        property("paid", Kind::Boolean, Absent::LeftOut),
        property("tags", Kind::list_of(Kind::TEXT), Absent::Null),
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
    expected.assert_eq(&shown(answer, mend(answer, &schema())));
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

/// The guide's form, for a built-in kind of document.
#[test]
fn built_in_fields_in_lines() {
    let schema = Schema::of(DocumentKind::BankStatement);
    let text = "DOCUMENT_TYPE: bank_statement\nSTATEMENT_DATE_RANGE: 01/05/2014 to 27/05/2014\nTRANSACTION_DATES: 04 May 14 | 06 May 14\nTRANSACTION_DESCRIPTIONS: A | B\nTRANSACTION_AMOUNTS_PAID: -4.00 | NOT_FOUND\nTRANSACTION_AMOUNTS_RECEIVED: NOT_FOUND\nACCOUNT_BALANCE: $3.00";
    let mended = mend(text, &schema).unwrap();
    let document: serde_json::Value = serde_json::from_str(&mended.document.unwrap()).unwrap();
    assert_eq!(document["TRANSACTION_AMOUNTS_PAID"], "-4.00 | NOT_FOUND");
    assert_eq!(document["TRANSACTION_AMOUNTS_RECEIVED"], "NOT_FOUND");
    assert_eq!(mended.fields.len(), 7);
}

proptest! {
    #[test]
    fn whatever_it_finds_is_json(answer in "[ \\n]{0,2}\\{?(['\"a-c:,{}\\[\\]\\\\ \\n1tn/*“”]|true|null|supplier: ){0,40}") {
        if let Some(mended) = mend(&answer, &schema()) {
            for (field, said) in &mended.fields {
                prop_assert!(answer.get(said.clone()).is_some(), "{:?}", said);
                prop_assert!(serde_json::from_str::<serde_json::Value>(&field.raw).is_ok());
            }
            if let Some(document) = mended.document {
                prop_assert!(serde_json::from_str::<serde_json::Value>(&document).unwrap().is_object());
            }
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
        let mended = mend(&text, &schema()).unwrap();
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
