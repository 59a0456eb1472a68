"""How often the page that a value is said to be from is the right one, for documents of several scans.

    python3 tests/accuracy/pages.py --binary target/release/tessera --documents models/training/holdout/data --pairs 96 \\
        --serve='--devices cpu'

Starts `tessera serve` and has pairs of the folder's PNG files read as the pages of one document, as the kind of one of
them. A value that the JSON file beside one page has, and that beside the other has not, is from the first; others are left
out, and so are wrong readings. Needs nothing but Python. Prints how many of those values were given a page, and how many
a wrong one; --worst shows the wrong ones.
"""

import argparse
import json
import pathlib
import random
import shlex
import subprocess

from served import serve


def page_of(value, truths):
    """The index of the only page that has the value."""
    having = [index for index, truth in enumerate(truths) if value in truth["fields"].values()]
    return having[0] if len(having) == 1 else None


def read(binary, address, kind, pages):
    command = [binary, "extract", "--server", address, "--type", kind, "--pages", "--json", *map(str, pages)]
    return json.loads(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", required=True)
    parser.add_argument("--documents", type=pathlib.Path, required=True)
    parser.add_argument("--pairs", type=int, default=96)
    parser.add_argument("--pages", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--serve", default="")
    parser.add_argument("--worst", action="store_true")
    a = parser.parse_args()
    documents = [(path.with_suffix(".png"), json.loads(path.read_text())) for path in sorted(a.documents.glob("*.json"))]
    chance = random.Random(a.seed)
    server, address = serve(a.binary, ["--slot-tokens", "4000", *shlex.split(a.serve)])
    known = named = wrong = unread = 0
    try:
        for _ in range(a.pairs):
            chosen = chance.sample(documents, a.pages)
            truths = [truth for _, truth in chosen]
            answer = read(a.binary, address, chance.choice(truths)["document_type"], [path for path, _ in chosen])
            if not answer.get("fields"):
                unread += 1
                continue
            for name, value in answer["fields"].items():
                page = page_of(value, truths)
                if name == "DOCUMENT_TYPE" or page is None:
                    continue
                known += 1
                found = answer["field_details"][f"/{name}"].get("page")
                if found is not None:
                    named += 1
                    is_wrong = found["file"] != page
                    wrong += is_wrong
                    if is_wrong and a.worst:
                        print(f"{name} {value!r}: {found}, not file {page}")
    finally:
        server.terminate()
        server.wait()
    print(f"{a.pairs} documents of {a.pages} pages, {unread} without an answer: {known} values of one page, {named} with a page ({named / max(known, 1):.1%}), {wrong} with a wrong one")


if __name__ == "__main__":
    main()
