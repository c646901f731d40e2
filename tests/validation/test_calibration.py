"""Calibration: every function is measured, and keeps what it promises."""

import polars as pl
import pytest
from scipy import stats

from probes.errors import InputError
from probes.validation import Setting, calibrate

SMALL = Setting(n_pairs=48, n_templates=48, width=12, n_layers=2, strength=1.5)


def test_one_data_set_is_refused():
    with pytest.raises(InputError, match="at least 2 data sets"):
        calibrate(n=1)


@pytest.fixture(scope="module")
def table():
    null = Setting(n_pairs=48, n_templates=16, width=12, n_layers=2, lexical=2.0)
    return calibrate({"signal": SMALL, "no signal": null}, n=16, seed=5)


@pytest.mark.slow
def test_every_function_is_measured_and_keeps_what_it_promises(table):
    measured = set(table["function"].str.split(",").list.first())
    assert measured == {
        "max_layer_p", "auroc_contrast", "beyond", "strongest_baseline", "fragility",
        "margin_kept", "threshold_drift", "difference_in_differences", "ratio_of_means",
        "description_length", "selectivity",
    }  # fmt: skip
    honest = table.filter(~pl.col("function").str.contains("by pair"))
    covered = honest.filter((pl.col("measure") == "coverage") & (pl.col("n") >= 16))
    assert (covered["ci_high"] >= 0.95).mean() > 0.9
    wrong = honest.filter(pl.col("measure") == "type_one")
    assert (wrong["ci_low"] <= 0.05).all()
    assert (table["estimate"].is_between(table["ci_low"], table["ci_high"])).all()


@pytest.mark.slow
def test_monte_carlo_intervals_are_clopper_and_pearsons(table):
    row = table.filter(pl.col("measure") == "coverage").row(0, named=True)
    hits = round(row["estimate"] * row["n"])
    exact = stats.binomtest(hits, row["n"]).proportion_ci(0.95, method="exact")
    assert (row["ci_low"], row["ci_high"]) == pytest.approx((exact.low, exact.high))


@pytest.mark.slow
def test_workers_do_not_change_the_answer():
    one, two = (calibrate({"signal": SMALL}, n=3, seed=1, workers=w) for w in (1, 2))
    assert one.equals(two)
