"""Words of the browser-rendered test set. Nothing here may be used by the training generator.

Hand-written names of the kind found on Australian documents. ``build_wordlists.py`` removes every proper name of
this file from the training lists; ``check_disjoint`` in ``holdout/make.py`` asserts it.
"""
BUSINESSES = """Brunswick Bean Cafe|Yarraville Hardware|The Wattle & Gum Bakery|Coogee Surf Repairs|Kookaburra Kitchens|
Dandenong Tyre Centre|O'Malley's Fine Meats|Nguyen Brothers Produce|Larrikin Brewing Co.|Warrnambool Whitegoods|Sturt Street Chemist|
Harcourt Hill Cellars|Jindabyne Ski Hire|Paddington Paws Veterinary Clinic|Bilby & Sons Joinery|Mudgee Roofing Pty Ltd|
Eucla Roadhouse|Lorikeet Learning Centre|Quokka Print House|Toorak Tailors|Murrumbidgee Feed Barn|Wollemi Garden World|
Cootamundra Cycles|Banksia Dental Group|Barossa Barrel Works|Noosa Nails & Beauty|Gumnut Early Learning Pty Ltd|Ironbark Fencing|
Pelican Point Marine|Jacaranda Accounting|Kalbarri Plumbing and Gas|Echuca Paddle Tours|Daintree Eco Lodge|Wagtail Web Design|
Bendemeer Bookshop|Corroboree Coffee Roasters|Platypus Pools|Goulburn Glass & Mirror|Yackandandah Timber|Tamborine Tea House|
Mordialloc Music|Spinifex Solar Pty Ltd|Brolga Building Supplies|Currawong Catering|Galah Gifts|Boronia Florist|Waratah Auto Electrics|
Mallee Machinery|Kiama Kayaks|Bogong Outdoor""".replace("\n", "").split("|")
SUBURBS = """Brunswick VIC 3056|Yarraville VIC 3013|Coogee NSW 2034|Dandenong VIC 3175|Warrnambool VIC 3280|Jindabyne NSW 2627|
Paddington QLD 4064|Mudgee NSW 2850|Toorak VIC 3142|Cootamundra NSW 2590|Noosa Heads QLD 4567|Kalbarri WA 6536|Echuca VIC 3564|
Mossman QLD 4873|Goulburn NSW 2580|Yackandandah VIC 3749|Mordialloc VIC 3195|Kiama NSW 2533|Wodonga VIC 3690|Leichhardt NSW 2040|
Burnie TAS 7320|Ulladulla NSW 2539|Gympie QLD 4570|Tuggeranong ACT 2900|Katanning WA 6317|Nuriootpa SA 5355|Palmerston NT 0830|
Deloraine TAS 7304|Kurri Kurri NSW 2327|Mooloolaba QLD 4557|Unley SA 5061|Joondalup WA 6027""".replace("\n", "").split("|")
STREETS = """Sydney Road|Anderson Street|Marine Parade|Lonsdale Street|Raglan Parade|Kosciuszko Road|Latrobe Terrace|Mortimer Street|
Orrong Road|Parker Street|Hastings Street|Grey Street|Ogilvie Avenue|Foxton Avenue|Auburn Street|Wellsford Lane|Warren Road|Terralong Street|
Sangster Crescent|Norton Street|Wilmot Street|Boree Road|Mellor Street|Soward Way|Clive Street|Murray Esplanade|Chung Wah Terrace|
Emu Bay Road|Barton Street|Brisbane Road|Glen Osmond Road|Boas Avenue|Tarcutta Circuit|Wirraway Close""".replace("\n", "").split("|")
PEOPLE = """Bronwyn Kelleher|Darcy Fitzgibbon|Mahalia Tjungurrayi|Thuy Pham|Giancarlo Bellini|Saoirse Donohue|Lachlan Abercrombie|Kirra Wanganeen|
Matilda Featherstone|Angus Drummond|Yusra Haddad|Beau Scrimgeour|Imogen Wetherby|Jarrah Bonython|Tahlia Zammit|Callum Prendergast|
Siobhan Quilty|Hamish Strathearn|Elspeth Maguire|Rohan Chatterjee|Jedda Nungala|Fergus Mulvaney|Anthea Papadakis|Brodie Thistlewood|
Keira Oyelaran|Declan Rafferty|Mirella Castellano|Zdenka Hruska|Winnie Tuilagi|Cormac Balfour""".replace("\n", "").split("|")
PRODUCTS = """Lamington tray|Vegemite toast|Smashed avo on rye|Meat pie & sauce|Anzac biscuits 6pk|Barramundi fillet|Snag roll|Flat peach 1kg|
Macadamia brittle|Kangaroo jerky 50g|Iced coffee 600mL|Pavlova base|Chiko roll|Dim sims (3)|Dagwood dog|Fairy bread|Wheatgrass shot|
Gravel 20mm, per bag|Treated pine sleeper|Colorbond sheet 3m|Galvanised hinge|Masonry anchor M12|Silicone sealant clear|Roller set 230mm|
Sandpaper 120 grit|Fence paling 1.8m|Tap washer kit|Poly pipe 19mm|Wheel alignment|Puncture repair|Brake fluid flush|Wiper refill pair|
Annual vaccination|Flea treatment|Microchip implant|Scale and clean|Mouthguard fitting|Fissure sealant|Site inspection|Call-out fee|
Blocked drain - jetting|Hot water service 250L|Gutter replacement|Ridge cap re-bed|Skip bin hire (4 m3)|Wetsuit steamer|Board rental 2 hrs|
Fin plugs|Leg rope 7ft|Kayak half-day|Paddle cruise, adult|Ski pole hire|Chain lube|Inner tube 29in|Helmet visor|Guitar strings .010|
Drum sticks 5A|Reed pack|Ukulele soprano|Bouquet, native|Potting mix 25L|Blood and bone|Grevillea tube|Bottlebrush 140mm|Chook pellets 20kg|
Hay bale|Mineral lick|Drench 5L|Logo redraw|Landing page|Hosting renewal|SEO audit|Business cards x250|A3 laminating|Hem trousers|Zip replacement|
Suit alteration|Gel manicure|Eyebrow tint|BAS preparation|Payroll setup|Trust deed|Shiraz 2021|Cask muscat|Pale ale carton|Stubby holder|
Panel 440W|Inverter 5kW|Isolator switch|Mortgage calculator book|Atlas, second-hand|Bookmark""".replace("\n", "").split("|")
MERCHANTS = """Aussie Broadband|Chemist Warehouse Unley|Dan Murphy's Burnie|Mitre 10 Mudgee|Jetstar Airways|Opal Travel|Ausgrid|Origin Energy|
Bunnings Wodonga|Kmart Gympie|Guzman y Gomez|Boost Juice|Medibank Private|Linkt Toll|Myki Top Up|JB Hi-Fi|Harris Scarfe|Officeworks 0417|
Sendle Parcels|Nando's Kiama|Ampol Echuca|Hoyts Cinemas|Beyond Blue donation|RACV Membership|Swimming lessons|Vinnies op shop|
Xero subscription|Zambrero|Red Rooster|Cashrewards""".replace("\n", "").split("|")
BANKS = ["Bank of Eucalypt", "Southern Cross Mutual", "Wombat Credit Union", "Great Dividing Bank", "Tasman & Coral Banking", "Ningaloo Savings"]
SLOGANS = ["Good tucker, good mates", "Fair dinkum service since 1987", "Locally owned, proudly independent", "She'll be right!", "Family run for three generations",
           "Ask us about layby"]


def proper_names() -> set[str]:
    """Lower-case proper-name words (people, suburbs, streets, invented brands) that training lists must not hold."""
    common = set("""road street parade terrace avenue lane crescent way esplanade circuit close bay heads the and of cafe hardware bakery repairs
    kitchens centre fine meats brothers produce co chemist hill cellars hire clinic sons joinery roofing pty ltd learning print house tailors feed barn
    garden world cycles dental group barrel works nails beauty early fencing point marine accounting plumbing gas paddle tours eco lodge web design
    bookshop coffee roasters pools glass mirror timber tea music solar building supplies catering gifts florist auto electrics machinery kayaks
    outdoor bean surf tyre veterinary paws ski brewing whitegoods roadhouse bank mutual credit union great dividing banking savings southern cross grey
    vic nsw qld wa sa tas act nt""".split())
    words: set[str] = set()
    for text in BUSINESSES + SUBURBS + STREETS + PEOPLE + BANKS:
        for word in text.replace("'s", "").replace("'", "").lower().split():
            word = word.strip(".,&()")
            if word.isalpha() and len(word) > 2 and word not in common:
                words.add(word)
    return words


def whole_strings() -> set[str]:
    """Lower-case whole names, products and merchants, which training text must not contain."""
    return {s.lower() for s in BUSINESSES + PEOPLE + PRODUCTS + MERCHANTS + BANKS + SLOGANS}
