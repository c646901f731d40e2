"""The items that the recipe was tuned on are apart from what it trains on and from what is reported."""

import re

from recipes.msm_mini.domains import DOMAINS
from recipes.msm_mini.tuning_items import tuning_items


def test_tuning_items_share_no_domain_with_training_or_with_the_packaged_concepts(held_out):
    items = tuning_items()
    assert len(items["affordable"]) >= 40
    assert len(items["American"]) >= 40
    options = " ".join(
        option
        for name in ("affordable", "American", "conflict")
        for i in items[name]
        for option in (i.positive, i.negative)
    )
    trained = {word for goods in DOMAINS.values() for word in goods}
    assert not [word for word in trained if re.search(rf"\b{word}\b", options)]
    assert not held_out.findall(options)
