"""Writes generated held-out documents as files, for `tessera eval` and `tessera calibrate`.

    TESSERA_FONTS=FONT_DIR python make_set.py OUT [--n 500] [--seed 20261122]

With the default seed they are the documents that ``evaluate.py --set heldout`` scores: unseen seeds, the held-out tenth
of the word lists, two unseen fonts, clean renderings. Each is a PNG with its truth in a JSON file beside it. Needs no
torch.
"""
from __future__ import annotations

import argparse
import json
import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from tessera_synth import fonts, words
from tessera_synth.generate import Document, homography, make_document

GRIDS = [(1, 1)] * 6 + [(1, 2)] * 2 + [(1, 3), (2, 2)]
SEED = 20261122


def documents(n: int, seed: int = SEED) -> Iterator[tuple[Document, tuple[int, int], np.ndarray]]:
    """Documents in turn of the three kinds, each with its tile grid and the matrix of a photograph of it."""
    rng = random.Random(seed)
    families = fonts.load("heldout")
    with words.heldout():
        for i in range(n):
            grid = GRIDS[i % len(GRIDS)]
            doc = make_document(rng, families, 1.0, grid, ("receipt", "invoice", "bank_statement")[i % 3], long=rng.random() < 0.25)
            yield doc, grid, homography(rng, 448 * grid[0], 448 * grid[1])


def main() -> None:
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("out", type=Path)
    ap.add_argument("--n", type=int, default=500)
    ap.add_argument("--seed", type=int, default=SEED)
    a = ap.parse_args()
    a.out.mkdir(parents=True, exist_ok=True)
    for i, (doc, _, _) in enumerate(documents(a.n, a.seed)):
        path = a.out / f"{doc.kind}-{i:03d}"
        Image.fromarray(doc.image).save(path.with_suffix(".png"))
        truth = {"document_type": doc.kind, "fields": dict(doc.fields or {})}
        path.with_suffix(".json").write_text(json.dumps(truth, indent=2, ensure_ascii=False) + "\n")
    print(f"{a.n} documents in {a.out}")


if __name__ == "__main__":
    main()
