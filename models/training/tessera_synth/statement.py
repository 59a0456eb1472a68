"""Bank statements."""
from __future__ import annotations

from . import text as T
from . import words as W
from .page import ABSENT, Page, Row, left, right
from .parts import block, marker, rand_label, slogan_row, table

TITLES = ("Account Statement", "Bank Statement", "Statement of Account", "Transaction Summary", "Your Statement", "Statement", "STATEMENT", "ACCOUNT STATEMENT", "Transaction Listing", "Transaction history",
          "Savings Statement", "Everyday Account Statement", "Credit Card Statement", "Account activity", "BANK STATEMENT")


def bank_name(page: Page) -> str:
    """An invented bank."""
    r = page.rng
    k = r.random()
    name = f"{W.proper(r)} {r.choice(('Bank', 'Bank', 'Banking', 'Credit Union', 'Savings Bank', 'Mutual', 'Trust', 'Building Society', 'Bank Ltd', 'Financial'))}" if k < 0.7 else f"Bank of {W.proper(r)}" if k < 0.85 else T.company(r, 26)
    return name.upper() if r.random() < 0.2 else name


def period_rows(page: Page, year: int, month: int) -> list[Row]:
    """The date range; fills STATEMENT_DATE_RANGE."""
    r = page.rng
    pattern = r.choice([f for f in T.DATE_FORMATS if "{D}" not in f])
    first = (year, month, r.choice((1, 1, r.randint(1, 28))))
    later = (year, month, r.randint(27, 31)) if r.random() < 0.6 else (year + (month == 12), month % 12 + 1, r.randint(1, 31))
    a, b = T.format_date(r, pattern, *first), T.format_date(r, pattern, *later)
    k = r.random()
    if k < 0.14:                                              # two labels: the value joins the dates with 'to'
        page.truth["STATEMENT_DATE_RANGE"] = f"{a} to {b}"
        la, lb = r.choice((("From", "To"), ("From:", "To:"), ("Start date", "End date"), ("Period start:", "Period end:"), ("Opening date", "Closing date")))
        return [Row([left(f"{la} {a}")]), Row([left(f"{lb} {b}")])] if r.random() < 0.6 else [Row([left(la), right(a)]), Row([left(lb), right(b)])]
    joiner = r.choice((" to ", " to ", " to ", " - ", " - ", " – ", "-" if "-" not in a else " to ", " until ", " TO ", " through "))
    text = a + joiner + b
    page.truth["STATEMENT_DATE_RANGE"] = text
    label = rand_label(r, ("Statement period", "Period", "Statement Period", "For the period", "Date range", "From", "Statement dates", "Transactions", "Covering", "Statement from", "Statement for", "Activity"))
    if len(label) + len(text) + 2 > page.limit or r.random() < 0.25:
        return block(marker("l"), [label, text])
    k = r.random()
    if k < 0.2:
        return [Row([left(text)])]
    if k < 0.45:
        return [Row([left(label), right(text)])]
    return [Row([left(f"{label}{r.choice((':', ':', ''))} {text}")])]


def build(page: Page, count: int) -> None:
    """Fills ``page`` with a statement of ``count`` transactions."""
    r, lv, limit, m = page.rng, page.level, page.limit, page.money
    plain = r.random() < 0.6
    amount = lambda c: m(c, plain)
    mark = marker(r.choice("lllc"))
    roomy = page.capacity - count - 8
    year, month = r.randint(1998, 2032), r.randint(1, 12)
    scale = r.choice((1.0, 1.2, 1.5))
    bank = Row([mark(bank_name(page), scale, r.random() < 0.5)], scale)
    heading = Row([mark(r.choice(TITLES), r.choice((1.0, 1.0, 1.3)), r.random() < 0.3)], 1.2)
    if r.random() < 0.05:
        page.ornament()
    if r.random() < 0.2 and limit > 34:
        page.add(left(bank.segs[0].text, 0, 1.1, True), right(heading.segs[0].text, 1, 1.0))
    else:
        page.rows += [bank, heading] if r.random() < 0.7 else [heading, bank]
    meta: list[list[Row]] = []
    if r.random() < 0.5 and roomy > 0:
        holder = rand_label(r, ("Account Name: ", "Name: ", "Account holder: ", "", "", "Customer: ", "Statement for ", "Prepared for ")) + (T.person(r) if r.random() < 0.7 else T.company(r, 20))
        rows = block(marker("l"), [holder[:limit]])
        if r.random() < 0.5 * lv and roomy > 3:
            rows += block(marker("l"), T.address(r, limit))
        meta.append(rows)
    if r.random() < 0.7 and roomy > -1:
        number = f"{r.choice(('Account No:', 'Account Number:', 'Account', 'Acct:', 'BSB/Acct', 'A/C'))} {r.choice((T.code(r, 3, 3), str(r.randint(100, 999)) + '-' + str(r.randint(100, 999))))} {r.randint(1000, 99999999)}"
        meta.append(block(marker("l"), [number]))
    if r.random() < 0.94:
        meta.append(period_rows(page, year, month))
    if r.random() < 0.5:
        r.shuffle(meta)
    flat = [row for rows in meta for row in rows]
    page.rows += flat
    balance = r.randint(-50000, 900000) if r.random() < 0.1 else r.randint(1000, 900000) if r.random() < 0.8 else r.randint(900000, 90000000)
    opening = balance
    days = sorted(r.randint(1, 28) for _ in range(count))
    moves: list[tuple[int, bool]] = []
    for _ in range(count):
        value, credit = T.cents(r), r.random() < 0.32
        moves.append((value, credit))
        balance += value if credit else -value
        if r.random() < 0.06:
            balance += r.randint(-5000, 5000)
    closing_label = r.choice(("Closing Balance", "Closing balance", "Balance", "Ending Balance", "Current Balance", "Balance carried forward", "New balance", "CLOSING BALANCE", "Closing balance:", "Final balance"))
    opening_label = r.choice(("Opening Balance", "Opening balance", "Balance brought forward", "Previous balance", "Starting balance", "OPENING BALANCE", "Opening balance:"))
    suffix = r.choice(("", "", "", "", "", " CR"))
    show_balance = lambda c: amount(c) + suffix
    where = r.choice(("foot", "foot", "foot", "top", "top", "none"))
    if roomy < 0:
        where = r.choice(("foot", "none"))
    summary = len(page.rows)
    if r.random() < (0.5 if where == "top" else 0.4):
        if r.random() < 0.8:
            page.add(left(opening_label), right(show_balance(opening)))
        else:
            page.add(left(f"{opening_label.rstrip(':')}: {show_balance(opening)}"))
    if where == "top":
        if r.random() < 0.25:
            page.add(left(r.choice(("Total credits", "Total deposits", "Money in"))), right(amount(sum(v for v, c in moves if c))))
        if r.random() < 0.85:
            page.add(left(closing_label), right(show_balance(balance)))
        else:
            page.add(left(f"{closing_label.rstrip(':')}: {show_balance(balance)}"))
    if len(page.rows) > summary and r.random() < 0.25:
        page.boxes.append((max(0, summary - r.choice((0, 0, 1))), len(page.rows)))
    page.separator(0.85)

    style = r.choice(("dcb", "dcb", "dcb", "ab", "dc", "a"))
    pattern = r.choice(T.ROW_DATE_FORMATS)
    room = {"dcb": limit - 32, "ab": limit - 26, "dc": limit - 24, "a": limit - 18}[style] - (4 if "{y}" in pattern else 0)
    room = max(8, min(room, r.choice((14, 18, 22, 28))))
    signed = style in ("ab", "a")
    minus = r.choice(("-", "-", "-", "- "))
    plus = r.choice(("", "", "", "+"))
    dates, texts, paid, received, cells, balances = [], [], [], [], [], []
    running = opening
    once = r.random() < 0.06
    for (value, credit), day in zip(moves, days):
        running += value if credit else -value
        date = T.format_date(r, pattern, year, month, day)
        text = T.transaction(r, room)
        shown = (plus if credit else minus) + amount(value) if signed else amount(value)
        dates.append(date), texts.append(text.upper() if page.upper else text)
        paid.append(ABSENT if credit else shown), received.append(shown if credit else ABSENT)
        cells.append((shown, credit)), balances.append(show_balance(running))
    if count:
        balances[-1] = show_balance(balance)
    up = r.random() < 0.25
    head = lambda *o: (lambda t: t.upper() if up else t)(r.choice(o))
    debit, credit_h = r.choice((("Debit", "Credit"), ("Paid out", "Paid in"), ("Withdrawal", "Deposit"), ("Withdrawals", "Deposits"), ("Money out", "Money in"), ("Debits", "Credits"), ("Out", "In"), ("Paid", "Received"), ("Dr", "Cr")))
    columns = [(head("Date", "Date", "Posted", "Trans date"), "l", [[d] for d in dates]),
               (head("Description", "Details", "Transaction", "Particulars", "Transaction details", "Narrative", "Reference"), "l", [[t] for t in texts])]
    if once:
        shown_dates, last = [], ""
        for d in dates:
            shown_dates.append([d if d != last else ""])
            last = d
        columns[0] = (columns[0][0], "l", shown_dates)
    number = "r" if r.random() < 0.92 else "l"
    if style in ("dcb", "dc"):
        pair = [(head(debit), number, [["" if c else s] for s, c in cells]), (head(credit_h), number, [[s if c else ""] for s, c in cells])]
        if r.random() < 0.12:
            pair.reverse()
        columns += pair
    else:
        columns.append((head("Amount", "Amount", "Value", "Debit/Credit"), number, [[s] for s, _ in cells]))
    if style in ("dcb", "ab"):
        columns.append((head("Balance", "Balance", "Running balance", "Bal"), number, [[b] for b in balances]))
    if r.random() < 0.08:
        columns[1], columns[0] = columns[0], columns[1]
    headed = True if style in ("dcb", "dc") else r.random() < 0.85
    body = [[column[2][i] for column in columns] for i in range(count)]
    table(page, [c[0] for c in columns] if headed else None, body, [c[1] for c in columns], gap_em=r.uniform(0.7, 1.3), framed=r.random() < 0.12)
    join = " | ".join
    page.truth["TRANSACTION_DATES"], page.truth["TRANSACTION_DESCRIPTIONS"] = join(dates), join(texts)
    if any(x != ABSENT for x in paid):
        page.truth["TRANSACTION_AMOUNTS_PAID"] = join(paid)
    if any(x != ABSENT for x in received):
        page.truth["TRANSACTION_AMOUNTS_RECEIVED"] = join(received)
    if where == "foot":
        page.separator(0.7)
        page.add(left(closing_label), right(show_balance(balance)))
    if where != "none":
        page.truth["ACCOUNT_BALANCE"] = show_balance(balance)
    elif style in ("dcb", "ab"):
        page.truth["ACCOUNT_BALANCE"] = balances[-1]
    if page.used() < page.capacity - 1.5 and r.random() < 0.2:
        page.rows.append(slogan_row(page, mark))
