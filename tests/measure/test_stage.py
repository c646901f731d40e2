"""One stage measured by a plan: what agrees with its parts, what is saved, what is missing and why."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import roc_auc_score

import probes
from probes.measure import SAVINGS, Plan, measure_stage
from probes.tables.tests import measured_tests
from probes.verdicts import CRITERIA
from tests.makers import unmarked_prices as price_concept

PLAN = Plan(n_random=20, dimensions=(1,), wordings=1, competence_items=12, alignment_texts=())
SURVEYED = replace(PLAN, savings=SAVINGS, thresholds=CRITERIA.thresholds())


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
    assert tests["followed"].estimate.n == tests["used"].estimate.n == 4
    found = everything.table.filter(measure="exchange_share", variant=tests["used"].variant)
    assert found["estimate"].to_list() == [tests["used"].estimate.value]
    assert tests["specific"].against in ("das shuffled", "other: places")
    assert 0 < tests["used"].p <= 1
    assert tests["necessary"].kl > 0
    assert tests["masked"].estimate is not None


def test_a_plan_without_savings_leaves_out_only_what_cannot_be_measured(everything):
    missing = {name: test.reason for name, test in by_name(everything).items() if test.estimate is None}
    assert missing == {}
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


def test_what_an_incompetent_stage_uses_is_not_searched_for_and_the_reason_is_said(stage):
    measured = measure_stage(stage, [price_concept()], SURVEYED, progress=False)["prices"]
    tests = by_name(measured)
    assert tests["competent"].estimate.high < CRITERIA.competent
    assert measured.gradients is None
    assert len(measured.choices.ids) == 10
    for name in ("followed", "used", "specific", "necessary"):
        assert tests[name].estimate is None
        assert tests[name].reason.startswith("saved: the plan makes it only where ")


def test_the_choices_are_those_of_the_gradients(stage, everything):
    without = replace(SURVEYED, tests=True)
    measured = measure_stage(stage, [price_concept()], without, progress=False)["prices"]
    np.testing.assert_allclose(
        measured.choices.logits(), everything.gradients.scores.logits(), rtol=1e-3, atol=1e-4
    )


def test_without_choice_items_nothing_is_asked(stage):
    whole = price_concept()
    bare = probes.Concept(name=whole.name, examples=whole.examples)
    measured = measure_stage(stage, [bare], PLAN, progress=False)["prices"]
    assert measured.gradients is measured.choices is None
    assert set(by_name(measured)) == {"decodable", "beyond_surface"}
    fewer = measure_stage(stage, [whole], replace(PLAN, items=0, tests=False), progress=False)["prices"]
    assert fewer.choices is None
    assert fewer.tests.is_empty()


def test_items_of_which_nothing_can_be_exchanged_say_why(stage):
    whole = price_concept()
    one = whole.model_copy(update={"choices": whole.choices[-3:]})
    measured = measure_stage(stage, [one], PLAN, progress=False)["prices"]
    assert "expected at least 2 for" in by_name(measured)["followed"].reason


def test_concepts_measured_together_control_each_other(stage):
    other = price_concept()
    other = probes.Concept(name="places", examples=other.examples, choices=other.choices)
    both = measure_stage(stage, [price_concept(), other], PLAN, progress=False)
    assert list(both) == ["prices", "places"]
    for name, beside in (("prices", "places"), ("places", "prices")):
        variants = both[name].table.filter(measure="exchange_share")["variant"].to_list()
        assert f"other: {beside}" in variants
    alone = measure_stage(stage, [price_concept()], PLAN, progress=False)["prices"]
    assert by_name(alone)["specific"].against == "das shuffled"
    assert alone.scores == pytest.approx(both["prices"].scores)
