"""Blocks that receipts, invoices and statements share."""
from __future__ import annotations

import random
from collections.abc import Callable

from . import text as T
from . import words as W
from .page import Page, Row, Seg, centre, left, right

Mark = Callable[..., Seg]


def marker(kind: str) -> Mark:
    """A function text -> segment with the alignment ``kind``."""
    return {"l": lambda t, s=1.0, b=False: left(t, 0.0, s, b), "c": lambda t, s=1.0, b=False: centre(t, 0.5, s, b), "r": lambda t, s=1.0, b=False: right(t, 1.0, s, b)}[kind]


def block(mark: Mark, lines: list[str], scale: float = 1.0, bold: bool = False) -> list[Row]:
    """Plain lines as rows."""
    return [Row([mark(t, scale, bold)], max(1.0, scale)) for t in lines]


def supplier_rows(page: Page, mark: Mark, width: int, address: float, abn: float, noise: float) -> list[Row]:
    """Name, address, ABN and contact lines of the business; fills its three truth fields."""
    r = page.rng
    name = T.company(r, min(width, 34))
    page.truth["SUPPLIER_NAME"] = name
    scale = r.choice((1.0, 1.1, 1.25, 1.45, 1.7)) if len(name) < width * 0.6 else r.choice((1.0, 1.1))
    rows = [Row([mark(name, scale, r.random() < 0.5)], scale)]
    if r.random() < noise * 0.35:
        rows += block(mark, [r.choice((T.slogan(r), f"{rand_label(r, ('Store', 'Branch', 'Shop', 'Outlet'))} {r.randint(1, 999)}", T.title(T.phrase(r, 1, 2)), f"T/A {T.title(T.phrase(r, 1, 2))}"))[:width]])
    extra: list[list[Row]] = []
    if r.random() < address:
        lines = T.address(r, width)
        page.truth["BUSINESS_ADDRESS"] = T.join_lines(lines)
        extra.append(block(mark, lines))
    if r.random() < abn:
        extra.append(block(mark, [abn_line(page)]))
    if r.random() < noise * 0.6:
        extra.append(block(mark, [contact(r)[:width]]))
    if r.random() < noise * 0.25:
        extra.append(block(mark, [T.web(r)[:width]]))
    if r.random() < 0.3:
        r.shuffle(extra)
    for rows_of_one in extra:
        rows += rows_of_one
    return rows


def rand_label(r: random.Random, labels: tuple[str, ...]) -> str:
    """One of several labels, now and then upper case."""
    label = r.choice(labels)
    return label.upper() if r.random() < 0.12 else label


def abn_line(page: Page) -> str:
    """'ABN 12 345 678 901' in its variants; fills BUSINESS_ABN."""
    value = T.abn(page.rng)
    page.truth["BUSINESS_ABN"] = value
    return f"{page.rng.choice(('ABN', 'ABN:', 'ABN', 'A.B.N.', 'A.B.N', 'ABN No.', 'ABN No:', 'Abn', 'ABN -'))} {value}"


def contact(r: random.Random) -> str:
    """A telephone line."""
    return f"{r.choice(('Ph', 'Tel', 'Phone', 'T', 'Ph.', 'Call', 'Mob', 'Fax'))}{r.choice((':', '', ':'))} {T.phone(r)}" if r.random() < 0.9 else T.phone(r)


def noise_line(page: Page) -> list[Seg]:
    """A line that answers to no field: terminal, cashier, reference, member number, masked card."""
    r = page.rng
    label = rand_label(r, ("Served by", "Cashier", "Terminal", "Register", "Operator", "Table", "Order", "Order No", "Store", "Ref", "Receipt No", "Trans", "Lane", "Shift", "Auth", "Invoice", "Docket",
                           "Member", "Loyalty", "Rego", "Job No", "Points", "Staff", "Pump", "Clerk", "PO", "Batch", "Seat", "Receipt #", "Host", "Guests", "Opened"))
    k = r.random()
    value = r.choice(W.FIRST) if k < 0.25 else T.code(r, 1, 8) if k < 0.8 else f"{T.code(r, 4, 6)} {r.choice(W.FIRST)}" if k < 0.9 else "**** " + T.code(r, 4, 4)
    if r.random() < 0.3:
        return [left(label + r.choice((":", ""))), right(value)]
    return [left(f"{label}{r.choice((':', '', ' #', ':'))} {value}")]


def payer_rows(page: Page, mark: Mark, width: int, labels: tuple[str, ...], address: float) -> list[Row]:
    """Customer label, name and address; fills the two payer fields."""
    r = page.rng
    name = T.person(r) if r.random() < 0.55 else T.company(r, min(width, 30))
    page.truth["PAYER_NAME"] = name
    label = rand_label(r, labels)
    k = r.random()
    if k < 0.42 and len(name) + len(label) + 2 <= width:
        rows = block(mark, [f"{label}{r.choice((':', '', ':'))} {name}"])
    elif k < 0.5:
        rows = [Row([left(label + ":"), right(name)])] if len(name) + len(label) + 2 <= width else block(mark, [label, name])
    else:
        rows = block(mark, [label + r.choice((":", "", "", " :"))], 1.0, r.random() < 0.4) + block(mark, [name], 1.0, r.random() < 0.2)
    if r.random() < 0.08:
        rows += block(mark, [r.choice((f"Attn: {r.choice(W.FIRST)}", T.web(r)[:width], T.phone(r)))])
    if r.random() < address:
        lines = T.address(r, width)
        page.truth["PAYER_ADDRESS"] = T.join_lines(lines)
        if r.random() < 0.08 and len(lines[0]) + 9 <= width:
            lines = [r.choice(("Address: ", "Addr: ")) + lines[0], *lines[1:]]
        rows += block(mark, lines)
    return rows


# ---------------------------------------------------------------------------------------------- tables


def table(page: Page, header: list[str] | None, body: list[list[list[str]]], aligns: list[str], *, gap_em: float, framed: bool) -> None:
    """Places a table by the measured widths of its columns.

    ``body[row][column]`` is a list of lines (a wrapped cell has several). Anchors are fractions of the page width, so
    that the table scales with whatever font size the page ends up with.
    """
    r, face = page.rng, page.family.regular
    columns = len(aligns)
    bold_header = r.random() < 0.45
    natural = []
    for c in range(columns):
        cells = [line for row in body for line in row[c]] + ([header[c]] if header else [])
        natural.append(max([face.width(t) * (1.08 if header and t == header[c] else 1.0) for t in cells if t] + [0.6]))
    widths = [w + gap_em for w in natural]
    widths[-1] -= gap_em
    if r.random() < 0.5:                                    # slack goes to the widest column rather than to all
        widest = max(range(columns), key=lambda c: natural[c])
        widths[widest] += r.uniform(0, 0.35) * sum(widths)
    total = sum(widths)
    pad = 0.012 if framed else 0.0
    edges = [0.0]
    for w in widths:
        edges.append(edges[-1] + w / total)
    anchors = []
    for c, a in enumerate(aligns):
        x0, x1 = edges[c], edges[c + 1] - (gap_em / total if c < columns - 1 else 0)
        anchors.append({"l": x0 + pad, "r": x1 - pad, "c": (x0 + x1) / 2}[a])
    lines_grid = tuple(edges[c] - gap_em / total / 2 for c in range(1, columns)) if framed else ()
    start = len(page.rows)
    if header:
        shade = r.choice((0, 0, 0, 1, 2)) if framed or r.random() < 0.3 else 0
        page.rows.append(Row([Seg(h, a, x, 1.0, bold_header) for h, a, x in zip(header, aligns, anchors) if h], r.choice((1.0, 1.0, 1.2)), "text", shade, lines_grid))
        if not framed and r.random() < 0.5:
            page.rule(0.35)
    pitch = r.choice((1.0, 1.0, 1.0, 1.15, 1.35)) if page.used() + len(body) * 1.35 < page.capacity * 0.8 else 1.0
    zebra = r.random() < 0.10
    ruled = framed and r.random() < 0.6 or r.random() < 0.05
    for i, row in enumerate(body):
        depth = max(len(cell) for cell in row)
        for k in range(depth):
            segs = [Seg(cell[k], a, x) for cell, a, x in zip(row, aligns, anchors) if k < len(cell) and cell[k]]
            page.rows.append(Row(segs, pitch if k == 0 else 1.0, "text", int(zebra and i % 2 == 1), lines_grid))
        if ruled and i < len(body) - 1:
            page.rule(0.22)
    if framed:
        page.boxes.append((start, len(page.rows)))


def wrap(r: random.Random, text: str) -> list[str]:
    """Breaks a description at a space near its middle."""
    spots = [i for i, c in enumerate(text) if c == " "]
    if not spots:
        return [text]
    cut = min(spots, key=lambda i: abs(i - len(text) * r.uniform(0.45, 0.75)))
    return [text[:cut], text[cut + 1:]]


def quantity(r: random.Random) -> tuple[str, float]:
    """A printed quantity and its value."""
    k = r.random()
    if k < 0.90:
        q = r.choice((1, 1, 1, 1, 2, 2, 2, 3, 3, 4, 5, 6, 8, 10, 12, 15, 20, 24, r.randint(1, 99), r.randint(1, 400)))
        return str(q), float(q)
    if k < 0.96:
        v = r.choice((0.5, 1.5, 2.5, 0.25, 3.75, r.randint(1, 40) / 4))
        return f"{v:g}", v
    if k < 0.98:
        v = r.randint(10, 4000) / 1000
        return f"{v:.3f}", v
    v = float(r.randint(1, 20))
    return f"{v:.2f}" if r.random() < 0.5 else f"{v:.1f}", v


def items(page: Page, style: str, count: int, width: int) -> int:
    """Line items in one of several arrangements; fills the four list fields and returns the sum in cents."""
    r, m = page.rng, page.money
    honest = r.random() < 0.7
    plain = r.random() < 0.5
    show: Callable[[int], str] = lambda c: m(c, plain)
    room = {"name": width - 10, "qname": width - 14, "full": width - 25, "qfull": width - 25, "at": width - 4, "xname": width - 14}[style]
    room = max(9, min(room, r.choice((14, 18, 24, 30))))
    names, quantities, prices, totals = [], [], [], []
    total = 0
    whole = r.random() < 0.8
    for _ in range(count):
        q, value = quantity(r)
        if whole and "." in q:
            q, value = "1", 1.0
        price = T.cents(r)
        if price > 200000:
            price //= 100
        line = round(price * value) if honest or r.random() < 0.5 else T.cents(r)
        names.append(T.item(r, room))
        if page.upper:
            names[-1] = names[-1].upper()
        quantities.append(q), prices.append(show(price)), totals.append(show(line))
        total += line
    framed = style in ("full", "qfull", "name") and r.random() < 0.16
    gap_em = r.uniform(0.75, 1.6)
    number = "r" if r.random() < 0.85 else r.choice("lc")
    headed = style not in ("at", "xname") and r.random() < (0.9 if style in ("full", "qfull") else 0.45)
    up = r.random() < 0.3
    head = lambda *options: (lambda t: t.upper() if up else t)(r.choice(options))
    h_name = head("Item", "Description", "Product", "Details", "Service", "Particulars", "Goods", "Item description", "Activity")
    h_q = head("Qty", "Qty", "Quantity", "No.", "#", "Units", "Hrs", "Qty.")
    h_p = head("Price", "Unit", "Rate", "Each", "Unit Price", "Unit price", "Price ea.", "@")
    h_t = head("Total", "Amount", "Line Total", "Value", "Amt", "Total Price", "Ext.", "Subtotal")
    wraps = style in ("full", "qfull", "qname") and count < 6 and r.random() < 0.12
    cell = lambda t: wrap(r, t) if wraps and len(t) > 11 and r.random() < 0.6 else [t]
    spare: list[list[str]] | None = None
    spare_head = ""
    if style in ("full", "qfull") and r.random() < 0.08:      # a column no field asks for
        spare_head = head("Code", "SKU", "Tax", "GST", "Unit")
        spare = [[{"C": T.code(r, 3, 5), "S": T.code(r, 3, 5), "T": "10%", "G": "10%", "U": r.choice(("ea", "kg", "hr", "m"))}[spare_head[0].upper()]] for _ in range(count)]
    if style == "full":
        order = [("n", h_name, "l"), ("q", h_q, r.choice((number, number, "c"))), ("p", h_p, number), ("t", h_t, number)]
    elif style == "qfull":
        order = [("q", h_q, r.choice("llrc")), ("n", h_name, "l"), ("p", h_p, number), ("t", h_t, number)]
    elif style == "qname":
        order = [("q", h_q, r.choice("llr")), ("n", h_name, "l"), ("t", h_t, "r")]
        if r.random() < 0.3:
            order = [order[1], order[0], order[2]]
    elif style == "name":
        order = [("n", h_name, "l"), ("t", h_t, "r")]
    else:
        order = []
    if spare is not None:
        order.insert(r.choice((0, 2, 3)), ("s", spare_head, r.choice("lr")))
    if order:
        suffix = r.choice(("", "", "", "", "x", " x")) if style == "qname" and order[0][0] == "q" and not headed else ""
        column = {"n": [cell(t) for t in names], "q": [[q + suffix] for q in quantities], "p": [[p] for p in prices], "t": [[t] for t in totals], "s": spare}
        table(page, [h for _, h, _ in order] if headed else None, [[column[k][i] for k, _, _ in order] for i in range(count)], [a for _, _, a in order], gap_em=gap_em, framed=framed)
    elif style == "at":
        joiner = r.choice(("{q} x {p}", "{q} @ {p}", "{q} X {p}", "Qty {q} @ {p}", "{q} x {p} ea", "{q}@{p}"))
        r.random()                                            # unused; keeps the random stream of the shipped samples
        for n, q, p, t in zip(names, quantities, prices, totals):
            page.add(left(n))
            page.add(left(joiner.format(q=q, p=p), r.choice((0.0, 0.06))), right(t))
    else:                                                     # '2 x Name ... total'
        for n, q, t in zip(names, quantities, totals):
            page.add(left(f"{q} x {n}"), right(t))
    has_q, has_p = style != "name", style in ("full", "qfull", "at")
    join = " | ".join
    page.truth["LINE_ITEM_DESCRIPTIONS"] = join(names)
    page.truth["LINE_ITEM_TOTAL_PRICES"] = join(totals)
    if has_q:
        page.truth["LINE_ITEM_QUANTITIES"] = join(quantities)
    if has_p:
        page.truth["LINE_ITEM_PRICES"] = join(prices)
    return total


def totals(page: Page, total: int, indent: float) -> None:
    """Sub-total, tax and total rows; fills GST_AMOUNT, TOTAL_AMOUNT and IS_GST_INCLUDED.

    IS_GST_INCLUDED: 'false' where a tax row stands above the total (it was added), 'true' where the tax is said to be
    included or stands below the total, absent where no tax is mentioned.
    """
    r, m = page.rng, page.money
    if r.random() < 0.22:
        total = T.cents(r) + 100
    up, plain = r.random() < 0.25, r.random() < 0.15
    value: Callable[[int], str] = lambda c: m(c, plain)
    colon = r.choice(("", "", ":"))
    rate = r.choice((10, 10, 10, 10, 15, 20, 5))
    tax = r.choice(("GST", "GST", "GST", "GST", "G.S.T.", "Tax", "VAT"))
    label: Callable[[str], Seg] = lambda t: left((t.upper() if up else t) + colon, indent)
    total_text = r.choice(("Total", "TOTAL", "Total Due", "Amount Due", "AMOUNT DUE", "Grand Total", "Balance Due", "Total AUD", "Total Amount", "TOTAL DUE", "Amount Payable", "Invoice Total", "To Pay", "TOTAL AUD", "Total to pay", "Sale Total", "Total payable"))
    scale, bold = r.choice((1.0, 1.0, 1.15, 1.35, 1.6)), r.random() < 0.45
    grand: Callable[..., None] = lambda t, extra="": page.add(left(t + extra + colon, indent, scale, bold), right(value(total), 1.0, scale, bold), shade=r.choice((0, 0, 0, 0, 0, 0, 0, 1, 2)))
    start = len(page.rows)
    k = r.random()
    sub_label = r.choice(("Subtotal", "Sub Total", "Sub-Total", "Net", f"Total excl. {tax}", "Sub-total", f"Amount ex {tax}", "Net amount", "Subtotal (ex GST)"))
    if k < 0.40:
        net = total
        gst = round(net * rate / 100) if r.random() < 0.75 else T.cents(r)
        total = net + gst if r.random() < 0.75 else total
        if r.random() < 0.9:
            page.add(label(sub_label), right(value(net)))
        if r.random() < 0.08:
            page.add(label(r.choice(("Discount", "Freight", "Delivery", "Shipping"))), right(value(T.cents(r))))
        page.add(label(r.choice((tax, tax, f"{tax} {rate}%", f"{tax} ({rate}%)", f"Plus {tax}", f"{tax} Amount", f"{tax} @ {rate}%", f"Add {tax}"))), right(value(gst)))
        grand(total_text)
        page.truth.update(GST_AMOUNT=value(gst), IS_GST_INCLUDED="false")
    elif k < 0.82:
        gst = round(total * rate / (100 + rate)) if r.random() < 0.75 else T.cents(r)
        if r.random() < 0.3:
            page.add(label(r.choice(("Subtotal", "Sub Total", "Sub-total"))), right(value(total)))
        said = (f"Includes {tax}", f"Incl. {tax}", f"{tax} included", f"{tax} Incl.", f"Total includes {tax} of", f"{tax} included in total", f"Inc. {tax}", f"Includes {tax} of", f"{tax} (included)", f"incl. {rate}% {tax}", f"Includes {rate}% {tax}")
        page.truth.update(GST_AMOUNT=value(gst), IS_GST_INCLUDED="true")
        shape = r.random()
        if shape < 0.62:
            grand(total_text)
            page.add(label(r.choice(said)), right(value(gst)))
        elif shape < 0.74:
            grand(total_text)
            page.add(label(r.choice((tax, f"{tax} {rate}%"))), right(value(gst)))
        elif shape < 0.86:
            page.add(label(r.choice(said)), right(value(gst)))
            grand(total_text)
        elif shape < 0.94:
            grand(total_text, r.choice((f" (inc. {tax})", f" incl {tax}", f" inc {tax}", f" ({tax} incl.)")))
            page.add(label(r.choice((tax, f"{tax} Amount", said[0]))), right(value(gst)))
        else:
            grand(total_text, r.choice((f" (inc. {tax})", f" incl {tax}", f" inc {tax}")))
            page.truth.pop("GST_AMOUNT")
    else:
        if r.random() < 0.35:
            page.add(label("Subtotal"), right(value(total)))
        grand(total_text)
    page.truth["TOTAL_AMOUNT"] = value(total)
    if r.random() < 0.08:
        page.boxes.append((start, len(page.rows)))


def slogan_row(page: Page, mark: Mark) -> Row:
    """A footer line: chatter, web address, telephone."""
    r = page.rng
    k = r.random()
    text = T.slogan(r) if k < 0.7 else T.web(r) if k < 0.85 else contact(r)
    return Row([mark(text[:page.limit].strip())])
