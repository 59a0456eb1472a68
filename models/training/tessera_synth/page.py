"""A page under construction: rows of text segments on a common baseline, rules, gaps and ornaments."""
from __future__ import annotations

import random
from dataclasses import dataclass, field

from .fonts import Family
from .text import Money

RECEIPT_FIELDS = ["DOCUMENT_TYPE", "BUSINESS_ABN", "SUPPLIER_NAME", "BUSINESS_ADDRESS", "PAYER_NAME", "PAYER_ADDRESS", "INVOICE_DATE", "LINE_ITEM_DESCRIPTIONS",
                  "LINE_ITEM_QUANTITIES", "LINE_ITEM_PRICES", "LINE_ITEM_TOTAL_PRICES", "IS_GST_INCLUDED", "GST_AMOUNT", "TOTAL_AMOUNT"]
STATEMENT_FIELDS = ["DOCUMENT_TYPE", "STATEMENT_DATE_RANGE", "TRANSACTION_DATES", "TRANSACTION_DESCRIPTIONS", "TRANSACTION_AMOUNTS_PAID", "TRANSACTION_AMOUNTS_RECEIVED", "ACCOUNT_BALANCE"]
FIELDS = {"receipt": RECEIPT_FIELDS, "invoice": RECEIPT_FIELDS, "bank_statement": STATEMENT_FIELDS}
LIST_FIELDS = {f for f in RECEIPT_FIELDS if f.startswith("LINE_ITEM")} | {f for f in STATEMENT_FIELDS if f.startswith("TRANSACTION")}
ABSENT = "NOT_FOUND"


@dataclass(slots=True)
class Seg:
    """Text at an anchor (fraction of the page width between the margins)."""

    text: str
    align: str = "l"
    anchor: float = 0.0
    scale: float = 1.0
    bold: bool = False


@dataclass(slots=True)
class Row:
    """One line of the page. ``kind``: text, rule, gap, logo, bars. ``shade``: 0 none, 1 light, 2 dark with white ink."""

    segs: list[Seg] = field(default_factory=list)
    height: float = 1.0
    kind: str = "text"
    shade: int = 0
    grid: tuple[float, ...] = ()


def left(text: str, anchor: float = 0.0, scale: float = 1.0, bold: bool = False) -> Seg:
    """Segment that starts at the anchor."""
    return Seg(text, "l", anchor, scale, bold)


def right(text: str, anchor: float = 1.0, scale: float = 1.0, bold: bool = False) -> Seg:
    """Segment that ends at the anchor."""
    return Seg(text, "r", anchor, scale, bold)


def centre(text: str, anchor: float = 0.5, scale: float = 1.0, bold: bool = False) -> Seg:
    """Segment centred on the anchor."""
    return Seg(text, "c", anchor, scale, bold)


class Page:
    """Rows, ground truth and the style choices of one document."""

    def __init__(self, rng: random.Random, level: float, family: Family, capacity: int, wide: int) -> None:
        self.rng, self.level, self.family = rng, level, family
        self.capacity = capacity          #: lines of text that fit
        self.limit = wide                 #: characters that fit in a line
        self.rows: list[Row] = []
        self.truth: dict[str, str] = {}
        self.money = Money(rng)
        self.boxes: list[tuple[int, int]] = []   #: row ranges with a frame around them
        self.upper = rng.random() < 0.18

    def add(self, *segs: Seg, height: float | None = None, shade: int = 0) -> None:
        """Append a text row."""
        self.rows.append(Row(list(segs), height or max([1.0] + [s.scale for s in segs]), "text", shade))

    def gap(self, height: float = 0.45) -> None:
        """Append white space."""
        self.rows.append(Row(height=height, kind="gap"))

    def rule(self, height: float = 0.4) -> None:
        """Append a horizontal line."""
        self.rows.append(Row(height=height, kind="rule"))

    def separator(self, chance: float = 0.7) -> None:
        """Append a rule or a gap, or nothing."""
        if self.rng.random() < chance:
            (self.rule if self.rng.random() < 0.55 else self.gap)()

    def ornament(self) -> None:
        """Append a logo shape or a bar code."""
        self.rows.append(Row([centre("", self.rng.choice((0.1, 0.5, 0.5, 0.9)))], self.rng.uniform(1.3, 2.6), self.rng.choice(("logo", "logo", "bars"))))

    def used(self) -> float:
        """Height so far in lines."""
        return sum(r.height for r in self.rows)

    def fields(self, kind: str) -> dict[str, str]:
        """The ground truth in canonical order, absent values filled in."""
        self.truth["DOCUMENT_TYPE"] = kind
        return {name: self.truth.get(name) or ABSENT for name in FIELDS[kind]}


def side_by_side(a: list[Row], b: list[Row], split: float, flush_right: bool) -> list[Row]:
    """Zips two blocks into rows: ``a`` at the left, ``b`` from ``split`` or flush right."""
    rows: list[Row] = []
    for i in range(max(len(a), len(b))):
        segs: list[Seg] = []
        height = 1.0
        if i < len(a):
            for s in a[i].segs:
                segs.append(Seg(s.text, s.align, s.anchor * (split - 0.04) if s.align != "r" or s.anchor < 1 else split - 0.04, s.scale, s.bold))
            height = max(height, a[i].height)
        if i < len(b):
            for s in b[i].segs:
                if flush_right and len(b[i].segs) == 1:
                    segs.append(Seg(s.text, "r", 1.0, s.scale, s.bold))
                else:
                    segs.append(Seg(s.text, s.align, split + s.anchor * (1 - split), s.scale, s.bold))
            height = max(height, b[i].height)
        rows.append(Row(segs, height))
    return rows
