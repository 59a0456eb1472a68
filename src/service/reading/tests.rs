//! What is made of whole answers, and of such as were cut.

use super::*;
use crate::engine::{Timings, Usage};
use crate::schema::{Absent, Kind as SchemaKind, Printed, Property};

fn schema() -> Schema {
    let property = |name: &str, kind| Property::new(name, kind, Absent::Null);
    Schema::new(vec![
        property("SUPPLIER", SchemaKind::TEXT),
        property("TOTAL", SchemaKind::Decimal),
        property("COUNT", SchemaKind::Integer),
    ])
    .unwrap()
}

/// Pointers and raw values of the fields of `answer`, which came in pieces of a character each, and its document.
fn read(
    answer: &str,
    style: AnswerStyle,
    held: bool,
    finish_reason: FinishReason,
) -> (Vec<(String, String)>, Option<String>) {
    let form = Form { schema: Arc::new(schema()), style, held };
    let mut reading = Reading::new(Some(form), None, Arc::default());
    for piece in answer.chars() {
        reading.push(&Text { text: piece.to_string(), tokens: 1, scores: Vec::new() });
    }
    let text = answer.to_owned();
    let (usage, timings) = (Usage::default(), Timings::default());
    let read = reading.finish(&Done { finish_reason, text, usage, timings });
    let fields = read.fields.into_iter().map(|field| (field.pointer, field.raw)).collect();
    (fields, read.document.and_then(Result::ok))
}

fn owned(fields: &[(&str, &str)]) -> Vec<(String, String)> {
    fields.iter().map(|(pointer, raw)| ((*pointer).to_owned(), (*raw).to_owned())).collect()
}

/// A field that is open when the answer ends has no value.
#[test]
fn a_value_that_was_cut_off_is_no_field() {
    let cut = FinishReason::Length;
    for style in [AnswerStyle::Lines, AnswerStyle::Json] {
        for held in [false, true] {
            if held && style == AnswerStyle::Json {
                // The grammar has no lines then.
                continue;
            }
            let found = read("TOTAL: 123", style, held, cut);
            assert_eq!(found, (vec![], None), "{style:?} held: {held}");
            let found = read("SUPPLIER: ACME\nTOTAL: 123", style, held, cut);
            let expected = owned(&[("/SUPPLIER", "\"ACME\"")]);
            assert_eq!(found, (expected, None), "{style:?} held: {held}");
        }
    }
    let found = read("{'SUPPLIER': 'ACME', 'TOTAL': 123", AnswerStyle::Json, false, cut);
    assert_eq!(found, (owned(&[("/SUPPLIER", "\"ACME\"")]), None));
}

#[test]
fn the_last_value_of_a_whole_answer_is_one() {
    let stop = FinishReason::Stop;
    let text = "SUPPLIER: ACME\nTOTAL: 123.40\nCOUNT: 7";
    let fields = owned(&[("/SUPPLIER", "\"ACME\""), ("/TOTAL", "123.40"), ("/COUNT", "7")]);
    let document = r#"{"SUPPLIER":"ACME","TOTAL":123.40,"COUNT":7}"#.to_owned();
    for (style, held) in
        [(AnswerStyle::Lines, true), (AnswerStyle::Lines, false), (AnswerStyle::Json, false)]
    {
        let found = read(text, style, held, stop);
        assert_eq!(found, (fields.clone(), Some(document.clone())), "{style:?} held: {held}");
    }
}

/// The tokens of one value say how sure the model was of it, not those of a value that is no field.
#[test]
fn confidence_is_of_the_value_itself() {
    let answer = "{\"COUNT\": 1, \"COUNT\": 2, 'TOTAL': 3}";
    let form = Form { schema: Arc::new(schema()), style: AnswerStyle::Json, held: false };
    let mut reading = Reading::new(Some(form), None, Arc::default());
    let score = |value: &str, probability: f32| {
        let at = answer.find(value).unwrap();
        TokenScore {
            text: at..at + value.len(),
            logprob: probability.ln(),
            page_shares: Vec::new(),
        }
    };
    let scores = vec![score("1", 0.9), score("2", 0.5), score("3", 0.7)];
    reading.push(&Text { text: answer.to_owned(), tokens: 3, scores });
    let (usage, timings) = (Usage::default(), Timings::default());
    let (finish_reason, text) = (FinishReason::Stop, answer.to_owned());
    let read = reading.finish(&Done { finish_reason, text, usage, timings });
    let least: Vec<(&str, f32)> = read
        .fields
        .iter()
        .map(|field| (field.pointer.as_str(), field.min_token_probability.unwrap()))
        .collect();
    let [("/COUNT", count), ("/TOTAL", total)] = least[..] else { panic!("{least:?}") };
    assert!((count - 0.9).abs() < 1e-6 && (total - 0.7).abs() < 1e-6, "{least:?}");
}

/// A piece of an amount is another amount: of values with a form only text grows.
#[test]
fn only_text_grows() {
    let property = |name: &str, kind| Property::new(name, kind, Absent::Null);
    let joined = |item| SchemaKind::Joined { item: Box::new(item), items_max: 9 };
    let money = SchemaKind::Printed(Printed::Money);
    let choice = SchemaKind::Choice(vec!["paid".into(), "due".into()]);
    let item = vec![property("WHAT", SchemaKind::TEXT), property("PRICE", money.clone())];
    let schema = Schema::new(vec![
        property("SUPPLIER", SchemaKind::TEXT),
        property("TOTAL", money.clone()),
        property("DAY", SchemaKind::Date),
        property("PRINTED_DAY", SchemaKind::Printed(Printed::Date)),
        property("STATE", choice),
        property("NAMES", joined(SchemaKind::TEXT)),
        property("PRICES", joined(money)),
        property("ITEMS", SchemaKind::list_of(SchemaKind::Object(item))),
    ])
    .unwrap();
    let answer = r#"{"SUPPLIER":"ACME","TOTAL":"$1,234.50","DAY":"2028-04-03","PRINTED_DAY":"3/4/2028",
        "STATE":"paid","NAMES":"Nut | Bolt","PRICES":"$1.00 | $2.00","ITEMS":[{"WHAT":"Nut","PRICE":"$1.00"}]}"#;
    for held in [true, false] {
        let form = Form { schema: Arc::new(schema.clone()), style: AnswerStyle::Json, held };
        let mut reading = Reading::new(Some(form), None, Arc::default());
        let mut grown: Vec<(String, String)> = Vec::new();
        let mut completed = Vec::new();
        for piece in answer.chars() {
            let text = Text { text: piece.to_string(), tokens: 1, scores: Vec::new() };
            for Brought { message, said } in reading.push(&text) {
                match message {
                    Message::FieldDelta(delta) => match grown.last_mut() {
                        Some((open, text)) if *open == delta.pointer => text.push_str(&delta.text),
                        _ => grown.push((delta.pointer, delta.text)),
                    },
                    Message::FieldCompleted(field) => {
                        let said = &answer[said.unwrap()];
                        assert_eq!(field.raw.trim_start_matches('"'), said);
                        completed.push(field.pointer);
                    }
                    other => panic!("{other:?}"),
                }
            }
        }
        let expected = [("/SUPPLIER", "ACME"), ("/NAMES", "Nut | Bolt"), ("/ITEMS/0/WHAT", "Nut")];
        assert_eq!(grown, owned(&expected), "held: {held}");
        assert_eq!(completed.len(), 9, "{completed:?}");
    }
}
