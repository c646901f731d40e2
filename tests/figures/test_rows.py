"""Figures say which rows they need, and keep one setting of several."""

from __future__ import annotations

import polars as pl
import pytest

from probes.errors import InputError
from probes.figures import choice_rates, dose_response, draw, layer_profile, survival_curves, transfer_matrix
from probes.tables.schema import SCHEMA
from tests.makers import traces


@pytest.mark.parametrize(
    ("draw_it", "what"),
    [
        (layer_profile, "variant 'probe'"),
        (dose_response, "an alpha"),
        (transfer_matrix, "variant 'frozen'"),
        (survival_curves, "measure 'auroc'"),
        (choice_rates, "measure 'choice_rate'"),
    ],
)
def test_a_figure_says_which_rows_it_needs(table, draw_it, what):
    with pytest.raises(InputError, match="needs rows with") as error:
        draw_it(table.filter(pl.col("measure") == "position_bias"))
    assert what in str(error.value)
    assert "\n" not in str(error.value)


def test_bad_input_is_refused_in_one_line(table):
    with pytest.raises(InputError, match="lacks the columns"):
        layer_profile(table.drop("estimate"))
    with pytest.raises(InputError, match="not dict"):
        layer_profile({"estimate": []})
    with pytest.raises(InputError, match="no transfer matrix of 'kl'"):
        transfer_matrix(table, measure="kl")
    with pytest.raises(InputError, match="no layer profile of 'kl'"):
        layer_profile(table, measure="kl")
    with pytest.raises(InputError, match="no figure is named 'pie'"):
        draw(table, "pie")
    with pytest.raises(InputError, match="no figure is made of"):
        draw(table.filter(pl.col("measure") == "position_bias"))
    with pytest.raises(InputError, match="use one of neurips"):
        layer_profile(table, preset="nature")
    twice = pl.concat([table, table.with_columns(pl.lit(1, dtype=pl.Int64).alias("seed"))])
    assert traces(layer_profile(twice)) == traces(layer_profile(table))
    other = table.with_columns(pl.lit(1, dtype=pl.Int64).alias("seed"), pl.col("estimate") + 0.01)
    with pytest.raises(InputError, match="keep one"):
        layer_profile(pl.concat([table, other]))


def test_one_setting_is_kept_where_a_table_holds_several(table):
    other = table.with_columns(
        pl.lit("mass_mean").alias("estimator"), pl.lit(False).alias("selected"), pl.col("estimate") - 0.1
    )
    both = pl.concat([other, table])
    assert traces(layer_profile(both)) == traces(layer_profile(table))


def test_missing_intervals_are_left_out_rather_than_drawn_as_zero(table):
    bare = table.with_columns(ci_low=pl.lit(None, pl.Float64), ci_high=pl.lit(None, pl.Float64))
    assert not [t for t in traces(layer_profile(bare)) if "interval" in (t["name"] or "")]
    line = next(t for t in traces(dose_response(bare)) if t["mode"] == "lines+markers")
    assert set(line["error_y"]["array"]) == {0.0}


def test_table_columns_are_the_schema(table):
    assert list(SCHEMA) == table.columns
