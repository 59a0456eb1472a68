"""Writes the sample documents that ship beside the checkpoint.

    python make_samples.py CHECKPOINT

Documents come from the generator with unseen seeds, the held-out words and the held-out fonts. ``receipt-01`` is the
first generated receipt that the checkpoint reads exactly; the others are not selected by how well they are read.
"""
from __future__ import annotations

import json
import random
import sys
from pathlib import Path

import numpy as np
from PIL import Image
from tokenizers import Tokenizer

import evaluate
from model import Net, load, make_config, make_heads, make_model
from tessera_synth import fonts, words
from tessera_synth.generate import Document, make_document
from tessera_synth.prompts import EXTRACT, Chat, typed_prompt

HERE = Path(__file__).resolve().parent
PLAN = [("receipt", (1, 1)), ("receipt", (1, 1)), ("receipt", (1, 1)), ("receipt", (1, 2)), ("invoice", (1, 1)), ("invoice", (1, 1)), ("invoice", (1, 1)), ("invoice", (1, 2)),
        ("bank_statement", (1, 1)), ("bank_statement", (1, 1)), ("bank_statement", (1, 1)), ("bank_statement", (1, 2))]


def write(doc: Document, path: Path) -> None:
    """PNG with 16 grey levels and its truth."""
    grey = (np.round(doc.image / 17.0) * 17).astype(np.uint8)
    Image.fromarray(grey).save(path.with_suffix(".png"), optimize=True)
    path.with_suffix(".json").write_text(json.dumps({"document_type": doc.kind, "fields": doc.fields}, indent=2, ensure_ascii=False) + "\n")


def main() -> None:
    checkpoint = Path(sys.argv[1])
    out = checkpoint / "samples"
    out.mkdir(exist_ok=True)
    tokenizer = Tokenizer.from_file(str(HERE / "tokenizer" / "tokenizer.json"))
    chat = Chat(tokenizer)
    model, heads = make_model(make_config(chat, tokenizer.get_vocab_size()), "cpu"), make_heads("cpu")
    load(model, heads, str(checkpoint), "cpu")
    net = Net(model, heads, "cpu")

    def exact(path: Path) -> bool:
        sample = evaluate.Sample(path.stem, evaluate.tile_image(Image.open(path.with_suffix(".png"))), "receipt", json.loads(path.with_suffix(".json").read_text())["fields"])
        return all(evaluate.parse(evaluate.answers(net, chat, [sample], prompt, 700)[0]) == sample.fields for prompt in (lambda s: typed_prompt(s.kind), lambda s: EXTRACT))

    rng = random.Random(770077)
    families = fonts.load("heldout")
    with words.heldout():
        for i, (kind, grid) in enumerate(PLAN):
            path = out / f"{kind.replace('_', '-')}-{i % 4 + 1:02d}"
            while True:
                doc = make_document(rng, families, 1.0, grid, kind, long=grid != (1, 1))
                filled = sum(v != "NOT_FOUND" for v in (doc.fields or {}).values())
                if filled < (10 if kind != "bank_statement" else 7):      # show most fields
                    continue
                write(doc, path)
                if i or exact(path):
                    break
    print(evaluate.run(net, chat, "samples", evaluate.from_folder(out), ("typed", "open"))["typed"]["all_fields"])


if __name__ == "__main__":
    main()
