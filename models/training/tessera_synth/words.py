"""Word material: vendored lists, self-composed business words and pseudo-words."""
from __future__ import annotations

import contextlib
import random
from pathlib import Path

_LISTS = Path(__file__).resolve().parent.parent / "wordlists"


def _load(name: str) -> list[str]:
    return (_LISTS / f"{name}.txt").read_text().split("\n")[:-1]


_ALL = {"WORDS": _load("words"), "FIRST": _load("first_names"), "LAST": _load("last_names"), "PLACES": _load("places")}
_UNSEEN = {name: words[7::10] for name, words in _ALL.items()}
_SEEN = {name: [w for i, w in enumerate(words) if i % 10 != 7] for name, words in _ALL.items()}
WORDS, FIRST, LAST, PLACES = _SEEN["WORDS"], _SEEN["FIRST"], _SEEN["LAST"], _SEEN["PLACES"]

# self-composed
TRADES = """Cafe Bakery Market Pharmacy Hardware Books Motors Electrical Plumbing Foods Fruit Butchers Kitchen Bistro Grill Pizza Sushi
Noodles Coffee Tea Wines Cellars Fashion Shoes Sports Toys Pets Garden Nursery Furniture Lighting Flooring Paint Tools Auto Tyres Fuel
Cycles Travel Hotel Motel Lodge Dental Medical Optical Fitness Gym Yoga Salon Barber Print Design Media Studio Software Systems Tech Data
Networks Logistics Transport Freight Cleaning Security Consulting Legal Accounting Finance Insurance Realty Builders Roofing Fencing
Concrete Steel Timber Glass Supplies Traders Imports Store Shop Centre Clinic Farm House Works Services Repairs Rentals Hire Music Gallery
Brewing Roasters Catering Florist Jewellers Interiors Engineering Solar Marine Surf Outdoors Kids Learning School College Club Council
Roadhouse Hotel Tavern Bar Deli Grocer Seafood Meats Poultry Produce Chemist Vet Grooming Tailors Laundry Mart Depot Warehouse""".split()
SUFFIXES = ["Pty Ltd", "Pty Ltd", "Pty. Ltd.", "PTY LTD", "Ltd", "Limited", "LLC", "Inc", "Inc.", "Co", "Co.", "Group", "& Co", "& Sons", "Bros", "Australia", "Holdings", "Partners", "GmbH", "Trust"]
STREET_TYPES = ["St", "Street", "Rd", "Road", "Ave", "Avenue", "Dr", "Drive", "Ln", "Lane", "Ct", "Court", "Pl", "Place", "Pde", "Parade", "Hwy", "Highway", "Blvd",
                "Way", "Cres", "Crescent", "Tce", "Terrace", "Cct", "Circuit", "Cl", "Close", "Esplanade", "Esp", "Gr", "Grove", "Sq", "Square", "Walk", "Quay", "St.", "Rd.", "Ave.", "Mall", "Row", "Rise"]
STATES = ["NSW", "VIC", "QLD", "WA", "SA", "TAS", "ACT", "NT", "Vic", "Qld"]
GOODS = """coffee latte tea juice water milk bread butter cheese eggs yoghurt rice pasta flour sugar salt oil honey jam cereal apple banana
orange grape tomato potato onion carrot lettuce chicken beef lamb salmon prawn tuna pizza burger chips salad soup sandwich wrap roll pie toast
cake muffin cola beer wine chocolate biscuit cream soap shampoo tissue towel battery bulb cable charger mouse keyboard monitor printer
paper notebook pen folder hammer drill screw nail paint brush tape glue ladder hose glove shirt jeans sock jacket shoe hat belt scarf petrol
diesel tyre filter wiper brake labour service delivery freight consulting design hosting domain licence support training repair
installation cleaning gardening rent storage printing photo haircut massage vitamin bandage seed soil desk chair lamp sofa rug pump valve
pipe hinge bracket panel switch sensor inspection fitting report survey lesson ticket pass hire bond fee annual weekly monthly deposit""".split()
SIZES = ["Small", "Large", "Reg", "500g", "1kg", "250ml", "2L", "600mL", "x2", "x12", "6pk", "12pk", "Blue", "Red", "Black", "White", "Pack", "Box", "Pro", "Mini", "XL", "M10", "A4", "3m",
         "20mm", "1.5kg", "(3)", "(each)", "per hr", "- 2 hrs", "100W", "5kW", "pair", "set", "No. 7", "1/2in", "30cm", "50%", "std", "dbl", "GF", "V2"]
MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()
MONTHS_LONG = "January February March April May June July August September October November December".split()
DAYS = "Mon Tue Wed Thu Fri Sat Sun".split()

_ONSET = "b bl br c ch cl cr d dr f fl fr g gl gr h j k kl l m n p pl pr qu r s sh sk sl sm sn sp st str t th tr v w wh y z x".split() + [""] * 4
_NUCLEUS = "a e i o u a e i o ai ea ee oo ou ie au ay oa y ia".split()
_CODA = "b ck d f g l ll m n nd ng nk nt p r rd rk rn rt s sh sk ss st t th x z gh mb lt lf ft pt w".split() + [""] * 12


def pseudo(rng: random.Random, syllables: int | None = None) -> str:
    """A pronounceable made-up word, lower case."""
    n = syllables or rng.choice((1, 2, 2, 2, 3, 3, 4))
    pick = rng.choice
    return "".join(pick(_ONSET) + pick(_NUCLEUS) + (pick(_CODA) if i == n - 1 or rng.random() < 0.3 else "") for i in range(n)) or "ob"


def word(rng: random.Random) -> str:
    """One lower-case word of any source."""
    k = rng.random()
    if k < 0.50:
        return rng.choice(WORDS)
    if k < 0.68:
        return pseudo(rng)
    if k < 0.84:
        return rng.choice(LAST).lower()
    if k < 0.92:
        return rng.choice(PLACES).lower()
    return rng.choice(GOODS)


def proper(rng: random.Random) -> str:
    """A capitalised proper-name word."""
    k = rng.random()
    if k < 0.30:
        return rng.choice(LAST)
    if k < 0.52:
        return rng.choice(PLACES)
    if k < 0.76:
        return pseudo(rng).capitalize()
    if k < 0.95:
        return rng.choice(WORDS).capitalize()
    return rng.choice(FIRST)


@contextlib.contextmanager
def heldout():
    """Within this context the generator draws from the tenth of each list that training never sees."""
    saved = {name: globals()[name] for name in ("WORDS", "FIRST", "LAST", "PLACES")}
    globals().update({name: _UNSEEN[name] for name in saved})
    try:
        yield
    finally:
        globals().update(saved)
