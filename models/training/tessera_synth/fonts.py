"""Font families: regular and bold file, advance widths in em."""
from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from PIL import ImageFont

from .charset import INDEX_OF, PRINTABLE, codes

FONT_DIR = Path(os.environ.get("TESSERA_FONTS", Path(__file__).resolve().parent.parent / "fonts"))
_LIST = Path(__file__).resolve().parent.parent / "fonts.txt"


class Face:
    """One font file. ``em`` holds the advance of every printable character at size 1."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)
        self.name = path.stem
        self._sizes: dict[int, ImageFont.FreeTypeFont] = {}
        big = ImageFont.truetype(self.path, 256, layout_engine=ImageFont.Layout.BASIC)
        self.em = np.array([big.getlength(c) for c in PRINTABLE], np.float32) / 256.0
        missing = bytes(big.getmask("\uffff"))
        self.has = {c for c in PRINTABLE if c == " " or bytes(big.getmask(c)) not in (missing, b"")}
        self.digit = float(self.em[INDEX_OF[48]:INDEX_OF[57] + 1].mean())

    def at(self, size: int) -> ImageFont.FreeTypeFont:
        """The Pillow font at a pixel size."""
        font = self._sizes.get(size)
        if font is None:
            font = self._sizes[size] = ImageFont.truetype(self.path, size, layout_engine=ImageFont.Layout.BASIC)
        return font

    def advances(self, text: str) -> np.ndarray:
        """Advance of each character in em."""
        return self.em[INDEX_OF[codes(text)]]

    def width(self, text: str) -> float:
        """Width of the text in em."""
        return float(self.advances(text).sum())


class Family:
    """A regular face and its bold companion (the regular again where there is none)."""

    def __init__(self, files: list[Path]) -> None:
        self.regular = Face(files[0])
        self.bold = Face(files[1]) if len(files) > 1 else self.regular
        self.name = self.regular.name

    def face(self, bold: bool) -> Face:
        """Pick by weight."""
        return self.bold if bold else self.regular


def load(role: str) -> list[Family]:
    """All families of ``fonts.txt`` with this role whose files are in ``FONT_DIR``."""
    families: list[Family] = []
    for line in _LIST.read_text().splitlines():
        parts = line.split("#")[0].split()
        if len(parts) < 4 or parts[0] != role:
            continue
        files = [FONT_DIR / role / name.replace("%20", "") for name in parts[3:]]
        files = [f for f in files if f.exists()]
        if files:
            families.append(Family(files))
    if not families:
        raise FileNotFoundError(f"no {role} fonts in {FONT_DIR}: run prepare_fonts.py")
    return families
