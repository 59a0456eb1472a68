//! What a page costs before the model sees it, stage by stage: `cargo bench --bench pages`; not run in CI.
//!
//! Pages are the bundled receipt, enlarged as a scanner or a camera would deliver it, for twelve tiles and the
//! overview. `1 thread` is a pool of one thread, `all` one of as many as there are processors; decoding uses one
//! whatever there is. `decode` is the file's bytes to RGB, `tile` the two resizes with cutting, normalising and
//! laying out, `page` both.

#![allow(clippy::unwrap_used, reason = "a benchmark stops where it fails")]

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{ExtendedColorType, ImageEncoder as _};
use rayon::{ThreadPool, ThreadPoolBuilder};
use tessera::preprocess::resize::{PassOrder, Size, resize};
use tessera::preprocess::{Config, DecodeLimits, Orientation, Page, decode, tile};

const RECEIPT: &[u8] = include_bytes!("../models/tessera-tiny/samples/receipt-01.png");

/// Pixels of a side of a tile as the page arrives: as the model sees it, and a scan of higher resolution.
const TILE_SIDES_PX: [u32; 2] = [448, 640];

/// Twelve tiles, three side by side.
const GRID: (u32, u32) = (3, 4);

/// As scanners and cameras write them.
const JPEG_QUALITY: u8 = 85;

fn read(file: &[u8]) -> Page {
    let mut pages = decode(file, &DecodeLimits::default(), Orientation::Apply).unwrap();
    pages.swap_remove(0)
}

fn jpeg(page: &Page) -> Vec<u8> {
    let mut file = Vec::new();
    let encoder = JpegEncoder::new_with_quality(&mut file, JPEG_QUALITY);
    let (width, height) = (page.width_px(), page.height_px());
    encoder.write_image(page.rgb(), width, height, ExtendedColorType::Rgb8).unwrap();
    file
}

fn png(page: &Page) -> Vec<u8> {
    let mut file = Vec::new();
    let encoder =
        PngEncoder::new_with_quality(&mut file, CompressionType::Best, FilterType::Adaptive);
    let (width, height) = (page.width_px(), page.height_px());
    encoder.write_image(page.rgb(), width, height, ExtendedColorType::Rgb8).unwrap();
    file
}

fn pools() -> [(&'static str, ThreadPool); 2] {
    let pool = |threads| ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    [("1 thread", pool(1)), ("all", pool(0))]
}

fn pages(criterion: &mut Criterion) {
    let receipt = read(RECEIPT);
    let config = Config { max_tiles: 12, ..Config::default() };
    for side in TILE_SIDES_PX {
        let size = Size { width_px: GRID.0 * side, height_px: GRID.1 * side };
        let page = resize(&receipt, size, PassOrder::default());
        let name = format!("{}x{}", page.width_px(), page.height_px());
        assert_eq!(tile(&page, &config).tiles, 13, "twelve tiles and the overview");
        let mut group = criterion.benchmark_group(&name);
        group.sample_size(20);
        let files = [("jpeg", jpeg(&page)), ("png", png(&page))];
        for (format, file) in &files {
            group.bench_function(BenchmarkId::new("decode", format), |bencher| {
                bencher.iter(|| read(black_box(file)));
            });
        }
        for (threads, pool) in pools() {
            group.bench_function(BenchmarkId::new("tile", threads), |bencher| {
                pool.install(|| bencher.iter(|| tile(black_box(&page), &config)));
            });
            for (format, file) in &files {
                group.bench_function(BenchmarkId::new(format!("page {format}"), threads), |b| {
                    pool.install(|| b.iter(|| tile(&read(black_box(file)), &config)));
                });
            }
        }
    }
}

criterion_group!(benches, pages);
criterion_main!(benches);
