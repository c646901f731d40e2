"""The dose-response figure carries doses, intervals and damage."""

from __future__ import annotations

import pytest

from probes.figures import dose_response
from tests.makers import SURVEY_CONCEPTS, SURVEY_PARENTS, rows_of, traces

STAGES = list(SURVEY_PARENTS)


def test_dose_response_carries_doses_intervals_and_damage(table):
    figure = dose_response(table, max_kl=0.1)
    lines = [trace for trace in traces(figure) if trace["mode"] == "lines+markers"]
    by_limit = [trace for trace in traces(dose_response(table)) if trace["mode"] == "lines+markers"]
    assert [trace["name"] for trace in lines] == STAGES * 2
    for line, (concept, stage) in zip(lines, ((c, s) for c in SURVEY_CONCEPTS for s in STAGES), strict=True):
        wanted = rows_of(table, measure="choice_logit", variant="direction", stage=stage, concept=concept)
        harm = rows_of(table, measure="kl", stage=stage, concept=concept)
        assert line["x"] == [row["alpha"] for row in wanted]
        assert line["y"] == [row["estimate"] for row in wanted]
        tops = [y + e for y, e in zip(line["y"], line["error_y"]["array"], strict=True)]
        ends = [y - e for y, e in zip(line["y"], line["error_y"]["arrayminus"], strict=True)]
        assert tops == pytest.approx([row["ci_high"] for row in wanted])
        assert ends == pytest.approx([row["ci_low"] for row in wanted])
        hollow = [color == "white" for color in line["marker"]["color"]]
        assert hollow == [row["estimate"] > 0.1 for row in harm]
        limited = rows_of(table, measure="within_damage_limit", stage=stage, concept=concept)
        (same,) = [t for t in by_limit if (t["name"], t["xaxis"]) == (line["name"], line["xaxis"])]
        assert [c == "white" for c in same["marker"]["color"]] == [r["estimate"] == 0 for r in limited]
        assert any(hollow)
        assert not all(hollow)
    band = traces(figure, name="random directions")[0]
    random_rows = rows_of(
        table, measure="choice_logit", variant="random_direction", stage="base", concept="affordability"
    )
    assert band["y"] == [r["ci_high"] for r in random_rows] + [r["ci_low"] for r in random_rows][::-1]
