"""One data set of a setting through every interval and test of the toolkit, beside the truth."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from probes.probing import RidgeProbe
from probes.probing.decoding import description_length, max_layer_p, selectivity
from probes.probing.frozen_scores import fragility, margin_kept, threshold_drift
from probes.stats.contrasts import beyond, difference_in_differences, push_effect, strongest_baseline
from probes.stats.estimates import Estimate
from probes.stats.jackknife import auroc_contrast
from probes.steering.controls import random_directions
from probes.validation.simulated import Setting, Simulated, simulate

N_PERMUTATIONS = 99
N_SEEDS = 4
N_ITEMS = 40
N_RANDOM = 39


@dataclass(frozen=True)
class Reading:
    """One function on one data set of a setting; truth None: the mean of its values over all data sets of the
    setting, the expectation of what it estimates. null: whether the hypothesis that p tests is true."""

    setting: str
    function: str
    estimate: Estimate | None = None
    truth: float | None = None
    p: float | None = None
    null: bool = False


def readings(where: str, setting: Setting, seed: int, refits: bool) -> Iterator[Reading]:
    """What every function says of one data set of the setting called `where`, and of arms and pushes, which
    take only their layout from it; refits: also the functions that refit many probes."""
    yield from _probes(where, setting, seed)
    yield from _arms(setting, seed)
    yield from _pushes(setting, seed)
    if refits:
        yield from _refits(where, setting, seed)


def _probes(where: str, setting: Setting, seed: int) -> Iterator[Reading]:
    """One probe at the middle layer beside rival readings: three as good, one weaker, two at chance."""
    delta = setting.strength
    sim = simulate(setting, seed, strengths=(delta, delta, delta, delta, 0.6 * delta, 0.0, 0.0))
    layer, null = setting.n_layers // 2, delta == 0
    told = max_layer_p(
        sim.values[0], sim.labels, sim.templates, sim.splits, n_permutations=N_PERMUTATIONS, seed=seed
    )
    yield Reading(where, "max_layer_p", p=told.p, null=null)

    weights, residual_std = _fitted(sim, layer)
    test = sim.splits.test
    labels, units = sim.labels[test], sim.templates[test]
    scores = sim.values[:, layer, test] @ weights
    truth = [sim.auroc(weights, model, layer) for model in range(len(scores))]
    told = auroc_contrast([scores[0]], [1], labels, units, null=0.5)
    yield Reading(where, "auroc_contrast", told, truth[0], told.p, null)
    if setting.n_templates < setting.n_pairs:
        yield from _as_if_pairs_were_independent(where, sim, scores[0], truth[0], null, seed)

    same, *ties, weaker, chance, other = scores[1:]
    equal = beyond(scores[0], same, labels, units)
    yield Reading(where, "beyond, as good", equal, 0.0, equal.p, True)
    rivals = {"ties": ({"a": same, "b": ties[0], "c": ties[1]}, 0.0)}
    if not null:
        better = beyond(scores[0], weaker, labels, units)
        yield Reading(where, "beyond, better", better, truth[0] - truth[4], better.p)
        rivals["one as good"] = {"a": same, "b": chance, "c": other}, 0.0
        rivals["all weaker"] = {"a": weaker, "b": chance, "c": other}, truth[0] - truth[4]
    for name, (others, value) in rivals.items():
        gap = strongest_baseline(scores[0], others, labels, units).gap
        yield Reading(where, f"strongest_baseline, {name}", gap, value, gap.p, value == 0)

    noise = fragility(scores[0], labels, units, weights, residual_std)
    limit = sim.fragility(weights, residual_std, layer=layer)
    if np.isfinite([noise.value, limit]).all():
        yield Reading(where, "fragility", noise, limit)
    if not null:
        kept = sim.separation(weights, 4, layer)[0] / sim.separation(weights, 0, layer)[0]
        yield Reading(where, "margin_kept", margin_kept(scores[4], scores[0], labels, units), kept)
    shift = sim.separation(weights, layer=layer)[1] / 2
    drift = threshold_drift(scores[0], labels, units, threshold=shift)
    assert drift.accuracy is not None
    for name, told, at in (("own", drift.accuracy, shift), ("recentred", drift.accuracy_recentred, 0.0)):
        yield Reading(where, f"threshold_drift, {name}", told, sim.accuracy(weights, at, layer=layer))


def _as_if_pairs_were_independent(
    where: str, sim: Simulated, scores: NDArray, truth: float, null: bool, seed: int
) -> Iterator[Reading]:
    """What goes wrong when templates with wording of their own are overlooked."""
    told = max_layer_p(
        sim.values[0], sim.labels, sim.pairs, sim.splits, n_permutations=N_PERMUTATIONS, seed=seed
    )
    yield Reading(where, "max_layer_p, by pair", p=told.p, null=null)
    test = sim.splits.test
    told = auroc_contrast([scores], [1], sim.labels[test], sim.pairs[test], null=0.5)
    yield Reading(where, "auroc_contrast, by pair", told, truth, told.p, null)


def _arms(setting: Setting, seed: int) -> Iterator[Reading]:
    """Two arms of several training seeds and their parents, read by the first parent's probe."""
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
        told = difference_in_differences(
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
        yield Reading(where, f"difference_in_differences, {name}", told, truth, told.p, name == "no effect")


def _pushes(setting: Setting, seed: int) -> Iterator[Reading]:
    """Effects of pushes on items, linear in the direction: gradients of the items' choice logits.

    The items' gradients scatter about a common one, with lengths that are skewed.
    """
    rng, where = np.random.default_rng([seed, 2]), f"{N_ITEMS} items"
    common = rng.standard_normal(setting.width)
    along = common / np.linalg.norm(common)
    noise = 0.7 * rng.standard_normal((N_ITEMS, setting.width)) * rng.lognormal(0, 0.5, (N_ITEMS, 1))
    gradients = common + noise

    def direction(part: float) -> NDArray[np.float64]:
        """A unit vector with a given component along the common gradient."""
        across = random_directions(1, setting.width, int(rng.integers(2**32)))[0]
        across -= (across @ along) * along
        return part * along + np.sqrt(1 - part**2) * across / np.linalg.norm(across)

    random = gradients @ random_directions(N_RANDOM, setting.width, int(rng.integers(2**32))).T
    chance = random_directions(1, setting.width, int(rng.integers(2**32)))[0]
    for name, vector, rival in (("chance", chance, 0.0), ("as strong", direction(0.4), 0.4),
                                ("stronger", direction(0.4), 0.1)):  # fmt: skip
        others = {"a": gradients @ direction(rival), "b": gradients @ direction(0.0)}
        told = push_effect(gradients @ vector, random.T, others)
        if name != "as strong":
            yield Reading(where, f"push_effect, random, {name}", None, None, told.p_random, name == "chance")
        if name != "chance":
            assert told.specificity is not None
            gap = told.specificity.gap
            truth = (0.4 - rival) * float(common @ along)
            yield Reading(where, f"push_effect, specificity, {name}", gap, truth, gap.p, rival == 0.4)
            yield Reading(where, "push_effect, mean", told.effect, float(common @ vector))


def _refits(where: str, setting: Setting, seed: int) -> Iterator[Reading]:
    sim = simulate(setting, seed)
    values, null = sim.values[0, setting.n_layers // 2], setting.strength == 0
    length = description_length(values, sim.labels, sim.templates, seed=seed)
    yield Reading(where, "description_length", length, None, length.p, null)
    if setting.n_templates < setting.n_pairs:
        told = selectivity(values, sim.labels, sim.pairs, sim.templates, estimator="ridge", seed=seed)
        yield Reading(where, "selectivity", told, None)


def _fitted(sim: Simulated, layer: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Weights `[d]` of a ridge probe on the train split of the first model, and the residual standard
    deviation `[d]` of its features."""
    train = sim.splits.train
    values, labels = sim.values[0, layer, train], sim.labels[train]
    weights = RidgeProbe(alpha=float(len(train))).fit(values, labels).coef_[0]
    residuals = [values[labels == k] - values[labels == k].mean(0) for k in (0, 1)]
    return weights, np.concatenate(residuals).std(0)
