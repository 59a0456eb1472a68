"""Renders the browser test set: documents in HTML and CSS, drawn by headless Chromium. Used for evaluation only.

    python -m holdout.make holdout/data [--n 96]          (from models/training; needs chromium and the 'browser' fonts)

Templates, words and fonts are this file's own: nothing is shared with the training generator except the field names
and the rules of ``README.md`` (what counts as the truth).
"""
from __future__ import annotations

import argparse
import html
import json
import random
import subprocess
import tempfile
from pathlib import Path

from PIL import Image, ImageChops

from . import words as V

SANS = ["'Noto Sans'", "'Clear Sans'", "'Go'", "'Manrope'", "'Gillius ADF'"]
SERIF, MONO = ["'Noto Serif'"], ["'JetBrains Mono'", "'Go Mono'"]
COLOURS = ["#1f4e79", "#7a1f3d", "#22543d", "#333", "#5b3a8c", "#8a4b08", "#0b6477"]
SCALARS = ["BUSINESS_ABN", "SUPPLIER_NAME", "BUSINESS_ADDRESS", "PAYER_NAME", "PAYER_ADDRESS", "INVOICE_DATE"]
ORDER = ["DOCUMENT_TYPE", *SCALARS, "LINE_ITEM_DESCRIPTIONS", "LINE_ITEM_QUANTITIES", "LINE_ITEM_PRICES", "LINE_ITEM_TOTAL_PRICES", "IS_GST_INCLUDED", "GST_AMOUNT", "TOTAL_AMOUNT"]
BANK_ORDER = ["DOCUMENT_TYPE", "STATEMENT_DATE_RANGE", "TRANSACTION_DATES", "TRANSACTION_DESCRIPTIONS", "TRANSACTION_AMOUNTS_PAID", "TRANSACTION_AMOUNTS_RECEIVED", "ACCOUNT_BALANCE"]
MONTHS = ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"]


def check_disjoint() -> None:
    """No proper name of the test set is in a training list."""
    folder = Path(__file__).resolve().parent.parent / "wordlists"
    trained = {part for f in folder.glob("*.txt") for line in f.read_text().lower().splitlines() for part in [line, *line.replace("-", " ").replace("'", " ").split()]}
    shared = V.proper_names() & trained
    assert not shared, shared
    assert not V.whole_strings() & trained


class Author:
    """Content of one document."""

    def __init__(self, r: random.Random) -> None:
        self.r = r
        self.symbol = r.choice(["$", "$", "$", ""])
        self.style = r.randrange(5)

    def money(self, value: float) -> str:
        return f"{self.symbol}{value:,.2f}"

    def date(self, y: int, m: int, d: int) -> str:
        return [f"{d:02d}/{m:02d}/{y}", f"{d} {MONTHS[m - 1]} {y}", f"{d:02d}-{m:02d}-{y}", f"{d:02d} {MONTHS[m - 1][:3]} {y}", f"{y}-{m:02d}-{d:02d}"][self.style]

    def address(self) -> list[str]:
        r = self.r
        number = r.choice([str(r.randint(1, 480)), str(r.randint(1, 480)), f"Unit {r.randint(2, 40)}, {r.randint(1, 200)}", f"Shop {r.randint(1, 30)}/{r.randint(1, 300)}", f"Level {r.randint(1, 30)}, {r.randint(1, 400)}",
                           f"{r.randint(1, 20)}/{r.randint(1, 90)}"])
        lines = [f"{number} {r.choice(V.STREETS)}", r.choice(V.SUBURBS)]
        if r.random() < 0.12:
            lines[0] = f"PO Box {r.randint(10, 9900)}"
        return lines if r.random() < 0.65 else [", ".join(lines)]

    def abn(self) -> str:
        d = "".join(self.r.choice("0123456789") for _ in range(11))
        return f"{d[:2]} {d[2:5]} {d[5:8]} {d[8:]}"


def esc(text: str) -> str:
    return html.escape(text, quote=False)


def lines_html(lines: list[str]) -> str:
    return "".join(f"<div>{esc(x)}</div>" for x in lines)


def cart(a: Author, most: int) -> tuple[list[tuple[str, int, float, float]], float]:
    """Line items and their sum."""
    r = a.r
    rows = []
    for name in r.sample(V.PRODUCTS, r.choice([1, 2, 2, 3, 3, 4, 5, 6, most])):
        price = r.choice([r.randint(150, 2500), r.randint(150, 2500), r.randint(2000, 30000), r.randint(5, 90) * 100]) / 100
        quantity = r.choice([1, 1, 1, 2, 2, 3, 4, 6, 10])
        rows.append((name, quantity, price, round(price * quantity, 2)))
    return rows, round(sum(x[3] for x in rows), 2)


def list_truth(a: Author, rows: list[tuple[str, int, float, float]], quantity: bool, price: bool) -> dict[str, str]:
    join = " | ".join
    truth = {"LINE_ITEM_DESCRIPTIONS": join(x[0] for x in rows), "LINE_ITEM_TOTAL_PRICES": join(a.money(x[3]) for x in rows)}
    if quantity:
        truth["LINE_ITEM_QUANTITIES"] = join(str(x[1]) for x in rows)
    if price:
        truth["LINE_ITEM_PRICES"] = join(a.money(x[2]) for x in rows)
    return truth


def sums(a: Author, total: float, truth: dict[str, str]) -> list[tuple[str, str, bool]]:
    """Rows (label, amount, strong) under the items, with their truth."""
    r = a.r
    k = r.random()
    if k < 0.4:
        gst = round(total * 0.1, 2)
        truth.update(GST_AMOUNT=a.money(gst), IS_GST_INCLUDED="false", TOTAL_AMOUNT=a.money(total + gst))
        return [(r.choice(["Subtotal", "Sub-total", "Total ex GST"]), a.money(total), False), (r.choice(["GST 10%", "GST", "Plus GST"]), a.money(gst), False),
                (r.choice(["Total", "Amount due", "TOTAL DUE", "Balance due"]), a.money(total + gst), True)]
    truth["TOTAL_AMOUNT"] = a.money(total)
    head = (r.choice(["Total", "TOTAL", "Amount payable", "Total AUD", "Total paid"]), a.money(total), True)
    if k < 0.85:
        gst = round(total / 11, 2)
        truth.update(GST_AMOUNT=a.money(gst), IS_GST_INCLUDED="true")
        return [head, (r.choice(["Includes GST of", "GST included", "Incl. GST", "Includes GST"]), a.money(gst), False)]
    return [head]


def receipt(a: Author) -> tuple[str, str, dict[str, str], int]:
    """(style, body, truth, width) of a receipt."""
    r, t = a.r, {"DOCUMENT_TYPE": "receipt"}
    t["SUPPLIER_NAME"] = name = r.choice(V.BUSINESSES)
    look = r.randrange(3)
    place = a.address() if r.random() < 0.75 else []
    if place:
        t["BUSINESS_ADDRESS"] = ", ".join(place)
    abn = ""
    if r.random() < 0.75:
        t["BUSINESS_ABN"] = abn = a.abn()
    t["INVOICE_DATE"] = day = a.date(r.randint(2021, 2026), r.randint(1, 12), r.randint(1, 28))
    clock = f"{r.randint(7, 21)}:{r.randint(0, 59):02d}"
    rows, total = cart(a, 9)
    colour = r.choice(COLOURS)
    member = ""
    if r.random() < 0.2:
        t["PAYER_NAME"] = who = r.choice(V.PEOPLE)
        member = f"<div>{r.choice(['Customer', 'Member', 'Sold to'])}: {esc(who)}</div>"
    extra = f"<div>{r.choice(['Till', 'Docket', 'Served by'])} {r.choice([str(r.randint(1, 9999)), 'Kim', 'AB'])}</div>" if r.random() < 0.6 else ""
    title = r.choice(["Tax invoice", "TAX INVOICE", "Receipt", "Sales docket"])
    if look == 0:                                             # thermal roll
        style = f"font-family:{r.choice(MONO)};font-size:{r.choice([15, 16])}px;padding:18px;line-height:1.35"
        items = ""
        for d, q, p, s in rows:
            items += f"<div>{esc(d)}</div><div class=f><span>&nbsp; {q} x {a.money(p)}</span><span>{a.money(s)}</span></div>"
        t.update(list_truth(a, rows, True, True))
        low = "".join(f"<div class=f {'style=font-weight:bold' if strong else ''}><span>{x}</span><span>{y}</span></div>" for x, y, strong in sums(a, total, t))
        body = (f"<div class=c><b style='font-size:1.25em'>{esc(name)}</b>{lines_html(place)}{f'<div>ABN {abn}</div>' if abn else ''}</div><div class=c>{title}</div><hr><div class=f><span>{day}</span><span>{clock}</span></div>"
                f"{extra}{member}<hr>{items}<hr>{low}<hr><div class=c>{r.choice(V.SLOGANS)}</div>")
        width = r.choice([360, 400, 430])
    elif look == 1:                                           # app receipt with a coloured head
        style = f"font-family:{r.choice(SANS)};font-size:{r.choice([16, 17])}px;line-height:1.45"
        items = "".join(f"<tr><td>{q}</td><td>{esc(d)}</td><td class=r>{a.money(s)}</td></tr>" for d, q, p, s in rows)
        t.update(list_truth(a, rows, True, False))
        low = "".join(f"<tr {'style=font-weight:600;font-size:1.15em' if strong else ''}><td colspan=2>{x}</td><td class=r>{y}</td></tr>" for x, y, strong in sums(a, total, t))
        body = (f"<div style='background:{colour};color:#fff;padding:16px 20px'><div style='font-size:1.4em;font-weight:600'>{esc(name)}</div>{lines_html(place)}</div><div style='padding:14px 20px'>"
                f"<div class=f><span>{title}</span><span>{day}</span></div>{f'<div>ABN: {abn}</div>' if abn else ''}{extra}{member}<table style='margin-top:12px'>{items}</table><div style='border-top:2px solid {colour};margin:10px 0'></div><table>{low}</table>"
                f"<p class=c style='color:#555'>{r.choice(V.SLOGANS)}</p></div>")
        width = r.choice([400, 440, 470])
    else:                                                     # plain table with headings
        style = f"font-family:{r.choice(SANS + SERIF)};font-size:{r.choice([15, 16])}px;padding:22px;line-height:1.4"
        items = "".join(f"<tr><td>{esc(d)}</td><td class=m>{q}</td><td class=r>{a.money(p)}</td><td class=r>{a.money(s)}</td></tr>" for d, q, p, s in rows)
        t.update(list_truth(a, rows, True, True))
        low = "".join(f"<div class=f {'style=font-weight:bold' if strong else ''}><span>{x}</span><span>{y}</span></div>" for x, y, strong in sums(a, total, t))
        body = (f"<div style='letter-spacing:.04em;color:#444'>{title}</div><h2>{esc(name)}</h2>{lines_html(place)}{f'<div>A.B.N. {abn}</div>' if abn else ''}<div style='margin-top:8px'>Date: {day} &nbsp; {clock}</div>{extra}{member}"
                f"<table class=b style='margin:12px 0'><tr><th>Item</th><th class=m>Qty</th><th class=r>Price</th><th class=r>Amount</th></tr>{items}</table>{low}")
        width = r.choice([460, 500])
    return style, body, t, width


def invoice(a: Author) -> tuple[str, str, dict[str, str], int]:
    """(style, body, truth, width) of an invoice."""
    r, t = a.r, {"DOCUMENT_TYPE": "invoice"}
    t["SUPPLIER_NAME"] = name = r.choice(V.BUSINESSES)
    place, client_place = a.address(), a.address() if r.random() < 0.7 else []
    t["BUSINESS_ADDRESS"] = ", ".join(place)
    t["BUSINESS_ABN"] = abn = a.abn()
    t["PAYER_NAME"] = client = r.choice(V.PEOPLE) if r.random() < 0.6 else r.choice([b for b in V.BUSINESSES if b != name])
    if client_place:
        t["PAYER_ADDRESS"] = ", ".join(client_place)
    y, m, d = r.randint(2021, 2026), r.randint(1, 12), r.randint(1, 28)
    t["INVOICE_DATE"] = day = a.date(y, m, d)
    due = a.date(y + (m == 12), m % 12 + 1, d)
    number = r.choice([f"INV-{r.randint(1000, 99999)}", f"{r.randint(100, 9999)}", f"TI{r.randint(10, 999)}/{r.randint(1, 9)}"])
    rows, total = cart(a, 8)
    colour, look = r.choice(COLOURS), r.randrange(3)
    base = r.choice([15, 16])
    family = r.choice(SANS + SERIF)
    style = f"font-family:{family};font-size:{base}px;padding:24px;line-height:1.4"
    four = r.random() < 0.8
    t.update(list_truth(a, rows, four, four))
    if four:
        head = "<th>Description</th><th class=m>Qty</th><th class=r>Unit price</th><th class=r>Amount</th>"
        items = "".join(f"<tr><td>{esc(x)}</td><td class=m>{q}</td><td class=r>{a.money(p)}</td><td class=r>{a.money(s)}</td></tr>" for x, q, p, s in rows)
    else:
        head = "<th>Service</th><th class=r>Amount</th>"
        items = "".join(f"<tr><td>{esc(x)}</td><td class=r>{a.money(s)}</td></tr>" for x, q, p, s in rows)
    low = "".join(f"<div class=f style='width:62%;margin-left:38%;{'font-weight:bold;border-top:2px solid #000' if strong else ''}'><span>{x}</span><span>{z}</span></div>" for x, z, strong in sums(a, total, t))
    if look == 0:
        body = (f"<div class=f><div><div style='font-size:1.3em;font-weight:bold;color:{colour}'>{esc(name)}</div>{lines_html(place)}<div>ABN {abn}</div></div><div style='font-size:1.5em;color:{colour}'>INVOICE</div></div>"
                f"<div class=f style='margin:18px 0'><div><div style='color:#666'>Bill to</div><b>{esc(client)}</b>{lines_html(client_place)}</div><div class=r><div>No. {number}</div><div>Date {day}</div><div>Due {due}</div></div></div>"
                f"<table><tr style='background:{colour};color:#fff'>{head}</tr>{items}</table><div style='height:10px'></div>{low}")
    elif look == 1:
        card = "style='border:1px solid #bbb;border-radius:8px;padding:10px;width:46%'"
        body = (f"<h2 style='color:{colour}'>Tax Invoice {number}</h2><div>Invoice date: {day}</div><div class=f style='margin:12px 0'><div {card}><div style='color:{colour}'>From</div><div>{esc(name)}</div>{lines_html(place)}<div>ABN: {abn}</div></div>"
                f"<div {card}><div style='color:{colour}'>To</div><div>{esc(client)}</div>{lines_html(client_place)}</div></div><table class=b><tr>{head}</tr>{items}</table><div style='height:10px'></div>{low}<p>Please pay by {due}</p>")
    else:
        body = (f"<div class=r><div style='font-size:1.35em'>{esc(name)}</div>{lines_html(place)}<div>ABN {abn}</div></div><div style='font-size:1.4em;margin:10px 0'>Invoice</div><div>Issued: {day}</div><div>Reference: {number}</div>"
                f"<div style='margin:12px 0'>Customer: {esc(client)}{lines_html(client_place)}</div><hr><table><tr style='text-align:left'>{head}</tr>{items}</table><hr>{low}<p class=c style='color:#666'>{r.choice(V.SLOGANS)}</p>")
    return style, body, t, r.choice([500, 530, 560])


def statement(a: Author) -> tuple[str, str, dict[str, str], int]:
    """(style, body, truth, width) of a bank statement."""
    r, t = a.r, {"DOCUMENT_TYPE": "bank_statement"}
    y, m = r.randint(2021, 2026), r.randint(1, 12)
    first, last = a.date(y, m, 1), a.date(y, m, r.choice([28, 30, 31]) if m != 2 else 28)
    joiner = r.choice([" to ", " to ", " - "])
    t["STATEMENT_DATE_RANGE"] = span = first + joiner + last
    colour, look = r.choice(COLOURS), r.randrange(3)
    n = r.choice([3, 4, 5, 6, 7, 8, 10])
    balance = r.randint(50000, 900000) / 100
    opening = balance
    short = [lambda d: f"{d:02d}/{m:02d}/{y}", lambda d: f"{d:02d} {MONTHS[m - 1][:3]}", lambda d: f"{d:02d}/{m:02d}"][r.randrange(3)]
    moves = []
    for d in sorted(r.randint(1, 28) for _ in range(n)):
        credit = r.random() < 0.25
        value = r.randint(500, 40000) / 100
        balance = round(balance + (value if credit else -value), 2)
        text = r.choice(V.MERCHANTS) if not credit else r.choice([f"Pay {r.choice(V.BUSINESSES)[:18].strip()}", f"From {r.choice(V.PEOPLE)}", "Interest", "Refund"])
        moves.append((short(d), text, value, credit, balance))
    join = " | ".join
    t["TRANSACTION_DATES"], t["TRANSACTION_DESCRIPTIONS"] = join(x[0] for x in moves), join(x[1] for x in moves)
    plain = lambda v: f"{v:,.2f}"
    money = a.money if look != 0 else plain
    sign = look == 1
    paid = ["NOT_FOUND" if c else ("-" if sign else "") + money(v) for _, _, v, c, _ in moves]
    got = [("+" if sign else "") + money(v) if c else "NOT_FOUND" for _, _, v, c, _ in moves]
    if any(x != "NOT_FOUND" for x in paid):
        t["TRANSACTION_AMOUNTS_PAID"] = join(paid)
    if any(x != "NOT_FOUND" for x in got):
        t["TRANSACTION_AMOUNTS_RECEIVED"] = join(got)
    t["ACCOUNT_BALANCE"] = money(balance)
    who, bank = r.choice(V.PEOPLE), r.choice(V.BANKS)
    account = f"{r.randint(10, 99)}-{r.randint(1000, 9999)} {r.randint(100000, 999999)}"
    style = f"font-family:{r.choice(SANS)};font-size:{r.choice([14, 15])}px;line-height:1.45;" + ("" if look == 0 else "padding:20px")
    blank = lambda x: "" if x == "NOT_FOUND" else x
    if look == 0:
        items = "".join(f"<tr><td>{x[0]}</td><td>{esc(x[1])}</td><td class=r>{blank(p)}</td><td class=r>{blank(g)}</td><td class=r>{plain(x[4])}</td></tr>" for x, p, g in zip(moves, paid, got))
        heads = r.choice([("Debit", "Credit"), ("Withdrawals", "Deposits"), ("Money out", "Money in")])
        body = (f"<div style='background:{colour};color:#fff;padding:14px 20px;font-size:1.4em'>{esc(bank)}</div><div style='padding:12px 20px'><div class=f><span>{esc(who)}</span><span>Account {account}</span></div><div>Statement period: {span}</div>"
                f"<div>Opening balance: {plain(opening)}</div><table style='margin:10px 0'><tr style='border-bottom:2px solid {colour}'><th>Date</th><th>Description</th><th class=r>{heads[0]}</th><th class=r>{heads[1]}</th><th class=r>Balance</th></tr>{items}</table>"
                f"<div class=f style='font-weight:bold'><span>Closing balance</span><span>{plain(balance)}</span></div></div>")
    elif look == 1:
        items = "".join(f"<tr style='border-bottom:1px solid #ddd'><td>{x[0]}</td><td>{esc(x[1])}</td><td class=r>{blank(p) or g}</td></tr>" for x, p, g in zip(moves, paid, got))
        body = (f"<div class=f><b style='font-size:1.2em'>{esc(bank)}</b><span>Account activity</span></div><div style='margin:8px 0'>Name: {esc(who)}<br>Account: {account}<br>Period: {span}</div>"
                f"<table>{items}</table><div class=f style='margin-top:8px;font-weight:bold'><span>Current balance</span><span>{money(balance)}</span></div>")
    else:
        items = "".join(f"<tr style='background:{'#eef2f6' if i % 2 else '#fff'}'><td>{x[0]}</td><td>{esc(x[1])}</td><td class=r>{blank(p)}</td><td class=r>{blank(g)}</td></tr>" for i, (x, p, g) in enumerate(zip(moves, paid, got)))
        body = (f"<h2>{esc(bank)}</h2><div>Statement of account for {esc(who)}</div><div style='border:1px solid #999;padding:8px;margin:10px 0'><div class=f><span>Statement dates</span><span>{span}</span></div>"
                f"<div class=f><span>Closing balance</span><span>{money(balance)}</span></div></div><table class=b><tr><th>Date</th><th>Details</th><th class=r>Paid out</th><th class=r>Paid in</th></tr>{items}</table>")
    return style, body, t, r.choice([500, 540]) if look != 1 else r.choice([440, 480])


CSS = """*{box-sizing:border-box}body{margin:0;background:#fff}.doc{position:absolute;left:0;background:#fff;overflow:hidden}.f{display:flex;justify-content:space-between;gap:10px}.c{text-align:center}
.r{text-align:right}.m{text-align:center}table{width:100%;border-collapse:collapse}td,th{padding:3px 5px;text-align:left;vertical-align:top}td.r,th.r{text-align:right;white-space:nowrap}td.m,th.m{text-align:center}
.b td,.b th{border:1px solid #888}h2{margin:4px 0;font-size:1.35em}hr{border:0;border-top:1px dashed #555;margin:7px 0}"""


def shoot(pages: list[tuple[str, str, int, int]], slot: int) -> list[Image.Image]:
    """Draws documents below one another in one browser run and cuts them apart."""
    parts = [f"<div class=doc style=\"top:{i * slot}px;width:{w}px;min-height:60px;{style}\">{body}</div>" for i, (style, body, w, _) in enumerate(pages)]
    with tempfile.TemporaryDirectory() as d:
        (Path(d) / "p.html").write_text(f"<!doctype html><meta charset=utf-8><style>{CSS}</style>" + "".join(parts))
        subprocess.run(["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", f"--window-size=600,{slot * len(pages)}", "--force-device-scale-factor=1", f"--screenshot={d}/p.png", f"file://{d}/p.html"],
                       check=True, capture_output=True, timeout=300)
        sheet = Image.open(f"{d}/p.png").convert("RGB")
    out = []
    for i, (_, _, w, least) in enumerate(pages):
        image = sheet.crop((0, i * slot, w, (i + 1) * slot))
        box = ImageChops.difference(image, Image.new("RGB", image.size, "white")).getbbox()
        out.append(image.crop((0, 0, w, min(slot, max(least, (box or (0, 0, w, slot))[3] + 20)))))
    return out


def main() -> None:
    ap = argparse.ArgumentParser()
    ap.add_argument("out", type=Path)
    ap.add_argument("--n", type=int, default=96)
    ap.add_argument("--seed", type=int, default=4711)
    a = ap.parse_args()
    check_disjoint()
    a.out.mkdir(parents=True, exist_ok=True)
    r = random.Random(a.seed)
    made = []
    for i in range(a.n):
        kind, build = (("receipt", receipt), ("invoice", invoice), ("bank_statement", statement))[i % 3]
        style, body, truth, width = build(Author(r))
        order = BANK_ORDER if kind == "bank_statement" else ORDER
        portrait = int(width * r.uniform(1.38, 1.8)) if r.random() < 0.35 else 0      # an A4-like page has white space below
        made.append((f"{kind}-{i // 3 + 1:02d}", style, body, width, {k: truth.get(k) or "NOT_FOUND" for k in order}, portrait))
    slot = 1300
    for at in range(0, len(made), 10):
        part = made[at:at + 10]
        for (name, _, _, _, truth, _), image in zip(part, shoot([(s, b, w, h) for _, s, b, w, _, h in part], slot)):
            image.quantize(48, dither=Image.Dither.NONE).save(a.out / f"{name}.png", optimize=True)
            (a.out / f"{name}.json").write_text(json.dumps({"document_type": truth["DOCUMENT_TYPE"], "fields": truth}, indent=1, ensure_ascii=False) + "\n")
        print(at + len(part), flush=True)


if __name__ == "__main__":
    main()
