"""Field accuracy of a served model, one row for each way to serve it: dtypes, 8-bit weights, devices.

    python tests/accuracy/served.py --binary target/release/tessera --documents models/training/holdout/data \\
        --serve f32='--dtype f32' --serve q8='--dtype f32 --quantize q8'

Starts `tessera serve` with the options of each --serve, reads every PNG of the folder with `tessera extract`, and
compares each field with the JSON file beside the PNG: equal, character for character, or wrong. Needs nothing but
Python. Exits with 1 where a document got no answer.
"""

import argparse
import collections
import json
import pathlib
import re
import shlex
import subprocess
import sys
import time


def lists_of(truths):
    """Fields that hold several values in any document."""
    return {name for truth in truths for name, value in truth["fields"].items() if " | " in value}


def serve(binary, options):
    server = subprocess.Popen([binary, "serve", "--listen", "127.0.0.1:0", "--log-level", "warn", *options], stdout=subprocess.PIPE, text=True)
    line = server.stdout.readline()
    found = re.search(r"on (127\.0\.0\.1:\d+),", line)
    if not found:
        server.kill()
        sys.exit(f"the server did not start: {line}")
    return server, found.group(1)


def read(binary, address, kind, pages):
    """The fields that each page's answer has; none where there was no answer."""
    done = subprocess.run([binary, "extract", "--server", address, "--type", kind, "--json", *map(str, pages)], stdout=subprocess.PIPE, text=True)
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    by_page = {answer["files"][0]: answer.get("fields") for answer in answers if "files" in answer}
    return [by_page.get(str(page)) for page in pages]


def evaluate(binary, options, documents, lists):
    server, address = serve(binary, options)
    hit, total = collections.Counter(), collections.Counter()
    unanswered = 0
    started = time.time()
    try:
        for kind in ("receipt", "invoice", "bank_statement"):
            own = [(page, truth) for page, truth in documents if truth["document_type"] == kind]
            if not own:
                continue
            for (_, truth), fields in zip(own, read(binary, address, kind, [page for page, _ in own])):
                unanswered += fields is None
                for name, value in truth["fields"].items():
                    group = "lists" if name in lists else "scalars"
                    total[group] += 1
                    hit[group] += (fields or {}).get(name) == value
    finally:
        server.terminate()
        server.wait()
    return {group: hit[group] / total[group] for group in total}, unanswered, time.time() - started


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", required=True)
    parser.add_argument("--documents", type=pathlib.Path, required=True)
    parser.add_argument("--serve", action="append", required=True, metavar="NAME=OPTIONS")
    parser.add_argument("--limit", type=int, help="only so many documents")
    args = parser.parse_args()
    documents = [(path.with_suffix(".png"), json.loads(path.read_text())) for path in sorted(args.documents.glob("*.json"))][: args.limit]
    lists = lists_of(truth for _, truth in documents)
    print(f"{len(documents)} documents\n\n| served as | scalar fields | list fields | seconds |\n|---|---:|---:|---:|")
    failed = 0
    for one in args.serve:
        name, _, options = one.partition("=")
        shares, unanswered, seconds = evaluate(args.binary, shlex.split(options), documents, lists)
        failed += unanswered
        print(f"| {name} | {100 * shares['scalars']:.1f} % | {100 * shares.get('lists', 0):.1f} % | {seconds:.0f} |", flush=True)
    if failed:
        sys.exit(f"{failed} documents got no answer")


if __name__ == "__main__":
    main()
