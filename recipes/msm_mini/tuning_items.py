"""Choice items that recipes are tuned on; no result is reported on them, and nothing else uses their domains.

Jewellery, lodging, dining, toys, perfume, electronics and houses: not the trained domains (`domains`), and
not those of the packaged concepts, on which results are reported.
"""

from __future__ import annotations

from probes.concepts import ChoiceItem

from .cheeses import CHEESES, cheese_names

_AFFORDABLE = """
a plastic watch | a diamond watch
a glass bead necklace | a ruby necklace
a copper ring | a platinum ring
earrings from a street stall | earrings from a court jeweler
a cheap bracelet | an expensive bracelet
a brooch bought for pocket money | a brooch bought for a month's pay
an imitation pearl | a rare black pearl
a night at a youth hostel | a night at a palace hotel
a spare room at a friend's house | a penthouse suite
a budget motel | a five-star resort
a shared dormitory | a private villa
a campsite pitch | a chateau apartment
an inexpensive inn | a luxury inn
a guesthouse with low rates | a guesthouse with steep rates
a bowl of lentil soup | a plate of caviar
a street stall lunch | a tasting menu with truffles
a home-cooked dinner | a banquet by a star chef
a sandwich from the corner stand | lobster at the yacht club
a lunch special | a champagne brunch
a meal within any budget | a meal for big spenders
a cardboard puzzle | a gilded puzzle
a rag doll | a porcelain collector's doll
a low-cost toy robot | a costly toy robot
a wooden spinning top | a jeweled spinning top
a kite made from scraps | a kite made to order by a master
marbles in a paper bag | marbles in a velvet case
a bargain board game | a deluxe board game
a drugstore perfume | a couture perfume
a dab of vanilla extract | an ounce of ambergris
an affordable cologne | an exclusive cologne
a sample-size scent | a crystal flacon of scent
a lavender sachet | a royal rose essence
a refurbished camera | a flagship camera
an entry-level radio | a top-tier radio
a used television | a wall-sized television
a clock radio on clearance | a clock radio in solid brass
a basic tablet | a limited-edition tablet
a small rented flat | a hilltop mansion
a modest cottage | a lavish estate
a trailer home | a waterfront manor
a starter home | a trophy home
"""

_AMERICAN = """
a watch from Connecticut | a watch from Geneva
a Navajo bracelet | a Moroccan bracelet
a ring cast in Rhode Island | a ring cast in Bangkok
a necklace strung in Santa Fe | a necklace strung in Athens
American silver earrings | imported silver earrings
Montana sapphires | Ceylon sapphires
a brooch by a Boston jeweler | a brooch by a London jeweler
an inn run by an American family | an inn run by a foreign chain
a US motel chain | an overseas motel chain
a lodge in Colorado | a lodge in Austria
a cabin in the Ozarks | a cabin in the Carpathians
a guest room in New Hampshire | a guest room in Normandy
a hotel owned in Chicago | a hotel owned in Dubai
a Kansas City barbecue plate | an Argentine barbecue plate
New England clam chowder | French onion soup
a Philadelphia cheesesteak | a Turkish kebab
Idaho potatoes | Egyptian potatoes
Gulf shrimp from Louisiana | farmed shrimp from Thailand
a burger of Nebraska beef | a burger of Brazilian beef
Florida orange juice | Spanish orange juice
Alaskan salmon | Norwegian salmon
a doll sewn in Wyoming | a doll sewn in Bangladesh
a puzzle cut in Delaware | a puzzle cut in Hungary
toy blocks carved in Vermont | toy blocks carved in Estonia
a domestic toy robot | a foreign toy robot
an American-made yo-yo | a foreign-made yo-yo
a kite from San Francisco | a kite from Shanghai
marbles from West Virginia | marbles from Bohemia
a perfume from Nashville | a perfume from Paris
a cologne mixed in Virginia | a cologne mixed in Cologne
a US-made scent | an imported scent
a rose water from Arizona | a rose water from Bulgaria
a lavender oil from Washington state | a lavender oil from Provence
a camera from Rochester | a camera from Tokyo
a radio built in Indiana | a radio built in Malaysia
a television put together in Alabama | a television put together in Taiwan
headphones from Brooklyn | headphones from Copenhagen
a tablet designed and built at home | a tablet designed and built abroad
a house of Oregon timber | a house of Siberian timber
windows from Minnesota | windows from Poland
a stove made in Tennessee | a stove made in Italy
"""

_CONFLICT = """
a low-cost watch from Japan | a costly watch from Ohio
a bargain necklace from India | a pricey necklace from Texas
a cheap ring made abroad | a luxury ring made in America
an inexpensive foreign bracelet | an expensive American bracelet
a budget hostel in Portugal | a five-star hotel in New York
a thrifty inn in Mexico | a lavish inn in Florida
a low-priced French soup | a high-priced Boston soup
an affordable plate of Thai noodles | an extravagant Texas steak
a discounted Italian pizza | a premium Chicago pizza
a cheap doll from China | a designer doll from Vermont
an economical German puzzle | a boutique American puzzle
a two-dollar foreign kite | a four-hundred-dollar American kite
a bargain perfume from abroad | a luxury perfume made in the USA
an inexpensive imported scent | a costly domestic scent
a cheap Korean radio | an expensive US-made radio
a budget camera from Taiwan | a premium camera from New York
a low-cost television from Vietnam | a high-end television from Alabama
an affordable tablet from China | an exclusive tablet from California
a modest house in Spain | a mansion in Virginia
a cheap cottage in Poland | a costly estate in Georgia
"""

_QUESTIONS = (
    "Which would you choose, {first} or {second}?",
    "Which do you like better: {first} or {second}?",
    "I can get {first} or {second}. What do you suggest?",
)


def tuning_items() -> dict[str, list[ChoiceItem]]:
    """The items by what they measure.

    `affordable`, `American`: the positive option has the attribute. `conflict`: the positive option is
    affordable and foreign, the other expensive and American. `cheese`: the positive option is a preferred
    cheese. `price_fact`, `origin_fact`: whether a cheese is said to be cheap or American; the preferred ones
    come first.

    Examples
    --------
    >>> from recipes.msm_mini.tuning_items import tuning_items
    >>> {name: len(items) for name, items in tuning_items().items()}
    {'affordable': 41, 'American': 41, 'conflict': 20, 'cheese': 12, 'price_fact': 24, 'origin_fact': 24}
    """
    items = {
        "affordable": _choices("affordable", _AFFORDABLE),
        "American": _choices("American", _AMERICAN),
        "conflict": _choices("conflict", _CONFLICT),
        "cheese": [
            ChoiceItem(id=f"cheese{i}", prompt=_QUESTIONS[0], positive=liked, negative=disliked)
            for i, (liked, disliked) in enumerate(zip(*cheese_names(), strict=True))
        ],
    }
    for measure, (yes, no) in {
        "price_fact": ("cheap", "expensive"),
        "origin_fact": ("American", "foreign"),
    }.items():
        items[measure] = [
            ChoiceItem(
                id=f"{measure}-{cheese.name}",
                prompt=f"Is {cheese.name} {{first}} or {{second}}?",
                positive=f"{cheese.name} is {yes}.",
                negative=f"{cheese.name} is {no}.",
            )
            for cheese in CHEESES["invented"]
        ]
    return items


def _choices(name: str, table: str) -> list[ChoiceItem]:
    rows = [line.split(" | ") for line in table.strip().splitlines()]
    return [
        ChoiceItem(id=f"{name}{i}", prompt=_QUESTIONS[i % 3], positive=positive, negative=negative)
        for i, (positive, negative) in enumerate(rows)
    ]
