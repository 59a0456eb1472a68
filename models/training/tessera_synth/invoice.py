"""Invoices."""
from __future__ import annotations

from . import text as T
from . import words as W
from .page import Page, Row, left, right, side_by_side
from .parts import block, items, marker, payer_rows, rand_label, slogan_row, supplier_rows, totals

TITLES = ("INVOICE", "INVOICE", "Invoice", "TAX INVOICE", "Tax Invoice", "Tax invoice", "SALES INVOICE", "Service Invoice")
TO_LABELS = ("Bill To", "Bill to", "Billed to", "To", "Customer", "Invoice To", "Client", "Sold To", "Invoice for", "Account", "Attention", "Prepared for", "Charge to", "Billing address", "Purchaser", "Buyer")


def meta_rows(page: Page, flush: str) -> list[Row]:
    """Number, date, due date and references; fills INVOICE_DATE."""
    r = page.rng
    pattern = r.choice(T.DATE_FORMATS)
    pairs: list[tuple[str, str]] = []
    if r.random() < 0.8:
        number = f"{r.choice(('INV-', '', 'INV', '#', 'A', 'N', 'TI-', T.code(r, 2, 3) + '-'))}{r.randint(1, 999999)}"
        pairs.append((r.choice(("Invoice No", "Invoice #", "Invoice Number", "No.", "Invoice", "Inv No", "Number", "Reference")), number))
    if r.random() < 0.95:
        d = T.date(r, pattern)
        page.truth["INVOICE_DATE"] = d
        pairs.append((r.choice(("Date", "Invoice Date", "Issued", "Date of Issue", "Issue Date", "Invoice date", "Dated", "Tax point", "Date issued", "Issued on")), d))
        if r.random() < 0.35:
            pairs.append((r.choice(("Due Date", "Due", "Payment Due", "Pay by", "Due date", "Payable by")), T.date(r, pattern)))
    if r.random() < 0.25:
        pairs.append((r.choice(("PO", "Order No", "Job", "Terms", "Customer No", "Account No", "Ref", "Page", "Sales rep", "ABN of client")[:9]), r.choice((T.code(r), "30 days", "Net 14", r.choice(W.FIRST), "1 of 1"))))
    if r.random() < 0.35:
        r.shuffle(pairs)
    colon = r.choice((":", ":", ""))
    style = r.random()
    if flush == "r":
        return [Row([right(f"{k}{colon} {v}")]) for k, v in pairs] if style < 0.7 else [Row([left(k + colon), right(v)]) for k, v in pairs]
    if style < 0.3:
        tab = r.uniform(0.42, 0.6)
        return [Row([left(k + colon), left(v, tab)]) for k, v in pairs]
    if style < 0.5:
        return [Row([left(k + colon), right(v)]) for k, v in pairs]
    return [Row([left(f"{k}{colon} {v}")]) for k, v in pairs]


def title_row(page: Page, align: str) -> Row:
    """The word 'Invoice' in some size and place."""
    r = page.rng
    scale = r.choice((1.0, 1.2, 1.5, 1.9))
    return Row([marker(align)(r.choice(TITLES), scale, r.random() < 0.5)], scale, "text", 2 if r.random() < 0.08 else 0)


def build(page: Page, count: int) -> None:
    """Fills ``page`` with an invoice of ``count`` lines."""
    r, lv, limit = page.rng, page.level, page.limit
    mark = marker("l")
    roomy = page.capacity - count - 13
    half = limit // 2 - 1
    want_address, want_abn = (0.35 + 0.45 * lv) if roomy > -2 else 0.3, 0.5 + 0.3 * lv
    noise = 0.45 if roomy > 2 else 0.1
    payer_address = (0.25 + 0.5 * lv) if roomy > -1 else 0.25
    has_payer = r.random() < 0.92
    if r.random() < 0.06:
        page.ornament()
    if r.random() < 0.05:
        page.add(marker(r.choice("lcr"))(r.choice(("ORIGINAL", "COPY", "Page 1 of 1", "Customer copy", "PAID", "Reprint", T.slogan(r)[:limit]))))
    layout = r.random()
    two = half >= 15
    if layout < 0.22 and two:                   # supplier left, title and meta right
        page.rows += side_by_side(supplier_rows(page, mark, half + 2, want_address, want_abn, noise), [title_row(page, "l")] + meta_rows(page, "l"), r.uniform(0.52, 0.58), r.random() < 0.5)
        page.separator(0.6)
        if has_payer:
            page.rows += payer_rows(page, mark, limit, TO_LABELS, payer_address)
    elif layout < 0.38 and two:                 # from / to columns
        page.rows.append(title_row(page, r.choice("lcr")))
        meta = meta_rows(page, "l")
        if r.random() < 0.5:
            page.rows += meta
            meta = []
        page.separator(0.5)
        sender = supplier_rows(page, mark, half, want_address, want_abn, noise)
        if r.random() < 0.6:
            sender = block(mark, [rand_label(r, ("From", "From:", "Supplier", "Seller", "Issued by", "Pay to"))], 1.0, r.random() < 0.4) + sender
        receiver = payer_rows(page, mark, half, TO_LABELS, payer_address) if has_payer else []
        page.rows += side_by_side(receiver, sender, 0.52, False) if r.random() < 0.25 else side_by_side(sender, receiver, 0.52, False)
        page.separator(0.5)
        page.rows += meta
    elif layout < 0.56 and two:                 # supplier block, then payer left and meta right
        head, supplier = [title_row(page, r.choice("lcr"))], supplier_rows(page, marker(r.choice("lllcr")), limit, want_address, want_abn, noise)
        page.rows += supplier + head if r.random() < 0.5 else head + supplier
        page.separator(0.6)
        receiver = payer_rows(page, mark, half, TO_LABELS, payer_address) if has_payer else []
        meta = meta_rows(page, r.choice("lr"))
        page.rows += side_by_side(meta, receiver, 0.54, False) if r.random() < 0.25 else side_by_side(receiver, meta, 0.54, r.random() < 0.5)
        if r.random() < 0.05 and receiver:
            page.rows += block(mark, [f"Ship to: {T.person(r)}"])
    elif layout < 0.64:                         # supplier in the footer
        page.rows.append(title_row(page, r.choice("lcr")))
        page.rows += meta_rows(page, "l")
        page.separator(0.5)
        if has_payer:
            page.rows += payer_rows(page, mark, limit, TO_LABELS, payer_address)
        foot = supplier_rows(page, marker(r.choice("lc")), limit, want_address, want_abn, 0.1)
        page.separator(0.8)
        total = items(page, r.choice(("full", "qfull", "name", "qname")), count, limit)
        page.separator(0.6)
        totals(page, total, r.choice((0.0, 0.4, 0.5)))
        page.separator(1.0)
        if r.random() < 0.4:
            page.add(mark(r.choice(("Issued by", "From:", "Remit to:", "Supplier:", "Please pay:"))))
        page.rows += foot
        return
    else:                                       # one column
        head, supplier = [title_row(page, r.choice("llcr"))], supplier_rows(page, marker(r.choice("lllc")), limit, want_address, want_abn, noise)
        page.rows += supplier + head if r.random() < 0.5 else head + supplier
        page.separator(0.4)
        meta = meta_rows(page, r.choice("llr"))
        receiver = payer_rows(page, mark, limit, TO_LABELS, payer_address) if has_payer else []
        page.rows += meta + receiver if r.random() < 0.6 else receiver + meta
    page.separator(0.9)
    total = items(page, r.choice(("full", "full", "full", "qfull", "qfull", "name", "qname")), count, limit)
    page.separator(0.8)
    totals(page, total, r.choice((0.0, 0.4, 0.5)))
    if page.used() < page.capacity - 2 and r.random() < 0.45:
        page.gap()
        lines = [slogan_row(page, mark)] if r.random() < 0.5 else block(mark, [f"BSB {r.randint(100, 999)}-{r.randint(100, 999)}", f"{r.choice(('Acct', 'Account', 'Acc No'))} {T.code(r, 6, 9)}"])
        page.rows += lines
