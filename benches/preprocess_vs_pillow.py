#!/usr/bin/env python3
"""Times preprocessing side by side with Pillow, and prints a table.

    cargo bench --bench preprocess --no-run            # prints the path of the program
    python3 benches/preprocess_vs_pillow.py PROGRAM [ROUNDS]

Needs Pillow and numpy. In every round the Rust program and Pillow run one after the other, so a busy
machine slows both; figures are medians over the rounds (default 7) of the medians within a round.

Two things are timed on Pillow's side, both from an RGB image in memory:

* `resize`: resize to the grid, crop the tiles, resize the thumbnail; 8-bit images
* `full`: the same, then (x / 255 - mean) / std in f32 with numpy, as one [tiles, 3, 448, 448] array

The Rust side always does the full path. Processor time ("cpu") is printed beside wall time ("wall"): it
compares the work done, also on a machine that does other things at the same time; wall time on such a
machine does not show what more threads bring.
"""

import json
import statistics
import subprocess
import sys
import time

import numpy as np
import PIL
from PIL import Image

TILE = 448
PAGES = {"1654x2339": (2, 3), "4032x3024": (4, 3), "640x480": (4, 3)}
MEAN = np.array([0.485, 0.456, 0.406], np.float32)
STD = np.array([0.229, 0.224, 0.225], np.float32)
RUNS = 5


def resize(image, columns, rows):
    resized = image.resize((TILE * columns, TILE * rows), Image.Resampling.BICUBIC)
    tiles = [
        resized.crop((TILE * c, TILE * r, TILE * (c + 1), TILE * (r + 1)))
        for r in range(rows) for c in range(columns)
    ]
    tiles.append(image.resize((TILE, TILE), Image.Resampling.BICUBIC))
    return tiles


def full(image, columns, rows):
    out = []
    for tile in resize(image, columns, rows):
        samples = np.asarray(tile).astype(np.float32)
        samples /= np.float32(255)
        samples -= MEAN
        samples /= STD
        out.append(samples.transpose(2, 0, 1))
    return np.stack(out)


def medians_ms(run):
    """Medians of wall time and of processor time."""
    walls, cpus = [], []
    for _ in range(RUNS):
        wall, cpu = time.perf_counter(), time.process_time()
        run()
        cpus.append((time.process_time() - cpu) * 1e3)
        walls.append((time.perf_counter() - wall) * 1e3)
    return statistics.median(walls), statistics.median(cpus)


def main():
    program, rounds = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 7
    rng = np.random.default_rng(1)
    images = {}
    for name in PAGES:
        width, height = map(int, name.split("x"))
        images[name] = Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8))
    figures = {}
    for _ in range(rounds):
        for line in subprocess.run([program], check=True, capture_output=True, text=True).stdout.splitlines():
            row = json.loads(line)
            who = "Rust, 1 thread" if row["threads"] == 1 else f"Rust, {row['threads']} threads"
            figures.setdefault((row["page"], who), []).append((row["tile_ms"], row["cpu_ms"]))
        for name, grid in PAGES.items():
            for what in (resize, full):
                times = medians_ms(lambda: what(images[name], *grid))
                figures.setdefault((name, f"Pillow, {what.__name__}"), []).append(times)
    print(f"Pillow {PIL.__version__}, numpy {np.__version__}, {rounds} rounds; medians, milliseconds a page")
    print("\n| page | who | wall | cpu | full / this, wall | full / this, cpu | resize / this, cpu |")
    print("|---|---|---|---|---|---|---|")
    medians = {key: [statistics.median(v) for v in zip(*values)] for key, values in figures.items()}
    for (page, who), (wall, cpu) in sorted(medians.items()):
        full_wall, full_cpu = medians[page, "Pillow, full"]
        _, resize_cpu = medians[page, "Pillow, resize"]
        ratios = f"{full_wall / wall:.1f}x | {full_cpu / cpu:.1f}x | {resize_cpu / cpu:.1f}x"
        print(f"| {page} | {who} | {wall:.1f} | {cpu:.1f} | {ratios} |")


if __name__ == "__main__":
    main()
