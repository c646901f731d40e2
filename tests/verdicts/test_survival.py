"""What became of a direction, from comparisons nobody measured."""

from dataclasses import replace

import numpy as np
import pytest

from probes.stats.estimates import Estimate
from probes.tables.comparisons import Comparison
from probes.verdicts import judge_survival
from tests.makers import estimate


def comparison(
    refit=0.95, gap=0.01, kept=0.95, realigned: float | None = 0.95, source=0.96, half=0.03, turned=1.0
):
    return Comparison(
        source=estimate(source, half),
        refit=estimate(refit, half),
        refit_drop=estimate(source - refit, half),
        frozen=estimate(refit - gap, half),
        frozen_gap=estimate(gap, half),
        kept=estimate(kept, half),
        realigned=None if realigned is None else estimate(realigned, half),
        turned=turned,
    )


@pytest.mark.parametrize(
    ("measured", "label", "decided_by"),
    [
        (comparison(), "persists", "refit_drop"),
        (comparison(kept=0.95, realigned=0.7, turned=0.2), "persists", "refit_drop"),
        (comparison(gap=0.45, kept=0.02), "rotated", "realigned"),
        (comparison(gap=0.01, kept=0.02), "rotated", "realigned"),
        (comparison(gap=0.01, kept=0.6, turned=0.3), "rotated", "realigned"),
        (comparison(gap=0.25, kept=0.02, realigned=0.02), "lost", "frozen_gap"),
        (comparison(refit=0.64, gap=0.12, kept=0.0, realigned=0.0, half=0.1), "lost", "frozen"),
        (comparison(refit=0.52, kept=0.9), "lost", "decodable"),
        (comparison(refit=0.80, gap=0.02, kept=0.3, realigned=0.3), "faded", "refit_drop"),
        (comparison(refit=0.80, kept=0.8), "faded", "refit_drop"),
        (comparison(kept=0.3, realigned=0.3), "faded", "frozen_gap"),
        (comparison(gap=0.45, kept=0.02, realigned=None), "inconclusive", "realigned"),
        (comparison(refit=0.72, kept=0.9, source=0.72, half=0.25), "inconclusive", "source"),
        (comparison(kept=0.5, realigned=0.5), "inconclusive", "kept"),
        (comparison(refit=0.87, kept=0.9, half=0.09), "inconclusive", "refit_drop"),
    ],
)
def test_survival_follows_from_the_margin_and_what_alignment_brings_back(measured, label, decided_by):
    survival = judge_survival(measured)
    assert (survival.label, survival.decided_by) == (label, decided_by)


def test_a_margin_that_cannot_be_measured_is_open():
    nan = Estimate(np.nan, np.nan, np.nan, 40)
    assert judge_survival(replace(comparison(), kept=nan)).label == "inconclusive"
