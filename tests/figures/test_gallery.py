"""What is drawn of a table, in one look: colours, type sizes and words are the same kind in every figure."""

from __future__ import annotations

import polars as pl
import pytest

from probes.errors import InputError
from probes.figures import (
    PRESETS,
    choice_rates,
    dose_response,
    draw,
    draw_all,
    kinds,
    layer_profile,
    transfer_matrix,
)
from probes.tables.result import Result
from tests.makers import SURVEY_PARENTS, traces

STAGES = list(SURVEY_PARENTS)


def test_draw_picks_by_the_rows_and_takes_results(table):
    class Sweep(Result):
        pass

    sweep = Sweep()
    sweep.table = table.filter(pl.col("variant").is_in(["probe", "word_ngrams"]))
    assert kinds(sweep) == ["layer_profile"]
    assert sweep.figure().kind == "layer_profile"
    assert draw(table).kind == "transfer_matrix"
    assert list(draw_all(table, order=STAGES, parents=SURVEY_PARENTS)) == [
        "layer_profile", "choice_rates", "steering_profile", "dose_response", "survival_curves",
        "transfer_auroc", "transfer_cosine", "transfer_cosine_whitened", "transfer_steering",
    ]  # fmt: skip


def test_a_stage_has_one_colour_in_every_figure_and_the_order_given(table):
    shuffled = table.sample(fraction=1.0, shuffle=True, seed=3)
    profile = layer_profile(shuffled.sort("layer"), order=STAGES)
    colors = {
        trace["name"]: trace["line"]["color"]
        for trace in traces(profile, xaxis="x")
        if trace["name"] in STAGES
    }
    assert [name for name in colors if name in STAGES] == STAGES
    assert len(set(colors.values())) == len(STAGES)
    doses = dose_response(shuffled, order=STAGES)
    for trace in traces(doses):
        if trace["mode"] == "lines+markers":
            assert trace["line"]["color"] == colors[trace["name"]]
    assert traces(transfer_matrix(shuffled, order=STAGES), type="heatmap")[0]["y"] == STAGES


def test_an_option_that_a_figure_does_not_take_is_refused(table):
    with pytest.raises(InputError, match="'choice_rates' takes no parents, max_kl; it takes stages, order"):
        draw(table, "choice_rates", parents=SURVEY_PARENTS, max_kl=0.1)


def test_a_steadiness_figure_is_not_drawn_of_canonical_rows_alone(table):
    assert "steadiness" not in kinds(table)
    with pytest.raises(InputError, match="'shift_transfer'"):
        draw(table, "steadiness")


@pytest.mark.parametrize("preset", PRESETS)
def test_type_is_readable_at_the_final_width(table, preset):
    for figure in draw_all(table, order=STAGES, parents=SURVEY_PARENTS, preset=preset).values():
        assert figure.width == round(PRESETS[preset].width * 96)
        sizes = []

        def collect(node, sizes=sizes):
            if isinstance(node, dict):
                sizes += [node["size"]] if "size" in node and "color" in node and "symbol" not in node else []
                for key, inner in node.items():
                    if key in ("font", "tickfont") and "size" in inner:
                        sizes.append(inner["size"])
                    collect(inner)
            elif isinstance(node, list | tuple):
                for inner in node:
                    collect(inner)

        collect(figure.plotly.to_dict()["layout"])
        assert sizes
        assert min(sizes) * 72 / 96 >= 7 - 1e-9


def test_captions_say_n(table):
    for figure in draw_all(table).values():
        assert "n = 1" in figure.caption
        assert figure.how_to_read
        assert figure.caveat
        assert figure.alt
    assert (
        "n not recorded"
        in choice_rates(
            table.with_columns(n_pairs=pl.lit(None, pl.Int64), n_seeds=pl.lit(None, pl.Int64))
        ).caption
    )
