"""Field-by-field evaluation of a checkpoint.

    python evaluate.py CHECKPOINT --set heldout|photo|browser|samples [--n 500] [--prompt typed|open] [--out results.json]

Sets: ``heldout`` generated documents with unseen seeds, the held-out tenth of the word lists and two unseen fonts, as
rendered; ``photo`` the same documents with the training augmentation (skew, blur, noise, JPEG); ``browser`` the
Chromium-rendered documents of ``holdout/data``; ``samples`` the documents that ship beside the checkpoint.
A field counts as right only if its text is exactly the truth.
"""
from __future__ import annotations

import argparse
import collections
import json
import os
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from tokenizers import Tokenizer

import augment
import make_set
from model import Net, load, make_config, make_heads, make_model
from tessera_synth.page import ABSENT, LIST_FIELDS
from tessera_synth.prompts import EXTRACT, TRANSCRIBE, Chat, typed_prompt

HERE = Path(__file__).resolve().parent


@dataclass
class Sample:
    """Tiles (uint8 [n, 3, 448, 448]) with the truth."""

    name: str
    tiles: torch.Tensor
    kind: str
    fields: dict[str, str]
    lines: list[str] | None = None


def choose_grid(width: int, height: int, most: int = 4) -> tuple[int, int]:
    """InternVL's tile grid (columns, rows) for an image."""
    ratios = sorted({(i, j) for n in range(1, most + 1) for i in range(1, n + 1) for j in range(1, n + 1) if i * j <= most}, key=lambda x: x[0] * x[1])
    aspect, best, closest = width / height, (1, 1), float("inf")
    for i, j in ratios:
        difference = abs(aspect - i / j)
        if difference < closest:
            closest, best = difference, (i, j)
        elif difference == closest and width * height > 0.5 * 448 * 448 * i * j:
            best = (i, j)
    return best


def tile_image(image: Image.Image) -> torch.Tensor:
    """Image -> uint8 tiles with thumbnail, as InternVL's processor does it."""
    image = image.convert("RGB")
    columns, rows = choose_grid(*image.size)
    big = image.resize((448 * columns, 448 * rows), Image.BICUBIC)
    crops = [big.crop((c * 448, r * 448, c * 448 + 448, r * 448 + 448)) for r in range(rows) for c in range(columns)]
    if len(crops) > 1:
        crops.append(image.resize((448, 448), Image.BICUBIC))
    return torch.stack([torch.from_numpy(np.asarray(c).copy()).permute(2, 0, 1) for c in crops])


def generated(n: int, photo: bool, seed: int = make_set.SEED) -> list[Sample]:
    """The generated held-out set; read from $TESSERA_SETS where ``evaluate.py --prepare`` has put it."""
    stored = Path(os.environ.get("TESSERA_SETS", "/nonexistent")) / ("photo.pt" if photo else "heldout.pt")
    if stored.exists():
        return [Sample(*parts) for parts in torch.load(stored)[:n]]
    generator = torch.Generator().manual_seed(seed)
    samples = []
    for i, (doc, grid, matrix) in enumerate(make_set.documents(n, seed)):
        page = torch.from_numpy(doc.image.copy())[None]
        x = augment.augment(page, torch.from_numpy(matrix)[None], generator=generator, clean=0.0) if photo else augment.colour(page)
        samples.append(Sample(f"{doc.kind}-{i}", augment.to_tiles(x, grid).round().clamp(0, 255).to(torch.uint8), doc.kind, dict(doc.fields or {}), doc.lines))
    return samples


def from_folder(folder: Path) -> list[Sample]:
    """PNG files with JSON truth beside them."""
    samples = []
    for path in sorted(folder.glob("*.json")):
        truth = json.loads(path.read_text())
        samples.append(Sample(path.stem, tile_image(Image.open(path.with_suffix(".png"))), truth["document_type"], truth["fields"]))
    return samples


def distance(a: str, b: str) -> int:
    """Levenshtein distance."""
    row = list(range(len(b) + 1))
    for i, c in enumerate(a, 1):
        nxt = [i]
        for j, e in enumerate(b, 1):
            nxt.append(min(row[j] + 1, nxt[-1] + 1, row[j - 1] + (c != e)))
        row = nxt
    return row[-1]


def answers(net: Net, chat: Chat, samples: list[Sample], prompt_of, max_new: int, batch: int = 160) -> list[str]:
    """Greedy answers, batched over samples with equal tile count and prompt length."""
    groups: dict[tuple[int, int], list[int]] = collections.defaultdict(list)
    prompts = [chat.prompt(prompt_of(s), len(s.tiles)) for s in samples]
    for i, s in enumerate(samples):
        groups[(len(s.tiles), len(prompts[i]))].append(i)
    out = [""] * len(samples)
    for (tiles, _), members in groups.items():
        for at in range(0, len(members), batch):
            part = members[at:at + batch]
            x = torch.cat([samples[i].tiles for i in part]).to(net.device).float()
            if net.device == "cpu":
                print(f"   {time.strftime('%H:%M:%S')} {len(part)} documents of {tiles} tiles", flush=True)
            for i, ids in zip(part, net.generate(augment.normalize(x).to(net.dtype), [prompts[i] for i in part], tiles, max_new, chat.end)):
                out[i] = chat.decode(ids)
    return out


def parse(text: str) -> dict[str, str] | None:
    """The answer as an object, None where it is not valid JSON."""
    try:
        value = json.loads(text)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def score(samples: list[Sample], texts: list[str]) -> dict:
    """Exact match by field, over scalar fields, over list fields; items of lists; the share of valid JSON."""
    hit, total, present_hit, present = (collections.Counter() for _ in range(4))
    items = [0, 0]
    valid = perfect = 0
    by_kind: dict[str, list[int]] = collections.defaultdict(lambda: [0, 0])
    for s, text in zip(samples, texts):
        got = parse(text)
        valid += got is not None
        got = got or {}
        right = 0
        for name, truth in s.fields.items():
            ok = got.get(name) == truth
            right += ok
            total[name] += 1
            hit[name] += ok
            by_kind[s.kind][0] += ok
            by_kind[s.kind][1] += 1
            if truth != ABSENT:
                present[name] += 1
                present_hit[name] += ok
                if name in LIST_FIELDS:
                    want, have = truth.split(" | "), str(got.get(name, "")).split(" | ")
                    items[0] += sum(a == b for a, b in zip(want, have))
                    items[1] += len(want)
        perfect += right == len(s.fields)
    share = lambda names, a, b: sum(a[n] for n in names) / max(1, sum(b[n] for n in names))
    scalars, lists = [n for n in total if n not in LIST_FIELDS], [n for n in total if n in LIST_FIELDS]
    return dict(documents=len(samples), valid_json=valid / len(samples), perfect_documents=perfect / len(samples), all_fields=share(total, hit, total), scalar=share(scalars, hit, total),
                scalar_present=share(scalars, present_hit, present), lists=share(lists, hit, total), lists_present=share(lists, present_hit, present), list_items=items[0] / max(1, items[1]),
                by_kind={k: a / b for k, (a, b) in by_kind.items()},
                fields={n: dict(exact=hit[n] / total[n], n=total[n], exact_where_present=present_hit[n] / max(1, present[n]), present=present[n]) for n in total})


def show(title: str, r: dict) -> None:
    """Prints one result table."""
    print(f"\n== {title}: {r['documents']} documents, valid JSON {r['valid_json']:.3f}, all fields {r['all_fields']:.3f}, scalar {r['scalar']:.3f} (where present {r['scalar_present']:.3f}), "
          f"lists {r['lists']:.3f} (where present {r['lists_present']:.3f}; items {r['list_items']:.3f}), perfect documents {r['perfect_documents']:.3f}", flush=True)
    print("   " + " ".join(f"{k}={v:.3f}" for k, v in r["by_kind"].items()))
    for name, f in r["fields"].items():
        print(f"   {name:30s} {f['exact']:.3f} of {f['n']:4d}   where present {f['exact_where_present']:.3f} of {f['present']:4d}", flush=True)


def mistakes(samples: list[Sample], texts: list[str], limit: int) -> list[tuple[str, str, str, str]]:
    """(document, field, truth, answer) of wrong fields."""
    wrong = []
    for s, text in zip(samples, texts):
        got = parse(text) or {}
        wrong += [(s.name, n, t, str(got.get(n))) for n, t in s.fields.items() if got.get(n) != t]
    return wrong[:limit]


def run(net: Net, chat: Chat, title: str, samples: list[Sample], prompts: tuple[str, ...] = ("typed", "open"), max_new: int = 700, wrong: int = 40, transcribe: int = 0) -> dict:
    """Evaluates one set with the given prompts, prints the tables and some mistakes."""
    result: dict = {}
    for which in prompts:
        started = time.time()
        texts = answers(net, chat, samples, (lambda s: typed_prompt(s.kind)) if which == "typed" else (lambda s: EXTRACT), max_new)
        result[which] = score(samples, texts)
        result[which]["seconds"] = time.time() - started
        show(f"{title}, {which} prompt", result[which])
        result[which]["wrong"] = mistakes(samples, texts, 1500)
        result[which]["prompt"] = which
        if wrong:
            for w in mistakes(samples, texts, wrong):
                print("   WRONG", " || ".join(w), flush=True)
            wrong = 0
    some = [s for s in samples if s.lines][:transcribe]
    if some:
        texts = answers(net, chat, some, lambda s: TRANSCRIBE, max_new)
        truth = ["\n".join(s.lines or []) for s in some]
        result["character_error_rate"] = sum(distance(a, b) for a, b in zip(texts, truth)) / sum(map(len, truth))
        print(f"   transcription of {len(some)}: character error rate {result['character_error_rate']:.4f}", flush=True)
    return result


def main() -> None:
    ap = argparse.ArgumentParser()
    ap.add_argument("checkpoint")
    ap.add_argument("--set", default="browser", choices=["heldout", "photo", "browser", "samples"])
    ap.add_argument("--n", type=int, default=500)
    ap.add_argument("--prepare", action="store_true", help="only store the generated sets in $TESSERA_SETS")
    ap.add_argument("--prompt", nargs="+", default=["typed", "open"])
    ap.add_argument("--wrong", type=int, default=40)
    ap.add_argument("--out", default="")
    ap.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    a = ap.parse_args()
    if a.prepare:
        for photo, n in ((False, a.n), (True, 150)):
            samples = generated(n, photo)
            target = Path(os.environ["TESSERA_SETS"]) / ("photo.pt" if photo else "heldout.pt")
            torch.save([(s.name, s.tiles, s.kind, s.fields, s.lines) for s in samples], target.with_suffix(".tmp"))
            target.with_suffix(".tmp").rename(target)
            print(target, len(samples), flush=True)
        return
    tokenizer = Tokenizer.from_file(str(HERE / "tokenizer" / "tokenizer.json"))
    chat = Chat(tokenizer)
    model = make_model(make_config(chat, tokenizer.get_vocab_size()), a.device)
    heads = make_heads(a.device)
    load(model, heads, a.checkpoint, a.device)
    folder = {"browser": HERE / "holdout" / "data", "samples": Path(a.checkpoint) / "samples"}.get(a.set)
    samples = from_folder(folder)[:a.n] if folder else generated(a.n, a.set == "photo")
    result = run(Net(model, heads, a.device), chat, a.set, samples, tuple(a.prompt), wrong=a.wrong)
    if a.out:
        Path(a.out).write_text(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
