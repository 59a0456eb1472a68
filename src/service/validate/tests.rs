//! What is refused, in which words, and that all of it is told at once.

use bytes::Bytes;
use expect_test::{Expect, expect};
use proptest::prelude::*;

use super::*;
use crate::service::error::render;

fn bounds() -> Bounds {
    Bounds {
        model: "internvl3-8b".to_owned(),
        pages_max: 2,
        tiles_per_page_max: 12,
        output_tokens_max: 100,
        origins: None,
    }
}

fn file(content: &'static [u8]) -> v1::InputFile {
    v1::InputFile { content: Bytes::from_static(content), ..Default::default() }
}

fn request() -> v1::ExtractRequest {
    v1::ExtractRequest {
        files: vec![file(b"x")],
        task: Some(v1::extract_request::Task::Prompt("Total?".to_owned())),
        ..Default::default()
    }
}

fn schema(document_type: i32) -> v1::extract_request::Task {
    v1::extract_request::Task::Schema(v1::ExtractionSchema {
        source: Some(v1::extraction_schema::Source::DocumentType(document_type)),
        ..Default::default()
    })
}

fn refused(request: v1::ExtractRequest, expected: &Expect) {
    expected.assert_eq(&render(&check(request, &bounds()).unwrap_err()));
}

fn refused_options(generation: v1::GenerationOptions, expected: &Expect) {
    refused(v1::ExtractRequest { generation: Some(generation), ..request() }, expected);
}

#[test]
fn defaults() {
    let checked = check(request(), &bounds()).unwrap();
    assert_eq!(checked.output_tokens_max, 100);
    assert_eq!((checked.sampling.temperature, checked.sampling.top_p), (0.0, 1.0));
    assert_eq!(checked.kinds, Kinds { tokens: true, fields: false });
    assert_eq!(checked.tiles_max, None);
}

#[test]
fn kinds_of_events() {
    let none = Kinds { tokens: false, fields: false };
    for (kinds, with_prompt, with_schema) in [
        (vec![], Kinds { tokens: true, ..none }, Kinds { tokens: true, fields: true }),
        (vec![2], none, none),
        (vec![1], Kinds { tokens: true, ..none }, Kinds { tokens: true, ..none }),
        (vec![3], Kinds { fields: true, ..none }, Kinds { fields: true, ..none }),
    ] {
        for (task, expected) in [(request().task, with_prompt), (Some(schema(1)), with_schema)] {
            let request = v1::ExtractRequest { task, event_kinds: kinds.clone(), ..request() };
            assert_eq!(check(request, &bounds()).unwrap().kinds, expected, "{kinds:?}");
        }
    }
}

#[test]
fn own_name_is_a_model() {
    let request = v1::ExtractRequest { model: "internvl3-8b".to_owned(), ..request() };
    assert!(check(request, &bounds()).is_ok());
}

#[test]
fn another_model() {
    refused(
        v1::ExtractRequest { model: "other".to_owned(), ..request() },
        &expect![[r#"
        NOT_FOUND: no model "other" here; this server has "internvl3-8b"
          ErrorInfo tessera MODEL_NOT_FOUND [("model", "internvl3-8b")]
          resource model "other"
    "#]],
    );
}

#[test]
fn empty_request() {
    refused(
        v1::ExtractRequest::default(),
        &expect![[r#"
        INVALID_ARGUMENT: files: is empty: send at least one page file; task: is not set: send a schema or a prompt
          ErrorInfo tessera INVALID_FIELD []
          field files: is empty: send at least one page file
          field task: is not set: send a schema or a prompt
    "#]],
    );
}

#[test]
fn everything_wrong_at_once() {
    let request = v1::ExtractRequest {
        request_id: "two words".to_owned(),
        files: vec![file(b"")],
        task: Some(schema(99)),
        generation: Some(v1::GenerationOptions {
            max_output_tokens: Some(0),
            temperature: Some(f32::NAN),
            seed: None,
            stop_sequences: vec![String::new()],
            max_tiles_per_page: Some(0),
            top_p: Some(0.0),
            ..Default::default()
        }),
        event_kinds: vec![1, 2, 7],
        ..Default::default()
    };
    refused(
        request,
        &expect![[r#"
        INVALID_ARGUMENT: request_id: has a character that is not visible ASCII; files[0].content: is empty: send the whole file; schema.document_type: 99 is no document type; generation.temperature: NaN is not in [0, 2]; generation.top_p: 0 is not in (0, 1]; generation.max_output_tokens: 0 is too few: ask for at least 1; generation.max_tiles_per_page: 0 is too few: ask for at least 1; generation.stop_sequences: goes only with a prompt: it could cut a document anywhere; generation.stop_sequences[0]: is empty: leave it out; event_kinds[2]: 7 is no kind; event_kinds: asks for NONE and for others
          ErrorInfo tessera INVALID_FIELD []
          field request_id: has a character that is not visible ASCII
          field files[0].content: is empty: send the whole file
          field schema.document_type: 99 is no document type
          field generation.temperature: NaN is not in [0, 2]
          field generation.top_p: 0 is not in (0, 1]
          field generation.max_output_tokens: 0 is too few: ask for at least 1
          field generation.max_tiles_per_page: 0 is too few: ask for at least 1
          field generation.stop_sequences: goes only with a prompt: it could cut a document anywhere
          field generation.stop_sequences[0]: is empty: leave it out
          field event_kinds[2]: 7 is no kind
          field event_kinds: asks for NONE and for others
    "#]],
    );
}

#[test]
fn too_many_files() {
    let files = vec![file(b"x"), file(b"y"), file(b"z")];
    refused(
        v1::ExtractRequest { files, ..request() },
        &expect![[r#"
        INVALID_ARGUMENT: files: 3 files are more than max_pages, 2: send them in several requests
          ErrorInfo tessera LIMIT_EXCEEDED [("limit", "max_pages"), ("limit_value", "2"), ("value", "3")]
          field files: 3 files are more than max_pages, 2: send them in several requests
    "#]],
    );
}

#[test]
fn schema_without_type() {
    refused(
        v1::ExtractRequest { task: Some(schema(0)), ..request() },
        &expect![[r#"
        INVALID_ARGUMENT: schema.document_type: 0 is no document type
          ErrorInfo tessera INVALID_FIELD []
          field schema.document_type: 0 is no document type
    "#]],
    );
    let task = v1::extract_request::Task::Schema(v1::ExtractionSchema::default());
    refused(
        v1::ExtractRequest { task: Some(task), ..request() },
        &expect![[r#"
        INVALID_ARGUMENT: schema.source: is not set: send a document_type, a field_list or a json_schema
          ErrorInfo tessera INVALID_FIELD []
          field schema.source: is not set: send a document_type, a field_list or a json_schema
    "#]],
    );
}

#[test]
fn blank_and_long_prompts() {
    let prompt = |text: String| v1::ExtractRequest {
        task: Some(v1::extract_request::Task::Prompt(text)),
        ..request()
    };
    refused(
        prompt(" \n".to_owned()),
        &expect![[r#"
        INVALID_ARGUMENT: prompt: is empty: ask something
          ErrorInfo tessera INVALID_FIELD []
          field prompt: is empty: ask something
    "#]],
    );
    refused(
        prompt("a".repeat(limits::PROMPT_BYTES_MAX + 1)),
        &expect![[r#"
        INVALID_ARGUMENT: prompt: 65537 bytes are more than max_prompt_bytes, 65536: shorten it
          ErrorInfo tessera LIMIT_EXCEEDED [("limit", "max_prompt_bytes"), ("limit_value", "65536"), ("value", "65537")]
          field prompt: 65537 bytes are more than max_prompt_bytes, 65536: shorten it
    "#]],
    );
}

#[test]
fn long_request_id() {
    refused(
        v1::ExtractRequest { request_id: "x".repeat(129), ..request() },
        &expect![[r#"
        INVALID_ARGUMENT: request_id: is 129 bytes long, the most is 128
          ErrorInfo tessera INVALID_FIELD []
          field request_id: is 129 bytes long, the most is 128
    "#]],
    );
}

#[test]
fn more_than_the_limits() {
    refused_options(
        v1::GenerationOptions {
            max_output_tokens: Some(101),
            max_tiles_per_page: Some(13),
            ..Default::default()
        },
        &expect![[r#"
            INVALID_ARGUMENT: generation.max_output_tokens: 101 tokens are more than max_output_tokens, 100: ask for fewer, or leave it unset for the most; generation.max_tiles_per_page: 13 tiles are more than max_tiles_per_page, 12: ask for fewer, or leave it unset for the most
              ErrorInfo tessera LIMIT_EXCEEDED [("limit", "max_output_tokens"), ("limit_value", "100"), ("value", "101")]
              field generation.max_output_tokens: 101 tokens are more than max_output_tokens, 100: ask for fewer, or leave it unset for the most
              field generation.max_tiles_per_page: 13 tiles are more than max_tiles_per_page, 12: ask for fewer, or leave it unset for the most
        "#]],
    );
}

#[test]
fn how_tokens_are_drawn_has_bounds() {
    for penalty in [0.0, 2.1, f32::NAN] {
        let generation =
            v1::GenerationOptions { repetition_penalty: Some(penalty), ..Default::default() };
        let request = v1::ExtractRequest { generation: Some(generation), ..request() };
        assert!(check(request, &bounds()).is_err(), "{penalty}");
    }
    refused_options(
        v1::GenerationOptions { top_k: Some(0), min_p: Some(1.5), ..Default::default() },
        &expect![[r#"
            INVALID_ARGUMENT: generation.top_k: 0 is too few: keep at least 1, or leave it unset; generation.min_p: 1.5 is not in [0, 1]
              ErrorInfo tessera INVALID_FIELD []
              field generation.top_k: 0 is too few: keep at least 1, or leave it unset
              field generation.min_p: 1.5 is not in [0, 1]
        "#]],
    );
    let generation = v1::GenerationOptions {
        top_k: Some(40),
        min_p: Some(0.1),
        repetition_penalty: Some(1.2),
        logprobs: true,
        ..Default::default()
    };
    let checked = check(
        v1::ExtractRequest { generation: Some(generation), priority: 2, ..request() },
        &bounds(),
    );
    let checked = checked.unwrap();
    let Sampling { top_k, min_p, repetition_penalty, .. } = checked.sampling;
    assert_eq!((top_k, min_p, repetition_penalty), (Some(40), 0.1, 1.2));
    assert_eq!((checked.priority, checked.logprobs), (Priority::Batch, true));
}

#[test]
fn priorities_that_are_none() {
    refused(
        v1::ExtractRequest { priority: 9, ..request() },
        &expect![[r#"
            INVALID_ARGUMENT: priority: 9 is no priority
              ErrorInfo tessera INVALID_FIELD []
              field priority: 9 is no priority
        "#]],
    );
}

#[test]
fn temperatures() {
    for temperature in [-0.1, 2.1, f32::INFINITY] {
        let generation =
            v1::GenerationOptions { temperature: Some(temperature), ..Default::default() };
        let request = v1::ExtractRequest { generation: Some(generation), ..request() };
        assert!(check(request, &bounds()).is_err(), "{temperature}");
    }
}

#[test]
fn stop_sequences() {
    let stop_sequences = vec!["a".to_owned(); 5];
    refused_options(
        v1::GenerationOptions { stop_sequences, ..Default::default() },
        &expect![[r#"
        INVALID_ARGUMENT: generation.stop_sequences: 5 sequences are more than max_stop_sequences, 4: leave some out
          ErrorInfo tessera LIMIT_EXCEEDED [("limit", "max_stop_sequences"), ("limit_value", "4"), ("value", "5")]
          field generation.stop_sequences: 5 sequences are more than max_stop_sequences, 4: leave some out
    "#]],
    );
    let generation =
        v1::GenerationOptions { stop_sequences: vec!["}".to_owned()], ..Default::default() };
    refused(
        v1::ExtractRequest { task: Some(schema(1)), generation: Some(generation), ..request() },
        &expect![[r#"
            INVALID_ARGUMENT: generation.stop_sequences: goes only with a prompt: it could cut a document anywhere
              ErrorInfo tessera INVALID_FIELD []
              field generation.stop_sequences: goes only with a prompt: it could cut a document anywhere
        "#]],
    );
}

proptest! {
    /// Whatever is accepted is within the limits, and nothing panics.
    #[test]
    fn accepted_is_within_limits(
        request_id in ".{0,140}",
        temperature in proptest::option::of(any::<f32>()),
        top_p in proptest::option::of(any::<f32>()),
        max_output_tokens in proptest::option::of(any::<u32>()),
        max_tiles_per_page in proptest::option::of(0u32..50),
        event_kinds in proptest::collection::vec(-1i32..5, 0..3),
    ) {
        let generation = v1::GenerationOptions {
            max_output_tokens, temperature, max_tiles_per_page, top_p, ..Default::default()
        };
        let request = v1::ExtractRequest {
            request_id, generation: Some(generation), event_kinds, ..request()
        };
        if let Ok(checked) = check(request, &bounds()) {
            prop_assert!(checked.request_id.len() <= limits::REQUEST_ID_BYTES_MAX);
            prop_assert!((0.0..=2.0).contains(&checked.sampling.temperature));
            prop_assert!(checked.sampling.top_p > 0.0 && checked.sampling.top_p <= 1.0);
            prop_assert!((1..=100).contains(&checked.output_tokens_max));
            prop_assert!(checked.tiles_max.is_none_or(|tiles| (1..=12).contains(&tiles)));
        }
    }
}

fn sourced(source: v1::extraction_schema::Source) -> v1::ExtractRequest {
    let schema = v1::ExtractionSchema { source: Some(source), ..Default::default() };
    v1::ExtractRequest { task: Some(v1::extract_request::Task::Schema(schema)), ..request() }
}

fn field(name: &str, r#type: v1::FieldType) -> v1::FieldSpec {
    v1::FieldSpec { name: name.to_owned(), r#type: r#type.into(), ..Default::default() }
}

fn fields(fields: Vec<v1::FieldSpec>) -> v1::ExtractRequest {
    sourced(v1::extraction_schema::Source::FieldList(v1::FieldList { fields }))
}

#[test]
fn a_field_list_is_a_schema() {
    let item = v1::FieldSpec {
        list: true,
        max_items: 5,
        required: true,
        fields: vec![
            field("name", v1::FieldType::String),
            v1::FieldSpec { required: true, ..field("price", v1::FieldType::Money) },
        ],
        ..field("items", v1::FieldType::Object)
    };
    let unit = v1::FieldSpec {
        allowed_values: vec!["AUD".to_owned(), "NZD".to_owned()],
        description: "of all amounts".to_owned(),
        ..field("unit", v1::FieldType::Enum)
    };
    let code = v1::FieldSpec { max_length: 6, ..field("code", v1::FieldType::String) };
    let checked =
        check(fields(vec![field("on", v1::FieldType::Date), item, unit, code]), &bounds()).unwrap();
    let Task::Document { schema, .. } = checked.task else { panic!("{:?}", checked.task) };
    expect![[
        r#"{"type":"object","properties":{"on":{"type":["string","null"],"format":"page-date"},"items":{"type":"array","items":{"type":"object","properties":{"name":{"type":["string","null"]},"price":{"type":"string","format":"money"}},"required":["name","price"],"additionalProperties":false},"maxItems":5},"unit":{"enum":["AUD","NZD",null],"description":"of all amounts"},"code":{"type":["string","null"],"maxLength":6}},"required":["on","items","unit","code"],"additionalProperties":false}"#
    ]]
    .assert_eq(&schema.to_json_schema().to_string());
}

#[test]
fn a_wrong_field_list_is_told_field_by_field() {
    refused(
        fields(vec![
            v1::FieldSpec {
                allowed_values: vec!["x".to_owned()],
                ..field("a", v1::FieldType::String)
            },
            v1::FieldSpec {
                fields: vec![field("c", v1::FieldType::Unspecified)],
                max_items: 3,
                ..field("b", v1::FieldType::Object)
            },
        ]),
        &expect![[r#"
            INVALID_ARGUMENT: schema.field_list.fields[0].allowed_values: goes only with ENUM; schema.field_list.fields[1].max_items: goes only with list; schema.field_list.fields[1].fields[0].type: 0 is no field type
              ErrorInfo tessera INVALID_FIELD []
              field schema.field_list.fields[0].allowed_values: goes only with ENUM
              field schema.field_list.fields[1].max_items: goes only with list
              field schema.field_list.fields[1].fields[0].type: 0 is no field type
        "#]],
    );
    refused(
        fields(vec![
            field("a", v1::FieldType::Integer),
            field("a", v1::FieldType::Object),
            field("", v1::FieldType::Enum),
        ]),
        &expect![[r#"
            INVALID_ARGUMENT: schema.field_list.fields: /a is named twice: names of one object differ; schema.field_list.fields: /a has no properties: name at least one; schema.field_list.fields: / has no name; schema.field_list.fields: / has 0 values to choose from, there must be 1 to 256
              ErrorInfo tessera INVALID_FIELD []
              field schema.field_list.fields: /a is named twice: names of one object differ
              field schema.field_list.fields: /a has no properties: name at least one
              field schema.field_list.fields: / has no name
              field schema.field_list.fields: / has 0 values to choose from, there must be 1 to 256
        "#]],
    );
    refused(
        fields(Vec::new()),
        &expect![[r#"
        INVALID_ARGUMENT: schema.field_list.fields: has no properties: name at least one
          ErrorInfo tessera INVALID_FIELD []
          field schema.field_list.fields: has no properties: name at least one
    "#]],
    );
}

/// Objects with `width` fields each, so many levels of them.
fn tree(width: usize, levels: usize) -> Vec<v1::FieldSpec> {
    let inner = if levels == 1 { Vec::new() } else { tree(width, levels - 1) };
    let kind = if levels == 1 { v1::FieldType::String } else { v1::FieldType::Object };
    let named =
        |index: usize| v1::FieldSpec { fields: inner.clone(), ..field(&format!("f{index}"), kind) };
    (0..width).map(named).collect()
}

#[test]
fn no_more_of_a_field_list_is_looked_at_than_may_be() {
    // 6 + 36 + 216 fields are two too many, 15 + 225 are not. What is wrong behind them is not seen.
    let most = limits::SCHEMA_PROPERTIES_MAX;
    check(fields(tree(15, 2)), &bounds()).unwrap();
    let mut wrong = tree(2, 16);
    wrong[1].max_length = 7;
    for list in [tree(6, 3), tree(2, 16), wrong] {
        let mut problems = Problems::default();
        let source = Some(Source::FieldList(v1::FieldList { fields: list }));
        assert!(schema::check(source, &mut problems).is_none());
        assert_eq!(problems.violations.len(), 1, "{:?}", problems.violations);
        let what = &problems.violations[0].description;
        assert!(what.contains(&format!("more than {most} properties")), "{what}");
    }
}

#[test]
fn what_is_wrong_is_kept_up_to_a_bound() {
    let mut problems = Problems::default();
    check_kinds(&vec![99; 100_000], false, &mut problems);
    assert_eq!(problems.violations.len(), VIOLATIONS_KEPT);
    assert_eq!(problems.into_status().code(), tonic::Code::InvalidArgument);
}

#[test]
fn too_many_choices_are_not_compared() {
    // Each with each, that would take minutes.
    let allowed_values = (0..60_000).map(|value: u32| value.to_string()).collect();
    let choice = v1::FieldSpec { allowed_values, ..field("a", v1::FieldType::Enum) };
    let began = std::time::Instant::now();
    let status = check(fields(vec![choice]), &bounds()).unwrap_err();
    assert!(status.message().contains("60000 values to choose from"), "{status:?}");
    assert!(began.elapsed() < std::time::Duration::from_secs(5), "{:?}", began.elapsed());
}

#[test]
fn a_wrong_json_schema_is_told_keyword_by_keyword() {
    let text =
        r#"{"type": "object", "properties": {"a": {"type": "string", "pattern": "x"}, "b": {}}}"#;
    refused(
        sourced(v1::extraction_schema::Source::JsonSchema(text.to_owned())),
        &expect![[r#"
        INVALID_ARGUMENT: schema.json_schema: /properties/a/pattern is a keyword that is not supported: take it out and check it after reading; schema.json_schema: /properties/b has no type: write one, like {"type": "string"}
          ErrorInfo tessera INVALID_FIELD []
          field schema.json_schema: /properties/a/pattern is a keyword that is not supported: take it out and check it after reading
          field schema.json_schema: /properties/b has no type: write one, like {"type": "string"}
    "#]],
    );
    let long = " ".repeat(limits::SCHEMA_BYTES_MAX + 1);
    refused(
        sourced(v1::extraction_schema::Source::JsonSchema(long)),
        &expect![[r#"
        INVALID_ARGUMENT: schema.json_schema: 65537 bytes are more than max_schema_bytes, 65536: shorten it, or ask for its parts in several requests
          ErrorInfo tessera LIMIT_EXCEEDED [("limit", "max_schema_bytes"), ("limit_value", "65536"), ("value", "65537")]
          field schema.json_schema: 65537 bytes are more than max_schema_bytes, 65536: shorten it, or ask for its parts in several requests
    "#]],
    );
}

#[test]
fn only_a_schema_holds_an_answer() {
    let constrain = |constrain| v1::GenerationOptions { constrain, ..Default::default() };
    refused_options(
        constrain(Some(true)),
        &expect![[r#"
        INVALID_ARGUMENT: generation.constrain: goes only with a schema: there is nothing to hold an answer to a prompt to
          ErrorInfo tessera INVALID_FIELD []
          field generation.constrain: goes only with a schema: there is nothing to hold an answer to a prompt to
    "#]],
    );
    let v1::extract_request::Task::Schema(mut lines) = schema(1) else { panic!() };
    lines.answer_style = v1::AnswerStyle::KeyValue.into();
    let lines = |asked| v1::ExtractRequest {
        task: Some(v1::extract_request::Task::Schema(lines.clone())),
        generation: Some(constrain(asked)),
        ..request()
    };
    for (asked, expected) in [(None, true), (Some(true), true), (Some(false), false)] {
        assert_eq!(check(lines(asked), &bounds()).unwrap().constrain, expected);
    }
    let text = r#"{"type": "object", "properties": {"a: b": {"type": "string"}}}"#;
    let unclear = |asked| v1::ExtractRequest {
        task: Some(v1::extract_request::Task::Schema(v1::ExtractionSchema {
            source: Some(v1::extraction_schema::Source::JsonSchema(text.to_owned())),
            answer_style: v1::AnswerStyle::KeyValue.into(),
            ..Default::default()
        })),
        generation: Some(constrain(asked)),
        ..request()
    };
    assert!(!check(unclear(None), &bounds()).unwrap().constrain);
    refused(
        unclear(Some(true)),
        &expect![[r#"
        INVALID_ARGUMENT: generation.constrain: goes only with JSON here: a name with a colon, or a choice with a bar or a line break, cannot be told from KEY_VALUE lines
          ErrorInfo tessera INVALID_FIELD []
          field generation.constrain: goes only with JSON here: a name with a colon, or a choice with a bar or a line break, cannot be told from KEY_VALUE lines
    "#]],
    );
    for (asked, expected) in [(None, true), (Some(true), true), (Some(false), false)] {
        let request = v1::ExtractRequest {
            task: Some(schema(1)),
            generation: Some(constrain(asked)),
            ..request()
        };
        assert_eq!(check(request, &bounds()).unwrap().constrain, expected);
    }
}

#[test]
fn a_file_is_bytes_or_a_uri() {
    let named = |uri: &str| v1::InputFile { uri: uri.to_owned(), ..Default::default() };
    let origins = Arc::new(Origins::new(vec!["https://docs.example.com".parse().unwrap()]));
    let fetching = Bounds { pages_max: 4, origins: Some(origins), ..bounds() };
    let files = vec![file(b"x"), named("https://docs.example.com/a.png?signature=1")];
    let checked = check(v1::ExtractRequest { files, ..request() }, &fetching).unwrap();
    assert_eq!(checked.files[0].content, "x");
    let [(1, target)] = checked.named.as_slice() else { panic!("{:?}", checked.named) };
    assert_eq!(format!("{target:?}"), "https://docs.example.com/a.png?…");

    let both =
        v1::InputFile { content: Bytes::from_static(b"x"), ..named("https://docs.example.com") };
    let files = vec![both, named("https://other.example/a?signature=1"), named("a.png"), file(b"")];
    let status = check(v1::ExtractRequest { files, ..request() }, &fetching).unwrap_err();
    expect![[r#"
        INVALID_ARGUMENT: files[0].uri: is set beside content: send one of them; files[1].uri: is of https://other.example, which this server does not fetch from: capabilities of ModelInfo has the origins; files[2].uri: does not begin with https:// or http://; files[3].content: is empty: send the whole file
          ErrorInfo tessera INVALID_FIELD []
          field files[0].uri: is set beside content: send one of them
          field files[1].uri: is of https://other.example, which this server does not fetch from: capabilities of ModelInfo has the origins
          field files[2].uri: does not begin with https:// or http://
          field files[3].content: is empty: send the whole file
    "#]]
    .assert_eq(&render(&status));

    let files = vec![named("https://docs.example.com/a.png?signature=1")];
    refused(
        v1::ExtractRequest { files, ..request() },
        &expect![[r#"
            INVALID_ARGUMENT: files[0].uri: this server fetches no files: send the bytes as content, or ask its operator for --fetch-from
              ErrorInfo tessera INVALID_FIELD []
              field files[0].uri: this server fetches no files: send the bytes as content, or ask its operator for --fetch-from
        "#]],
    );
}
