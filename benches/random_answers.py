#!/usr/bin/env python3
"""How answers of models with random weights end, held to their schemas: none may reach its limit among blanks or in a loop.

    cargo build --release --locked
    python3 models/training/make_set.py heldout
    python3 benches/random_answers.py target/release/tessera --images heldout [--seeds 20] [--check]

The model is made small, so that there can be many: tessera-tiny's tokenizer, pages and classes of layers, with one layer of the
vision tower and two of the decoder, 64 wide. For each seed a server makes its weights up (`--weights random:SEED`), and
`tessera eval` asks for every page's fields, greedy, with the default limit of tokens. Needs nothing but Python.

What an answer that reached its limit was at is told by its last 80 characters: blanks; a loop, which is one piece three
times or more to the end; or something else. With --check the exit code is 1 where there was a blank or a loop, where a
document ended in any other way, and where one was not asked for.
"""

import argparse
import collections
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

from server import Server

ROOT = pathlib.Path(__file__).resolve().parents[1]
TINY = ROOT / "models" / "tessera-tiny"
# Whole, given up by a guard that says why, or cut in the middle of what may still become whole.
GOOD = {"whole", "REPETITION", "GIBBERISH", "limit elsewhere"}


def small(directory):
    """tessera-tiny's files with a model of another size in config.json."""
    for file in TINY.iterdir():
        if file.suffix in {".json", ".jinja"} and file.name != "calibration.json":
            shutil.copy(file, directory)
    config = json.loads((TINY / "config.json").read_text())
    size = {"hidden_size": 64, "intermediate_size": 128, "num_attention_heads": 1}
    config["vision_config"].update(size, num_hidden_layers=1)
    config["text_config"].update(size, num_hidden_layers=2, num_key_value_heads=1)
    config["text_config"]["layer_types"] = config["text_config"]["layer_types"][:2]
    (directory / "config.json").write_text(json.dumps(config))


def is_loop(text):
    """Whether it is one piece again and again to its end."""
    return any(text[:-period] == text[period:] for period in range(1, len(text) // 3 + 1))


def ending(record):
    if record["status"] != "OK":
        return record["status"].split()[-1]
    if not record.get("cut_after"):
        return "whole" if record["whole"] else "not whole, and not cut"
    if not record["cut_after"].strip():
        return "limit among blanks"
    return "limit in a loop" if is_loop(record["cut_after"]) else "limit elsewhere"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("binary", type=pathlib.Path)
    parser.add_argument("--images", type=pathlib.Path, required=True, help="pages with their truth beside them")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--slots", type=int, default=32)
    parser.add_argument("--answer-style", default="json", choices=["json", "key_value"])
    parser.add_argument("--check", action="store_true")
    args = parser.parse_args()
    ends = collections.Counter()
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as temporary:
        model = pathlib.Path(temporary) / "model"
        model.mkdir()
        small(model)
        for seed in range(1, args.seeds + 1):
            out = pathlib.Path(temporary) / f"out-{seed}"
            options = ["--model", model, "--weights", f"random:{seed}", "--devices", "cpu", "--poison-limit", 0]
            options += ["--slots", args.slots, "--slot-tokens", 4096, "--queue", 2 * args.slots, "--log-level", "error"]
            with Server(args.binary, *options) as server:
                read = ["eval", "--images", args.images, "--truth", args.images, "--server", server.address]
                read += ["--concurrency", args.slots, "--answer-style", args.answer_style, "--out", out]
                command = [str(part) for part in [args.binary, *read]]
                subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
            lines = (out / "results.jsonl").read_text().splitlines()
            of_seed = collections.Counter(ending(json.loads(line)) for line in lines)
            ends += of_seed
            print(f"random:{seed}", dict(of_seed), flush=True)
    total = sum(ends.values())
    print(f"\n{total} answers of {args.seeds} models in {time.perf_counter() - began:.0f} s\n")
    print("| ending | answers |\n|---|---:|")
    for name, count in ends.most_common():
        print(f"| {name} | {count} |")
    asked = args.seeds * len(list(args.images.glob("*.json")))
    if total != asked:
        print(f"\nonly {total} of {asked} documents have an answer")
    if args.check and (total != asked or set(ends) - GOOD):
        sys.exit(1)


if __name__ == "__main__":
    main()
