"""Which choice items are scored: spread over domains and templates, from a seed, and said."""

from collections import Counter

import polars as pl
import pytest

import probes
from probes.concepts import ChoiceItem
from probes.errors import InputError
from probes.measure.items import describe_items, evaluation_items, spread_items
from tests.makers import price_concept


@pytest.mark.parametrize("name", ["affordability", "domestic"])
def test_the_packaged_attributes_are_asked_about_in_all_their_domains(name):
    concept = probes.load_concept(name).core
    items = evaluation_items(concept, 14, seed=0)
    assert set(Counter(item.domain for item in items).values()) == {2}
    assert len({item.domain for item in items}) == 7
    assert max(Counter(item.template for item in items).values()) <= 2
    assert (
        describe_items(evaluation_items(concept), items, 0)
        == "14 of 80 test items, drawn over 7 domains and 10 templates with seed 0"
    )


def test_a_longer_draw_contains_a_shorter_one_and_another_seed_draws_others():
    items = evaluation_items(probes.load_concept("affordability").core)
    order = [item.id for item in spread_items(items, 3)]
    assert sorted(order) == sorted(item.id for item in items)
    for n in range(1, len(items)):
        counts = Counter(item.domain for item in spread_items(items, 3)[:n])
        assert max(counts.values()) - min([counts[item.domain] for item in items]) <= 2
    assert order == [item.id for item in spread_items(items, 3)]
    assert order[:14] != [item.id for item in spread_items(items, 4)[:14]]


def test_unequal_domains_and_items_without_tags():
    def item(i, domain):
        return ChoiceItem(id=f"{domain}{i}", prompt="which", positive="a", negative="b", domain=domain)

    items = [item(i, "art") for i in range(10)] + [item(0, "sea"), item(1, None), item(2, None)]
    assert {one.domain for one in spread_items(items)[:3]} == {"art", "sea", None}
    assert Counter(one.domain for one in spread_items(items)[:6]) == {"art": 3, "sea": 1, None: 2}


def test_a_plan_takes_all_in_their_order_and_none():
    concept = price_concept()
    everything = [c for c in concept.choices if c.split == "test"]
    assert evaluation_items(concept, None) == everything
    assert evaluation_items(concept, 0) == []
    assert describe_items(everything, everything, 0) == "all 8 test items"


@pytest.mark.parametrize("items", [0, -1, "some", 2.5, True])
def test_a_survey_refuses_what_is_no_number_of_items(tiny_lineage_dir, tmp_path, items):
    with pytest.raises(InputError, match="expected a number from 1 on, or 'all'"):
        probes.survey(
            tiny_lineage_dir, [price_concept()], tmp_path, items=items, static=False, progress=False
        )


def test_two_items_are_enough_for_a_survey(tiny_lineage_dir, tmp_path):
    done = probes.survey(
        tiny_lineage_dir, [price_concept()], tmp_path, stages=["base"], items=2, static=False, progress=False
    )
    assert done.run["size"]["items"] == 2
    assert set(done.table.filter(pl.col("alpha").is_null(), measure="choice_rate")["n_pairs"]) == {2}
