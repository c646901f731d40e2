"""What a result is compared with: baselines, control arms, random directions and other concepts.

Arrays go in, and estimates with p-values come out; `probes.stats.jackknife` says how those are computed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from probes.errors import InputError
from probes.stats.estimates import LEVEL, share_interval
from probes.stats.jackknife import Tested, auroc_contrast, mean_contrast
from probes.stats.permutation import add_one_p

MIN_RANDOM = 20
"""With fewer random directions than this, a rank among them cannot be significant at 0.05."""


@dataclass(frozen=True)
class Strongest:
    """The gap between a result and the strongest of several competitors (baselines or other concepts).

    Attributes
    ----------
    name : str
        The competitor that is the strongest in these data.
    gap : Tested
        The result minus the strongest competitor. `gap.low` and `gap.p` hold for whichever competitor is the
        strongest in the population.
    gaps : dict of str to Tested
        The result minus each competitor; each interval holds for its own competitor alone.

    Example
    -------
    >>> gap = Tested(0.1, 0.02, 0.2, n=40, p=0.01)
    >>> Strongest("words", gap, {"words": gap}).gap.low
    0.02
    """

    name: str
    gap: Tested
    gaps: Mapping[str, Tested]


@dataclass(frozen=True)
class PushEffect:
    """What pushing along a direction does to behaviour, compared with random and with other directions.

    Attributes
    ----------
    effect : Tested
        The mean effect over items.
    p_random : float
        The one-sided p-value of the effect's rank among random directions (see `add_one_p`).
    n_random : int
        The number of random directions.
    chance : float
        The lower end of the exact 95% interval of the share of random directions that do at least as much.
    specificity : Strongest or None
        The effect minus that of the strongest other concept, pushed forwards or backwards; None without
        other concepts.

    Example
    -------
    >>> effect = Tested(0.4, 0.2, 0.6, n=30, p=0.001)
    >>> PushEffect(effect, p_random=0.05, n_random=19, chance=0.0, specificity=None).effect.low
    0.2
    """

    effect: Tested
    p_random: float
    n_random: int
    chance: float
    specificity: Strongest | None


def beyond(scores: ArrayLike, other: ArrayLike, labels: ArrayLike, groups: ArrayLike) -> Tested:
    """The AUROC of `scores` minus that of `other`, measured on the same examples.

    Parameters
    ----------
    scores, other : float array `[example]` or `[training seed, example]`
        Higher for label 1.
    labels : int array `[example]`
        0 or 1.
    groups : array `[example]`
        The independent units: pairs, or templates where several pairs share one.

    Returns
    -------
    Tested
        Its p is that of "the difference is above 0".

    Raises
    ------
    InputError
        As `auroc_contrast` does.

    Example
    -------
    >>> rng = np.random.default_rng(0)
    >>> labels, pairs = np.tile([0, 1], 30), np.repeat(np.arange(30), 2)
    >>> probe, words = 2 * labels + rng.normal(size=60), rng.normal(size=60)
    >>> difference = beyond(probe, words, labels, pairs)
    >>> difference.low > 0, difference.p < 0.001
    (True, True)
    """
    return auroc_contrast([scores, other], [1, -1], labels, groups)


def strongest_baseline(
    scores: ArrayLike, baselines: Mapping[str, ArrayLike], labels: ArrayLike, groups: ArrayLike
) -> Strongest:
    """The AUROC of `scores` minus that of the strongest baseline, whichever it is.

    The result is corrected for finding the strongest baseline on the same examples. To be above the strongest
    is to be above each, which makes an intersection-union test (Berger 1982,
    doi:10.1080/00401706.1982.10487790): p is the largest of the p-values against each baseline, and the lower
    end is the lowest of the lower ends. With one baseline clearly ahead this is exact; with ties it errs
    against the claim. The upper end is the lowest upper end among the baselines that may be the strongest as
    far as these data tell; where there are more than two of those, they share the error probability.

    Parameters
    ----------
    scores : float array `[example]` or `[training seed, example]`
        Higher for label 1.
    baselines : dict of str to array
        Name -> scores of the same examples.
    labels : int array `[example]`
        0 or 1.
    groups : array `[example]`
        The independent units: pairs or templates.

    Returns
    -------
    Strongest

    Raises
    ------
    InputError
        When there is no baseline, and as `auroc_contrast` does.

    Example
    -------
    >>> rng = np.random.default_rng(0)
    >>> labels, pairs = np.tile([0, 1], 30), np.repeat(np.arange(30), 2)
    >>> baselines = {"words": labels + rng.normal(size=60), "length": rng.normal(size=60)}
    >>> strongest_baseline(4 * labels + rng.normal(size=60), baselines, labels, pairs).name
    'words'
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
    """How much more AUROC a training arm gained over its parent than a control arm gained over its own.

    It is (arm - its parent) - (control arm - its parent). The result speaks of the population of training
    seeds where a stage has several, and of the one checkpoint where it does not.

    Parameters
    ----------
    arm, parent, control, control_parent : float array `[example]` or `[training seed, example]`
        Scores of the same examples at the four stages. Arms with several training seeds have the same number
        of them, and seed k of one is compared with seed k of the other.
    labels : int array `[example]`
        0 or 1.
    groups : array `[example]`
        The independent units: pairs or templates.

    Returns
    -------
    Tested
        Its p is that of "the difference is above 0".

    Raises
    ------
    InputError
        As `auroc_contrast` does.

    Example
    -------
    >>> rng = np.random.default_rng(0)
    >>> labels, pairs = np.tile([0, 1], 30), np.repeat(np.arange(30), 2)
    >>> parent = rng.normal(size=60)
    >>> gain = difference_in_differences(parent + 2 * labels, parent, parent, parent, labels, pairs)
    >>> gain.value > 0.3, gain.low > 0
    (True, True)
    """
    return auroc_contrast([arm, parent, control, control_parent], [1, -1, -1, 1], labels, groups)


def push_effect(
    effect: ArrayLike,
    random_effects: ArrayLike,
    other_effects: Mapping[str, ArrayLike] | None = None,
    groups: ArrayLike | None = None,
) -> PushEffect:
    """Whether a push moves behaviour, more than random directions do, and more than other concepts' do.

    Parameters
    ----------
    effect : float array `[item]` or `[training seed, item]`
        The change of the choice logit (or of the choice), signed so that what is claimed is positive.
    random_effects : float array `[direction, item]`
        The same for at least `MIN_RANDOM` random directions of the same length.
    other_effects : dict of str to float array `[item]`, optional
        Concept -> the same for its direction.
    groups : array `[item]`, optional
        The independent units; by default every item is one.

    Returns
    -------
    PushEffect

    Raises
    ------
    InputError
        For too few random directions, or widths that differ.

    Example
    -------
    >>> rng = np.random.default_rng(0)
    >>> result = push_effect(1 + rng.normal(size=30), rng.normal(size=(39, 30)))
    >>> result.p_random
    0.025
    """
    effect, random_effects = np.asarray(effect, dtype=float), np.asarray(random_effects, dtype=float)
    if random_effects.ndim != 2 or random_effects.shape[1] != effect.shape[-1]:
        raise InputError(
            f"effect {effect.shape} and random_effects {random_effects.shape}: expected [item] and "
            "[direction, item]"
        )
    n_random = len(random_effects)
    if n_random < MIN_RANDOM:
        raise InputError(f"{n_random} random directions: expected at least {MIN_RANDOM}")
    groups = np.arange(effect.shape[-1]) if groups is None else np.asarray(groups)
    mean = mean_contrast([effect], [1], groups)
    as_much = int((random_effects.mean(1) >= mean.value).sum())
    others = {
        name + ("" if sign > 0 else ", pushed backwards"): sign * np.asarray(other, dtype=float)
        for name, other in (other_effects or {}).items()
        for sign in (1, -1)
    }

    def gap(name: str, level: float) -> Tested:
        return mean_contrast([effect, others[name]], [1, -1], groups, level=level)

    return PushEffect(
        effect=mean,
        p_random=add_one_p(as_much, n_random),
        n_random=n_random,
        chance=share_interval(as_much, n_random).low,
        specificity=_strongest(list(others), gap) if others else None,
    )


def _strongest(names: Sequence[str], gap: Callable[[str, float], Tested]) -> Strongest:
    """The strongest competitor, the one with the lowest gap; `gap(name, level)` is the gap to one of them."""
    gaps = {name: gap(name, LEVEL) for name in names}
    name = min(names, key=lambda one: gaps[one].value)
    contenders = [one for one in names if gaps[one].low <= gaps[name].high]
    # The lowest of several like lower ends hardly ever misses, so the upper ends share all of 1 - LEVEL.
    level = 1 - 2 * (1 - LEVEL) / max(2, len(contenders))
    smallest = Tested(
        gaps[name].value,
        min(one.low for one in gaps.values()),
        min(gap(one, level).high for one in contenders),
        gaps[name].n,
        max(one.p for one in gaps.values()),
    )
    return Strongest(name, smallest, gaps)
