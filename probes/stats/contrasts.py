"""What a result is compared with: baselines, control arms, random and other directions, and the family of
tests it is one of. Arrays in, estimates with p-values out (`probes.stats.jackknife` says how)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import binomtest, false_discovery_control

from probes.errors import InputError
from probes.stats.estimates import LEVEL
from probes.stats.jackknife import Tested, auroc_contrast, mean_contrast

MIN_RANDOM = 20
"""Random directions below which a rank among them cannot be significant at .05."""


@dataclass(frozen=True)
class Strongest:
    """The gap to the strongest of several baselines, its name, and the gap to each (intervals each its own).

    `gap.low` and `gap.p` hold for the gap to whichever baseline is the strongest in the population.
    """

    name: str
    gap: Tested
    gaps: Mapping[str, Tested]


@dataclass(frozen=True)
class PushEffect:
    """What a push does, against chance and against other concepts.

    effect: mean over items. p_random: (1 + random directions that do at least as much) / (1 + directions),
    one-sided; n_random of them; chance: the lower 95% limit of the share that do (Clopper & Pearson 1934).
    specificity: the effect minus that of the strongest other direction, pushed
    either way; None without others.
    """

    effect: Tested
    p_random: float
    n_random: int
    chance: float
    specificity: Strongest | None


@dataclass(frozen=True)
class Discoveries:
    """Adjusted p-values and which of them are discoveries, in the shape of what was given."""

    adjusted: NDArray[np.float64]
    found: NDArray[np.bool_]


def beyond(scores: ArrayLike, other: ArrayLike, labels: ArrayLike, groups: ArrayLike) -> Tested:
    """AUROC of `scores` minus AUROC of `other` on the same examples; p: that it is above 0.

    Parameters: scores and other `[example]` or `[training seed, example]`; labels `[example]` in {0, 1};
    groups `[example]`, pairs, or templates where several pairs share one. Raises InputError as
    `auroc_contrast`.
    """
    return auroc_contrast([scores, other], [1, -1], labels, groups)


def strongest_baseline(
    scores: ArrayLike, baselines: Mapping[str, ArrayLike], labels: ArrayLike, groups: ArrayLike
) -> Strongest:
    """AUROC of `scores` minus that of the strongest baseline, whichever it is: min_k (AUROC - AUROC_k).

    That the strongest was found on the same examples is paid for. Being above all is tested as being above
    each (intersection-union test, Berger 1982, doi:10.1080/00401706.1982.10487790): p is the largest of
    theirs, the lower end the lowest; with one baseline ahead of the others this is exact, with ties it errs
    against the claim. The upper end is the lowest of those baselines that the data leave in question as the
    strongest, at a level that is shared between them where there are more than two.

    Parameters as in `beyond`; baselines, name -> scores. Raises InputError also for no baselines.
    """
    if not baselines:
        raise InputError("no baselines: expected at least one to be beyond")

    def gap(name: str, level: float) -> Tested:
        return auroc_contrast([scores, baselines[name]], [1, -1], labels, groups, level=level)

    return _strongest(list(baselines), gap)


def difference_in_differences(
    arm: ArrayLike,
    parent: ArrayLike,
    control: ArrayLike,
    control_parent: ArrayLike,
    labels: ArrayLike,
    groups: ArrayLike,
) -> Tested:
    """(arm - its parent) - (control arm - its parent), in AUROC; p: that it is above 0.

    Parameters: scores of the same examples at four stages, each `[example]` for a stage trained once or
    `[training seed, example]`; arms with several seeds have the same number, and seed k of one is compared
    with seed k of the other. labels and groups as in `beyond`. The result speaks of the population of
    training seeds where a stage has several, and of the one checkpoint where it does not. Raises InputError
    as `auroc_contrast`.
    """
    return auroc_contrast([arm, parent, control, control_parent], [1, -1, -1, 1], labels, groups)


def push_effect(
    effect: ArrayLike,
    random_effects: ArrayLike,
    other_effects: Mapping[str, ArrayLike] | None = None,
    groups: ArrayLike | None = None,
) -> PushEffect:
    """Whether a push moves behaviour, more than random directions do, and more than other concepts' do.

    Parameters: effect `[item]` or `[training seed, item]`, change of the choice logit (or of the choice),
    signed so that what is claimed is positive; random_effects `[direction, item]`, the same for at least
    `MIN_RANDOM` directions of the same norm; other_effects, concept -> the same `[item]` for its
    direction; groups `[item]`, default every item its own.
    Raises InputError for too few random directions or widths that differ.
    """
    effect, random_effects = np.asarray(effect, dtype=float), np.asarray(random_effects, dtype=float)
    if random_effects.ndim != 2 or random_effects.shape[1] != effect.shape[-1]:
        raise InputError(
            f"effect {effect.shape} and random_effects {random_effects.shape}: expected [item] and "
            "[direction, item]"
        )
    if len(random_effects) < MIN_RANDOM:
        raise InputError(f"{len(random_effects)} random directions: expected at least {MIN_RANDOM}")
    groups = np.arange(effect.shape[-1]) if groups is None else np.asarray(groups)
    told = mean_contrast([effect], [1], groups)
    as_much = int((random_effects.mean(1) >= told.value).sum())
    others = {
        name + ("" if sign > 0 else ", pushed backwards"): sign * np.asarray(other, dtype=float)
        for name, other in (other_effects or {}).items()
        for sign in (1, -1)
    }

    def gap(name: str, level: float) -> Tested:
        return mean_contrast([effect, others[name]], [1, -1], groups, level=level)

    p_random = (1 + as_much) / (1 + len(random_effects))
    specificity = _strongest(list(others), gap) if others else None
    chance = binomtest(as_much, len(random_effects)).proportion_ci(LEVEL, method="exact").low
    return PushEffect(told, p_random, len(random_effects), float(chance), specificity)


def discoveries(p_values: ArrayLike, rate: float = 0.05) -> Discoveries:
    """Benjamini & Hochberg (1995, doi:10.1111/j.2517-6161.1995.tb02031.x) over a family of tests.

    Parameters: p_values of any shape; rate, the share of false discoveries that is accepted. Raises
    InputError for p-values outside [0, 1] or none.
    """
    p_values = np.asarray(p_values, dtype=np.float64)
    if p_values.size == 0 or not ((p_values >= 0) & (p_values <= 1)).all():
        raise InputError("p-values: expected at least one, each between 0 and 1")
    adjusted = np.asarray(false_discovery_control(p_values.ravel())).reshape(p_values.shape)
    return Discoveries(adjusted, adjusted <= rate)


def _strongest(names: Sequence[str], gap: Callable[[str, float], Tested]) -> Strongest:
    gaps = {name: gap(name, LEVEL) for name in names}
    name = min(names, key=lambda one: gaps[one].value)
    contenders = [one for one in names if gaps[one].low <= gaps[name].high]
    # Among several alike the lowest lower end hardly ever misses, so the upper ends share all of 1 - LEVEL.
    level = 1 - 2 * (1 - LEVEL) / max(2, len(contenders))
    told = Tested(
        gaps[name].value,
        min(one.low for one in gaps.values()),
        min(gap(one, level).high for one in contenders),
        gaps[name].n,
        max(one.p for one in gaps.values()),
    )
    return Strongest(name, told, gaps)
