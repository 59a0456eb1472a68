"""Pages of unstructured text: reading practice."""
from __future__ import annotations

from . import text as T
from . import words as W
from .page import Page, centre, left, right


def build(page: Page, count: int) -> None:
    """Fills ``page`` with ``count`` lines of names, words, numbers and codes."""
    r = page.rng
    mark = r.choice((left, left, left, centre))
    for _ in range(count):
        k = r.random()
        if k < 0.20:
            text = T.company(r, page.limit)
        elif k < 0.32:
            text = T.address(r, page.limit)[0]
        elif k < 0.46:
            text = T.item(r, page.limit)
        elif k < 0.56:
            text = T.transaction(r, page.limit)
        elif k < 0.62:
            text = T.person(r)
        elif k < 0.67:
            text = T.date(r)
        elif k < 0.72:
            text = T.slogan(r)
        else:
            words = []
            for _ in range(r.randint(1, 5)):
                j = r.random()
                words.append(T.code(r) if j < 0.18 else page.money(T.cents(r)) if j < 0.3 else W.word(r) if j < 0.7 else W.proper(r) if j < 0.9 else "".join(r.choice("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.,:;-/()&%#@!?'+*\"") for _ in range(r.randint(1, 7))))
            text = " ".join(words)
            if r.random() < 0.15:
                text = text.upper()
        text = text[:page.limit].strip() or "x"
        if r.random() < 0.22 and len(text) < page.limit - 12:
            page.add(left(text), right(page.money(T.cents(r), r.random() < 0.6)))
        else:
            page.add(mark(text))
