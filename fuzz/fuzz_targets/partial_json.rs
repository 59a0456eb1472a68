//! Any text of a model, cut anywhere: the same fields complete as where it comes in one piece, and the
//! object, if there is one, lies inside the text.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tessera::fields::{FieldEvent, FieldReader};

fn completed(events: Vec<FieldEvent>) -> impl Iterator<Item = String> {
    events.into_iter().filter_map(|event| match event {
        FieldEvent::Completed(field) => Some(format!("{field:?}")),
        FieldEvent::Delta { .. } => None,
    })
}

fuzz_target!(|input: (String, Vec<u8>)| {
    let (text, cuts) = input;
    let mut whole = FieldReader::default();
    let expected: Vec<String> = completed(whole.push(&text)).collect();

    let mut reader = FieldReader::default();
    let mut found = Vec::new();
    let (mut from, mut cuts) = (0, cuts.into_iter().cycle());
    while from < text.len() {
        let length = usize::from(cuts.next().unwrap_or(1)).max(1);
        let to = text.ceil_char_boundary((from + length).min(text.len()));
        found.extend(completed(reader.push(&text[from..to])));
        from = to;
    }
    assert_eq!(found, expected);
    assert_eq!(reader.object(), whole.object());
    if let Some(object) = whole.object() {
        assert!(text[object].starts_with('{'));
    }
});
