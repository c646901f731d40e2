"""The layer profile carries the table's own numbers, and each baseline where it is strongest."""

from __future__ import annotations

import pytest

from probes.figures import layer_profile
from tests.makers import SURVEY_CONCEPTS, SURVEY_PARENTS, rows_of, traces

STAGES = list(SURVEY_PARENTS)
LAYERS = 30


def test_layer_profile_draws_the_tables_own_numbers(table):
    figure = layer_profile(table)
    for panel, concept in enumerate(SURVEY_CONCEPTS):
        axis = f"x{panel + 1}" if panel else "x"
        for stage in STAGES:
            wanted = rows_of(table, measure="auroc", variant="probe", stage=stage, concept=concept)
            (line,) = [t for t in traces(figure, name=stage, xaxis=axis) if t["mode"] == "lines"]
            assert line["x"] == [row["layer"] for row in wanted] == list(range(LAYERS))
            assert line["y"] == pytest.approx([row["estimate"] for row in wanted], abs=0)
            (band,) = traces(figure, name=f"{stage} interval", xaxis=axis)
            highs, lows = band["y"][:LAYERS], band["y"][LAYERS:][::-1]
            assert highs == [row["ci_high"] for row in wanted]
            assert lows == [row["ci_low"] for row in wanted]
            (mark,) = traces(figure, name=f"{stage} chosen", xaxis=axis)
            (chosen,) = [row for row in wanted if row["selected"]]
            assert (mark["x"], mark["y"]) == ([chosen["layer"]], [chosen["estimate"]])


def test_layer_profile_draws_the_strongest_stage_of_each_baseline(table):
    figure = layer_profile(table)
    for variant in ("word_ngrams", "char_ngrams", "length", "embedding"):
        estimates = [
            row["estimate"]
            for row in rows_of(table, measure="auroc", variant=variant, concept="affordability")
        ]
        (line,) = traces(figure, name=variant, xaxis="x")
        assert line["y"] == [max(estimates)] * 2
        assert line["line"]["dash"] != "solid"
    (line,) = traces(figure, name="random_init", xaxis="x2")
    curves = [
        [
            row["estimate"]
            for row in rows_of(table, measure="auroc", variant="random_init", concept="domestic", stage=stage)
        ]
        for stage in STAGES
    ]
    assert line["y"] == max(curves, key=max)


def test_steering_profile_keeps_to_own_directions_and_bands_the_random_ones(table):
    figure = layer_profile(table, measure="steering_slope", stages=["base"])
    (line,) = [t for t in traces(figure, name="base", xaxis="x") if t["mode"] == "lines"]
    own = rows_of(
        table, measure="steering_slope", variant="direction", stage="base", source_stage=None,
        concept="affordability",
    )  # fmt: skip
    assert line["y"] == [row["estimate"] for row in own]
    (band,) = traces(figure, name="random range", xaxis="x")
    random_rows = rows_of(
        table, measure="steering_slope", variant="random_direction", stage="base", concept="affordability"
    )
    assert band["y"][:LAYERS] == [row["ci_high"] for row in random_rows]
