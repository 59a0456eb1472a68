#!/usr/bin/env python3
"""Makes the golden files that the tests of `src/preprocess` compare with.

    python3 -m venv venv && venv/bin/pip install pillow==11.3.0 numpy==2.4.6
    venv/bin/python tests/data/preprocess/make_goldens.py

Writes, beside this script, with the Pillow version in the name and the first line of each:

* resize-pillow-VERSION.tsv  one bicubic resize a line: SHA-256 of the bytes, and the first 16 bytes
* tiles-pillow-VERSION.tsv   one page a line: grid, tiles, SHA-256 of the normalised f32 of both forms
* grids.tsv                  SHA-256 of the grids chosen for many sizes (no Pillow in it)
* decode/                    small files of many kinds, and decode.tsv: what Pillow reads from them

Source images are not stored: both sides compute them (`source` here, `source` in tests/preprocess_parity.rs).
Run it with Pillow 11.3.0 and 13.0.0; only with the former does it write grids.tsv and decode/.
"""

import hashlib
import io
import random
import struct
import zlib
from pathlib import Path

import numpy as np
import PIL
from PIL import Image

HERE = Path(__file__).resolve().parent
MAIN_VERSION = "11.3.0"
TILE = 448
MEAN = np.array([0.485, 0.456, 0.406], np.float32)
STD = np.array([0.229, 0.224, 0.225], np.float32)


# --- source images -------------------------------------------------------------------------------


def mixed(numbers):
    """A hash of 32-bit numbers, the same in Rust."""
    with np.errstate(over="ignore"):
        value = numbers.astype(np.uint32) * np.uint32(2654435761)
        value ^= value >> np.uint32(15)
        value *= np.uint32(2246822519)
        value ^= value >> np.uint32(13)
    return value


def source(kind, seed, width, height):
    """An RGB image as an array [height, width, 3]."""
    y, x, c = np.meshgrid(
        np.arange(height, dtype=np.uint32), np.arange(width, dtype=np.uint32),
        np.arange(3, dtype=np.uint32), indexing="ij",
    )
    if kind == "noise":
        values = mixed((y * np.uint32(width) + x) * np.uint32(3) + c + np.uint32(seed)) >> np.uint32(24)
    elif kind == "gradient":
        values = (x * np.uint32(255) // np.uint32(width)
                  + (c + np.uint32(1)) * y * np.uint32(255) // np.uint32(height) + np.uint32(seed)) & np.uint32(255)
    elif kind == "text":
        cell = mixed((y // np.uint32(3)) * np.uint32(65536) + x // np.uint32(2) + np.uint32(seed))
        is_ink = (cell % np.uint32(3) == 0) & ((y // np.uint32(12)) % np.uint32(2) == 0)
        values = np.where(is_ink, np.uint32(16) + c * np.uint32(9), np.uint32(250) - c)
    else:
        raise ValueError(kind)
    return values.astype(np.uint8)


# --- resize --------------------------------------------------------------------------------------


def resize_cases():
    chosen = [
        ((640, 480), (896, 448)), ((1654, 2339), (896, 1344)), ((1654, 2339), (448, 448)),
        ((448, 448), (448, 448)), ((448, 600), (448, 448)), ((600, 448), (448, 448)),
        ((448, 300), (448, 448)), ((300, 448), (448, 448)), ((1, 1), (448, 448)), ((1, 500), (448, 896)),
        ((500, 1), (896, 448)), ((1, 1), (1, 1)), ((448, 448), (1, 1)), ((2, 3), (7, 5)), ((33, 17), (16, 48)),
        ((5, 5), (6, 6)), ((17, 400), (448, 100)), ((400, 17), (100, 448)), ((1000, 747), (1792, 1344)),
        ((1920, 1080), (1792, 896)), ((31, 1200), (16, 40)), ((1200, 31), (40, 16)), ((4032, 30), (64, 20)),
        ((30, 4032), (20, 64)), ((47, 1), (1, 47)), ((449, 447), (448, 448)), ((96, 96), (95, 97)),
    ]
    rng = random.Random(20261122)
    sizes = list(chosen)
    while len(sizes) < 260:
        wide = rng.choice((8, 40, 120, 400))
        one = (rng.randint(1, wide), rng.randint(1, wide))
        two = (rng.randint(1, 300), rng.randint(1, 300))
        if rng.random() < 0.1:
            two = (one[0], two[1])
        if rng.random() < 0.1:
            two = (two[0], one[1])
        sizes.append((one, two))
    for index, (one, two) in enumerate(sizes):
        yield ("noise", "text", "gradient")[index % 3], index * 7919, one, two


def write_resizes(version):
    lines = ["kind\tseed\twidth\theight\tto_width\tto_height\tsha256\tfirst_bytes"]
    for kind, seed, (width, height), (to_width, to_height) in resize_cases():
        image = Image.fromarray(source(kind, seed, width, height))
        out = image.resize((to_width, to_height), Image.Resampling.BICUBIC).tobytes()
        sha = hashlib.sha256(out).hexdigest()
        lines.append(f"{kind}\t{seed}\t{width}\t{height}\t{to_width}\t{to_height}\t{sha}\t{out[:16].hex()}")
    write(f"resize-pillow-{version}.tsv", version, lines)


# --- tiles ---------------------------------------------------------------------------------------


def candidates(low, high):
    found = [(w, h) for w in range(1, high + 1) for h in range(1, high + 1) if low <= w * h <= high]
    return sorted(found, key=lambda grid: grid[0] * grid[1])


def closest_grid(width, height, grids, tile=TILE):
    aspect, area = width / height, width * height
    best_difference, best = float("inf"), (1, 1)
    for columns, rows in grids:
        difference = abs(aspect - columns / rows)
        if difference < best_difference:
            best_difference, best = difference, (columns, rows)
        elif difference == best_difference and area > 0.5 * tile * tile * columns * rows:
            best = (columns, rows)
    return best


def page_tiles(image, columns, rows, side):
    resized = image.resize((side * columns, side * rows), Image.Resampling.BICUBIC)
    tiles = [
        resized.crop((side * c, side * r, side * (c + 1), side * (r + 1)))
        for r in range(rows) for c in range(columns)
    ]
    if len(tiles) > 1:
        tiles.append(image.resize((side, side), Image.Resampling.BICUBIC))
    return np.stack([np.asarray(tile) for tile in tiles])


def two_step(samples):
    return (samples.astype(np.float32) / np.float32(255) - MEAN) / STD


def fused(samples):
    return (samples.astype(np.float32) - MEAN * np.float32(255)) / (STD * np.float32(255))


def sha_nchw(values):
    assert values.dtype == np.float32
    return hashlib.sha256(np.ascontiguousarray(values.transpose(0, 3, 1, 2)).astype("<f4").tobytes()).hexdigest()


def write_tiles(version):
    cases = [
        (448, 448, 12, 448), (640, 480, 12, 448), (1920, 1080, 6, 448), (1654, 2339, 12, 448),
        (300, 1200, 12, 448), (1, 1, 12, 448), (37, 911, 12, 448), (1024, 1024, 12, 448), (50, 2000, 6, 448),
        (640, 480, 12, 28), (333, 222, 6, 50), (100, 700, 12, 17), (2000, 40, 6, 33), (120, 90, 40, 14),
    ]
    lines = ["kind\tseed\twidth\theight\tmax_tiles\ttile_size\tcolumns\trows\ttiles\tsha256_two_step\tsha256_fused"]
    for index, (width, height, most, side) in enumerate(cases):
        kind = ("noise", "text", "gradient")[index % 3]
        columns, rows = closest_grid(width, height, candidates(1, most), side)
        tiles = page_tiles(Image.fromarray(source(kind, index, width, height)), columns, rows, side)
        lines.append("\t".join(map(str, (
            kind, index, width, height, most, side, columns, rows, len(tiles),
            sha_nchw(two_step(tiles)), sha_nchw(fused(tiles)),
        ))))
    write(f"tiles-pillow-{version}.tsv", version, lines)


def write_grids():
    lines = ["min_tiles\tmax_tiles\tsizes\tsha256"]
    ranges = [(1, m) for m in (1, 4, 6, 12, 14, 18, 20, 24, 40)] + [(2, 2), (2, 6), (4, 12), (6, 6)]
    numbers = mixed(np.arange(4000, dtype=np.uint32))
    hashed = [(int(a) % 32768 + 1, int(b) % 32768 + 1) for a, b in zip(numbers[::2], numbers[1::2])]
    regular = [(w, h) for w in range(100, 4000, 37) for h in range(100, 4000, 41)]
    for low, high in ranges:
        grids = candidates(low, high)
        sizes = regular + hashed
        chosen = bytes(part for w, h in sizes for part in closest_grid(w, h, grids))
        lines.append(f"{low}\t{high}\t{len(sizes)}\t{hashlib.sha256(chosen).hexdigest()}")
    (HERE / "grids.tsv").write_text("\n".join(lines) + "\n")


# --- decode --------------------------------------------------------------------------------------


def png16(samples, color_type):
    """A 16-bit PNG, which Pillow does not write for colours."""
    height, width = samples.shape[:2]
    rows = b"".join(b"\0" + samples[y].astype(">u2").tobytes() for y in range(height))

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 16, color_type, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def decode_files():
    """(name, bytes, largest difference of a sample that is allowed)"""
    width, height = 37, 29
    rgb = Image.fromarray(source("gradient", 5, width, height))
    noise = Image.fromarray(source("noise", 6, width, height))
    alpha = Image.fromarray(source("noise", 7, width, height)[:, :, 0])
    rgba = Image.merge("RGBA", (*noise.split(), alpha))
    palette = noise.quantize(16)

    def saved(image, kind, **options):
        out = io.BytesIO()
        image.save(out, kind, **options)
        return out.getvalue()

    yield "rgb.png", saved(noise, "PNG"), 0
    yield "rgba.png", saved(rgba, "PNG"), 0
    yield "grey.png", saved(noise.convert("L"), "PNG"), 0
    yield "grey-alpha.png", saved(rgba.convert("LA"), "PNG"), 0
    yield "bilevel.png", saved(noise.convert("1"), "PNG"), 0
    yield "palette.png", saved(palette, "PNG"), 0
    yield "palette-2-bits.png", saved(noise.quantize(4), "PNG", bits=2), 0
    yield "palette-transparent.png", saved(palette, "PNG", transparency=3), 0
    wide = source("noise", 8, width, height).astype(np.uint16) * np.uint16(251) + np.uint16(77)
    yield "rgb-16-bits.png", png16(wide, 2), 0
    yield "rgba-16-bits.png", png16(np.dstack([wide, wide[:, :, :1]]), 6), 0
    yield "rgb-lossless.webp", saved(noise, "WEBP", lossless=True), 0
    yield "rgba-lossless.webp", saved(rgba, "WEBP", lossless=True, exact=True), 0
    yield "rgb-lossy.webp", saved(rgb, "WEBP", quality=90), 8
    yield "rgb-444.jpg", saved(rgb, "JPEG", quality=90, subsampling=0), 4
    yield "rgb-420.jpg", saved(rgb, "JPEG", quality=90, subsampling=2), 8
    yield "rgb-progressive.jpg", saved(rgb, "JPEG", quality=90, progressive=True), 8
    yield "grey.jpg", saved(rgb.convert("L"), "JPEG", quality=90), 2
    yield "cmyk.jpg", saved(rgb.convert("CMYK"), "JPEG", quality=95), 6
    yield "rgb.tif", saved(noise, "TIFF"), 0
    yield "rgb-lzw.tif", saved(noise, "TIFF", compression="tiff_lzw"), 0
    yield "rgb-deflate.tif", saved(noise, "TIFF", compression="tiff_adobe_deflate"), 0
    yield "rgba.tif", saved(rgba, "TIFF"), 0
    yield "grey.tif", saved(noise.convert("L"), "TIFF"), 0
    yield "bilevel.tif", saved(noise.convert("1"), "TIFF"), 0
    yield "fax-group-4.tif", saved(noise.convert("1"), "TIFF", compression="group4"), 0
    yield "cmyk.tif", saved(rgb.convert("CMYK"), "TIFF"), 1
    more = [rgb.resize((20, 11)), rgb.convert("L")]
    yield "three-pages.tif", saved(noise, "TIFF", save_all=True, append_images=more, compression="tiff_lzw"), 0
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        yield f"orientation-{orientation}.jpg", saved(rgb, "JPEG", quality=95, subsampling=0, exif=exif), 4


def write_decode(version):
    folder = HERE / "decode"
    folder.mkdir(exist_ok=True)
    lines = ["file\ttolerance\tpage\twidth\theight\tsha256"]
    for name, data, tolerance in decode_files():
        (folder / name).write_bytes(data)
        image = Image.open(io.BytesIO(data))
        for page in range(getattr(image, "n_frames", 1)):
            image.seek(page)
            rgb = image.convert("RGB")
            raw = rgb.tobytes()
            if tolerance > 0:
                (folder / f"{name}.rgb").write_bytes(raw)
            sha = hashlib.sha256(raw).hexdigest()
            lines.append(f"{name}\t{tolerance}\t{page + 1}\t{rgb.width}\t{rgb.height}\t{sha}")
    write("decode.tsv", version, lines)


def write(name, version, lines):
    first = f"# Pillow {version}, numpy {np.__version__}"
    (HERE / name).write_text("\n".join([first, *lines]) + "\n")


def main():
    version = PIL.__version__
    write_resizes(version)
    write_tiles(version)
    if version == MAIN_VERSION:
        write_grids()
        write_decode(version)


if __name__ == "__main__":
    main()
