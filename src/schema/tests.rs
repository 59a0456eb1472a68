//! Schemas from text and back, what is refused and how, and the grammars they become.

use expect_test::{Expect, expect};
use proptest::prelude::*;
use serde_json::json;

use super::*;

fn problems(schema: &Value) -> String {
    let problems = Schema::from_json_schema(&schema.to_string()).expect_err("it is refused");
    let lines: Vec<String> =
        problems.iter().map(|problem| format!("{}: {}\n", problem.at, problem.what)).collect();
    lines.concat()
}

fn check_refused(schema: &Value, expected: &Expect) {
    expected.assert_eq(&problems(schema));
}

fn of(properties: &Value, required: &Value) -> Schema {
    let text = json!({"type": "object", "properties": properties, "required": required});
    Schema::from_json_schema(&text.to_string()).unwrap()
}

#[test]
fn json_schema_text_becomes_properties() {
    let schema = of(
        &json!({
            "supplier": {"type": "string", "description": "who sells", "maxLength": 40},
            "date": {"type": ["string", "null"], "format": "date"},
            "currency": {"enum": ["AUD", "NZD", null]},
            "note": {"type": "string"},
            "items": {"type": "array", "maxItems": 3, "items": {
                "type": "object",
                "properties": {"name": {"type": "string"}, "price": {"anyOf": [{"type": "number"}, {"type": "null"}]}},
                "required": ["name", "price"],
            }},
        }),
        &json!(["supplier", "items"]),
    );
    let property = |name: &str, description: &str, kind, absent| Property {
        name: name.to_owned(),
        description: description.to_owned(),
        kind,
        absent,
    };
    let item = Kind::Object(vec![
        property("name", "", Kind::TEXT, Absent::Never),
        property("price", "", Kind::Decimal, Absent::Null),
    ]);
    assert_eq!(
        schema.properties(),
        [
            property(
                "supplier",
                "who sells",
                Kind::Text { chars_min: 0, chars_max: 40 },
                Absent::Never
            ),
            property("date", "", Kind::Date, Absent::Null),
            property("currency", "", Kind::Choice(vec!["AUD".into(), "NZD".into()]), Absent::Null),
            property("note", "", Kind::TEXT, Absent::LeftOut),
            property(
                "items",
                "",
                Kind::List { item: Box::new(item), items_min: 0, items_max: 3 },
                Absent::Never
            ),
        ]
    );
    assert_eq!(schema.kind_at("/items/12/price"), Some(&Kind::Decimal));
    for nowhere in ["", "/", "/items/x", "/items/1/cost", "/supplier/0"] {
        assert_eq!(schema.kind_at(nowhere), None, "{nowhere}");
    }
}

/// The table for people has the fields of each kind, and says how many names there are.
#[test]
fn built_in_fields_are_documented() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(root.join("docs/schemas.md")).unwrap();
    let (_, section) = text.split_once("## The built-in kinds").unwrap();
    let mut names = std::collections::BTreeSet::new();
    for kind in DocumentKind::ALL {
        let row = section.lines().find(|line| {
            let first = line.split('|').nth(1).unwrap_or_default();
            first.contains(&format!("`{}`", kind.name()))
        });
        let row = row.unwrap_or_else(|| panic!("no row of {}", kind.name()));
        let (kinds, told) = row[2..].split_once('|').unwrap();
        let told: Vec<&str> = told.split('`').skip(1).step_by(2).collect();
        assert_eq!(told, kind.fields().collect::<Vec<_>>(), "{}", kind.name());
        assert!(kinds.contains(&told.len().to_string()), "{kinds}");
        names.extend(told);
    }
    assert!(section.contains(&format!("These are {} names.", names.len())), "{}", names.len());
}

/// As pydantic writes it.
#[test]
fn references_are_followed() {
    let text = json!({
        "$defs": {"Line": {"type": "object", "title": "Line", "properties": {"sku": {"type": "string", "title": "Sku"}}, "required": ["sku"]}},
        "title": "Order",
        "type": "object",
        "properties": {
            "first": {"anyOf": [{"$ref": "#/$defs/Line"}, {"type": "null"}], "default": null},
            "lines": {"type": "array", "items": {"$ref": "#/$defs/Line"}},
        },
        "required": ["lines"],
    });
    let schema = Schema::from_json_schema(&text.to_string()).unwrap();
    assert_eq!(schema.properties()[0].absent, Absent::Null);
    assert_eq!(schema.kind_at("/first/sku"), Some(&Kind::TEXT));
    assert_eq!(schema.kind_at("/lines/0/sku"), Some(&Kind::TEXT));
}

#[test]
fn what_is_not_supported_is_named_with_its_place() {
    check_refused(
        &json!({
            "type": "object",
            "properties": {
                "a": {"type": "string", "pattern": "x+"},
                "b": {"type": "integer", "minimum": 3, "maxLength": 2},
                "c": {"oneOf": []},
                "d/e": {"type": "string", "format": "uuid"},
                "f": {"type": ["string", "integer"]},
                "g": {"type": "array"},
                "h": {"$ref": "#/$defs/H"},
                "i": {"enum": ["x", {}]},
            },
            "required": ["z"],
            "patternProperties": {},
        }),
        &expect![[r##"
            /patternProperties: is a keyword that is not supported: take it out and check it after reading
            /required: "z" is not among the properties
            /properties/a/pattern: is a keyword that is not supported: take it out and check it after reading
            /properties/b/minimum: is a keyword that is not supported: take it out and check it after reading
            /properties/b/maxLength: does not go with integer: take it out
            /properties/c: has no type: write one, like {"type": "string"}
            /properties/d~1e/format: "uuid" is no format here: use date, money, quantity, page-date, page-date-range, abn, page-boolean
            /properties/f/type: is not one type, alone or beside null: choose one
            /properties/g: has no items: say what the array holds
            /properties/h/$ref: "#/$defs/H" is not in this text: write #/$defs/NAME
        "##]],
    );
}

/// The list that servers publish is of what they read: each keyword has a place where it is taken.
#[test]
fn every_keyword_that_is_listed_is_read() {
    let text = json!({
        "$defs": {"D": {"type": "string"}},
        "definitions": {"E": {"type": "number"}},
        "type": "object",
        "description": "all of them",
        "additionalProperties": false,
        "properties": {
            "a": {"$ref": "#/$defs/D"},
            "b": {"anyOf": [{"$ref": "#/definitions/E"}, {"type": "null"}]},
            "c": {"const": "x"},
            "d": {"enum": ["x", "y"], "default": "x"},
            "e": {"type": "string", "format": "date"},
            "f": {"type": "string", "minLength": 2, "maxLength": 3},
            "g": {"type": "array", "items": {"type": "integer"}, "minItems": 1, "maxItems": 2},
        },
        "required": ["a"],
    });
    let schema = Schema::from_json_schema(&text.to_string()).unwrap();
    let kinds: Vec<&Kind> = schema.properties().iter().map(|property| &property.kind).collect();
    let list = Kind::List { item: Box::new(Kind::Integer), items_min: 1, items_max: 2 };
    let choice = |words: &[&str]| Kind::Choice(words.iter().map(|word| (*word).into()).collect());
    let text_of = Kind::Text { chars_min: 2, chars_max: 3 };
    let expected = [
        &Kind::TEXT,
        &Kind::Decimal,
        &choice(&["x"]),
        &choice(&["x", "y"]),
        &Kind::Date,
        &text_of,
        &list,
    ];
    assert_eq!(kinds, expected);
    let text = text.to_string();
    for keyword in KEYWORDS {
        assert!(text.contains(&format!("\"{keyword}\":")), "{keyword} is listed");
    }
}

#[test]
fn schemas_have_an_end() {
    let tree = json!({
        "$defs": {"T": {"type": "object", "properties": {"t": {"$ref": "#/$defs/T"}}}},
        "type": "object",
        "properties": {"t": {"$ref": "#/$defs/T"}},
    });
    assert!(problems(&tree).contains("is inside itself"));
    check_refused(
        &json!({"type": "object", "properties": {
            "a": {"type": "string", "maxLength": 100_000},
            "b": {"type": "array", "items": {"type": "string"}, "minItems": 3, "maxItems": 2},
            "c": {"type": "array", "items": {"type": "array", "items": {"type": "string"}}},
        }}),
        &expect![[r#"
            /a: may be 100000 characters long, the most is 2048
            /b: has from 3 to 2 items: there is no such list
            /c: is a list of lists: name what is inside in an object
        "#]],
    );
    check_refused(
        &json!({"type": "array"}),
        &expect![[r#"
        : has no items: say what the array holds
    "#]],
    );
    check_refused(
        &json!({"type": "string"}),
        &expect![[r#"
        : is no object at its root: wrap it in one
    "#]],
    );
    check_refused(
        &json!({"type": "object", "properties": {}}),
        &expect![[r#"
        : has no properties: name at least one
    "#]],
    );
}

#[test]
fn built_in_schemas_are_their_own_text() {
    for document in DocumentKind::ALL {
        let schema = Schema::of(document);
        let again = Schema::from_json_schema(&schema.to_json_schema().to_string()).unwrap();
        assert_eq!(again.properties(), schema.properties());
        assert!(check::problems(schema.properties()).is_empty());
    }
}

#[test]
fn a_grammar_has_no_free_blanks() {
    let schema = of(
        &json!({
            "id": {"type": "integer"},
            "when": {"type": ["string", "null"], "format": "date"},
            "ok": {"type": "boolean"},
            "tags": {"type": "array", "items": {"enum": ["a/b", "c"]}, "maxItems": 4},
        }),
        &json!(["id", "tags"]),
    );
    let day = "V1: /";
    let text = schema.grammar().to_string();
    let text: String = text
        .lines()
        .filter(|line| !line.starts_with(day))
        .fold(String::new(), |text, line| text + line + "\n");
    expect![[r#"
        start: o0
        l0: "[" (V3 (", " V3){0,3})? "]"
        o0: "{" o0_begin0 "}"
        o0_begin0: "\"id\": " V0 o0_rest1
        o0_rest1: ", \"when\": " (V1 | "null") o0_rest2
        o0_rest2: (", \"ok\": " V2)? o0_rest3
        o0_rest3: ", \"tags\": " l0
        V0: /(0|-?[1-9][0-9]{0,14})/
        V2: /(true|false)/
        V3: /("a\/b"|"c")/
    "#]]
    .assert_eq(&text);
    assert_eq!(Grammar::one_of(["a", "b c"]).as_str(), "start: \"a\" | \"b c\"\n");
}

// === random schemas ===

/// Kinds that JSON Schema text can say.
pub(crate) fn kinds() -> impl Strategy<Value = Kind> {
    let printed = prop_oneof![
        Just(Printed::Money),
        Just(Printed::Quantity),
        Just(Printed::Date),
        Just(Printed::DateRange),
        Just(Printed::Abn),
        Just(Printed::Boolean),
    ];
    let item = prop_oneof![
        Just(Kind::Text { chars_min: 0, chars_max: limits::ITEM_CHARS_MAX }),
        printed.clone().prop_map(Kind::Printed),
    ];
    let joined = item.prop_map(|item| Kind::Joined {
        item: Box::new(item),
        items_max: limits::LIST_ITEMS_DEFAULT,
    });
    let text = (0usize..4, 1usize..12)
        .prop_map(|(min, more)| Kind::Text { chars_min: min, chars_max: min + more });
    let choice = prop::collection::btree_set("[a-z \"\\\\.|]{0,4}", 1..4)
        .prop_map(|words| Kind::Choice(words.into_iter().map(Value::from).collect()));
    let scalar = prop_oneof![
        text,
        Just(Kind::Integer),
        Just(Kind::Decimal),
        Just(Kind::Boolean),
        Just(Kind::Date),
        printed.prop_map(Kind::Printed),
        choice,
        joined,
    ];
    scalar.prop_recursive(3, 12, 3, |inner| {
        let list = (inner.clone(), 0usize..3, 1usize..4).prop_filter_map(
            "no lists of lists",
            |(item, items_min, more)| {
                (!matches!(item, Kind::List { .. })).then(|| Kind::List {
                    item: Box::new(item),
                    items_min,
                    items_max: items_min + more,
                })
            },
        );
        prop_oneof![list, properties_of(inner).prop_map(Kind::Object)]
    })
}

fn properties_of(kinds: impl Strategy<Value = Kind>) -> impl Strategy<Value = Vec<Property>> {
    let absent = prop_oneof![Just(Absent::Never), Just(Absent::Null), Just(Absent::LeftOut)];
    prop::collection::vec(("[a-zA-Z_/~\" é]{1,8}", "[a-z]{0,6}", kinds, absent), 1..5).prop_map(
        |parts| {
            let mut properties: Vec<Property> = Vec::new();
            for (name, description, kind, absent) in parts {
                if properties.iter().all(|property| property.name != name) {
                    properties.push(Property { name, description, kind, absent });
                }
            }
            properties
        },
    )
}

/// Schemas of a few properties.
pub(crate) fn schemas() -> impl Strategy<Value = Schema> {
    properties_of(kinds()).prop_map(|properties| Schema::new(properties).unwrap())
}

proptest! {
    #[test]
    fn text_and_back(schema in schemas()) {
        let text = schema.to_json_schema().to_string();
        prop_assert_eq!(Schema::from_json_schema(&text).unwrap(), schema);
    }

    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,60}", schema in schemas()) {
        let _ = Schema::from_json_schema(&text);
        // A schema with a hole in it.
        let whole = schema.to_json_schema().to_string();
        let cut = whole.char_indices().nth(whole.chars().count() / 2).map_or(0, |(at, _)| at);
        prop_assert!(Schema::from_json_schema(&whole[..cut]).is_err());
    }
}
