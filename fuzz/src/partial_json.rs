//! Any text of a model, cut anywhere: the same fields complete as where it comes in one piece, and the
//! object, if there is one, lies inside the text.

use tessera::fields::{FieldEvent, FieldReader};

use super::BETWEEN;

fn completed(events: Vec<FieldEvent>) -> impl Iterator<Item = String> {
    events.into_iter().filter_map(|event| match event {
        FieldEvent::Completed(field) => Some(format!("{field:?}")),
        FieldEvent::Delta { .. } => None,
    })
}

/// Fields that are complete in `input`: a text and, behind a line `---`, how long the pieces are in which it
/// comes, a byte each.
pub fn fields(input: &[u8]) -> usize {
    let between = BETWEEN.as_bytes();
    let end = input.windows(between.len()).position(|window| window == between);
    let (text, cuts) =
        end.map_or((input, &[][..]), |at| (&input[..at], &input[at + between.len()..]));
    let Ok(text) = std::str::from_utf8(text) else { return 0 };

    let mut whole = FieldReader::default();
    let expected: Vec<String> = completed(whole.push(text)).collect();

    let mut reader = FieldReader::default();
    let mut found = Vec::new();
    let (mut from, mut cuts) = (0, cuts.iter().cycle());
    while from < text.len() {
        let length = cuts.next().map_or(1, |cut| usize::from(*cut)).max(1);
        let to = text.ceil_char_boundary((from + length).min(text.len()));
        found.extend(completed(reader.push(&text[from..to])));
        from = to;
    }
    assert_eq!(found, expected);
    assert_eq!(reader.object(), whole.object());
    if let Some(object) = whole.object() {
        assert!(text[object].starts_with('{'));
    }
    expected.len()
}
