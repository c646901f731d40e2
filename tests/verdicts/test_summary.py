"""Verdicts from tables: other criteria give other verdicts, and no model takes part."""

import polars as pl
import pytest

from probes.tables.comparisons import COMPARISONS, Comparison
from probes.tables.tests import MeasuredTest, tests_table
from probes.verdicts import COLUMNS, TESTS, Criteria, judge_all, verdict_table
from tests.makers import estimate


def table_of(stage, value=0.9, p=0.001, **more):
    """A table in which all tests have one value, and those of the battery hold."""
    common = {"layer": 3, "n_layers": 12, "n_random": 99, "against": "length"}
    made = [
        MeasuredTest(name, estimate(0.9), p=0.001, **common)
        if name in ("competent", "principled")
        else MeasuredTest(name, estimate(value), p=p, axis="wording" if name == "shift" else None, **common)
        for name in TESTS
    ]
    tests = [more.get(test.test, test) for test in made]
    return tests_table(tests, stage=stage, concept="price", lineage="l")


def compared(stage, source, **quantities):
    values = {name: estimate(0.9) for name in ("source", "refit", "frozen", "kept", "realigned")}
    values |= {"refit_drop": estimate(0.0), "frozen_gap": estimate(0.0)} | quantities
    names = {"lineage": "l", "stage": stage, "source_stage": source, "concept": "price"}
    return pl.DataFrame(Comparison(**values).rows(**names), schema=COMPARISONS)


def test_a_row_for_each_concept_and_stage_with_numbers_origin_and_survival():
    unused = MeasuredTest("followed", estimate(0.0))
    tests = pl.concat([table_of("base", value=0.52, p=0.4, followed=unused), table_of("mid")])
    comparisons = compared("mid", "base", change_decodable=estimate(0.38))
    table = verdict_table(judge_all(tests, comparisons))
    assert table.columns == list(COLUMNS)
    base, mid = table.to_dicts()
    assert (base["verdict"], base["decided_by"], base["origin"]) == ("absent", "decodable", None)
    assert (mid["verdict"], mid["origin"], mid["survival"]) == ("internal", "made here", "persists")
    assert (mid["decodable"], mid["decodable_low"], mid["n_pairs"]) == (0.9, 0.87, 80)
    assert (base["reading"], mid["reading"]) == ("absent", "represented")
    assert mid["decodable_p"] == 0.002  # two tests were judged together
    assert "p is corrected for having chosen the best of 12 layers" in mid["evidence"]
    assert "not compared with a parent stage" in base["evidence"]
    assert "not compared" not in mid["evidence"]


def test_a_comparison_is_read_for_its_own_lineage_alone():
    one = pl.concat([table_of("base", value=0.52, p=0.4), table_of("mid")])
    other = one.with_columns(lineage=pl.lit("other"))
    kept = compared("mid", "base", change_decodable=estimate(0.38))
    lost = compared("mid", "base", frozen=estimate(0.5), kept=estimate(0.0), realigned=estimate(0.0))
    both = pl.concat([kept, lost.with_columns(lineage=pl.lit("other"))])
    survival = [
        judged.survival and judged.survival.label for judged in judge_all(pl.concat([one, other]), both)
    ]
    assert survival[0] is survival[2] is None
    alone = [judge_all(one, kept)[1], judge_all(other, lost.with_columns(lineage=pl.lit("other")))[1]]
    assert [survival[1], survival[3]] == [judged.survival.label for judged in alone]
    assert survival[1] == "persists" != survival[3]


def test_other_criteria_give_another_verdict_from_the_same_table():
    tests = table_of("mid", value=0.75)
    assert judge_all(tests)[0].verdict.label == "internal"
    assert judge_all(tests, criteria=Criteria(shift=0.8))[0].verdict.label == "surface"
    assert judge_all(tests, criteria=Criteria(used=0.8))[0].verdict.label == "represented"
    assert judge_all(tests, criteria=Criteria(alpha=0.0001))[0].verdict.label == "inconclusive"


def test_what_is_gone_by_damage_does_not_count_but_its_lack_does():
    strong = MeasuredTest("necessary", estimate(0.9), kl=0.3)
    table = table_of("mid", necessary=strong)
    judged = judge_all(table)[0]
    assert (judged.verdict.label, judged.verdict.decided_by) == ("inconclusive", "necessary")
    assert "damages neutral text too much: KL 0.30" in judged.verdict.missing["necessary"]
    assert judge_all(table, criteria=Criteria(damage=0.4))[0].verdict.label == "internal"
    weak = MeasuredTest("necessary", estimate(0.0), kl=0.3)
    assert judge_all(table_of("mid", necessary=weak))[0].verdict.label == "represented"


def test_few_random_subspaces_carry_no_p_value():
    few = MeasuredTest("used", estimate(0.9), p=0.001, n_random=30)
    assert judge_all(table_of("mid", used=few))[0].verdict.label == "internal"
    judged = judge_all(table_of("mid", used=few), criteria=Criteria(random_subspaces=50))[0]
    assert judged.verdict.missing["used"] == "only 30 random subspaces: expected at least 50"


@pytest.mark.parametrize(
    ("principled", "string", "label"),
    [
        (0.5, 0.01, "meaning"),
        (-0.5, 0.01, "meaning"),
        (0.01, 0.5, "strings"),
        (0.5, 0.5, "both"),
        (0.0, 0.0, "none"),
        (0.14, 0.0, "unclear"),
    ],
)
def test_what_has_changed_of_the_choices_since_the_parent(principled, string, label):
    tests = pl.concat([table_of("base"), table_of("mid")])
    changes = {"change_principled": estimate(principled), "change_string": estimate(string)}
    base, mid = verdict_table(judge_all(tests, compared("mid", "base", **changes))).to_dicts()
    assert (base["change"], mid["change"]) == (None, label)
    assert mid["change_string"] == string
    assert mid["change_principled_low"] == pytest.approx(principled - 0.03)
    assert "Since the parent, what is said whatever is asked has changed by" in mid["sentence"]
    unfollowed = table_of("mid", followed=MeasuredTest("followed", estimate(0.02)))
    judged = judge_all(pl.concat([table_of("base"), unfollowed]), compared("mid", "base", **changes))[1]
    assert judged.verdict.label == ("surface" if string == 0.5 else "represented")


def test_the_reason_of_a_test_that_was_not_made_stands_in_the_evidence():
    unmade = MeasuredTest("necessary", reason="the plan asks no items")
    judged = judge_all(table_of("mid", necessary=unmade))[0]
    assert (judged.verdict.label, judged.verdict.decided_by) == ("inconclusive", "necessary")
    assert "missing  necessary: the plan asks no items" in str(judged)


def test_of_several_axes_the_worst_is_shown_and_decides():
    better = table_of("mid").filter(pl.col("test") == "shift")
    worse = better.with_columns(pl.lit(0.5).alias("estimate"), pl.lit(0.55).alias("ci_high"), p=pl.lit(0.5))
    judged = judge_all(pl.concat([table_of("mid"), worse]))[0]
    assert judged.verdict.label == "surface"
    assert judged.row()["shift"] == 0.5


def test_few_pairs_are_noted():
    tests = table_of("mid").with_columns(n=pl.lit(8, pl.Int64))
    assert "8 test pairs: expected at least 20" in str(judge_all(tests)[0])
