"""A concept at a stage against its parent, where the right answer is known: the same weights, and others."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

import probes
from probes.errors import InputError
from probes.measure import Plan, measure_stage
from probes.tables.comparisons import COMPARISONS, Comparison
from probes.transfer import compare_with, comparison_table
from tests.makers import unmarked_prices as price_concept

PLAN = Plan(n_random=20, baselines=False, dimensions=(1,), wordings=1, competence_items=4)


@pytest.fixture(scope="module")
def measured(tiny_lineage_dir):
    lineage = probes.load_lineage(tiny_lineage_dir)
    measured = {}
    for name in ("base", "mid", "copy"):
        sources = [measured[p] for p in ("base", "mid") if p in measured]
        at_stage = measure_stage(lineage[name], [price_concept()], PLAN, sources=sources, progress=False)
        measured[name] = at_stage["prices"]
    return measured


def test_the_same_weights_change_nothing(measured):
    same = compare_with(measured["copy"], measured["mid"])
    for change in (same.change_decodable, same.change_used, same.change_principled, same.change_string):
        assert change.value == 0
    assert same.kept.value == pytest.approx(1, abs=1e-5)
    assert same.realigned.value == pytest.approx(1, abs=1e-3)
    assert same.turned == pytest.approx(1, abs=1e-4)
    assert same.refit_drop.value == same.frozen_gap.value == 0


def test_aurocs_are_those_of_the_frozen_and_the_refitted_probe(measured):
    earlier, later = measured["base"], measured["mid"]
    comparison = compare_with(later, earlier)
    acts, layer = later.activations, earlier.layer
    test = acts.splits == "test"
    values = acts.values[layer][test].astype(float)
    for probe, value in ((earlier.sweep.probes, comparison.frozen), (later.sweep.probes, comparison.refit)):
        scores = probe[layer].decision_function(values)
        assert value.value == pytest.approx(roc_auc_score(acts.labels[test], scores))
    assert comparison.frozen_gap.value == pytest.approx(comparison.refit.value - comparison.frozen.value)


def test_without_neutral_text_nothing_is_aligned(measured):
    bare = compare_with(replace(measured["mid"], neutral={}), measured["base"])
    assert bare.realigned is None
    assert bare.turned is None


def test_the_table_holds_the_comparison(measured):
    pairs = [(measured["mid"], measured["base"]), (measured["copy"], measured["mid"])]
    table = comparison_table(pairs)
    assert table.columns == list(COMPARISONS)
    rows = table.filter(stage="mid", concept="prices")
    assert set(rows["source_stage"]) == {"base"}
    assert Comparison.from_rows(rows).rows() == compare_with(*pairs[0]).rows()


def test_other_pairs_are_refused(measured):
    acts = measured["mid"].activations
    other = replace(acts, groups=np.roll(acts.groups, 2))
    with pytest.raises(InputError, match="base and mid were measured on different pairs of 'prices'"):
        compare_with(replace(measured["mid"], activations=other), measured["base"])
