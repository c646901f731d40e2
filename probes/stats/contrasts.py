"""What a result is compared with: baselines, control arms and other concepts.

Arrays go in, and estimates with p-values come out; `probes.stats.jackknife` says how those are computed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from numpy.typing import ArrayLike

from probes.errors import InputError
from probes.stats.estimates import LEVEL
from probes.stats.jackknife import Tested, auroc_contrast


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
