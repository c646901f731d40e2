"""The figures of mixtures of two stages: every number that is drawn stands in the table."""

import numpy as np
import pytest

import probes
from probes.errors import InputError
from probes.figures import crossing_map, draw, graft_bars, graft_dose, kinds
from tests.makers import survey_table, traces


@pytest.fixture(scope="module")
def stages(tiny_lineage_dir):
    lineage = probes.load_lineage(tiny_lineage_dir)
    return lineage["mid"].load(), lineage["base"].load()


@pytest.fixture(scope="module")
def crossing(stages, prices_dir):
    items = probes.load_concept(prices_dir).choices
    return probes.cross(*stages, items, turned=True, progress=False)


@pytest.fixture(scope="module")
def grafting(stages, prices_dir):
    items = probes.load_concept(prices_dir).choices
    return probes.graft(*stages, items, n_random=2, progress=False)


def test_a_crossing_is_a_line_a_role_beside_the_whole_change(crossing):
    figure = crossing_map(crossing)
    for number, score in enumerate(("asked", "reversed", "principled", "string")):
        line = traces(figure, name="options")[number]
        rows = crossing.table.filter(measure="crossing_below", variant=score, position="options")
        np.testing.assert_allclose(line["y"], rows.sort("layer")["estimate"])
        assert list(line["x"]) == crossing.layers
    levels = [t for t in figure.plotly.data if t.hovertemplate and "whole change" in t.hovertemplate]
    assert [t.y[0] for t in levels] == pytest.approx([crossing.total(s).mean() for s in crossing.plain])


def test_grafts_are_bars_by_layer_and_module(grafting):
    figure = graft_bars(grafting)
    assert len(traces(figure, name="attention")) == 4  # one panel a way
    rows = grafting.table.filter(measure="graft_taken_out", site="mlp").sort("layer")
    bars = traces(figure, name="MLP")[1]
    np.testing.assert_allclose(bars["y"], rows["estimate"])
    np.testing.assert_allclose(bars["error_y"]["array"], rows["ci_high"] - rows["estimate"])


def test_a_dose_curve_starts_at_no_change(grafting):
    [line] = traces(graft_dose(grafting), name="asked")
    assert list(line["x"]) == list(grafting.doses)
    assert line["y"][0] == 0
    assert line["y"][grafting.doses.index(1.0)] == pytest.approx(grafting.total().mean(), abs=1e-5)


def test_one_door_draws_them(crossing, grafting):
    assert kinds(crossing) == ["crossing_map"]
    assert kinds(grafting) == ["graft_bars", "graft_dose"]
    assert draw(grafting, "graft_dose").caption


@pytest.mark.parametrize("figure", [crossing_map, graft_bars, graft_dose])
def test_tables_without_the_rows_are_refused(figure):
    with pytest.raises(InputError, match="measure"):
        figure(survey_table())
