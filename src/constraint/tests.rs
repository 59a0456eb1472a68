//! Grammars on the tokens of the embedded model: what they take, that answers end, and that whatever
//! comes out of them is what the schema says.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};
use std::path::Path;
use std::sync::{Arc, LazyLock};

use proptest::prelude::*;
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde_json::{Map, Value};

use super::*;
use crate::checkpoint::Checkpoint;
use crate::fields::{FieldEvent, FieldReader, Normals, held_lines, note};
use crate::prompt::{PromptOptions, Prompter};
use crate::schema::tests::schemas;
use crate::schema::{Absent, DocumentKind, Grammar, Kind, Property, SEPARATOR, Schema};

const VOCAB_SIZE: usize = 1024;

/// Far more than any answer of these tests can have.
const TOKENS_MAX: usize = 100_000;

static PROMPTER: LazyLock<Arc<Prompter>> = LazyLock::new(|| {
    Arc::new(Prompter::load(&Checkpoint::Embedded, &PromptOptions::default()).unwrap())
});

static VOCABULARY: LazyLock<Vocabulary> =
    LazyLock::new(|| Vocabulary::of(&PROMPTER, VOCAB_SIZE).unwrap());

/// Tokens by their bytes. Each byte is a token, so that any text can be cut anywhere.
static BY_BYTES: LazyLock<HashMap<Vec<u8>, u32>> = LazyLock::new(|| {
    let of = |id: u32| (PROMPTER.token_bytes(id).to_vec(), id);
    let tokens: HashMap<Vec<u8>, u32> =
        (0..VOCAB_SIZE as u32).map(of).filter(|(bytes, _)| !bytes.is_empty()).collect();
    assert!((0..=255u8).all(|byte| tokens.contains_key(&vec![byte])));
    tokens
});

/// `text` in tokens of the vocabulary, each at most as long as the next of `lengths` says.
fn cut(text: &[u8], lengths: &[u8]) -> Vec<u32> {
    let mut lengths = lengths.iter().cycle();
    let mut tokens = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let most = lengths.next().map_or(1, |length| usize::from(*length) % 12 + 1).min(rest.len());
        let token = (1..=most).rev().find_map(|len| Some((len, *BY_BYTES.get(&rest[..len])?)));
        let (len, token) = token.expect("each byte is a token");
        tokens.push(token);
        rest = &rest[len..];
    }
    tokens
}

fn is_set(mask: &[u32], token: u32) -> bool {
    mask[token as usize / 32] >> (token % 32) & 1 == 1
}

fn text_of(tokens: &[u32]) -> String {
    let bytes: Vec<u8> = tokens.iter().flat_map(|&id| PROMPTER.token_bytes(id)).copied().collect();
    String::from_utf8(bytes).expect("an answer that is held is text")
}

/// How far `text` is an answer to `grammar`; all of it where it is whole.
fn taken(grammar: &Grammar, text: &str) -> String {
    let mut constraint = VOCABULARY.constrain(grammar).unwrap();
    let tokens = PROMPTER.encode(text).unwrap();
    for (index, &token) in tokens.iter().enumerate() {
        if constraint.is_over().unwrap() || !is_set(constraint.mask().unwrap(), token) {
            return text_of(&tokens[..index]);
        }
        constraint.take(token).unwrap();
    }
    let mut may_end = || {
        let mask = constraint.mask().unwrap();
        PROMPTER.stop_ids().iter().any(|&id| is_set(mask, id))
    };
    let whole = may_end() || constraint.is_over().unwrap();
    if whole { text.to_owned() } else { format!("{text}…") }
}

/// An object of strings as Python's `json.dumps` writes it, which the embedded model was trained on.
fn dumped(fields: &Map<String, Value>) -> String {
    let pairs: Vec<String> = fields
        .iter()
        .map(|(name, value)| format!("{}: {value}", Value::from(name.as_str())))
        .collect();
    format!("{{{}}}", pairs.join(", "))
}

/// One answer from a model that knows nothing: any allowed token is as likely as any other. Its text,
/// and how many tokens were chosen.
fn random_answer(grammar: &Grammar, seed: u64) -> (String, usize) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    answer(grammar, |allowed, _| allowed[rng.random_range(0..allowed.len())])
}

/// One answer from a model with random weights that decodes greedily: what it likes best depends on the last
/// `memory` tokens alone, so it goes in circles wherever the grammar lets it.
fn circling_answer(grammar: &Grammar, memory: usize, seed: u64) -> (String, usize) {
    answer(grammar, |allowed, tokens| {
        let seen = &tokens[tokens.len().saturating_sub(memory)..];
        let liking = |token: &u32| {
            BuildHasherDefault::<DefaultHasher>::default().hash_one((seed, seen, token))
        };
        allowed.iter().copied().max_by_key(liking).unwrap()
    })
}

/// One answer, of which `choose` chooses each token from those that are allowed and those that it has said.
fn answer(grammar: &Grammar, mut choose: impl FnMut(&[u32], &[u32]) -> u32) -> (String, usize) {
    let mut constraint = VOCABULARY.constrain(grammar).unwrap();
    let mut tokens = constraint.forced().unwrap();
    let mut chosen = 0;
    while !constraint.is_over().unwrap() {
        constraint.begin_mask(&mut Begun::default());
        let allowed: Vec<u32> = {
            let mask = constraint.mask().unwrap();
            (0..VOCAB_SIZE as u32).filter(|&token| is_set(mask, token)).collect()
        };
        let token = choose(&allowed, &tokens);
        if PROMPTER.stop_ids().contains(&token) {
            break;
        }
        assert!(!PROMPTER.token_bytes(token).is_empty(), "{token} is special");
        assert_ne!(token, PROMPTER.image_token_id());
        constraint.take(token).unwrap();
        tokens.push(token);
        tokens.extend(constraint.forced().unwrap());
        chosen += 1;
        assert!(tokens.len() < TOKENS_MAX, "it does not end: {}", text_of(&tokens));
    }
    (text_of(&tokens), chosen)
}

/// An answer that goes on beside something else where its text is free is the same answer: what may follow is the same at each
/// token, and what is forced.
#[test]
fn free_text_goes_on_on_another_thread() {
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let (mut free, mut held) = (0, 0);
    for kind in [DocumentKind::Receipt, DocumentKind::Invoice, DocumentKind::BankStatement] {
        let grammar = Schema::of(kind).grammar();
        let [mut here, mut beside] = [(); 2].map(|()| VOCABULARY.constrain(&grammar).unwrap());
        assert_eq!(here.forced(), beside.forced());
        while !here.is_over().unwrap() {
            let mask = here.mask().unwrap().to_vec();
            beside.begin_mask(&mut Begun::default());
            assert_eq!(beside.mask().unwrap(), mask);
            let allowed: Vec<u32> =
                (0..VOCAB_SIZE as u32).filter(|&token| is_set(&mask, token)).collect();
            let token = allowed[rng.random_range(0..allowed.len())];
            if PROMPTER.stop_ids().contains(&token) {
                break;
            }
            let stays_free = beside.stays_free(token);
            here.take(token).unwrap();
            if stays_free {
                free += 1;
                beside.take_beside(token, &mut Begun::default());
            } else {
                held += 1;
                beside.take(token).unwrap();
            }
            assert_eq!(here.forced(), beside.forced());
        }
    }
    assert!(free > 20 && held > 20, "{free} tokens of free text, {held} others");
}

/// A token that may not follow is told by the mask after it.
#[test]
fn what_goes_wrong_on_another_thread_is_told() {
    let mut constraint =
        VOCABULARY.constrain(&Schema::of(DocumentKind::Receipt).grammar()).unwrap();
    constraint.forced().unwrap();
    let mask = constraint.mask().unwrap();
    let refused = (0..VOCAB_SIZE as u32).find(|&token| !is_set(mask, token)).unwrap();
    constraint.take_beside(refused, &mut Begun::default());
    assert!(matches!(constraint.mask(), Err(ConstraintError::Answer { .. })));
}

/// What of `schema` lines can say, and a text so that there is something.
fn sayable_in_lines(schema: &Schema) -> Schema {
    let is_sayable = |property: &Property| {
        let alone = Schema::new(vec![property.clone()]);
        alone.is_ok_and(|schema| schema.grammar_of_lines().is_some())
    };
    let mut properties: Vec<Property> =
        schema.properties().iter().filter(|property| is_sayable(property)).cloned().collect();
    properties.push(Property::new("a text of its own", Kind::TEXT, Absent::Never));
    Schema::new(properties).unwrap()
}

// === what is an answer, said once more without regular expressions ===

fn fits_object(properties: &[Property], object: &Map<String, Value>) -> bool {
    let mut members = object.iter().peekable();
    for property in properties {
        match members.next_if(|(name, _)| **name == property.name) {
            Some((_, Value::Null)) if property.absent == Absent::Null => {}
            Some((_, value)) if property.absent == Absent::NotFound && value == "NOT_FOUND" => {}
            Some((_, value)) if fits(&property.kind, value) => {}
            None if property.absent == Absent::LeftOut => {}
            _ => return false,
        }
    }
    members.next().is_none()
}

fn fits(kind: &Kind, value: &Value) -> bool {
    match (kind, value) {
        (Kind::Text { chars_min, chars_max }, Value::String(text)) => {
            (*chars_min..=*chars_max).contains(&text.chars().count())
        }
        (Kind::Integer, value) => value.is_i64(),
        (Kind::Decimal, value) => value.is_number(),
        (Kind::Boolean, value) => value.is_boolean(),
        (Kind::Date, Value::String(text)) => is_day(text),
        (Kind::Printed(_), Value::String(text)) => !text.is_empty(),
        (Kind::Choice(choices), value) => choices.contains(value),
        (Kind::Joined { items_max, .. }, Value::String(text)) => {
            text.split(SEPARATOR).count() <= *items_max
        }
        (Kind::List { item, items_min, items_max }, Value::Array(items)) => {
            (*items_min..=*items_max).contains(&items.len())
                && items.iter().all(|value| fits(item, value))
        }
        (Kind::Object(properties), Value::Object(object)) => fits_object(properties, object),
        _ => false,
    }
}

fn is_day(text: &str) -> bool {
    let numbers: Vec<u32> = text.split('-').filter_map(|part| part.parse().ok()).collect();
    let [year, month, day] = numbers[..] else { return false };
    let leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    let days = [31, 28 + u32::from(leap), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    text.len() == 10
        && days.get(month.wrapping_sub(1) as usize).is_some_and(|days| (1..=*days).contains(&day))
}

/// The leaves of a document, in its order.
fn leaves(value: &Value, pointer: &str, found: &mut Vec<(String, String)>) {
    match value {
        Value::Array(items) if !items.is_empty() => {
            for (index, item) in items.iter().enumerate() {
                leaves(item, &format!("{pointer}/{index}"), found);
            }
        }
        Value::Object(members) if !members.is_empty() => {
            for (name, member) in members {
                let name = name.replace('~', "~0").replace('/', "~1");
                leaves(member, &format!("{pointer}/{name}"), found);
            }
        }
        leaf => found.push((pointer.to_owned(), leaf.to_string())),
    }
}

proptest! {
    /// `PROPTEST_CASES` says how many models and schemas; each answers.
    #[test]
    fn any_answer_ends_and_is_what_the_schema_says(schema in schemas(), seed: u64, cuts: Vec<u8>) {
        let (text, _) = random_answer(&schema.grammar(), seed);
        let document: Value = serde_json::from_str(&text).unwrap();
        let object = document.as_object().unwrap();
        prop_assert!(fits_object(schema.properties(), object), "{}\n{}", schema.to_json_schema(), text);

        // In any tokens, also such as begin and end inside a character, the same fields complete, in the order of the
        // schema.
        let mut detokenizer = PROMPTER.detokenizer();
        let mut reader = FieldReader::default();
        let mut normals = Normals::new();
        let mut completed = Vec::new();
        for token in cut(text.as_bytes(), &cuts) {
            let Some(piece) = detokenizer.push(token) else { continue };
            for event in reader.push(&piece) {
                if let FieldEvent::Completed(field) = event {
                    // Understood or not, it is a value of the schema.
                    note(&mut normals, &schema, &field);
                    let value: Value = serde_json::from_str(&field.raw).unwrap();
                    completed.push((field.pointer, value.to_string()));
                }
            }
        }
        prop_assert_eq!(detokenizer.flush(), None);
        let mut expected = Vec::new();
        leaves(&document, "", &mut expected);
        prop_assert_eq!(completed, expected);
    }

    /// The same in `KEY: value` lines: whatever the grammar lets through is read back, whole and as it stands.
    #[test]
    fn any_answer_in_lines_is_what_the_schema_says(
        schema in schemas().prop_map(|schema| sayable_in_lines(&schema)),
        seed: u64,
        circles: bool,
    ) {
        let grammar = schema.grammar_of_lines().expect("lines can say it");
        let (text, _) =
            if circles { circling_answer(&grammar, 2, seed) } else { random_answer(&grammar, seed) };
        let read = held_lines(&text, &schema, true).expect("it is read");
        let document = read.document.expect("it is whole");
        let document: Value = serde_json::from_str(&document).unwrap();
        let object = document.as_object().unwrap();
        prop_assert!(fits_object(schema.properties(), object), "{}\n{}", schema.to_json_schema(), text);
        prop_assert_eq!(read.repairs, []);
        // Line by line, the same fields.
        let mut at = 0;
        let mut fields = Vec::new();
        for line in text.split_inclusive('\n') {
            at += line.len();
            let so_far = held_lines(&text[..at], &schema, false).map(|read| read.fields).unwrap_or_default();
            prop_assert!(so_far.len() >= fields.len());
            prop_assert_eq!(&so_far[..fields.len()], &fields[..]);
            fields = so_far;
        }
        prop_assert_eq!(&read.fields[..fields.len()], &fields[..]);
        for (field, said) in &read.fields {
            prop_assert!(text.get(said.clone()).is_some(), "{} is not in the answer", field.pointer);
        }
    }

    /// Lists and strings end by themselves, whatever repeats in them.
    #[test]
    fn a_model_that_goes_in_circles_ends(schema in schemas(), memory in 0..4usize, seed: u64) {
        let (text, _) = circling_answer(&schema.grammar(), memory, seed);
        let document: Value = serde_json::from_str(&text).unwrap();
        prop_assert!(fits_object(schema.properties(), document.as_object().unwrap()), "{}", text);
    }
}

/// The same for the kinds of document that are built in: how long such an answer can be.
#[test]
fn built_in_answers_end_in_circles_too() {
    for document in DocumentKind::ALL {
        let schema = Schema::of(document);
        let longest = (0..24).map(|seed| {
            let (text, chosen) = circling_answer(&schema.grammar(), seed as usize % 4, seed);
            let answer: Value = serde_json::from_str(&text).unwrap();
            assert!(fits_object(schema.properties(), answer.as_object().unwrap()), "{text}");
            chosen
        });
        println!("{}: at most {} tokens chosen", document.name(), longest.max().unwrap());
    }
}

#[test]
fn built_in_answers_end() {
    for (seed, document) in (0..30).zip(DocumentKind::ALL.iter().cycle()) {
        let schema = Schema::of(*document);
        let (text, _) = random_answer(&schema.grammar(), seed);
        let answer: Value = serde_json::from_str(&text).unwrap();
        assert!(fits_object(schema.properties(), answer.as_object().unwrap()), "{text}");
    }
}

/// Every document whose truth is known: what is right must not be ruled out.
#[test]
fn the_truth_is_an_answer() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("models");
    let mut documents = 0;
    let mut refused = String::new();
    for dir in ["tessera-tiny/samples", "training/holdout/data"] {
        for entry in std::fs::read_dir(root.join(dir)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_none_or(|extension| extension != "json") {
                continue;
            }
            let truth: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
            let kind = DocumentKind::from_name(truth["document_type"].as_str().unwrap()).unwrap();
            let text = dumped(truth["fields"].as_object().unwrap());
            let taken = taken(&Schema::of(kind).grammar(), &text);
            if taken != text {
                let _ = writeln!(refused, "{}:\n  {text}\n  {taken}", path.display());
            }
            documents += 1;
        }
    }
    assert_eq!(refused, "");
    assert_eq!(documents, 12 + 96);
}

#[test]
fn what_is_wrong_is_ruled_out_where_it_begins() {
    let text = r#"{"type": "object", "required": ["id", "day"], "properties": {
        "id": {"type": "integer"},
        "day": {"type": "string", "format": "date"},
        "sum": {"type": ["string", "null"], "format": "money"}}}"#;
    let schema = Schema::from_json_schema(text).unwrap();
    for (answer, expected) in [
        (r#"{"id": 7, "day": "2024-02-29", "sum": "$1,250.00"}"#, None),
        (r#"{"id": -12, "day": "1999-12-31", "sum": null}"#, None),
        (r#"{"id": 7, "day": "2023-02-29", "sum": null}"#, Some(r#"{"id": 7, "day": "2023-02-2"#)),
        (r#"{"id": 007"#, Some(r#"{"id": 0"#)),
        (r#"{ "id": 7"#, Some("{")),
        (r#"{"id":7"#, Some(r#"{"id":"#)),
        (r#"{"day": "2024-02-29""#, Some("{\"")),
    ] {
        let taken = taken(&schema.grammar(), answer);
        match expected {
            None => assert_eq!(taken, answer),
            // Tokens end where they end: the answer is cut somewhere before the mistake.
            Some(most) => {
                assert!(
                    most.starts_with(&taken) && taken.len() < answer.len(),
                    "{answer}: {taken}"
                );
            }
        }
    }
}

/// What stands where the page has no value is the schema's choice, in JSON and in lines.
#[test]
fn what_the_page_does_not_have_is_written_as_the_schema_says() {
    let value = r#""type": "string", "format": "money""#;
    let nullable = r#""type": ["string", "null"], "format": "money""#;
    let texts = [r#"{"sum": "$2.00"}"#, r#"{"sum": null}"#, r#"{"sum": "NOT_FOUND"}"#, "{}"];
    let lines = ["sum: $2.00", "sum: null", "sum: NOT_FOUND", ""];
    for (property, required, absent, allowed) in [
        (value.to_owned(), true, Absent::Never, 0),
        (nullable.to_owned(), true, Absent::Null, 1),
        (format!(r#"{value}, "default": "NOT_FOUND""#), true, Absent::NotFound, 2),
        (value.to_owned(), false, Absent::LeftOut, 3),
    ] {
        let required = if required { r#", "required": ["sum"]"# } else { "" };
        let text =
            format!(r#"{{"type": "object", "properties": {{"sum": {{{property}}}}}{required}}}"#);
        let schema = Schema::from_json_schema(&text).unwrap();
        assert_eq!(schema.properties()[0].absent, absent, "{text}");
        for (style, grammar, answers) in [
            ("JSON", schema.grammar(), texts),
            ("lines", schema.grammar_of_lines().unwrap(), lines),
        ] {
            for (index, answer) in answers.iter().enumerate() {
                let is_allowed = index == 0 || index == allowed;
                let is_whole = taken(&grammar, answer) == *answer;
                assert_eq!(is_whole, is_allowed, "{absent:?} in {style}: {answer:?}");
            }
        }
    }
}

#[test]
fn what_must_come_is_not_chosen() {
    let schema = Schema::of(DocumentKind::BankStatement);
    let mut constraint = VOCABULARY.constrain(&schema.grammar()).unwrap();
    assert_eq!(text_of(&constraint.forced().unwrap()), r#"{"DOCUMENT_TYPE": ""#);
    for token in PROMPTER.encode("bank_statement").unwrap() {
        assert!(is_set(constraint.mask().unwrap(), token));
        constraint.take(token).unwrap();
        if !constraint.forced().unwrap().is_empty() {
            // The first letter decides, and much after it.
            return;
        }
    }
    panic!("nothing was forced");
}

#[test]
fn words_alone_are_a_grammar() {
    let grammar = Grammar::one_of(DocumentKind::ALL.map(DocumentKind::name));
    for kind in DocumentKind::ALL {
        assert_eq!(taken(&grammar, kind.name()), kind.name());
    }
    assert_eq!(taken(&grammar, "letter"), "");
}

#[test]
fn a_kept_grammar_is_as_new() {
    let schema = Schema::of(DocumentKind::Receipt);
    let answers: Vec<String> = (0..3).map(|_| random_answer(&schema.grammar(), 7).0).collect();
    assert!(answers.iter().all(|answer| *answer == answers[0]));
}

#[test]
fn a_grammar_that_is_none_is_refused() {
    let error = VOCABULARY.constrain(&Grammar::broken()).unwrap_err();
    assert!(matches!(error, ConstraintError::Grammar { .. }), "{error}");
    assert!(Vocabulary::new(vec![vec![b'a']], &[3], |_| Vec::new()).is_err());
}
