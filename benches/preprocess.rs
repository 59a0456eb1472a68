//! Times the page path without decoding: RGB page in, normalised tiles out.
//!
//! `cargo bench --bench preprocess` prints one JSON object a line: medians in milliseconds, on one
//! thread and on all; `cpu_ms` counts the processor time of all threads, which other programs on
//! the machine disturb less. `preprocess_vs_pillow.py` beside this file runs it side by side with
//! Pillow.

use std::error::Error;
use std::hint::black_box;
use std::time::Instant;

use rayon::ThreadPoolBuilder;
use tessera::preprocess::{Config, Page, tile};

/// The sizes that are reported: an A4 scan, a phone photograph, a small picture.
const PAGES_PX: [(u32, u32); 3] = [(1654, 2339), (4032, 3024), (640, 480)];

const RUNS: usize = 9;

fn main() -> Result<(), Box<dyn Error>> {
    let threads_all = std::thread::available_parallelism()?.get();
    for threads in [1, threads_all] {
        let pool = ThreadPoolBuilder::new().num_threads(threads).build()?;
        for (width_px, height_px) in PAGES_PX {
            let page = noise(width_px, height_px).ok_or("a page has pixels")?;
            let config = Config::default();
            let tiles = tile(&page, &config).tiles;
            let [tile_ms, cpu_ms] =
                pool.install(|| medians_ms(|| drop(black_box(tile(black_box(&page), &config)))));
            println!(
                "{{\"page\": \"{width_px}x{height_px}\", \"threads\": {threads}, \
                 \"tiles\": {tiles}, \"tile_ms\": {tile_ms:.3}, \"cpu_ms\": {cpu_ms:.3}}}"
            );
        }
    }
    Ok(())
}

/// Medians of wall time and of processor time.
fn medians_ms(mut run: impl FnMut()) -> [f64; 2] {
    let mut walls = Vec::with_capacity(RUNS);
    let mut cpus = Vec::with_capacity(RUNS);
    for _ in 0..RUNS {
        let (start, cpu_start_ms) = (Instant::now(), process_cpu_ms());
        run();
        cpus.push(process_cpu_ms() - cpu_start_ms);
        walls.push(start.elapsed().as_secs_f64() * 1e3);
    }
    [walls, cpus].map(|mut times| {
        times.sort_by(f64::total_cmp);
        times[RUNS / 2]
    })
}

/// Processor time of all threads of this process so far; 0 where the system does not say.
fn process_cpu_ms() -> f64 {
    let Ok(tasks) = std::fs::read_dir("/proc/self/task") else { return 0.0 };
    let nanoseconds = |task: std::fs::DirEntry| -> Option<f64> {
        let times = std::fs::read_to_string(task.path().join("schedstat")).ok()?;
        times.split(' ').next()?.parse().ok()
    };
    tasks.flatten().filter_map(nanoseconds).sum::<f64>() / 1e6
}

/// A page on which no shortcut for even areas could help.
fn noise(width_px: u32, height_px: u32) -> Option<Page> {
    let mut state = 1_u32;
    let rgb = (0..width_px * height_px * 3).map(|_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    });
    Page::from_rgb(width_px, height_px, rgb.collect())
}
