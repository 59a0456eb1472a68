"""Makes one document: content, layout, painting, dense character positions."""
from __future__ import annotations

import random
from dataclasses import dataclass

import cv2
import numpy as np

from . import invoice, plain, receipt, statement
from .charset import SLOTS
from .fonts import Family
from .layout import TILE, arrange
from .page import Page
from . import paint_pil

try:
    from . import paint_skia
except Exception:  # noqa: BLE001 - without Skia everything is painted by Pillow
    paint_skia = None  # type: ignore[assignment]

cv2.setNumThreads(0)
BUILD = {"receipt": receipt.build, "invoice": invoice.build, "bank_statement": statement.build, "text": plain.build}
#: range of glyph squeeze that page shapes give in each tile grid (columns, rows)
SQUEEZE = {(1, 1): (0.76, 1.28), (1, 2): (0.68, 1.15), (2, 1): (0.85, 1.3), (1, 3): (0.8, 1.15), (2, 2): (0.76, 1.28), (1, 4): (0.75, 1.1), (3, 1): (0.85, 1.2)}


@dataclass(slots=True)
class Document:
    """A rendered page (dark ink on white) with its truth. ``x, y, c``: character centres in final pixels and classes."""

    image: np.ndarray
    x: np.ndarray
    y: np.ndarray
    c: np.ndarray
    lines: list[str]
    fields: dict[str, str] | None
    kind: str
    font: str
    size: float


def plain_marks(text: str) -> str:
    """Truth writes every dash as '-' and every apostrophe as \"'\": at this size they look the same."""
    return text.replace("–", "-").replace("—", "-").replace("’", "'").replace("‘", "'")


def row_count(rng: random.Random, level: float, most: int) -> int:
    """Number of items: mostly few, now and then up to 14."""
    k = rng.random()
    n = rng.randint(1, 3) if k < 0.30 else rng.randint(2, 5) if k < 0.62 else rng.randint(4, 8) if k < 0.86 else rng.randint(7, 14)
    return max(1, min(round(n * (0.3 + 0.7 * level)), most))


def make_document(rng: random.Random, families: list[Family], level: float = 1.0, grid: tuple[int, int] = (1, 1), kind: str | None = None, long: bool = False) -> Document:
    """A new random document for a tile grid (columns, rows). ``long`` asks for many rows and small type."""
    columns, rows = grid
    width, height = TILE * columns, TILE * rows
    while True:
        family = rng.choice(families)
        k = kind or ("text" if rng.random() < 0.5 - 0.38 * level else rng.choice(("receipt", "invoice", "bank_statement")))
        lv = level * rng.uniform(0.6, 1.0) if rng.random() < 0.6 else level
        low, high = SQUEEZE[grid]
        squeeze = rng.uniform(low, high) if rng.random() < 0.5 else rng.uniform(low, min(1.0, high)) if rng.random() < 0.75 else rng.uniform(0.95, 1.05)
        top = (19.0 if long else 22.0) + (1 - level) * 12
        if columns * rows == 1:
            size = rng.uniform(13.6, 17.5) if rng.random() < 0.45 else rng.uniform(13.6, top)
        else:
            size = rng.uniform(14.0, 24.0) if rng.random() < 0.65 or long else rng.uniform(18.0, 34.0)
        mx, my = rng.uniform(8, 36) * columns ** 0.7, rng.uniform(6, 30) * rows ** 0.5
        average = 0.6 if "Mono" in family.name or abs(family.regular.em[0] - family.regular.digit) < 0.01 else max(0.5, family.regular.digit * 0.97)
        limit = int((width - 2 * mx) / (size * squeeze * average))
        capacity = int((height - 2 * my) / (size * 1.16))
        if limit < 16:
            continue
        limit = min(limit, 60)
        page = Page(rng, lv, family, capacity, limit)
        if k == "text":
            n = rng.randint(1, max(2, int(2 + lv * (capacity - 3))))
        else:
            n = row_count(rng, lv, max(1, capacity - {"receipt": 8, "invoice": 11, "bank_statement": 7}[k]))
            if long:
                n = max(n, min(rng.randint(6, 14), max(1, capacity - {"receipt": 9, "invoice": 12, "bank_statement": 8}[k])))
        BUILD[k](page, n)
        if page.used() > capacity * 1.22 or page.used() < 0.5:
            continue
        sheet = arrange(page, size, squeeze, width, height, (mx, my))
        if sheet is None or not sheet.runs:
            continue
        scale = rng.uniform(1.0, 1.45) if rng.random() < 0.75 else 1.0
        sy, sx = (scale, scale / sheet.squeeze) if sheet.squeeze < 1 else (scale * sheet.squeeze, scale)
        sx, sy = int(width * sx) / width, int(height * sy) / height
        painter = paint_skia if paint_skia is not None and rng.random() < 0.65 else paint_pil
        image, (x, y, c) = painter.paint(rng, sheet, sx, sy, rng.choice((0, 0, 0, 15, 30, 50, 75)))
        if image.shape != (height, width):
            image = cv2.resize(image, (width, height), interpolation=rng.choice((cv2.INTER_AREA, cv2.INTER_AREA, cv2.INTER_CUBIC, cv2.INTER_LINEAR)))
        fields = None if k == "text" else {name: plain_marks(value) for name, value in page.fields(k).items()}
        return Document(image, x, y, c, [plain_marks(line) for line in sheet.lines], fields, k, family.name, sheet.size)


def homography(rng: random.Random, width: int, height: int, strength: float = 1.0) -> np.ndarray:
    """3 x 3 matrix: page pixel to augmented pixel (small rotation, scale, shift, shear, perspective)."""
    if rng.random() < 0.4:
        return np.eye(3, dtype=np.float32)
    angle = np.deg2rad(rng.uniform(-2, 2) * strength)
    s = rng.uniform(0.95, 1.01) if rng.random() < 0.8 else rng.uniform(0.89, 0.95)
    tx, ty = rng.uniform(-0.02, 0.02) * width * strength, rng.uniform(-0.02, 0.02) * height * strength
    shear = rng.uniform(-0.02, 0.02) * strength
    p1, p2 = rng.uniform(-4e-2, 4e-2) * strength / width, rng.uniform(-4e-2, 4e-2) * strength / height
    cos, sin = np.cos(angle) * s, np.sin(angle) * s
    shift = np.array([[1, 0, -width / 2], [0, 1, -height / 2], [0, 0, 1]], np.float64)
    core = np.array([[cos, -sin + shear, tx], [sin, cos, ty], [p1, p2, 1]], np.float64)
    return (np.linalg.inv(shift) @ core @ shift).astype(np.float32)


def dense_target(doc: Document, matrix: np.ndarray, grid: tuple[int, int]) -> np.ndarray:
    """uint8 [tiles, 1024 * SLOTS]: the first characters of each patch in reading order; 255 (ignore) for the thumbnail."""
    columns, rows = grid
    p = matrix @ np.stack([doc.x, doc.y, np.ones_like(doc.x)])
    gx, gy = np.floor(p[0] / p[2] / 14).astype(np.int64), np.floor(p[1] / p[2] / 14).astype(np.int64)
    ok = (gx >= 0) & (gx < 32 * columns) & (gy >= 0) & (gy < 32 * rows)
    gx, gy, c = gx[ok], gy[ok], doc.c[ok]
    tile = (gy // 32) * columns + gx // 32
    key = tile * 1024 + (gy % 32) * 32 + gx % 32
    index = np.arange(len(key))
    new = np.ones(len(key), bool)
    new[1:] = key[1:] != key[:-1]
    rank = index - np.maximum.accumulate(np.where(new, index, 0)) if len(key) else index
    n = columns * rows
    out = np.zeros((n + (n > 1), 1024 * SLOTS), np.uint8)
    k = rank < SLOTS
    out.reshape(-1)[key[k] * SLOTS + rank[k]] = c[k]
    if n > 1:
        out[n] = 255
    return out
