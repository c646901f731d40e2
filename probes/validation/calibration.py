"""The error rates of every interval and test of the toolkit, measured on simulated activations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import polars as pl
from scipy.stats import binomtest
from threadpoolctl import threadpool_limits

from probes.errors import InputError
from probes.stats.corrections import discoveries
from probes.stats.estimates import LEVEL
from probes.stats.jackknife import mean_contrast
from probes.validation.processes import in_processes
from probes.validation.simulated import Setting
from probes.validation.simulated_tests import FunctionResult, function_results

ALPHA = 0.05
"""Level of the tests whose errors are counted."""
SETTINGS: dict[str, Setting] = {
    "pairs, no signal": Setting(),
    "pairs, weak": Setting(strength=1.5),
    "pairs, strong": Setting(strength=3.5),
    "templates, no signal": Setting(n_templates=24, lexical=3.0),
    "templates, strong": Setting(n_templates=24, lexical=3.0, strength=3.0),
    "few and wide, no signal": Setting(n_pairs=60, n_templates=60, width=256),
    "few and wide, strong": Setting(n_pairs=60, n_templates=60, width=256, strength=4.0),
}
"""120 independent pairs in 48 dimensions, 24 templates of 5 pairs that share wording, or 60 pairs in 256
dimensions. A third of the pairs are for testing, and three dimensions are huge everywhere."""
COSTLY = 4
"""Functions that fit many probes are measured on one data set in so many."""
FAMILY = (14, 6)
"""True and false null hypotheses in a family of tests whose false discoveries are counted."""


def calibrate(
    settings: Mapping[str, Setting] | None = None,
    n: int = 400,
    seed: int = 0,
    workers: int = 1,
    quick: bool = False,
) -> pl.DataFrame:
    """Measure the coverage, type-I error and power of every interval and test, with Monte Carlo intervals.

    The true value of an estimate is the population value of the fitted probe, held fixed, over fresh texts of
    fresh templates. For `selectivity` and `description_length`, which fit several probes, it is the mean over
    the data sets of the setting.

    Parameters
    ----------
    settings : what is simulated, by name; default `SETTINGS`.
    n : data sets of each setting. The 7 default settings with 400 data sets each take some ten minutes on one
        core.
    seed : draws the data sets.
    workers : processes, of one thread each.
    quick : whether to simulate 40 data sets of each setting instead of `n`.

    Returns
    -------
    One row a setting, function and measure. `measure` is `coverage` (share of 95% intervals that contain the
    true value), `type_one` (share of p-values of at most .05 where the null hypothesis is true), `power` (the
    same where it is false), or `false_discovery_rate`. `estimate` is that share over `n` data sets, and
    `ci_low` to `ci_high` its exact 95% interval (Clopper and Pearson 1934, doi:10.1093/biomet/26.4.404).

    Raises
    ------
    InputError : there are fewer than 2 data sets or no process.

    Example
    -------
    >>> from probes.validation import Setting, calibrate
    >>> small = Setting(n_pairs=36, n_templates=36, width=12, n_layers=2, strength=2.0)
    >>> table = calibrate({"small": small}, n=3)
    >>> table.filter(function="auroc_contrast")["measure"].to_list()
    ['coverage', 'power']
    """
    settings = SETTINGS if settings is None else settings
    n = 40 if quick else n
    if n < 2 or workers < 1:
        raise InputError(f"n={n}, workers={workers}: expected at least 2 data sets and 1 process")
    jobs = [
        (name, setting, (seed * len(settings) + k) * n + i, i % COSTLY == 0)
        for k, (name, setting) in enumerate(settings.items())
        for i in range(n)
    ]
    by_data_set = in_processes(_results, jobs, workers, chunksize=max(1, n // (4 * workers)))
    return pl.DataFrame(list(_summary([result for results in by_data_set for result in results])))


def _results(job: tuple[str, Setting, int, bool]) -> list[FunctionResult]:
    with threadpool_limits(1, user_api="blas"):
        return list(function_results(*job))


def _summary(results: list[FunctionResult]) -> Iterator[dict[str, Any]]:
    """The rows of the table of `calibrate`."""
    by_name: dict[tuple[str, str], list[FunctionResult]] = {}
    for result in results:
        by_name.setdefault((result.setting, result.function), []).append(result)
    for names, group in by_name.items():
        estimates = [(r.estimate, r.truth) for r in group if r.estimate is not None]
        if estimates:
            mean = float(np.mean([estimate.value for estimate, _ in estimates]))
            covered = [e.low <= (mean if truth is None else truth) <= e.high for e, truth in estimates]
            yield _share(names, "coverage", covered)
        for null, measure in ((True, "type_one"), (False, "power")):
            rejected = [r.p <= ALPHA for r in group if r.p is not None and r.null is null]
            if rejected:
                yield _share(names, measure, rejected)
    for setting in dict.fromkeys(result.setting for result in results):
        if (setting, "beyond, better") in by_name:
            true, false = (by_name[setting, f"beyond, {name}"] for name in ("as good", "better"))
            yield from _false_discoveries(setting, [r.p for r in true], [r.p for r in false])


def _share(names: tuple[str, str], measure: str, hits: list[bool]) -> dict[str, Any]:
    """The row of a share of data sets, with its interval."""
    exact = binomtest(sum(hits), len(hits)).proportion_ci(LEVEL)
    numbers = {"estimate": sum(hits) / len(hits), "ci_low": exact.low, "ci_high": exact.high}
    return {"setting": names[0], "function": names[1], "measure": measure, "n": len(hits), **numbers}


def _false_discoveries(setting: str, true: list, false: list) -> Iterator[dict[str, Any]]:
    """The share of discoveries that are false, in families of p-values of true and of false hypotheses."""
    n = min(len(true) // FAMILY[0], len(false) // FAMILY[1])
    if n < 2:
        return
    shares = []
    for k in range(n):
        family = [*true[k * FAMILY[0] :][: FAMILY[0]], *false[k * FAMILY[1] :][: FAMILY[1]]]
        discovered = discoveries(family, ALPHA).found
        shares.append(discovered[: FAMILY[0]].sum() / max(1, discovered.sum()))
    share = mean_contrast([shares], [1], np.arange(n))
    numbers = {"estimate": share.value, "ci_low": max(0.0, share.low), "ci_high": share.high}
    names = {"setting": setting, "function": "discoveries", "measure": "false_discovery_rate"}
    yield {**names, "n": n, **numbers}
