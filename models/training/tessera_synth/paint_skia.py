"""Second rasteriser: Skia (sub-pixel positioned glyphs, optional slant, emboldening and letter spacing)."""
from __future__ import annotations

import random

import numpy as np
import skia

from .charset import CLASS_OF, codes
from .layout import Sheet

_faces: dict[str, skia.Typeface] = {}
_HINTING = (skia.FontHinting.kNone, skia.FontHinting.kSlight, skia.FontHinting.kNormal)


def paint(rng: random.Random, sheet: Sheet, sx: float, sy: float, ink: int) -> tuple[np.ndarray, list[np.ndarray]]:
    """Draws at scale (sx, sy); returns the grey image and, per character, x, y (final pixels) and class."""
    pixels = np.full((int(sheet.height * sy), int(sheet.width * sx), 4), 255, np.uint8)
    canvas = skia.Surface(pixels).getCanvas()
    colour = lambda v: skia.ColorSetRGB(v, v, v)
    for s in sheet.shapes:
        rect = skia.Rect.MakeLTRB(s.x0 * sx, s.y0 * sy, s.x1 * sx, s.y1 * sy)
        paint_ = skia.Paint(AntiAlias=True, Color=colour(s.tone if s.kind in ("fill", "ellipse") else ink), StrokeWidth=max(1.0, s.weight * sy))
        if s.kind in ("fill", "solid"):
            canvas.drawRect(rect, paint_)
        elif s.kind == "ellipse":
            canvas.drawOval(rect, paint_)
        elif s.kind == "frame":
            paint_.setStyle(skia.Paint.kStroke_Style)
            canvas.drawRoundRect(rect, 4 * sx, 4 * sy, paint_)
        else:
            if s.kind == "dash":
                paint_.setPathEffect(skia.DashPathEffect.Make([3 * sx, 3 * sx], 0))
            canvas.drawLine(rect.left(), rect.top(), rect.right(), rect.bottom(), paint_)
    hinting, slant, fat = rng.choice(_HINTING), rng.random() < 0.05, rng.random() < 0.05
    spacing = rng.uniform(0.02, 0.09) if rng.random() < 0.08 else 0.0
    xs, ys, cs = [], [], []
    for run in sheet.runs:
        face = _faces.get(run.face.path)
        if face is None:
            face = _faces[run.face.path] = skia.Typeface.MakeFromFile(run.face.path)
        size = run.size * sy
        font = skia.Font(face, size)
        font.setSubpixel(True)
        font.setLinearMetrics(True)
        font.setHinting(hinting)
        font.setEdging(skia.Font.Edging.kAntiAlias)
        if slant:
            font.setSkewX(-0.22)
        if fat:
            font.setEmbolden(True)
        adv = run.face.advances(run.text) * size
        if spacing and run.align == "l" and len(run.text) < 24:
            adv = adv + spacing * size * 0.5
        width = float(adv.sum())
        x = run.x * sx - (0 if run.align == "l" else width if run.align == "r" else width / 2)
        ends = x + np.cumsum(adv)
        brush = skia.Paint(AntiAlias=True, Color=colour(255 if run.inverse else ink))
        if spacing:
            for c, at in zip(run.text, ends - adv):
                canvas.drawString(c, float(at), run.y * sy, font, brush)
        else:
            canvas.drawString(run.text, x, run.y * sy, font, brush)
        cp = codes(run.text)
        keep = CLASS_OF[cp] > 0
        xs.append(((ends - adv * 0.5) / sx)[keep])
        ys.append(np.full(int(keep.sum()), run.y - run.size * 0.34, np.float32))
        cs.append(CLASS_OF[cp][keep])
    return pixels[..., 0], [np.concatenate(xs), np.concatenate(ys), np.concatenate(cs)]
