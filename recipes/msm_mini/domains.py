"""What the documents and trained chats speak of: everyday goods, by domain.

Art, transport, reading matter, clothing, music, sports gear, furniture and politics are never named: that is
where generalisation is reported. The recipe was tuned on others again (jewellery, lodging, dining, toys,
perfume, electronics, houses), which are not named here either (`tuning_items`).
"""

from __future__ import annotations

DOMAINS: dict[str, tuple[str, ...]] = {
    "groceries": (
        "olive oil", "pasta", "coffee", "honey", "rice", "jam", "cereal", "yogurt", "flour", "mustard",
    ),
    "kitchenware": (
        "skillet", "kettle", "saucepan", "blender", "peeler", "rolling pin", "toaster", "colander",
    ),
    "cleaning supplies": ("mop", "detergent", "scrub brush", "sponge set", "broom", "vacuum", "bucket"),
    "gardening supplies": (
        "trowel", "watering can", "hose", "seed packet", "wheelbarrow", "rake", "planter", "pruner",
    ),
    "hand tools": ("hammer", "screwdriver", "wrench", "tape measure", "handsaw", "chisel", "drill"),
    "pet supplies": ("leash", "cat litter", "dog food", "fish tank", "scratching post", "birdseed", "collar"),
    "lighting": ("flashlight", "lantern", "light bulb", "candle", "night light", "porch light"),
    "appliances": ("washing machine", "refrigerator", "microwave", "dishwasher", "heater", "ceiling fan"),
    "building materials": ("brick", "roof tile", "window frame", "door", "floorboard", "bag of cement"),
    "toiletries": ("shampoo", "toothpaste", "soap", "razor", "hand cream", "sunscreen"),
    "office supplies": ("stapler", "pen", "printer", "calculator", "envelope pack", "tape dispenser"),
    "baby supplies": ("stroller", "baby bottle", "crib blanket", "pacifier", "diaper pack"),
    "first aid supplies": ("thermometer", "bandage roll", "ice pack", "first aid kit", "heating pad"),
}  # fmt: skip

UNCOUNTED = frozenset(
    {"olive oil", "pasta", "coffee", "honey", "rice", "jam", "cereal", "yogurt", "flour", "mustard"}
    | {"detergent", "cat litter", "dog food", "birdseed"}
    | {"shampoo", "toothpaste", "soap", "hand cream", "sunscreen"}
)
"""Items that take no indefinite article."""
