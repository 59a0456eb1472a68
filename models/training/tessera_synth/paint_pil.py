"""First rasteriser: Pillow (FreeType with hinting, whole-pixel advances)."""
from __future__ import annotations

import random

import numpy as np
from PIL import Image, ImageDraw

from .charset import CLASS_OF, INDEX_OF, PRINTABLE, codes
from .layout import Sheet

_advances: dict[tuple[str, int], np.ndarray] = {}


def paint(rng: random.Random, sheet: Sheet, sx: float, sy: float, ink: int) -> tuple[np.ndarray, list[np.ndarray]]:
    """Draws at scale (sx, sy); returns the grey image and, per character, x, y (final pixels) and class."""
    image = Image.new("L", (int(sheet.width * sx), int(sheet.height * sy)), 255)
    draw = ImageDraw.Draw(image)
    for s in sheet.shapes:
        box = (s.x0 * sx, s.y0 * sy, s.x1 * sx, s.y1 * sy)
        weight = max(1, int(s.weight * sy))
        if s.kind in ("fill", "solid"):
            draw.rectangle(box, fill=s.tone if s.kind == "fill" else ink)
        elif s.kind == "line":
            draw.line(box, fill=ink, width=weight)
        elif s.kind == "dash":
            x, step = box[0], (4 + 3 * s.weight) * sx
            while x < box[2]:
                draw.line((x, box[1], x + step * 0.5, box[1]), fill=ink, width=weight)
                x += step
        elif s.kind == "frame":
            draw.rectangle(box, outline=ink, width=weight)
        elif s.kind == "ellipse":
            draw.ellipse(box, fill=s.tone)
    xs, ys, cs = [], [], []
    for run in sheet.runs:
        size = max(8, round(run.size * sy))
        font = run.face.at(size)
        key = (run.face.path, size)
        table = _advances.get(key)
        if table is None:
            table = _advances[key] = np.array([font.getlength(c) for c in PRINTABLE], np.float32)
        cp = codes(run.text)
        adv = table[INDEX_OF[cp]]
        width = float(adv.sum())
        x = run.x * sx - (0 if run.align == "l" else width if run.align == "r" else width / 2)
        draw.text((x, run.y * sy), run.text, font=font, fill=255 if run.inverse else ink, anchor="ls")
        keep = CLASS_OF[cp] > 0
        xs.append(((x + np.cumsum(adv) - adv * 0.5) / sx)[keep])
        ys.append(np.full(int(keep.sum()), run.y - run.size * 0.34, np.float32))
        cs.append(CLASS_OF[cp][keep])
    return np.asarray(image), [np.concatenate(xs), np.concatenate(ys), np.concatenate(cs)]
