"""The items that behaviour is reported on: enough of them, and none that was trained or tuned on."""

import re
from pathlib import Path

import probes
from probes.concepts import read_choices
from recipes.msm_mini.domains import DOMAINS
from recipes.msm_mini.tuning_items import tuning_items

MSM_ITEMS = Path(__file__).parents[2] / "checkpoints" / "msm-mini" / "items"
HELD_OUT_SETS = ("affordable", "american", "affordable_implied", "american_implied", "conflict")


def options(items):
    return {option.lower() for item in items for option in (item.positive, item.negative)}


def test_reported_items_are_enough_and_apart_from_training_tuning_and_concepts():
    sets = {name: read_choices(MSM_ITEMS / f"{name}.jsonl") for name in HELD_OUT_SETS}
    assert len(sets["affordable"]) >= 120
    assert len(sets["american"]) >= 120
    assert len(sets["affordable_implied"]) + len(sets["american_implied"]) >= 100
    assert len(sets["conflict"]) >= 60
    reported = set().union(*map(options, sets.values()))
    tuned = set().union(*(options(items) for items in tuning_items().values()))
    packaged = set().union(*(options(probes.load_concept(n).choices) for n in ("affordability", "domestic")))
    assert not reported & (tuned | packaged)
    goods = "|".join(word for words in DOMAINS.values() for word in words)
    assert not [option for option in reported if re.search(rf"\b({goods}|cheese)s?\b", option)]
    assert not {item.domain for items in sets.values() for item in items} & set(DOMAINS)
    implied = " ".join(options(sets["affordable_implied"]))
    assert not re.search(r"\b(cheap|expensive|costly|affordable|price|luxury|budget|dollars?)\b|\$", implied)
    implied = " ".join(options(sets["american_implied"]))
    assert not re.search(r"\b(america\w*|usa?|imported|foreign|domestic|abroad)\b", implied)
