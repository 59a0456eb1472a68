"""Copy and subset the free fonts of Debian packages that training, the held-out set and the browser set use.

    python prepare_fonts.py FONT_DIR

No font is stored in this repository: the packages in ``fonts.txt`` are installed with apt, and this script keeps
the Latin-1 part of the listed files in ``FONT_DIR/train`` and ``FONT_DIR/heldout``. Families of ``fonts.txt`` marked
``browser`` are left alone: only the browser set uses them, through fontconfig.
"""
from __future__ import annotations

import sys
from pathlib import Path

from fontTools import subset

HERE = Path(__file__).resolve().parent
UNICODES = list(range(0x20, 0x7F)) + list(range(0xA0, 0x100)) + [0x2013, 0x2014, 0x2018, 0x2019, 0x2022, 0x20AC]


def find(name: str) -> Path | None:
    """The installed file called ``name``, if there is one."""
    hits = sorted(Path("/usr/share/fonts").rglob(name)) + sorted(Path("/usr/share/texmf/fonts").rglob(name))
    return hits[0] if hits else None


def main() -> None:
    out = Path(sys.argv[1])
    missing: list[str] = []
    for line in (HERE / "fonts.txt").read_text().splitlines():
        line = line.split("#")[0].strip()
        if not line:
            continue
        role, _package, _licence, *files = line.split()
        files = [name.replace("%20", " ") for name in files]
        if role == "browser":
            continue
        for name in files:
            source = find(name)
            if source is None:
                missing.append(name)
                continue
            target = out / role / name.replace(" ", "")
            target.parent.mkdir(parents=True, exist_ok=True)
            options = subset.Options(hinting=True, layout_features=[], name_IDs=[], notdef_outline=True, glyph_names=False)
            options.ignore_missing_unicodes = True
            font = subset.load_font(str(source), options)
            subsetter = subset.Subsetter(options)
            subsetter.populate(unicodes=UNICODES)
            subsetter.subset(font)
            subset.save_font(font, str(target), options)
    print("missing:", missing or "none")


if __name__ == "__main__":
    main()
