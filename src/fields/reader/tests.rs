//! The reader against documents cut anywhere, and against the library's own grammar.

use std::fmt::Write as _;

use expect_test::{Expect, expect};
use proptest::prelude::*;
use serde::de::IgnoredAny;
use serde_json::{Map, Value, json};

use super::*;

/// Everything that reading `pieces` brings.
fn read<'a>(pieces: impl IntoIterator<Item = &'a str>) -> (Vec<FieldEvent>, FieldReader) {
    let mut reader = FieldReader::default();
    let events = pieces.into_iter().flat_map(|piece| reader.push(piece)).collect();
    (events, reader)
}

/// One line per event.
fn check(pieces: &[&str], expected: &Expect) {
    let mut lines = String::new();
    for event in read(pieces.iter().copied()).0 {
        match event {
            FieldEvent::Delta { pointer, text } => writeln!(lines, "{pointer} + {text:?}"),
            FieldEvent::Completed(Field { pointer, value, raw, .. }) => {
                writeln!(lines, "{pointer} = {value:?} {raw}")
            }
        }
        .unwrap();
    }
    expected.assert_eq(&lines);
}

fn completed(events: &[FieldEvent]) -> Vec<&Field> {
    let mut fields = Vec::new();
    for event in events {
        if let FieldEvent::Completed(field) = event {
            fields.push(field);
        }
    }
    fields
}

/// `text` cut behind each of its characters.
fn characters(text: &str) -> Vec<&str> {
    text.split_inclusive(|_: char| true).collect()
}

/// Pointer and JSON text of each leaf, as another reader would list them.
fn leaves(value: &Value, pointer: &str, found: &mut Vec<(String, Value)>) {
    match value {
        Value::Array(items) if !items.is_empty() => {
            for (index, item) in items.iter().enumerate() {
                leaves(item, &format!("{pointer}/{index}"), found);
            }
        }
        Value::Object(members) if !members.is_empty() => {
            for (key, member) in members {
                let key = key.replace('~', "~0").replace('/', "~1");
                leaves(member, &format!("{pointer}/{key}"), found);
            }
        }
        leaf => found.push((pointer.to_owned(), leaf.clone())),
    }
}

fn value_of(field: &Field) -> Value {
    match &field.value {
        FieldValue::Null => Value::Null,
        FieldValue::Bool(bool) => (*bool).into(),
        // As the library has it: a number with a point is not the same as one without.
        FieldValue::Number(_) => serde_json::from_str(&field.raw).unwrap(),
        FieldValue::Text(text) => text.as_str().into(),
        FieldValue::EmptyList => json!([]),
        FieldValue::EmptyObject => json!({}),
    }
}

#[test]
fn strings_grow_and_everything_completes_once() {
    check(
        &[
            "```json\n{\"NAME\": \"AC",
            "ME \\u20a",
            "c\", \"TOTAL\": 12",
            ".50",
            ", \"GST\": tr",
            "ue}",
        ],
        &expect![[r#"
            /NAME + "AC"
            /NAME + "ME "
            /NAME = Text("ACME €") "ACME \u20ac"
            /TOTAL = Number(12.5) 12.50
            /GST = Bool(true) true
        "#]],
    );
}

#[test]
fn lists_and_objects_have_pointers() {
    check(
        &[
            r#"{"ITEMS": [{"NAME": "a", "TAGS": []}, {"NAME": null}, [1, -2e1]], "a/b~c": {}, "E": [ ]}"#,
        ],
        &expect![[r#"
            /ITEMS/0/NAME = Text("a") "a"
            /ITEMS/0/TAGS = EmptyList []
            /ITEMS/1/NAME = Null null
            /ITEMS/2/0 = Number(1.0) 1
            /ITEMS/2/1 = Number(-20.0) -2e1
            /a~1b~0c = EmptyObject {}
            /E = EmptyList []
        "#]],
    );
}

#[test]
fn what_stands_around_the_object_is_passed_over() {
    for answer in [
        "{\"A\": 1}",
        "```json\n{\"A\": 1}\n```",
        "The fields {as asked} are: {{\"A\": 1}. {\"A\": 2}",
    ] {
        let (events, reader) = read(characters(answer));
        assert_eq!(completed(&events).len(), 1, "{answer}");
        assert_eq!(&answer[reader.object().unwrap()], "{\"A\": 1}");
    }
}

#[test]
fn nothing_is_read_behind_a_mistake() {
    check(
        &[r#"{"A": "x", "B": nul1, "C": "y"}"#],
        &expect![[r#"
        /A = Text("x") "x"
    "#]],
    );
    check(&["{\"A\": \"x\ny\"}"], &expect![""]);
    check(&["Total: 3, [4], \"5\""], &expect![""]);
    assert_eq!(read(["{\"A\": 1"]).1.object(), None);
}

#[test]
fn a_key_that_comes_again_changes_nothing() {
    let answer = r#"{"A": "x", "A": {"A": 1}, "B": [{"C": 1, "C": 2}], "D": 3}"#;
    let (events, reader) = read([answer]);
    let pointers: Vec<_> = completed(&events).iter().map(|field| field.pointer.as_str()).collect();
    assert_eq!(pointers, ["/A", "/B/0/C", "/D"]);
    assert_eq!(reader.repeated(), ["/A", "/B/0/C"]);
    assert_eq!(reader.object(), Some(0..answer.len()));
}

#[test]
fn what_is_too_deep_or_too_long_is_no_field() {
    let deep = format!("{{\"A\": {}1{}, \"B\": 2}}", "[".repeat(100_000), "]".repeat(100_000));
    let long = format!("{{\"{}\": [1, 2], \"B\": 2}}", "x".repeat(FIELD_POINTER_BYTES_MAX));
    for answer in [deep, long] {
        let (events, reader) = read([answer.as_str()]);
        let pointers: Vec<_> = completed(&events).iter().map(|field| &field.pointer).collect();
        assert_eq!(pointers, ["/B"]);
        assert_eq!(reader.object(), Some(0..answer.len()));
    }
}

#[test]
fn a_field_knows_where_it_was_said() {
    let answer = r#"{"A": "x€", "B": 12}"#;
    let (events, _) = read([answer]);
    let said: Vec<_> = completed(&events).iter().map(|field| &answer[field.said()]).collect();
    assert_eq!(said, ["x€\"", "12"]);
}

/// Documents with unlike keys, nested a little.
fn document() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        // Quarters: the library reads them back as they are.
        any::<i32>().prop_map(|quarters| (f64::from(quarters) / 4.0).into()),
        "[a-zé€🦀 \"\\\\\n/]{0,12}".prop_map(Value::from),
    ];
    let key = "[A-C/~\"é]{0,4}";
    let value = leaf.prop_recursive(4, 40, 5, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            proptest::collection::btree_map(key, inner, 0..5)
                .prop_map(|members| members.into_iter().collect::<Map<_, _>>().into()),
        ]
    });
    proptest::collection::btree_map(key, value, 0..6)
        .prop_map(|members| members.into_iter().collect::<Map<_, _>>().into())
}

/// As JSON text: dense or over many lines, with characters as they are or escaped.
fn written(document: &Value, pretty: bool, escape: bool) -> String {
    let json =
        if pretty { serde_json::to_string_pretty(document).unwrap() } else { document.to_string() };
    let mut text = String::new();
    for c in json.chars() {
        if escape && !c.is_ascii() {
            for unit in c.encode_utf16(&mut [0; 2]) {
                write!(text, "\\u{unit:04x}").unwrap();
            }
        } else {
            text.push(c);
        }
    }
    text
}

/// `text` cut at these shares of its length, moved to where characters end.
fn cut(text: &str, mut shares: Vec<f64>) -> Vec<&str> {
    shares.sort_by(f64::total_cmp);
    let mut pieces = Vec::new();
    let mut rest = 0;
    for share in shares {
        let mut at = (share * text.len() as f64) as usize;
        while !text.is_char_boundary(at) {
            at += 1;
        }
        pieces.push(&text[rest..at.max(rest)]);
        rest = at.max(rest);
    }
    pieces.push(&text[rest..]);
    pieces
}

proptest! {
    /// Wherever the text is cut: the completed fields are the document's leaves in their order, each
    /// once, and deltas say how their string begins.
    #[test]
    fn completed_fields_are_the_document(
        document in document(),
        pretty: bool,
        escape: bool,
        fence: bool,
        shares in proptest::collection::vec(0.0..1.0, 0..20),
    ) {
        let json = written(&document, pretty, escape);
        let answer = if fence { format!("```json\n{json}\n```") } else { json.clone() };
        let mut expected = Vec::new();
        leaves(&document, "", &mut expected);
        for pieces in [cut(&answer, shares), characters(&answer)] {
            let (events, reader) = read(pieces);
            let fields: Vec<(String, Value)> = completed(&events)
                .into_iter()
                .map(|field| (field.pointer.clone(), value_of(field)))
                .collect();
            prop_assert_eq!(&fields, &expected);
            for field in completed(&events) {
                prop_assert_eq!(&answer[field.start..field.start + field.raw.len()], &field.raw);
            }
            prop_assert_eq!(&answer[reader.object().unwrap()], &json);
            check_deltas(&events)?;
        }
    }

    /// What the reader takes for a whole object is one, and the other way round, whatever is written.
    #[test]
    fn whole_is_what_the_library_takes(
        document in document(),
        at in 0.0f64..1.0,
        length in 0usize..4,
        change in "[\\[\\]{}\",:0-9a-z\\\\. \n-]{0,3}",
    ) {
        let json = document.to_string();
        let mut characters: Vec<char> = json.chars().collect();
        let at = (at * characters.len() as f64) as usize;
        let end = (at + length).min(characters.len());
        characters.splice(at..end, change.chars());
        let text: String = characters.into_iter().collect();
        let known = text.starts_with('{') && serde_json::from_str::<IgnoredAny>(&text).is_ok();
        let whole = read([text.as_str()]).1.object() == Some(0..text.trim_end().len());
        prop_assert_eq!(whole, known, "{}", text);
    }
}

/// The deltas of a string are the beginning of it, and come before it completes.
fn check_deltas(events: &[FieldEvent]) -> Result<(), TestCaseError> {
    let mut grown: Option<(&str, String)> = None;
    for event in events {
        match event {
            FieldEvent::Delta { pointer, text } => {
                prop_assert!(!text.is_empty());
                let (of, all) = grown.get_or_insert_with(|| (pointer, String::new()));
                prop_assert_eq!(*of, pointer.as_str());
                all.push_str(text);
            }
            FieldEvent::Completed(field) => {
                let Some((of, all)) = grown.take() else { continue };
                prop_assert_eq!(of, field.pointer.as_str());
                let FieldValue::Text(text) = &field.value else { panic!("deltas of {field:?}") };
                prop_assert!(text.starts_with(&all), "{} of {}", all, text);
            }
        }
    }
    prop_assert!(grown.is_none(), "a string of a whole object completes");
    Ok(())
}
