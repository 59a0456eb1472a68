"""Random names, addresses, dates, amounts and descriptions, as varied as the page can bear."""
from __future__ import annotations

import random

from . import words as W

ACCENTS = {"a": "áàä", "e": "éè", "o": "öó", "u": "üú", "n": "ñ", "c": "ç", "i": "í"}


def accent(rng: random.Random, text: str) -> str:
    """Now and then one letter gets an accent."""
    spots = [i for i, c in enumerate(text) if c in ACCENTS]
    if not spots:
        return text
    i = rng.choice(spots)
    return text[:i] + rng.choice(ACCENTS[text[i]]) + text[i + 1:]


def code(rng: random.Random, low: int = 3, high: int = 9) -> str:
    """A random reference such as ``QX71-33`` or ``004821``."""
    n = rng.randint(low, high)
    if rng.random() < 0.5:
        return "".join(rng.choice("0123456789") for _ in range(n))
    alphabet = rng.choice(("ABCDEFGHJKLMNPQRSTUVWXYZ0123456789", "0123456789ABCDEF", "ABCDEFGHIJKLMNOPQRSTUVWXYZ"))
    text = "".join(rng.choice(alphabet) for _ in range(n))
    if n > 4 and rng.random() < 0.3:
        cut = rng.randint(2, n - 2)
        text = text[:cut] + rng.choice("-/.") + text[cut:]
    return text


def title(text: str) -> str:
    """Capitalises the first letter of each word and leaves the rest."""
    return " ".join(w[:1].upper() + w[1:] for w in text.split(" "))


def phrase(rng: random.Random, low: int, high: int) -> str:
    """Lower-case words in a row."""
    return " ".join(W.word(rng) for _ in range(rng.randint(low, high)))


def person(rng: random.Random) -> str:
    """A person's name in one of the usual shapes."""
    first = W.pseudo(rng, 2).capitalize() if rng.random() < 0.12 else rng.choice(W.FIRST)
    last = W.pseudo(rng).capitalize() if rng.random() < 0.2 else rng.choice(W.LAST)
    k = rng.random()
    if k < 0.08:
        name = f"{first[0]}. {last}"
    elif k < 0.12:
        name = f"{first[0]} {last}"
    elif k < 0.20:
        name = f"{rng.choice(('Mr', 'Ms', 'Mrs', 'Dr', 'Miss', 'Prof.'))} {first} {last}"
    elif k < 0.26:
        name = f"{first} {rng.choice('ABCDEFGHJKLMNPRSTW')}. {last}"
    elif k < 0.30:
        name = f"{last}, {first}"
    elif k < 0.35:
        name = f"{first} {last}-{rng.choice(W.LAST)}"
    elif k < 0.38:
        name = f"{first} {rng.choice(('O', 'D'))}'{last}"
    elif k < 0.42:
        name = f"{first} & {rng.choice(W.FIRST)} {last}"
    else:
        name = f"{first} {last}"
    if rng.random() < 0.02:
        name = accent(rng, name)
    return name.upper() if rng.random() < 0.12 else name


def _company_core(rng: random.Random) -> str:
    k = rng.random()
    one = W.proper
    trade = rng.choice(W.TRADES) if rng.random() < 0.55 else title(W.word(rng))
    if k < 0.18:
        return f"{one(rng)} {trade}"
    if k < 0.28:
        return f"{one(rng)} {one(rng)} {trade}"
    if k < 0.36:
        return f"{one(rng)}'s {trade}"
    if k < 0.44:
        return f"{one(rng)} & {one(rng)}" + (f" {trade}" if rng.random() < 0.4 else "")
    if k < 0.51:
        return f"The {one(rng)} {trade}"
    if k < 0.56:
        return f"{trade} {rng.choice(('of', 'on', 'at', 'by', 'and', '+', '@'))} {one(rng)}"
    if k < 0.62:
        return title(phrase(rng, 2, 3))
    if k < 0.67:
        return one(rng) + one(rng)[:6].capitalize()
    if k < 0.71:
        return f"{one(rng)} {rng.randint(1, 999)}" if rng.random() < 0.5 else f"{rng.randint(1, 99)} {one(rng)} {trade}"
    if k < 0.75:
        return "".join(rng.choice("ABCDEFGHJKLMNPRSTVW") for _ in range(rng.randint(2, 4))) + " " + trade
    if k < 0.79:
        return f"{one(rng)}-{one(rng)} {trade}"
    if k < 0.82:
        return f"{rng.choice(('Mac', 'Mc', 'O’', 'O' + chr(39), 'St '))}{rng.choice(W.LAST)} {trade}"
    if k < 0.85:
        return f"{one(rng)}{rng.choice(('.com', '.com.au', '.io', '.net', ' Online'))}"
    if k < 0.93:
        return one(rng)
    return f"{one(rng)} {trade} & {title(W.word(rng))}"


def company(rng: random.Random, limit: int = 32) -> str:
    """A business name; sometimes with a legal suffix, in mixed case."""
    for _ in range(8):
        name = _company_core(rng)
        if rng.random() < 0.32:
            name += rng.choice((" ", " ", " ", ", ")) + rng.choice(W.SUFFIXES)
        if len(name) <= limit:
            break
    else:
        name = name[:limit].rstrip(" ,-&'@+.")
    if rng.random() < 0.02:
        name = accent(rng, name)
    k = rng.random()
    if k < 0.24:
        return name.upper()
    if k < 0.28:
        return name.lower()
    if k < 0.33:
        return name.capitalize()
    return name


def suburb(rng: random.Random) -> str:
    """Locality with state and post code, in Australian and other shapes."""
    k = rng.random()
    place = rng.choice(W.PLACES) if k < 0.5 else W.pseudo(rng).capitalize() if k < 0.7 else W.proper(rng)
    if rng.random() < 0.15:
        place = f"{rng.choice(('North', 'South', 'East', 'West', 'Port', 'Mount', 'Mt', 'Lake', 'New', 'Upper', 'St'))} {place}"
    elif rng.random() < 0.12:
        place = f"{place} {rng.choice(('Heads', 'Beach', 'Park', 'Hills', 'Creek', 'Junction', 'Bay', 'Springs', 'North', 'Vale', 'Heights', 'Ponds'))}"
    state, post = rng.choice(W.STATES), f"{rng.randint(200, 9999):04d}"
    k = rng.random()
    if k < 0.58:
        text = f"{place} {state} {post}"
    elif k < 0.70:
        text = f"{place}, {state} {post}"
    elif k < 0.75:
        text = f"{place} {state}, {post}"
    elif k < 0.80:
        text = f"{place} {post}"
    elif k < 0.84:
        text = f"{place}"
    elif k < 0.89:
        text = f"{place} {rng.choice('ABCDEGHLMNSTW')}{rng.choice('ABCDEHLNW')}{rng.randint(1, 29)} {rng.randint(1, 9)}{rng.choice('ABDEHLNPQRSTW')}{rng.choice('ABDEHLNPQRSTW')}"
    elif k < 0.94:
        text = f"{place}, {rng.choice(('TX', 'CA', 'NY', 'WA', 'OR', 'IL', 'FL', 'OH'))} {rng.randint(10000, 99999)}"
    else:
        text = f"{place} {state} {post}{rng.choice((' ', ', '))}{rng.choice(('Australia', 'AUSTRALIA', 'Aust.'))}"
    return text


def street(rng: random.Random) -> list[str]:
    """One or two lines down to the street."""
    number = str(rng.randint(1, 40) if rng.random() < 0.3 else rng.randint(1, 1400))
    k = rng.random()
    if k < 0.06:
        number += rng.choice("ABCD")
    elif k < 0.10:
        number = f"{number}-{int(number) + rng.randint(2, 12)}"
    elif k < 0.18:
        number = f"{rng.randint(1, 60)}/{number}"
    name = rng.choice(W.LAST) if rng.random() < 0.35 else W.proper(rng)
    if rng.random() < 0.12:
        name = f"{rng.choice(('Old', 'Mount', 'Port', 'Great', 'St', 'Upper', 'Saint', 'Lake', W.proper(rng)))} {name}"
    road = f"{name} {rng.choice(W.STREET_TYPES)}"
    if rng.random() < 0.05:
        road += " " + rng.choice(("North", "South", "East", "West", "N", "W"))
    main = f"{number} {road}"
    k = rng.random()
    if k < 0.62:
        return [main]
    unit = rng.choice(("Unit", "Shop", "Suite", "Level", "Ste", "U", "Lot", "Building", "Floor", "Office", "Factory", "Kiosk", "Apt", "Bay"))
    which = rng.choice((str(rng.randint(1, 60)), str(rng.randint(1, 60)), f"{rng.choice('ABCDG')}{rng.randint(1, 30)}", rng.choice("ABCDEF")))
    if k < 0.72:
        return [f"{unit} {which}, {main}"]
    if k < 0.80:
        return [f"{unit} {which}/{main}"]
    if k < 0.84:
        return [f"{unit} {which} {main}"]
    if k < 0.90:
        return [f"{unit} {which}", main]
    if k < 0.95:
        return [rng.choice(("PO Box ", "P.O. Box ", "GPO Box ", "Locked Bag ", "PO BOX ", "Private Bag ")) + str(rng.randint(1, 9999))]
    if k < 0.98:
        return [f"{title(W.word(rng))} {rng.choice(('House', 'Centre', 'Plaza', 'Arcade', 'Mall', 'Tower', 'Park'))}", main]
    return [f"{road}"]


def address(rng: random.Random, limit: int = 34) -> list[str]:
    """The lines of an address as they will be printed, each at most ``limit`` characters."""
    for _ in range(20):
        head, tail = street(rng), suburb(rng)
        upper = rng.random() < 0.15
        k = rng.random()
        if k < 0.42:
            lines = [", ".join(head + [tail])]
        elif k < 0.48:
            lines = [" ".join(head + [tail])]
        elif k < 0.86 or len(head) == 1:
            lines = [", ".join(head), tail]
        else:
            lines = head + [tail]
        if upper:
            lines = [x.upper() for x in lines]
        if max(map(len, lines)) <= limit:
            break
    else:
        lines = [x[:limit].rstrip(" ,-") for x in lines]
    if len(lines) > 1 and rng.random() < 0.25:
        lines = [x + "," for x in lines[:-1]] + lines[-1:]
    return lines


def join_lines(lines: list[str]) -> str:
    """Ground truth of a multi-line value: lines joined with ', ', a printed comma at a line's end not doubled."""
    return ", ".join(x.rstrip(",") for x in lines)


def abn(rng: random.Random) -> str:
    """Eleven digits in one of the printed groupings."""
    d = "".join(rng.choice("0123456789") for _ in range(11))
    k = rng.random()
    if k < 0.80:
        return f"{d[:2]} {d[2:5]} {d[5:8]} {d[8:]}"
    if k < 0.93:
        return d
    return f"{d[:2]}-{d[2:5]}-{d[5:8]}-{d[8:]}"


DATE_FORMATS = ["{d:02d}/{m:02d}/{y}"] * 4 + ["{d:02d}-{m:02d}-{y}", "{d:02d}.{m:02d}.{y}", "{d}/{m}/{y}", "{d:02d}/{m:02d}/{s:02d}", "{d}/{m:02d}/{s:02d}", "{d} {M} {y}", "{d:02d} {M} {y}", "{d} {L} {y}", "{d:02d} {L} {y}",
                "{y}-{m:02d}-{d:02d}", "{y}/{m:02d}/{d:02d}", "{M} {d}, {y}", "{L} {d}, {y}", "{d:02d}-{M}-{y}", "{d:02d}-{M}-{s:02d}", "{d:02d}{U}{s:02d}", "{d:02d} {U} {y}", "{d:02d} {M} {s:02d}",
                "{D} {d} {M} {y}", "{D} {d:02d}/{m:02d}/{y}", "{D}, {d} {L} {y}", "{d}{o} {L} {y}", "{U} {d:02d} {y}", "{m:02d}/{d:02d}/{y}"]
ROW_DATE_FORMATS = ["{d:02d}/{m:02d}/{y}"] * 3 + ["{d:02d}/{m:02d}", "{d:02d} {M}", "{d} {M}", "{d:02d}/{m:02d}/{s:02d}", "{d:02d} {M} {s:02d}", "{M} {d:02d}", "{d:02d}-{m:02d}-{y}", "{d:02d}-{M}", "{d:02d} {U}",
                    "{d:02d} {M} {y}", "{y}-{m:02d}-{d:02d}", "{d}/{m}", "{d:02d}.{m:02d}.{y}", "{d}/{m}/{s:02d}", "{d:02d}-{m:02d}", "{d:02d}{U}", "{d:02d}-{M}-{s:02d}"]


def format_date(rng: random.Random, pattern: str, year: int, month: int, day: int) -> str:
    """One printed date."""
    suffix = "th" if 10 <= day % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(day % 10, "th")
    return pattern.format(d=day, m=month, y=year, s=year % 100, M=W.MONTHS[month - 1], L=W.MONTHS_LONG[month - 1], U=W.MONTHS[month - 1].upper(), D=rng.choice(W.DAYS), o=suffix)


def date(rng: random.Random, pattern: str | None = None) -> str:
    """A random date."""
    return format_date(rng, pattern or rng.choice(DATE_FORMATS), rng.randint(1998, 2032), rng.randint(1, 12), rng.randint(1, 31))


def cents(rng: random.Random) -> int:
    """An amount in cents, spread over the magnitudes that documents show."""
    k = rng.random()
    value = rng.randint(5, 999) if k < 0.22 else rng.randint(100, 4999) if k < 0.60 else rng.randint(1000, 49999) if k < 0.86 else rng.randint(50000, 999999) if k < 0.98 else rng.randint(1000000, 99999999)
    k = rng.random()
    return value // 100 * 100 if k < 0.12 and value > 100 else value // 5 * 5 if k < 0.4 else value


class Money:
    """How one document prints amounts."""

    def __init__(self, rng: random.Random) -> None:
        self.symbol = rng.choice(["$"] * 11 + [""] * 6 + ["£", "€"])
        self.comma = rng.random() < 0.75
        self.space = self.symbol != "" and rng.random() < 0.05
        if self.symbol and rng.random() < 0.06:
            self.symbol = rng.choice(("AUD ", "USD ", "A$", "NZ$", "AU$", "AUD $"))

    def __call__(self, value: int, plain: bool = False) -> str:
        text = f"{abs(value) / 100:,.2f}" if self.comma else f"{abs(value) / 100:.2f}"
        if not plain:
            text = self.symbol + (" " if self.space else "") + text
        return "-" + text if value < 0 else text


def item(rng: random.Random, limit: int) -> str:
    """A product or service description of at most ``limit`` characters."""
    for _ in range(8):
        k = rng.random()
        good = lambda: rng.choice(W.GOODS) if rng.random() < 0.4 else W.word(rng)
        if k < 0.25:
            text = f"{good()} {good()}"
        elif k < 0.40:
            text = good()
        elif k < 0.52:
            text = f"{good()} {good()} {good()}"
        elif k < 0.60:
            text = f"{good()} {rng.choice(('&', 'and', 'with', 'w/', 'on', 'for', '+', 'of'))} {good()}"
        elif k < 0.66:
            text = f"{good()}, {good()}"
        elif k < 0.71:
            text = f"{good()} - {good()}"
        elif k < 0.75:
            text = f"{good()} ({good()})"
        elif k < 0.79:
            text = f"{W.proper(rng)} {good()}"
        elif k < 0.83:
            text = f"{code(rng, 3, 6)} {good()}"
        elif k < 0.86:
            text = f"{good()}-{good()}"
        elif k < 0.90:
            text = f"{good()} {rng.randint(1, 500)}{rng.choice(('mm', 'ml', 'g', 'kg', 'L', 'm', 'cm', 'W', 'in', 'pk', ' GB', '%'))}"
        elif k < 0.93:
            text = f"{good()} {good()} {good()} {good()}"
        elif k < 0.95:
            text = f"{good()} #{rng.randint(1, 99)}"
        else:
            text = W.pseudo(rng) + " " + W.pseudo(rng)
        if rng.random() < 0.22:
            text += " " + rng.choice(W.SIZES)
        if len(text) <= limit:
            break
    else:
        text = text[:limit].rstrip(" ,-(&+/")
    if text.count("(") != text.count(")"):
        text = text.replace("(", "")
    k = rng.random()
    return title(text) if k < 0.52 else text[:1].upper() + text[1:] if k < 0.74 else text.upper() if k < 0.93 else text


def transaction(rng: random.Random, limit: int) -> str:
    """A bank statement's transaction text of at most ``limit`` characters."""
    shop = lambda: company(rng, 20)
    for _ in range(8):
        k = rng.random()
        if k < 0.30:
            text = shop()
        elif k < 0.40:
            text = f"{rng.choice(('EFTPOS', 'VISA', 'POS', 'Debit Card', 'Card', 'Purchase', 'PAYWAVE', 'VISA PURCHASE', 'Card purchase'))} {shop()}"
        elif k < 0.48:
            text = f"{shop()} {title(rng.choice(W.PLACES))}"
        elif k < 0.56:
            text = f"{rng.choice(('Transfer to', 'Transfer from', 'TFR', 'Osko', 'PayID', 'Payment to', 'From', 'Trf'))} {person(rng)}"
        elif k < 0.64:
            text = f"{rng.choice(('Direct Debit', 'DD', 'Direct Credit', 'BPAY', 'Deposit', 'Salary', 'Wages', 'Refund', 'Pay', 'Loan', 'Rent', 'Insurance'))} {shop()}"
        elif k < 0.70:
            text = rng.choice(("Salary", "Wages", "Interest", "Account fee", "Monthly fee", "ATM withdrawal", "Cash deposit", "Cheque", "Rent", "Loan repayment", "Interest paid", "Dividend", "Overseas fee", "Council rates", "Mortgage"))
            if rng.random() < 0.4:
                text += " " + code(rng, 3, 8)
        elif k < 0.78:
            text = f"{shop()} {code(rng, 3, 8)}"
        elif k < 0.84:
            text = f"ATM {rng.choice(W.PLACES)}"
        elif k < 0.92:
            text = title(phrase(rng, 1, 3))
        else:
            text = f"{W.proper(rng)}*{W.proper(rng)}" if rng.random() < 0.4 else f"{rng.choice(W.GOODS)} {rng.choice(W.GOODS)}".capitalize()
        if len(text) <= limit:
            break
    else:
        text = text[:limit].rstrip(" ,-(&+/*'")
    return text.upper() if rng.random() < 0.18 else text


def phone(rng: random.Random) -> str:
    """A telephone number."""
    n = lambda k: "".join(rng.choice("0123456789") for _ in range(k))
    return rng.choice((f"(0{rng.choice('2378')}) {n(4)} {n(4)}", f"0{rng.choice('2378')} {n(4)} {n(4)}", f"1300 {n(3)} {n(3)}", f"04{n(2)} {n(3)} {n(3)}", f"+61 {rng.choice('2378')} {n(4)} {n(4)}", f"13 {n(2)} {n(2)}"))


def web(rng: random.Random) -> str:
    """A web or e-mail address."""
    host = f"{W.word(rng).replace(' ', '')[:12]}{rng.choice(('.com', '.com.au', '.net.au', '.au', '.org', '.co'))}"
    k = rng.random()
    return f"www.{host}" if k < 0.4 else f"{rng.choice(('info', 'hello', 'sales', 'accounts', rng.choice(W.FIRST).lower()))}@{host}" if k < 0.85 else host


def slogan(rng: random.Random) -> str:
    """A line of chatter."""
    k = rng.random()
    if k < 0.35:
        return rng.choice(("Thank you", "Thank you!", "THANK YOU", "Please come again", "Have a nice day", "Thanks for shopping with us", "Keep this receipt", "No refunds", "Customer copy",
                           "Visit again soon", "E. & O.E.", "Terms 30 days", "Payment due in 14 days", "Please pay on time", "All prices in AUD", "Merchant copy", "Goods remain ours until paid", "Thank you for your business"))
    text = phrase(rng, 2, 5)[:34].strip()
    text = rng.choice((text.capitalize(), title(text), text.upper(), text.capitalize()))
    return text + rng.choice(("", "", ".", "!", "!!", "?"))
