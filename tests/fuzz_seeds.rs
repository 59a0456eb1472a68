//! Each seed of the fuzz targets comes as far as it was made to come. A seed that is refused at the door leaves a
//! fuzzer outside, where nothing is ever found: so it went with a PDF file whose first nine bytes were cut.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use tessera::access::Refusal;
use tessera::pb::v1::extract_request::Task;

#[path = "../fuzz/src/lib.rs"]
#[expect(unreachable_pub, reason = "it is a library where the targets are")]
mod properties;

use properties::{access, image_file, partial_json, pdf, prompt, request, schema, uri};

/// Targets and how many of their seeds are looked at here: a seed more has to be.
const SEEDS: [(&str, usize); 7] = [
    ("access", 1),
    ("partial_json", 1),
    ("pdf", 1),
    ("prompt", 1),
    ("request", 2),
    ("schema", 2),
    ("uri", 5),
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries =
        fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    entries.map(|entry| entry.unwrap().path()).collect()
}

fn seed(target: &str, name: &str) -> Vec<u8> {
    let path = root().join("fuzz/seeds").join(target).join(name);
    fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn text(target: &str, name: &str) -> String {
    String::from_utf8(seed(target, name)).unwrap()
}

#[test]
fn none_is_forgotten_here() {
    for folder in files(&root().join("fuzz/seeds")) {
        let target = folder.file_name().unwrap().to_str().unwrap();
        let known = SEEDS.iter().find(|(name, _)| *name == target).map(|(_, seeds)| *seeds);
        assert_eq!(known, Some(files(&folder).len()), "seeds of {target}");
        let source = root().join("fuzz/fuzz_targets").join(format!("{target}.rs"));
        assert!(source.exists(), "seeds of {target}, which is no target");
    }
}

/// The last thing that is looked at: all else about it is right.
#[test]
fn a_token_comes_to_its_signature() {
    let Refusal::Invalid { why } = access::refused(&text("access", "token")) else {
        panic!("not for itself")
    };
    assert_eq!(why, "the token's signature does not hold");
}

/// In every format there is one that is read: decoder, tiles, values.
#[test]
fn page_files_become_tiles() {
    let mut read = BTreeSet::new();
    for path in files(&root().join("tests/data/preprocess/decode")) {
        let format = path.extension().unwrap().to_str().unwrap().to_owned();
        let pages = image_file::pages(&fs::read(&path).unwrap());
        // Beside a picture whose format is lossy are its pixels, which are in no format.
        assert_eq!(pages == 0, format == "rgb", "{}", path.display());
        if pages > 0 {
            read.insert(format);
        }
    }
    let formats: Vec<_> = read.iter().map(String::as_str).collect();
    assert_eq!(formats, ["jpg", "png", "tif", "webp"]);
}

/// Whether a text is in the page, and a picture.
#[test]
fn a_pdf_file_is_rendered() {
    // By which its target tells a property's panic from one of the renderer.
    assert!(Path::new(pdf::FILE).ends_with("fuzz/src/pdf.rs"));
    let pages = pdf::pages(&seed("pdf", "one-page"));
    let [page] = &pages[..] else { panic!("{} pages", pages.len()) };
    let page = &page.page;
    assert_eq!((page.width_px(), page.height_px()), (120, 90));
    let (mut dark, mut coloured) = (0, 0);
    for pixel in page.rgb().chunks_exact(3) {
        let (least, most) = (pixel.iter().min().unwrap(), pixel.iter().max().unwrap());
        dark += u32::from(*most < 64);
        coloured += u32::from(most - least > 1);
    }
    assert!(dark > 50, "{dark} dark pixels");
    assert!(coloured > 50, "{coloured} coloured pixels");
}

#[test]
fn an_answer_is_read_to_its_end() {
    let answer = seed("partial_json", "receipt");
    assert_eq!(partial_json::fields(&answer), 8);
    // Cut in three ways in turn, and not a byte at a time.
    assert!(answer.ends_with(b"\n---\n\x03\x01\x07"));
}

/// What a question says of the model's own marks is text in its prompt, as everything else of it.
#[test]
fn a_question_is_in_its_prompt() {
    let question = text("prompt", "chat");
    // Where the pages stand there are no words of it.
    let (_, behind) = question.rsplit_once("<image>").unwrap();
    assert!(behind.contains("<|im_end|>") && behind.contains("<IMG_CONTEXT>"));
    let prompt = prompt::text(&question).expect("a prompt");
    assert!(prompt.contains(behind.trim()), "{prompt}");
}

#[test]
fn requests_are_whole() {
    let of = |name| request::decoded(&seed("request", name)).expect("a request");
    let document = of("document");
    assert_eq!((document.request_id.as_str(), document.files.len()), ("a", 1));
    assert!(matches!(document.task, Some(Task::Schema(_))), "{document:?}");
    let prompt = of("prompt");
    assert_eq!(prompt.task, Some(Task::Prompt("What is the total?".to_owned())));
    assert!(prompt.files.len() == 1 && prompt.generation.is_some(), "{prompt:?}");
}

/// Fields, a grammar, and an answer that has to be mended: one that is JSON but for its writer's slips, and lines
/// whose last one is not whole.
#[test]
fn schemas_hold_a_model_and_mend_its_answers() {
    let whole = schema::reached(&text("schema", "receipt"));
    assert_eq!(whole, schema::Reached { fields: 4, is_constrained: true, mended: 5 });
    let cut = schema::reached(&text("schema", "lines-cut"));
    assert_eq!(cut, schema::Reached { fields: 4, is_constrained: true, mended: 3 });
}

/// One for each kind of origin that the target lists.
#[test]
fn uris_are_taken() {
    let mut hosts = BTreeSet::new();
    for path in files(&root().join("fuzz/seeds/uri")) {
        let uri = fs::read_to_string(&path).unwrap();
        let target = uri::target(&uri).unwrap_or_else(|| panic!("{uri:?} is refused"));
        hosts.insert(target.host());
    }
    let hosts: Vec<_> = hosts.iter().map(String::as_str).collect();
    assert_eq!(
        hosts,
        [
            "10.1.2.3",
            "[2001:db8::1]",
            "a.files.example.com",
            "docs.example.com",
            "scans.example.com"
        ]
    );
}
