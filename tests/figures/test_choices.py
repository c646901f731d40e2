"""Choice rates show both scorings with their intervals."""

from __future__ import annotations

import pytest

from probes.figures import choice_rates
from tests.makers import SURVEY_PARENTS, rows_of, traces

STAGES = list(SURVEY_PARENTS)


def test_choice_rates_show_both_scorings_with_intervals(table):
    figure = choice_rates(table)
    for stage in STAGES:
        for variant in ("summed", "per_token"):
            drawn = traces(figure, name=f"{stage} {variant}")
            wanted = rows_of(table, measure="choice_rate", variant=variant, stage=stage, alpha=None)
            assert [trace["x"] for trace in drawn] == [[row["estimate"]] for row in wanted]
            assert [t["x"][0] + t["error_x"]["array"][0] for t in drawn] == pytest.approx(
                [row["ci_high"] for row in wanted]
            )
    shapes = figure.plotly.to_dict()["layout"]["shapes"]
    assert [(shape["x0"], shape["x1"]) for shape in shapes] == [(0.5, 0.5)] * 2
