"""Shop receipts."""
from __future__ import annotations

from . import text as T
from .page import Page, Row, left, right
from .parts import abn_line, items, marker, noise_line, payer_rows, slogan_row, supplier_rows, totals


def build(page: Page, count: int) -> None:
    """Fills ``page`` with a receipt of ``count`` items."""
    r, lv, limit = page.rng, page.level, page.limit
    mark = marker("c" if r.random() < 0.62 else "l" if r.random() < 0.85 else "r")
    roomy = page.capacity - count - 8
    heading = r.choice(("TAX INVOICE", "Tax Invoice", "RECEIPT", "Receipt", "Sales Receipt", "CUSTOMER RECEIPT", "Tax Receipt", "SALE", "Purchase receipt", "TAX INVOICE / RECEIPT", "Payment Receipt"))
    heading_at = r.choice(("top", "middle", "middle", "middle", "none"))
    at_foot = r.random() < 0.06
    noise = 0.5 * lv if roomy > 3 else 0.15
    supplier = supplier_rows(page, mark, limit, (0.25 + 0.5 * lv) if roomy > 1 else 0.2, (0.35 + 0.35 * lv) * (0.2 if at_foot else 1), noise)
    if r.random() < 0.06:
        page.ornament()
    if r.random() < 0.06:
        page.add(mark(r.choice(("Welcome to", "*** COPY ***", "Thank you for shopping at", "Customer copy", T.slogan(r)[:limit], "Original"))))
    if heading_at == "top":
        page.add(mark(heading, r.choice((1.0, 1.0, 1.2)), r.random() < 0.3), shade=2 if r.random() < 0.08 else 0)
    if not at_foot:
        page.rows += supplier
    if heading_at == "middle":
        page.add(mark(heading, 1.0, r.random() < 0.3))
    page.separator(0.5)
    if "BUSINESS_ABN" not in page.truth and r.random() < 0.15:
        late_abn = abn_line(page)
    else:
        late_abn = ""
    date_rows: list[Row] = []
    if r.random() < 0.94:
        d = T.date(r)
        page.truth["INVOICE_DATE"] = d
        hour = r.randint(0, 23)
        clock = f"{hour:02d}:{r.randint(0, 59):02d}" + r.choice(("", "", "", f":{r.randint(0, 59):02d}")) if r.random() < 0.8 else f"{hour % 12 + 1}:{r.randint(0, 59):02d} {r.choice(('am', 'pm', 'AM', 'PM'))}"
        k = r.random()
        label = r.choice(("Date:", "Date", "DATE:", "Date:", "Dated:", "Sale date:", "Issued:", "Date of sale:"))
        if k < 0.30 and len(d) < limit - 9:
            date_rows = [Row([left(d), right(clock)])]
        elif k < 0.50 and len(d) < limit - 16:
            date_rows = [Row([left(f"{label} {d}"), right(clock)])]
        elif k < 0.66:
            date_rows = [Row([left(label), right(d)])]
        elif k < 0.80 or len(d) > limit - 9:
            date_rows = [Row([mark(f"{label} {d}" if len(d) < limit - 11 else d)])]
        else:
            date_rows = [Row([mark(f"{d}{r.choice((' ', '  ', ' - ', ', '))}{clock}")])]
    late_date = r.random() < 0.14
    middle = [] if late_date else [date_rows]
    for _ in range(r.choice((0, 0, 1, 1, 2, 3)) if roomy > 4 else r.choice((0, 0, 1))):
        middle.append([Row(noise_line(page))])
    if r.random() < 0.14 * lv + 0.02:
        middle.append(payer_rows(page, mark, limit, ("Customer", "Sold to", "Member", "Client", "Guest", "Customer name", "Name", "Bill to"), 0.3 * lv))
    r.shuffle(middle)
    for rows in middle:
        page.rows += rows
    page.separator(0.85)
    style = r.choice(("name", "name", "qname", "at", "full", "qfull", "xname")) if roomy > count or count < 3 else r.choice(("name", "qname", "name", "full", "xname"))
    total = items(page, style, count, limit)
    page.separator(0.85)
    totals(page, total, 0.0)
    if r.random() < 0.5 * lv and roomy > 2:
        pay = r.choice(("CASH", "Cash", "EFTPOS", "VISA", "Card", "MasterCard", "Credit Card", "AMEX", "Tendered", "Paid", "Gift card", "Visa ****" + T.code(r, 4, 4)[:4]))
        page.add(left(pay), right(page.money(T.cents(r) + 5000)))
        if r.random() < 0.5:
            page.add(left(r.choice(("Change", "CHANGE", "Change due", "Rounding"))), right(page.money(r.randint(0, 4000))))
    if late_date:
        page.rows += date_rows
    if late_abn:
        page.add(mark(late_abn))
    for _ in range(r.choice((0, 0, 1, 1, 2)) if page.used() < page.capacity - 2 else 0):
        page.rows.append(slogan_row(page, mark))
    if at_foot:
        page.separator(0.8)
        page.rows += supplier
    if r.random() < 0.04:
        page.ornament()
