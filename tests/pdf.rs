//! PDF files: rendered to the size that was asked for, by the page, within time and memory; and read by
//! a whole server.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

use std::cell::Cell;
use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use tessera::preprocess::{
    DecodeError, DecodeLimits, Decoder, NumberedPage, PdfError, PdfRenderer, RendererProgram,
    Wanted,
};

const SAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/models/tessera-tiny/samples");

/// A PDF file of numbered objects, the first of which is the catalogue.
fn file(objects: &[Vec<u8>]) -> Vec<u8> {
    let mut out = b"%PDF-1.7\n".to_vec();
    let mut offsets = Vec::new();
    for (index, object) in objects.iter().enumerate() {
        offsets.push(out.len());
        out.extend(format!("{} 0 obj\n", index + 1).bytes());
        out.extend(object);
        out.extend(b"\nendobj\n");
    }
    let start = out.len();
    let mut end = format!("xref\n0 {}\n0000000000 65535 f \n", objects.len() + 1);
    for offset in offsets {
        writeln!(end, "{offset:010} 00000 n ").unwrap();
    }
    write!(end, "trailer\n<< /Size {} /Root 1 0 R >>\n", objects.len() + 1).unwrap();
    write!(end, "startxref\n{start}\n%%EOF\n").unwrap();
    out.extend(end.bytes());
    out
}

fn stream(dictionary: &str, data: &[u8]) -> Vec<u8> {
    let mut out = format!("<< {dictionary} /Length {} >>\nstream\n", data.len()).into_bytes();
    out.extend(data);
    out.extend(b"\nendstream");
    out
}

/// Pages of `size` in points, each with the contents and resources given, and objects from number
/// `3 + 2 * pages` on.
fn pages(size: (f64, f64), contents: &[(&str, &str)], more: &[Vec<u8>]) -> Vec<u8> {
    let kids: Vec<String> = (0..contents.len()).map(|i| format!("{} 0 R", 3 + 2 * i)).collect();
    let mut objects = vec![
        b"<< /Type /Catalog /Pages 2 0 R >>".to_vec(),
        format!("<< /Type /Pages /Kids [{}] /Count {} >>", kids.join(" "), kids.len()).into_bytes(),
    ];
    for (index, (content, resources)) in contents.iter().enumerate() {
        objects.push(
            format!(
                "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 {} {}] /Contents {} 0 R /Resources << {resources} >> >>",
                size.0, size.1, 4 + 2 * index
            )
            .into_bytes(),
        );
        objects.push(stream("", content.as_bytes()));
    }
    objects.extend_from_slice(more);
    file(&objects)
}

/// Pages with a black square each, further to the right from page to page.
fn squares(count: usize) -> Vec<u8> {
    let contents: Vec<String> =
        (0..count).map(|page| format!("0 g {} 40 10 10 re f", 10 * page)).collect();
    let contents: Vec<(&str, &str)> =
        contents.iter().map(|content| (content.as_str(), "")).collect();
    pages((100.0, 50.0), &contents, &[])
}

/// A page that is an image of so many pixels at 200 dots per inch, kept as it is.
fn of_image(rgb: &image::RgbImage) -> Vec<u8> {
    let points = |px: u32| f64::from(px) * 72.0 / 200.0;
    let (width, height) = (points(rgb.width()), points(rgb.height()));
    let dictionary = format!(
        "/Type /XObject /Subtype /Image /Width {} /Height {} /ColorSpace /DeviceRGB /BitsPerComponent 8",
        rgb.width(),
        rgb.height()
    );
    let content = format!("q {width} 0 0 {height} 0 0 cm /Im0 Do Q");
    let blank = ("", "");
    let page = (content.as_str(), "/XObject << /Im0 7 0 R >>");
    pages((width, height), &[blank, page], &[stream(&dictionary, rgb.as_raw())])
}

/// A page that draws a form that draws a form ten times, and so on: a one and many noughts of squares.
fn endless() -> Vec<u8> {
    let form = |inner: usize| {
        let dictionary = format!(
            "/Type /XObject /Subtype /Form /BBox [0 0 100 100] /Resources << /XObject << /F {inner} 0 R >> >>"
        );
        stream(&dictionary, "/F Do ".repeat(10).as_bytes())
    };
    let square = stream("/Type /XObject /Subtype /Form /BBox [0 0 100 100]", b"0 g 0 0 10 10 re f");
    // Objects 5 to 13, each of which draws the next.
    let mut more: Vec<Vec<u8>> = (5..14).map(|number| form(number + 1)).collect();
    more.push(square);
    pages((100.0, 100.0), &[("/F Do", "/XObject << /F 5 0 R >>")], &more)
}

/// Lines of text, each as a content stream draws it from the left: a string, or pieces with gaps between them.
fn lines(lines: &[&str]) -> String {
    let mut out = "BT /F0 12 Tf 14 TL 10 180 Td\n".to_owned();
    for line in lines {
        let shown =
            if line.starts_with('[') { format!("{line} TJ") } else { format!("({line}) Tj") };
        writeln!(out, "{shown} T*").unwrap();
    }
    out + "ET"
}

/// Pages of such lines, in a font that every reader of PDF files has.
fn of_text(contents: &[&str]) -> Vec<u8> {
    let fonts = "/Font << /F0 << /Type /Font /Subtype /Type1 /BaseFont /Helvetica >> >>";
    let contents: Vec<(&str, &str)> = contents.iter().map(|content| (*content, fonts)).collect();
    pages((300.0, 200.0), &contents, &[])
}

fn texts(bytes: &[u8]) -> Vec<Option<String>> {
    let pages = read(bytes, &wanted(&[], 72), &DecodeLimits::default()).unwrap();
    let words = |text: String| text.split_whitespace().collect::<Vec<_>>().join(" ");
    pages.into_iter().map(|page| page.text.map(words)).collect()
}

fn process(path: impl Into<PathBuf>) -> PdfRenderer {
    PdfRenderer::Process(RendererProgram { path: path.into(), library_path: None })
}

fn renderers() -> [PdfRenderer; 2] {
    [PdfRenderer::Here, process(env!("CARGO_BIN_EXE_tessera"))]
}

/// That no renderer can be started is not told of the file.
#[test]
fn a_renderer_that_does_not_start_is_no_fault_of_the_file() {
    // The second ends as a program does whose libraries are not found, since it finds no `render-pdf`.
    for program in ["/no/such/program", "/usr/bin/env"] {
        let read = read_with(
            process(program),
            &of_text(&["one"]),
            &wanted(&[], 72),
            DecodeLimits::default(),
        );
        let error = read.unwrap_err();
        assert!(matches!(error, DecodeError::Pdf(PdfError::NotStarted { .. })), "{error}");
    }
}

/// A child gets the way to its libraries and nothing else of the environment.
#[test]
fn a_renderer_finds_its_libraries() {
    let folder = tempfile::tempdir().unwrap();
    let (program, seen) = (folder.path().join("program"), folder.path().join("seen"));
    let text = format!("#!/bin/sh\nexport -p > {}\nexit 127\n", seen.display());
    // Written by another process: one that this one has open for writing cannot be run.
    let write = r#"printf %s "$1" > "$0" && chmod 755 "$0""#;
    let written = Command::new("sh").args(["-c", write]).arg(&program).arg(text).status();
    assert!(written.unwrap().success());
    let library_path = Some("/opt/cuda/lib".to_owned());
    let pdf = PdfRenderer::Process(RendererProgram { path: program, library_path });
    let read = read_with(pdf, &of_text(&["one"]), &wanted(&[], 72), DecodeLimits::default());
    assert!(read.is_err());
    let seen = std::fs::read_to_string(seen).unwrap();
    assert!(seen.contains("/opt/cuda/lib") && !seen.contains("CARGO"), "{seen}");
}

fn read_with(
    pdf: PdfRenderer,
    bytes: &[u8],
    wanted: &Wanted,
    limits: DecodeLimits,
) -> Result<Vec<NumberedPage>, DecodeError> {
    Decoder { limits, pdf, ..Decoder::default() }.read(bytes, wanted, &|| true)
}

/// Reads with both renderers, which must agree.
#[track_caller]
fn read(bytes: &[u8], wanted: &Wanted, limits: &DecodeLimits) -> Result<Vec<NumberedPage>, String> {
    let [here, process] = renderers().map(|pdf| {
        read_with(pdf, bytes, wanted, limits.clone()).map_err(|error| error.to_string())
    });
    assert_eq!(here, process);
    here
}

fn wanted(pages: &[usize], dpi: u32) -> Wanted {
    Wanted { pages: pages.to_vec(), dpi }
}

/// Where the first dark pixel of the middle row is.
fn dark_at(page: &NumberedPage) -> Option<u32> {
    let page = &page.page;
    let row = page.height_px() as usize / 10 * page.width_px() as usize;
    (0..page.width_px()).find(|&x| page.rgb()[(row + x as usize) * 3] < 64)
}

#[test]
fn pages_have_the_size_that_was_asked_for() {
    for dpi in [36, 72, 144, 200] {
        let found = read(&squares(1), &wanted(&[], dpi), &DecodeLimits::default()).unwrap();
        let size = (found[0].page.width_px(), found[0].page.height_px());
        assert_eq!(size, ((100 * dpi) / 72, (50 * dpi) / 72), "{dpi}");
        assert_eq!(dark_at(&found[0]), Some(0));
    }
}

#[test]
fn resolution_is_lowered_before_a_page_is_too_large() {
    let limits = DecodeLimits { pixels_max: 5000, ..DecodeLimits::default() };
    let found = read(&squares(1), &wanted(&[], 600), &limits).unwrap();
    let (width, height) = (found[0].page.width_px(), found[0].page.height_px());
    assert!(width * height <= 5000 && width * height > 4600, "{width}x{height}");
}

#[test]
fn pages_come_in_the_order_in_which_they_are_named() {
    let limits = DecodeLimits { pages_max: 3, ..DecodeLimits::default() };
    let found = read(&squares(5), &wanted(&[4, 2], 72), &limits).unwrap();
    let numbers: Vec<usize> = found.iter().map(|page| page.number).collect();
    assert_eq!(numbers, [4, 2]);
    assert_eq!(found.iter().map(dark_at).collect::<Vec<_>>(), [Some(30), Some(10)]);

    let missing = read(&squares(5), &wanted(&[6], 72), &limits).unwrap_err();
    assert_eq!(missing, "page 6 is not there: the file has 5");
    let many = read(&squares(5), &wanted(&[], 72), &limits).unwrap_err();
    assert_eq!(many, "the file has more than 3 pages; name some of them, or split it");
    let together = DecodeLimits { file_pixels_max: 9000, ..DecodeLimits::default() };
    let large = read(&squares(5), &wanted(&[], 72), &together).unwrap_err();
    assert!(large.starts_with("the pages up to page 2 have 10000 pixels together"), "{large}");
}

#[test]
fn files_that_cannot_be_read_say_why() {
    let limits = DecodeLimits::default();
    let check = |bytes: &[u8], expected: &str| {
        let error = read(bytes, &Wanted::default(), &limits).unwrap_err();
        assert!(error.starts_with(expected), "{error}");
    };
    check(b"%PDF-1.7\nnothing", "the PDF is damaged or cut off");
    check(&pages((10.0, 10.0), &[], &[]), "the PDF has no pages");
    let locked = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/preprocess/locked.pdf");
    check(&std::fs::read(locked).unwrap(), "the PDF needs a password");
}

#[test]
fn an_image_in_a_pdf_keeps_its_pixels() {
    let rgb = image::open(Path::new(SAMPLES).join("receipt-01.png")).unwrap().into_rgb8();
    let found = read(&of_image(&rgb), &wanted(&[2], 200), &DecodeLimits::default()).unwrap();
    let page = &found[0].page;
    assert_eq!((page.width_px(), page.height_px()), rgb.dimensions());
    let apart = page.rgb().iter().zip(rgb.as_raw()).map(|(a, b)| a.abs_diff(*b));
    let (sum, most) =
        apart.fold((0_u64, 0), |(sum, most), apart| (sum + u64::from(apart), most.max(apart)));
    let mean = sum as f64 / rgb.as_raw().len() as f64;
    assert!(mean < 1.0, "mean {mean}, most {most}");
}

/// The text of a page: as it was put there, seen or not; words that stand apart are apart, and letters that are
/// drawn one by one are words.
#[test]
fn a_page_brings_its_text() {
    let first = lines(&["ACME Pty Ltd", "[(T) 80 (otal) -3000 ($5.00)]", "[(tax) -300 (invoice)]"]);
    // Each letter at its place, and a scan's unseen text.
    let second = "BT /F0 10 Tf 1 0 0 1 10 50 Tm (A) Tj 1 0 0 1 16.67 50 Tm (B) Tj 1 0 0 1 23.34 50 Tm (N) Tj ET \
        BT 3 Tr /F0 10 Tf 10 20 Td (unseen) Tj ET";
    let turned = "BT /F0 10 Tf 0 1 -1 0 50 10 Tm (upwards) Tj ( 7) Tj ET";
    let found = texts(&of_text(&[&first, second, turned, "0 g 0 0 10 10 re f"]));
    let expected =
        [Some("ACME Pty Ltd Total $5.00 tax invoice"), Some("ABN unseen"), Some("upwards 7"), None];
    assert_eq!(found, expected.map(|text| text.map(str::to_owned)));
    assert_eq!(texts(&squares(1)), [None]);
}

/// Nothing is said of a page where a letter does not say what it is: it might be in any value.
#[test]
fn a_page_with_a_letter_that_is_unknown_has_no_text() {
    let fonts = "/Font << /F0 << /Type /Font /Subtype /Type1 /BaseFont /Helvetica \
        /Encoding << /Type /Encoding /Differences [65 /secret] >> >> >>";
    let content = |text: &str| format!("BT /F0 12 Tf 10 10 Td ({text}) Tj ET");
    let (known, unknown) = (content("BCD"), content("ABC"));
    let bytes = pages((100.0, 50.0), &[(&known, fonts), (&unknown, fonts)], &[]);
    assert_eq!(texts(&bytes), [Some("BCD".to_owned()), None]);
}

#[test]
fn a_page_that_never_ends_is_stopped() {
    let [_, process] = renderers();
    let limits = DecodeLimits { pdf_page_ms_max: 400, ..DecodeLimits::default() };
    let began = Instant::now();
    let error = read_with(process.clone(), &endless(), &Wanted::default(), limits).unwrap_err();
    assert!(
        matches!(error, DecodeError::Pdf(PdfError::TooSlow { page: 1, ms_max: 400 })),
        "{error}"
    );
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());

    // Nobody wants it any more: it does not run to its limit.
    let asked = Cell::new(0);
    let decoder = Decoder { pdf: process, ..Decoder::default() };
    let began = Instant::now();
    let error = decoder
        .read(&endless(), &Wanted::default(), &|| {
            asked.set(asked.get() + 1);
            asked.get() < 4
        })
        .unwrap_err();
    assert!(matches!(error, DecodeError::GivenUp), "{error}");
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
}

#[test]
fn a_page_that_asks_for_all_memory_hurts_nobody_else() {
    // An image of ten thousand million pixels in a few bytes.
    let image = stream(
        "/Type /XObject /Subtype /Image /Width 100000 /Height 100000 /ColorSpace /DeviceRGB \
         /BitsPerComponent 8",
        b"x",
    );
    let page = ("q 100 0 0 100 0 0 cm /Im0 Do Q", "/XObject << /Im0 5 0 R >>");
    let bytes = pages((100.0, 100.0), &[page], &[image]);
    let [_, process] = renderers();
    // A page without the image, or a refusal; this process is there to say so.
    match read_with(process, &bytes, &Wanted::default(), DecodeLimits::default()) {
        Ok(pages) => assert_eq!(pages.len(), 1),
        Err(error) => assert!(matches!(error, DecodeError::Pdf(_)), "{error}"),
    }
}

/// A server reads the second page of a PDF as it reads the image that the page is.
#[test]
fn a_server_reads_a_pdf() {
    let dir = tempfile::tempdir().unwrap();
    let rgb = image::open(Path::new(SAMPLES).join("receipt-01.png")).unwrap().into_rgb8();
    let path = dir.path().join("receipt.pdf");
    std::fs::write(&path, of_image(&rgb)).unwrap();
    let mut server = Command::new(env!("CARGO_BIN_EXE_tessera"))
        .env_clear()
        .args(["serve", "--listen", "127.0.0.1:0", "--log-level", "warn"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(server.stdout.take().unwrap()).lines();
    let line = lines.next().unwrap().unwrap();
    let address = line.split([' ', ',']).nth(3).unwrap().to_owned();
    let extract = |select: &str| {
        let output = Command::new(env!("CARGO_BIN_EXE_tessera"))
            .env_clear()
            .args(["extract", &path.display().to_string(), "--select", select, "--json"])
            .args(["--server", &address])
            .output()
            .unwrap();
        serde_json::from_slice::<serde_json::Value>(&output.stdout).unwrap()
    };
    let answer = extract("2");
    let refusal = extract("3");
    server.kill().unwrap();
    server.wait().unwrap();
    let truth: serde_json::Value =
        serde_json::from_slice(&std::fs::read(Path::new(SAMPLES).join("receipt-01.json")).unwrap())
            .unwrap();
    assert_eq!(answer["fields"], truth["fields"], "{answer}");
    assert_eq!(answer["tiles_per_page"], serde_json::json!([1]));
    assert_eq!(refusal["error"]["reason"], "INVALID_FIELD", "{refusal}");
    assert_eq!(refusal["error"]["fields"][0]["field"], "files[0].pages");
}
