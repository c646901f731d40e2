"""Every interval and test of the toolkit on one simulated data set, beside the truth."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from probes.probing import RidgeProbe
from probes.probing.decoding import description_length, max_layer_p, selectivity
from probes.probing.frozen_scores import fragility, margin_kept, threshold_drift
from probes.stats.contrasts import beyond, difference_in_differences, strongest_baseline
from probes.stats.estimates import Estimate
from probes.stats.jackknife import auroc_contrast, ratio_of_means
from probes.validation.simulated import Setting, Simulated, simulate

N_PERMUTATIONS = 99
N_SEEDS = 4
N_ITEMS = (14, 40)


@dataclass(frozen=True)
class FunctionResult:
    """The result of one function on one data set."""

    setting: str
    """Name of the setting."""
    function: str
    """Name of the function, and of the case that it was tried on."""
    estimate: Estimate | None = None
    """None for a function that gives no interval."""
    truth: float | None = None
    """What is estimated; None: the mean of the estimates over all data sets of the setting."""
    p: float | None = None
    """None for a function that tests nothing."""
    null: bool = False
    """Whether the null hypothesis of `p` is true."""


def function_results(where: str, setting: Setting, seed: int, refits: bool) -> Iterator[FunctionResult]:
    """The result of every function on one data set.

    Functions that compare arms or interventions have data of their own, which take only their layout from the
    setting.

    Parameters
    ----------
    where : name of the setting.
    refits : whether to call the functions that fit many probes too.

    Example
    -------
    >>> setting = Setting(n_pairs=36, n_templates=36, width=12, n_layers=2)
    >>> results = list(function_results("no signal", setting, seed=0, refits=False))
    >>> [(result.truth, result.null) for result in results if result.function == "auroc_contrast"]
    [(0.5, True)]
    """
    yield from _probes(where, setting, seed)
    yield from _arms(setting, seed)
    yield from _shares(setting, seed)
    if refits:
        yield from _refits(where, setting, seed)


def _probes(where: str, setting: Setting, seed: int) -> Iterator[FunctionResult]:
    """One probe at the middle layer, beside six to compare with: three as good, one weaker, two at chance."""
    delta = setting.strength
    sim = simulate(setting, seed, strengths=(delta, delta, delta, delta, 0.6 * delta, 0.0, 0.0))
    layer, null = setting.n_layers // 2, delta == 0
    best = max_layer_p(
        sim.values[0], sim.labels, sim.templates, sim.splits, n_permutations=N_PERMUTATIONS, seed=seed
    )
    yield FunctionResult(where, "max_layer_p", p=best.p, null=null)

    weights, residual_std = _fitted(sim, layer)
    test = sim.splits.test
    labels, units = sim.labels[test], sim.templates[test]
    scores = sim.values[:, layer, test] @ weights
    truth = [sim.auroc(weights, model, layer) for model in range(len(scores))]
    area = auroc_contrast([scores[0]], [1], labels, units, null=0.5)
    yield FunctionResult(where, "auroc_contrast", area, truth[0], area.p, null)
    if setting.n_templates < setting.n_pairs:
        yield from _as_if_pairs_were_independent(where, sim, scores[0], truth[0], null, seed)

    same, *ties, weaker, chance, other = scores[1:]
    equal = beyond(scores[0], same, labels, units)
    yield FunctionResult(where, "beyond, as good", equal, 0.0, equal.p, True)
    rivals = {"ties": ({"a": same, "b": ties[0], "c": ties[1]}, 0.0)}
    if not null:
        better = beyond(scores[0], weaker, labels, units)
        yield FunctionResult(where, "beyond, better", better, truth[0] - truth[4], better.p)
        rivals["one as good"] = {"a": same, "b": chance, "c": other}, 0.0
        rivals["all weaker"] = {"a": weaker, "b": chance, "c": other}, truth[0] - truth[4]
    for name, (others, value) in rivals.items():
        gap = strongest_baseline(scores[0], others, labels, units).gap
        yield FunctionResult(where, f"strongest_baseline, {name}", gap, value, gap.p, value == 0)

    noise = fragility(scores[0], labels, units, weights, residual_std)
    limit = sim.fragility(weights, residual_std, layer=layer)
    if np.isfinite([noise.value, limit]).all():
        yield FunctionResult(where, "fragility", noise, limit)
    if not null:
        kept = sim.separation(weights, 4, layer)[0] / sim.separation(weights, 0, layer)[0]
        yield FunctionResult(where, "margin_kept", margin_kept(scores[4], scores[0], labels, units), kept)
    shift = sim.separation(weights, layer=layer)[1] / 2
    drift = threshold_drift(scores[0], labels, units, threshold=shift)
    assert drift.accuracy is not None
    for name, accuracy, at in (("own", drift.accuracy, shift), ("recentred", drift.accuracy_recentred, 0.0)):
        truth_at = sim.accuracy(weights, at, layer=layer)
        yield FunctionResult(where, f"threshold_drift, {name}", accuracy, truth_at)


def _as_if_pairs_were_independent(
    where: str, sim: Simulated, scores: NDArray, truth: float, null: bool, seed: int
) -> Iterator[FunctionResult]:
    """What goes wrong when pairs are taken as the unit although the pairs of a template share their
    wording."""
    best = max_layer_p(
        sim.values[0], sim.labels, sim.pairs, sim.splits, n_permutations=N_PERMUTATIONS, seed=seed
    )
    yield FunctionResult(where, "max_layer_p, by pair", p=best.p, null=null)
    test = sim.splits.test
    area = auroc_contrast([scores], [1], sim.labels[test], sim.pairs[test], null=0.5)
    yield FunctionResult(where, "auroc_contrast, by pair", area, truth, area.p, null)


def _arms(setting: Setting, seed: int) -> Iterator[FunctionResult]:
    """Two training arms of several seeds, and their parents, all under the probe of the first parent."""
    rng = np.random.default_rng([seed, 1])
    where = f"{'pairs' if setting.n_templates == setting.n_pairs else 'templates'}, {N_SEEDS} seeds"
    base, gain, spread = 1.5, 1.0, 0.4
    for name, control_gain in (("no effect", gain), ("effect", 0.0)):
        arm = base + gain + spread * rng.standard_normal(N_SEEDS)
        control = base + control_gain + spread * rng.standard_normal(N_SEEDS)
        sim = simulate(replace(setting, n_layers=1), seed, strengths=(base, base, *arm, *control))
        weights, _ = _fitted(sim, 0)
        test = sim.splits.test
        scores = sim.values[:, 0, test] @ weights
        estimate = difference_in_differences(
            scores[2 : 2 + N_SEEDS],
            scores[0],
            scores[2 + N_SEEDS :],
            scores[1],
            sim.labels[test],
            sim.templates[test],
        )
        gap, std = sim.separation(weights)
        slope = gap / base / (std * np.sqrt(2))
        # E Phi(slope * strength) over seeds, whose strengths are normal
        after = [ndtr(slope * (base + g) / np.sqrt(1 + (slope * spread) ** 2)) for g in (gain, control_gain)]
        truth = float(after[0] - after[1])
        function = f"difference_in_differences, {name}"
        yield FunctionResult(where, function, estimate, truth, estimate.p, name == "no effect")


def _shares(setting: Setting, seed: int) -> Iterator[FunctionResult]:
    """What exchanges move of choices, as a share of what the text moves: `wholes` differ much between items,
    and a few are negative."""
    rng = np.random.default_rng([seed, 2])
    for n_items in N_ITEMS:
        wholes = 3 * rng.lognormal(0, 0.5, n_items) * np.where(rng.random(n_items) < 0.05, -1, 1)
        scatter = 0.8 * rng.standard_normal(n_items) * rng.lognormal(0, 0.4, n_items)
        for name, share in (("none", 0.0), ("a part", 0.6)):
            estimate = ratio_of_means(share * wholes + scatter, wholes, np.arange(n_items))
            where, function = f"{n_items} items", f"ratio_of_means, {name}"
            yield FunctionResult(where, function, estimate, share, estimate.p, share == 0)


def _refits(where: str, setting: Setting, seed: int) -> Iterator[FunctionResult]:
    """The functions that fit many probes."""
    sim = simulate(setting, seed)
    values, null = sim.values[0, setting.n_layers // 2], setting.strength == 0
    length = description_length(values, sim.labels, sim.templates, seed=seed)
    yield FunctionResult(where, "description_length", length, None, length.p, null)
    if setting.n_templates < setting.n_pairs:
        gap = selectivity(values, sim.labels, sim.pairs, sim.templates, estimator="ridge", seed=seed)
        yield FunctionResult(where, "selectivity", gap)


def _fitted(sim: Simulated, layer: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Weights `[d]` of a ridge probe on the train split of the first model, and the residual standard
    deviation `[d]` of its features."""
    train = sim.splits.train
    values, labels = sim.values[0, layer, train], sim.labels[train]
    weights = RidgeProbe(alpha=float(len(train))).fit(values, labels).coef_[0]
    residuals = [values[labels == k] - values[labels == k].mean(0) for k in (0, 1)]
    return weights, np.concatenate(residuals).std(0)
