"""Turns a page's rows into positioned text runs, lines and filled areas."""
from __future__ import annotations

import random
from dataclasses import dataclass

from .fonts import Face
from .page import Page, Row

TILE = 448
MIN_SIZE = 13.2        #: smallest font size, final pixels
MIN_DIGIT = 5.7        #: smallest digit width, final pixels


@dataclass(slots=True)
class Run:
    """One text segment: anchor point on the baseline in final pixels, alignment, font size (height) and face."""

    text: str
    x: float
    y: float
    align: str
    size: float
    face: Face
    inverse: bool


@dataclass(slots=True)
class Shape:
    """A decoration. ``kind``: fill, line, dash, frame, ellipse, bars, solid; coordinates in final pixels."""

    kind: str
    x0: float
    y0: float
    x1: float
    y1: float
    weight: float = 1.0
    tone: int = 0


@dataclass(slots=True)
class Sheet:
    """Everything a painter needs. ``squeeze`` is the horizontal scale of glyphs relative to the vertical one."""

    width: int
    height: int
    squeeze: float
    runs: list[Run]
    shapes: list[Shape]
    lines: list[str]
    size: float


def _largest_size(page: Page, width: float) -> float:
    """Largest size x squeeze (px per em) at which no row overflows or collides."""
    best = 1e9
    for row in page.rows:
        last_anchor = last_extent = 0.0
        for i, s in enumerate(row.segs):
            w = page.family.face(s.bold).width(s.text) * s.scale
            before = 0.0 if s.align == "l" else w if s.align == "r" else w / 2
            need = last_extent + before + (0.55 if i else 0.0)
            if need > 0:
                best = min(best, max((s.anchor - last_anchor) * width, 1e-3) / need) if (i or before) else best
            last_anchor, last_extent = s.anchor, w - before
        if last_extent > 0:
            best = min(best, max((1 - last_anchor) * width, 1e-3) / last_extent)
    return best


def arrange(page: Page, size: float, squeeze: float, width: int, height: int, margin: tuple[float, float]) -> Sheet | None:
    """Places the rows; None when the page would be too small to read."""
    rng: random.Random = page.rng
    mx, my = margin
    total = sum(row.height for row in page.rows) + 0.35
    lead_min = 1.10
    size = min(size, (height - 2 * my) / total / lead_min)
    fit = _largest_size(page, width - 2 * mx)
    if size * squeeze > fit:
        if fit / size >= 0.66:
            squeeze = fit / size
        else:
            squeeze = 0.66
            size = fit / squeeze
    if size < MIN_SIZE or size * squeeze * page.family.regular.digit < MIN_DIGIT:
        return None
    room = (height - 2 * my) / total
    pitch = min(room, size * rng.uniform(1.10, 1.5) if rng.random() < 0.72 else size * rng.uniform(1.3, 2.3))
    free = height - 2 * my - pitch * total
    y = my + (rng.random() * free if rng.random() < 0.35 else rng.random() * min(free, 30))
    runs: list[Run] = []
    shapes: list[Shape] = []
    lines: list[str] = []
    tops: list[float] = []
    rule_kind, rule_weight = ("line" if rng.random() < 0.65 else "dash"), rng.uniform(0.6, 2.2)
    light = rng.randint(205, 242)
    for row in page.rows:
        tops.append(y)
        h = pitch * row.height
        if row.kind == "rule":
            shapes.append(Shape(rule_kind, mx, y + h / 2, width - mx, y + h / 2, rule_weight))
        elif row.kind in ("logo", "bars"):
            _ornament(rng, shapes, row, mx, width, y, h)
        elif row.kind == "text" and row.segs:
            biggest = max(s.scale for s in row.segs)
            base = y + h / 2 + size * biggest * 0.34
            if row.shade:
                shapes.append(Shape("solid" if row.shade == 2 else "fill", mx * 0.5, base - size * biggest * 0.98, width - mx * 0.5, base + size * biggest * 0.34, tone=light))
            ordered = sorted(row.segs, key=lambda s: s.anchor)
            for s in ordered:
                runs.append(Run(s.text, mx + s.anchor * (width - 2 * mx), base, s.align, size * s.scale, page.family.face(s.bold), row.shade == 2))
            lines.append(" ".join(s.text for s in ordered))
        y += h
    tops.append(y)
    for start, end in page.boxes:
        if end >= len(tops) or end <= start:
            continue
        shapes.append(Shape("frame", mx * 0.6, tops[start], width - mx * 0.6, tops[end], rule_weight))
        for x in page.rows[start].grid:
            shapes.append(Shape("line", mx + x * (width - 2 * mx), tops[start], mx + x * (width - 2 * mx), tops[end], rule_weight))
    return Sheet(width, height, squeeze, runs, shapes, lines, size)


def _ornament(rng: random.Random, shapes: list[Shape], row: Row, mx: float, width: int, y: float, h: float) -> None:
    """A logo shape or a bar code in the row's band."""
    anchor = row.segs[0].anchor
    w = h * rng.uniform(0.9, 2.5) if row.kind == "logo" else (width - 2 * mx) * rng.uniform(0.4, 0.8)
    x = mx + anchor * (width - 2 * mx - w)
    if row.kind == "bars":
        while x < width - mx and w > 0:
            step = rng.choice((1.5, 2, 3, 4))
            shapes.append(Shape("solid", x, y + h * 0.1, x + step, y + h * 0.9))
            x, w = x + step + rng.choice((1.5, 2, 3)), w - step - 2
    else:
        for _ in range(rng.choice((1, 1, 2))):
            kind = rng.choice(("ellipse", "fill", "frame", "solid"))
            shapes.append(Shape(kind, x, y + h * 0.1, x + w, y + h * 0.9, rng.uniform(1, 3), rng.randint(60, 210)))
            x, w = x + w * 0.25, w * 0.5
