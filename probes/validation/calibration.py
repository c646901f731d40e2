"""The error rates of every interval and test of the toolkit, measured on simulated activations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import numpy as np
import polars as pl
import torch
from scipy.stats import binomtest
from threadpoolctl import threadpool_limits

from probes.errors import InputError
from probes.stats.corrections import discoveries
from probes.stats.estimates import LEVEL
from probes.stats.jackknife import mean_contrast
from probes.validation.simulated import Setting
from probes.validation.simulated_tests import Reading, readings

ALPHA = 0.05
SETTINGS: dict[str, Setting] = {
    "pairs, no signal": Setting(),
    "pairs, weak": Setting(strength=1.5),
    "pairs, strong": Setting(strength=3.5),
    "templates, no signal": Setting(n_templates=24, lexical=3.0),
    "templates, strong": Setting(n_templates=24, lexical=3.0, strength=3.0),
    "few and wide, no signal": Setting(n_pairs=60, n_templates=60, width=256),
    "few and wide, strong": Setting(n_pairs=60, n_templates=60, width=256, strength=4.0),
}
"""120 independent pairs in 48 dimensions, 24 templates of 5 pairs with wording of their own, or 60 pairs in
256 dimensions; a third of them test. Three dimensions are huge everywhere."""
COSTLY = 4
"""Functions that refit many probes are measured on one data set in so many."""
FAMILY = (14, 6)
"""True and false null hypotheses of a family whose false discoveries are counted."""


def calibrate(
    settings: Mapping[str, Setting] | None = None,
    n: int = 400,
    seed: int = 0,
    workers: int = 1,
    quick: bool = False,
) -> pl.DataFrame:
    """Coverage, type-I error and power of every interval and test, with Monte Carlo intervals.

    Columns: setting; function; measure, `coverage` (share of 95% intervals that hold the population's value),
    `type_one` (share of p <= .05 where the hypothesis is true), `power` (where it is false), or
    `false_discovery_rate`; n, data sets; estimate, ci_low, ci_high (Clopper & Pearson 1934). What is
    estimated is the population value for the fixed fitted probe, over fresh texts of fresh templates;
    for `selectivity` and `description_length`, which fit several, the expectation over data sets.

    Parameters: n, data sets of each setting (quick: 40); workers, processes. 7 settings of 400 take some ten
    minutes of one core. Raises InputError for n < 2.
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
    if workers > 1:
        # A forked process whose parent used torch's threads must not start any: they would never answer.
        with ProcessPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            found = list(pool.map(_measure, jobs, chunksize=max(1, n // (4 * workers))))
    else:
        found = [_measure(job) for job in jobs]
    return pl.DataFrame(list(_summary([reading for one in found for reading in one])))


def _measure(job: tuple[str, Setting, int, bool]) -> list[Reading]:
    with threadpool_limits(1, user_api="blas"):
        return list(readings(*job))


def _summary(everything: list[Reading]) -> Iterator[dict[str, Any]]:
    by_name: dict[tuple[str, str], list[Reading]] = {}
    for reading in everything:
        by_name.setdefault((reading.setting, reading.function), []).append(reading)
    for names, found in by_name.items():
        told = [(r.estimate, r.truth) for r in found if r.estimate is not None]
        if told:
            mean = float(np.mean([estimate.value for estimate, _ in told]))
            held = [e.low <= (mean if truth is None else truth) <= e.high for e, truth in told]
            yield _share(names, "coverage", held)
        for null, measure in ((True, "type_one"), (False, "power")):
            tests = [r.p <= ALPHA for r in found if r.p is not None and r.null is null]
            if tests:
                yield _share(names, measure, tests)
    for where in dict.fromkeys(reading.setting for reading in everything):
        if (where, "beyond, better") in by_name:
            true, false = (by_name[where, f"beyond, {name}"] for name in ("as good", "better"))
            yield from _false_discoveries(where, [r.p for r in true], [r.p for r in false])


def _share(names: tuple[str, str], measure: str, hits: list[bool]) -> dict[str, Any]:
    exact = binomtest(sum(hits), len(hits)).proportion_ci(LEVEL)
    numbers = {"estimate": sum(hits) / len(hits), "ci_low": exact.low, "ci_high": exact.high}
    return {"setting": names[0], "function": names[1], "measure": measure, "n": len(hits), **numbers}


def _false_discoveries(where: str, true: list, false: list) -> Iterator[dict[str, Any]]:
    """Share of the discoveries that are false, in families of p-values of true and false hypotheses."""
    n = min(len(true) // FAMILY[0], len(false) // FAMILY[1])
    if n < 2:
        return
    shares = []
    for k in range(n):
        family = [*true[k * FAMILY[0] :][: FAMILY[0]], *false[k * FAMILY[1] :][: FAMILY[1]]]
        found = discoveries(family, ALPHA).found
        shares.append(found[: FAMILY[0]].sum() / max(1, found.sum()))
    told = mean_contrast([shares], [1], np.arange(n))
    numbers = {"estimate": told.value, "ci_low": max(0.0, told.low), "ci_high": told.high}
    names = {"setting": where, "function": "discoveries", "measure": "false_discovery_rate"}
    yield {**names, "n": n, **numbers}
