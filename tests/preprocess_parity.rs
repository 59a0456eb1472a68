//! The pixels are Pillow's, bit for bit: resize, grid, tiles and normalised values against golden
//! files.
//!
//! `data/preprocess/make_goldens.py` says how the files are made and with which versions.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use rayon::prelude::*;
use sha2::{Digest, Sha256};
use tessera::preprocess::resize::{PassOrder, Size, resize};
use tessera::preprocess::{Config, Normalization, Page, SampleValues, choose_grid, tile};

const RESIZES_11: &str = include_str!("data/preprocess/resize-pillow-11.3.0.tsv");
const RESIZES_13: &str = include_str!("data/preprocess/resize-pillow-13.0.0.tsv");
const TILES_11: &str = include_str!("data/preprocess/tiles-pillow-11.3.0.tsv");
const TILES_13: &str = include_str!("data/preprocess/tiles-pillow-13.0.0.tsv");
const GRIDS: &str = include_str!("data/preprocess/grids.tsv");

// --- source images, as in make_goldens.py --------------------------------------------------------

fn mixed(number: u32) -> u32 {
    let mut value = number.wrapping_mul(2_654_435_761);
    value ^= value >> 15;
    value = value.wrapping_mul(2_246_822_519);
    value ^ (value >> 13)
}

fn source(kind: &str, seed: u32, width: u32, height: u32) -> Page {
    let sample = |x: u32, y: u32, c: u32| match kind {
        "noise" => mixed((y * width + x) * 3 + c + seed) >> 24,
        "gradient" => (x * 255 / width + (c + 1) * y * 255 / height + seed) & 255,
        "text" => {
            let cell = mixed((y / 3) * 65536 + x / 2 + seed);
            let is_ink = cell.is_multiple_of(3) && (y / 12).is_multiple_of(2);
            if is_ink { 16 + c * 9 } else { 250 - c }
        }
        other => panic!("no such kind of image: {other}"),
    };
    let sample = &sample;
    let rgb = (0..height)
        .flat_map(|y| (0..width).flat_map(move |x| (0..3).map(move |c| sample(x, y, c) as u8)))
        .collect();
    Page::from_rgb(width, height, rgb).unwrap()
}

fn lines(table: &str) -> Vec<Vec<&str>> {
    let is_data = |line: &&str| !line.starts_with('#');
    table.lines().filter(is_data).skip(1).map(|line| line.split('\t').collect()).collect()
}

fn number(field: &str) -> u32 {
    field.parse().unwrap()
}

fn sha256(bytes: &[u8]) -> String {
    format!("{:x}", Sha256::digest(bytes))
}

fn sha256_f32(values: &[f32]) -> String {
    let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    sha256(&bytes)
}

// --- tests ---------------------------------------------------------------------------------------

fn check_resizes(table: &str, order: PassOrder) {
    let cases = lines(table);
    assert!(cases.len() >= 200, "{} cases", cases.len());
    let wrong: Vec<String> = cases
        .par_iter()
        .filter_map(|case| {
            let [kind, seed, width, height, to_width, to_height, sha, first] = case[..] else {
                panic!("{case:?}");
            };
            let page = source(kind, number(seed), number(width), number(height));
            let to = Size { width_px: number(to_width), height_px: number(to_height) };
            let out = resize(&page, to, order);
            let start = &out.rgb()[..out.rgb().len().min(16)];
            (sha256(out.rgb()) != sha).then(|| format!("{case:?}: {start:02x?} for {first}"))
        })
        .collect();
    assert!(wrong.is_empty(), "{} of {} differ:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

#[test]
fn resize_equals_pillow_11() {
    check_resizes(RESIZES_11, PassOrder::HorizontalFirst);
}

#[test]
fn resize_equals_pillow_13() {
    check_resizes(RESIZES_13, PassOrder::Pillow13);
}

fn check_tiles(table: &str, pass_order: PassOrder) {
    for case in lines(table) {
        let [kind, seed, width, height, max_tiles, side, columns, rows, tiles, two_step, fused] =
            case[..]
        else {
            panic!("{case:?}");
        };
        let page = source(kind, number(seed), number(width), number(height));
        for (normalization, sha) in
            [(Normalization::TwoStep, two_step), (Normalization::Fused, fused)]
        {
            let config = Config {
                tile_size_px: number(side),
                max_tiles: number(max_tiles),
                normalization,
                pass_order,
                ..Config::default()
            };
            let made = tile(&page, &config);
            assert_eq!(
                [made.grid.columns, made.grid.rows, made.tiles],
                [number(columns), number(rows), number(tiles)],
                "{case:?}"
            );
            assert_eq!(
                sha256_f32(&made.values(&SampleValues::new(&config))),
                sha,
                "{normalization:?} of {case:?}"
            );
        }
    }
}

#[test]
fn tiles_equal_pillow_11_and_numpy() {
    check_tiles(TILES_11, PassOrder::HorizontalFirst);
}

#[test]
fn tiles_equal_pillow_13_and_numpy() {
    check_tiles(TILES_13, PassOrder::Pillow13);
}

#[test]
fn grids_equal_the_reference() {
    let regular =
        (100..4000).step_by(37).flat_map(|w| (100..4000).step_by(41).map(move |h| (w, h)));
    let hashed = (0..2000).map(|i| (mixed(2 * i) % 32768 + 1, mixed(2 * i + 1) % 32768 + 1));
    let sizes: Vec<(u32, u32)> = regular.chain(hashed).collect();
    for case in lines(GRIDS) {
        let [min_tiles, max_tiles, count, sha] = case[..] else { panic!("{case:?}") };
        assert_eq!(sizes.len(), count.parse::<usize>().unwrap());
        let chosen: Vec<u8> = sizes
            .iter()
            .flat_map(|&(width, height)| {
                let grid = choose_grid(width, height, number(min_tiles), number(max_tiles), 448);
                [grid.columns as u8, grid.rows as u8]
            })
            .collect();
        assert_eq!(sha256(&chosen), sha, "{min_tiles} to {max_tiles} tiles");
    }
}
