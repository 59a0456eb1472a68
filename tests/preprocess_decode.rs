//! Reading files: Pillow's pixels where both decoders are exact, close to them where the format is
//! lossy; every limit; and no panic on damaged files or on any bytes at all.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs;
use std::path::Path;

use proptest::prelude::*;
use sha2::{Digest, Sha256};
use tessera::preprocess::{
    Config, DecodeError, DecodeLimits, Decoder, NumberedPage, Orientation, Page, SampleValues,
    Wanted, choose_grid, decode, tile,
};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/preprocess/decode");
const TABLE: &str = include_str!("data/preprocess/decode.tsv");

fn file(name: &str) -> Vec<u8> {
    fs::read(Path::new(FOLDER).join(name)).unwrap()
}

fn read(name: &str, orientation: Orientation) -> Vec<Page> {
    decode(&file(name), &DecodeLimits::default(), orientation)
        .unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn largest_difference(one: &[u8], two: &[u8]) -> u8 {
    assert_eq!(one.len(), two.len());
    one.iter().zip(two).map(|(a, b)| a.abs_diff(*b)).max().unwrap_or(0)
}

#[test]
fn pixels_are_those_of_pillow() {
    let mut problems = Vec::new();
    for line in TABLE.lines().filter(|line| !line.starts_with('#')).skip(1) {
        let fields: Vec<&str> = line.split('\t').collect();
        let [name, tolerance, number, width, height, sha] = fields[..] else { panic!("{line}") };
        let pages = read(name, Orientation::Ignore);
        let page = &pages[number.parse::<usize>().unwrap() - 1];
        assert_eq!(
            (page.width_px().to_string().as_str(), page.height_px().to_string().as_str()),
            (width, height),
            "{name}"
        );
        let tolerance: u8 = tolerance.parse().unwrap();
        if tolerance > 0 {
            let difference = largest_difference(page.rgb(), &file(&format!("{name}.rgb")));
            if difference > tolerance {
                problems.push(format!("{name}: differs by {difference}, {tolerance} allowed"));
            }
        } else {
            let digest = format!("{:x}", Sha256::digest(page.rgb()));
            if digest != sha {
                problems.push(format!("{name}, page {number}: other pixels"));
            }
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn all_pages_of_a_tiff_in_order() {
    let pages = read("three-pages.tif", Orientation::Apply);
    let sizes: Vec<_> = pages.iter().map(|page| (page.width_px(), page.height_px())).collect();
    assert_eq!(sizes, [(37, 29), (20, 11), (37, 29)]);
}

#[test]
fn pages_of_a_tiff_are_chosen_by_number() {
    let all = read("three-pages.tif", Orientation::Apply);
    let decoder = Decoder {
        limits: DecodeLimits { pages_max: 2, ..DecodeLimits::default() },
        ..Decoder::default()
    };
    let chosen = |pages: &[usize]| {
        let wanted = Wanted { pages: pages.to_vec(), ..Wanted::default() };
        decoder.read(&file("three-pages.tif"), &wanted, &|| true)
    };
    for numbers in [&[2][..], &[3, 1], &[1, 2]] {
        let found = chosen(numbers).unwrap();
        let expected: Vec<NumberedPage> = numbers
            .iter()
            .map(|&number| NumberedPage { number, page: all[number - 1].clone(), text: None })
            .collect();
        assert_eq!(found, expected, "{numbers:?}");
    }
    let refusal = |numbers: &[usize]| chosen(numbers).unwrap_err().to_string();
    assert_eq!(refusal(&[4]), "page 4 is not there: the file has 3");
    assert_eq!(refusal(&[]), "the file has more than 2 pages; name some of them, or split it");
}

#[test]
fn orientation_is_applied_unless_told_otherwise() {
    let stored = read("orientation-1.jpg", Orientation::Ignore).remove(0);
    let at = |page: &Page, x: u32, y: u32| {
        let pixel = (y * page.width_px() + x) as usize * 3;
        page.rgb()[pixel..pixel + 3].to_vec()
    };
    let (right, bottom) = (stored.width_px() - 1, stored.height_px() - 1);
    // Where the upright page's top left pixel and its right neighbour are stored (EXIF 2.32,
    // 4.6.4).
    for (orientation, top_left, neighbour) in [
        (1, (0, 0), (1, 0)),
        (2, (right, 0), (right - 1, 0)),
        (3, (right, bottom), (right - 1, bottom)),
        (4, (0, bottom), (1, bottom)),
        (5, (0, 0), (0, 1)),
        (6, (0, bottom), (0, bottom - 1)),
        (7, (right, bottom), (right, bottom - 1)),
        (8, (right, 0), (right, 1)),
    ] {
        let name = format!("orientation-{orientation}.jpg");
        assert_eq!(read(&name, Orientation::Ignore)[0], stored, "{name}");
        let upright = read(&name, Orientation::Apply).remove(0);
        let is_turned = orientation >= 5;
        assert_eq!(upright.width_px() == stored.height_px(), is_turned, "{name}");
        assert_eq!(at(&upright, 0, 0), at(&stored, top_left.0, top_left.1), "{name}");
        assert_eq!(at(&upright, 1, 0), at(&stored, neighbour.0, neighbour.1), "{name}");
    }
}

fn check_refusal(bytes: &[u8], limits: &DecodeLimits, expect: &str) {
    let error = decode(bytes, limits, Orientation::Apply).unwrap_err().to_string();
    assert!(error.contains(expect), "{error}\ndoes not say: {expect}");
}

/// A PNG that claims a size and has no data for it.
fn png_header(width: u32, height: u32) -> Vec<u8> {
    let mut png = file("rgb.png");
    png[16..20].copy_from_slice(&width.to_be_bytes());
    png[20..24].copy_from_slice(&height.to_be_bytes());
    let crc = crc32(&png[12..29]);
    png[29..33].copy_from_slice(&crc.to_be_bytes());
    png
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| {
            (crc >> 1) ^ (0xedb8_8320 & 0_u32.wrapping_sub(crc & 1))
        })
    })
}

#[test]
fn every_limit_has_its_refusal() {
    let limits = DecodeLimits::default();
    let few_bytes = DecodeLimits { bytes_max: 100, ..limits.clone() };
    let bytes = file("rgb.png").len();
    check_refusal(&file("rgb.png"), &few_bytes, &format!("{bytes} bytes and the limit is 100"));
    let few_pages = DecodeLimits { pages_max: 2, ..limits.clone() };
    check_refusal(&file("three-pages.tif"), &few_pages, "more than 2 pages");
    let few_pixels = DecodeLimits { file_pixels_max: 1100, ..limits.clone() };
    check_refusal(&file("three-pages.tif"), &few_pixels, "up to page 2 have 1293 pixels together");

    check_refusal(&png_header(8001, 8000), &limits, "8001x8000 = 64008000 pixels and the limit");
    check_refusal(&png_header(40_000, 1), &limits, "the limit for a side is 32768");
    check_refusal(&png_header(0, 7), &limits, "page 1");
    check_refusal(b"%!PS-Adobe", &limits, "render its pages to PNG");
    check_refusal(b"%PDF-1.7 ...", &limits, "the PDF is damaged");
}

#[test]
fn a_cut_off_file_is_refused() {
    for name in ["rgb.png", "rgb-444.jpg", "rgb-progressive.jpg", "rgb-lossless.webp", "rgb.tif"] {
        let whole = file(name);
        let half = &whole[..whole.len() / 2];
        let result = decode(half, &DecodeLimits::default(), Orientation::Apply);
        assert!(matches!(result, Err(DecodeError::Damaged { .. })), "{name}: {result:?}");
    }
}

#[test]
fn a_tiff_whose_pages_form_a_ring_is_refused() {
    let mut tiff = file("rgb.tif");
    let directory = u32::from_le_bytes(*tiff[4..].first_chunk().unwrap());
    let entries = u16::from_le_bytes(*tiff[directory as usize..].first_chunk().unwrap());
    let next = directory as usize + 2 + 12 * usize::from(entries);
    tiff[next..next + 4].copy_from_slice(&directory.to_le_bytes());
    check_refusal(&tiff, &DecodeLimits::default(), "form a ring");
}

const SEEDS: &[&str] = &[
    "rgb.png",
    "palette-transparent.png",
    "rgba-16-bits.png",
    "rgb-420.jpg",
    "rgb-progressive.jpg",
    "cmyk.jpg",
    "orientation-6.jpg",
    "rgb-lossy.webp",
    "rgba-lossless.webp",
    "three-pages.tif",
    "fax-group-4.tif",
    "cmyk.tif",
    "rgb-deflate.tif",
];

const SIGNATURES: &[&[u8]] = &[
    b"",
    b"\x89PNG\r\n\x1a\n",
    b"\xff\xd8\xff",
    b"RIFF\0\0\0\0WEBP",
    b"II\x2a\0\x08\0\0\0",
    b"MM\0\x2b\0\x08\0\0",
    b"II\x2b\0\x08\0\0\0\x10\0\0\0\0\0\0\0",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, ..ProptestConfig::default() })]

    #[test]
    fn damaged_files_never_panic(
        seed in prop::sample::select(SEEDS),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..12),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let mut bytes = file(seed);
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        // A small limit, since a changed header may honestly ask for the largest page allowed.
        let limits = DecodeLimits { pixels_max: 1 << 20, ..DecodeLimits::default() };
        if let Ok(pages) = decode(&bytes, &limits, Orientation::Apply) {
            prop_assert!(!pages.is_empty());
        }
    }

    #[test]
    fn any_bytes_never_panic(
        signature in prop::sample::select(SIGNATURES),
        rest in prop::collection::vec(any::<u8>(), 0..400),
    ) {
        let bytes = [signature, &rest[..]].concat();
        let limits = DecodeLimits { pixels_max: 1 << 20, ..DecodeLimits::default() };
        let _ = decode(&bytes, &limits, Orientation::Apply);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn any_size_makes_tiles(
        (width, height) in prop_oneof![
            (1..400_u32, 1..400_u32),
            (1..4_u32, 1..=32_768_u32),
            (1..=32_768_u32, 1..4_u32),
        ],
        side in 1..40_u32,
        (min_tiles, max_tiles) in (0..4_u32, 0..=12_u32),
        use_thumbnail: bool,
    ) {
        let rgb = vec![200; (width * height * 3) as usize];
        let page = Page::from_rgb(width, height, rgb).unwrap();
        let config =
            Config { tile_size_px: side, min_tiles, max_tiles, use_thumbnail, ..Config::default() };
        let made = tile(&page, &config);
        prop_assert_eq!(made.grid, choose_grid(width, height, min_tiles, max_tiles, side));
        let thumbnail = u32::from(use_thumbnail && made.grid.tiles() > 1);
        prop_assert_eq!(made.tiles, made.grid.tiles() + thumbnail);
        prop_assert_eq!(made.samples.len(), (made.tiles * 3 * side * side) as usize);
        // One colour stays one colour, at the edges too.
        let values = made.values(&SampleValues::new(&config));
        for (plane, values) in values.chunks((side * side) as usize).enumerate() {
            let channel = plane % 3;
            let expect = (200.0 / 255.0 - config.mean[channel]) / config.std[channel];
            prop_assert!(values.iter().all(|value| (value - expect).abs() < 0.02));
        }
    }
}
