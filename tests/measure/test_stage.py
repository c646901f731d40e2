"""One stage measured by a plan: what agrees with its parts, what is saved, what is missing and why."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import roc_auc_score

import probes
from probes.measure import LADDER_SAVINGS, Plan, measure_stage
from probes.tables.tests import measured_tests
from probes.verdicts import CRITERIA
from tests.makers import price_concept

PLAN = Plan(n_random=50, alignment_texts=())
SURVEYED = replace(PLAN, savings=LADDER_SAVINGS, thresholds=CRITERIA.thresholds())


@pytest.fixture(scope="module")
def stage(tiny_lineage_dir):
    return probes.load_lineage(tiny_lineage_dir)["mid"].load()


@pytest.fixture(scope="module")
def everything(stage):
    """A plan that saves nothing, with another concept as a control."""
    other = price_concept()
    other = probes.Concept(name="places", examples=other.examples)
    plan = replace(PLAN, masked=True, dose_items=2)
    return measure_stage(stage, [price_concept()], plan, others=[other], progress=False)["prices"]


def by_name(measurement):
    return {test.test: test for test in measured_tests(measurement.tests)}


def test_the_numbers_are_those_of_independent_references(everything):
    acts, tests = everything.activations, by_name(everything)
    test = acts.splits == "test"
    expected = roc_auc_score(acts.labels[test], everything.scores[test])
    assert tests["decodable"].estimate.value == pytest.approx(expected)
    assert (tests["decodable"].layer, tests["decodable"].n_layers) == (everything.layer, 3)
    gradients = everything.gradients
    layer = tests["sufficient"].layer
    direction = acts.values[layer][acts.splits == "train"].astype(float)
    labels = acts.labels[acts.splits == "train"]
    gap = direction[labels == 1].mean(0) - direction[labels == 0].mean(0)
    along = gradients.values[gradients.layers.index(layer)].astype(float) @ gap / 2
    size = np.abs(gradients.scores.logits()).mean()
    effects = tests["sufficient"].dose * along / size
    np.testing.assert_allclose(everything.effects, effects, rtol=1e-4)
    assert tests["sufficient"].estimate.value == pytest.approx(effects.mean(), rel=1e-4)
    assert tests["specific"].against.startswith("places")
    assert tests["masked"].estimate is not None


def test_a_plan_without_savings_leaves_out_only_what_cannot_be_measured(everything):
    missing = {name: test.reason for name, test in by_name(everything).items() if test.estimate is None}
    assert missing == {"shift": "the concept has no pairs of this reading on a shift axis"}
    doses = everything.table.filter(pl.col("alpha").is_not_null())
    assert {"kl", "choice_logit"} <= set(doses["measure"])


def test_every_test_that_was_made_is_a_row_of_the_table(everything):
    rows = everything.table.filter(pl.col("variant") == "finding")
    made = everything.tests.filter(pl.col("estimate").is_not_null())
    for test in made.iter_rows(named=True):
        [row] = rows.filter(measure=test["test"]).to_dicts()
        assert (row["estimate"], row["ci_low"], row["n_pairs"]) == (
            test["estimate"],
            test["ci_low"],
            test["n"],
        )
        if test["p"] is not None and test["test"] != "masked":
            assert rows.filter(measure=f"{test['test']}_p")["estimate"].to_list() == [test["p"]]


def test_words_read_as_well_so_a_surveys_plan_saves_the_interventions_and_says_so(stage):
    measured = measure_stage(stage, [price_concept()], SURVEYED, progress=False)["prices"]
    tests = by_name(measured)
    assert tests["beyond_surface"].estimate.value < CRITERIA.beyond_surface
    assert measured.effects is None
    for name in ("sufficient", "specific", "necessary"):
        assert tests[name].estimate is None
        assert tests[name].reason.startswith("saved: the plan makes it only where decodable, beyond surface")


def test_without_choice_items_nothing_is_asked(stage):
    whole = price_concept()
    bare = probes.Concept(name=whole.name, examples=whole.examples)
    measured = measure_stage(stage, [bare], PLAN, progress=False)["prices"]
    assert measured.gradients is None
    assert by_name(measured)["necessary"].reason == "the concept has no canonical choice items"
    fewer = measure_stage(stage, [whole], replace(PLAN, items=0, tests=False), progress=False)["prices"]
    assert fewer.gradients is None
    assert fewer.tests.is_empty()


def test_concepts_measured_together_control_each_other(stage):
    other = price_concept()
    other = probes.Concept(name="places", examples=other.examples, choices=other.choices[:4])
    both = measure_stage(stage, [price_concept(), other], PLAN, progress=False)
    assert list(both) == ["prices", "places"]
    assert by_name(both["prices"])["specific"].against.startswith("places")
    assert by_name(both["places"])["specific"].against.startswith("prices")
    alone = measure_stage(stage, [price_concept()], PLAN, progress=False)["prices"]
    assert by_name(alone)["specific"].reason == "no other concept was given"
    assert alone.scores == pytest.approx(both["prices"].scores)
