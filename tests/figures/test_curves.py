"""Survival curves follow the arms of a lineage."""

from __future__ import annotations

import polars as pl
import pytest

import probes
from probes.errors import InputError
from probes.figures import survival_curves
from tests.makers import SURVEY_PARENTS, rows_of, traces

STAGES = list(SURVEY_PARENTS)


def test_survival_curves_follow_the_arms(table):
    figure = survival_curves(table, order=STAGES, parents=SURVEY_PARENTS)
    layout = figure.plotly.to_dict()["layout"]
    arms = [list(layout[axis]["ticktext"]) for axis in ("xaxis", "xaxis2", "xaxis3")]
    assert arms == [
        ["base", "aft"],
        ["base", "msm_afford", "msm_afford_aft"],
        ["base", "msm_domestic", "msm_domestic_aft"],
    ]

    def value(variant, stage, source):
        return rows_of(
            table, measure="auroc", variant=variant, stage=stage, source_stage=source, concept="affordability"
        )[0]["estimate"]

    (refit,) = traces(figure, name="refit", xaxis="x2")
    assert refit["y"] == [value("refit", stage, stage) for stage in arms[1]]
    (carried,) = traces(figure, name="from base", xaxis="x2")
    assert carried["y"] == [
        value("refit", "base", "base"),
        value("frozen", "msm_afford", "base"),
        value("frozen", "msm_afford_aft", "base"),
    ]
    assert min(carried["error_y"]["array"]) > 0
    assert [t["y"][1] for t in traces(figure, name="from msm_afford", xaxis="x2")] == [
        value("frozen", "msm_afford_aft", "msm_afford")
    ]


def test_survival_curves_join_a_branch_to_its_parent(table):
    parents = {"base": None, "msm_afford": "base", "msm_afford_aft": "msm_afford", "aft": "msm_afford"}
    some = table.filter(pl.col("stage").is_in(list(parents)), pl.col("source_stage").is_in(list(parents)))
    figure = survival_curves(some, order=list(parents), parents=parents)
    assert list(figure.plotly.to_dict()["layout"]["xaxis"]["ticktext"]) == list(parents)
    (trunk, branch) = traces(figure, name="refit", xaxis="x")
    assert (trunk["x"], branch["x"]) == ([0, 1, 2], [1, 3])
    assert branch["y"][0] == trunk["y"][1]
    first, second = traces(figure, name="from base", xaxis="x")
    assert first["y"][1] == second["y"][0] != second["y"][1]
    assert [len(first["y"]), len(second["y"])] == [3, 2]


def test_without_parents_no_stage_is_joined_to_another(table):
    """A line would say that one stage was trained from the other."""
    figure = survival_curves(table, order=STAGES)
    drawn = figure.plotly.to_dict()["data"]
    assert {trace["mode"] for trace in drawn} == {"markers"}
    assert "not joined" in figure.caption
    with_parents = survival_curves(table, order=STAGES, parents=SURVEY_PARENTS)
    assert {trace["mode"] for trace in with_parents.plotly.to_dict()["data"]} == {"lines+markers"}
    assert "not joined" not in with_parents.caption


def test_some_stages_only_keep_their_arm_and_join_the_nearest_ancestor(table):
    stages = ["base", "msm_afford_aft"]
    one = table.filter(pl.col("concept") == "affordability")
    figure = probes.draw(one, kind="survival_curves", stages=stages, order=STAGES, parents=SURVEY_PARENTS)
    layout = figure.plotly.to_dict()["layout"]
    assert list(layout["xaxis"]["ticktext"]) == stages
    assert "xaxis2" not in layout
    with pytest.raises(InputError, match="no stage 'msm' in this table; it has base"):
        survival_curves(table, stages=["msm"], parents=SURVEY_PARENTS)
