"""Labels that have nothing to do with the concept: permuted ones, and those of a control task."""

from __future__ import annotations

import numpy as np
from jaxtyping import Int, Shaped


def permuted_labels(
    labels: Int[np.ndarray, " example"],
    groups: Shaped[np.ndarray, " example"],
    rng: np.random.Generator,
    strata: Shaped[np.ndarray, " example"] | None = None,
) -> Int[np.ndarray, " example"]:
    """Labels shuffled within pairs, so that every pair keeps one example of each label.

    Within each group that holds both labels, its labels are shuffled. Groups that hold one label only swap
    labels with each other as whole groups, so that the examples of a group stay together.

    Parameters
    ----------
    labels : int array `[example]`
        0 or 1.
    groups : array `[example]`
        Pair ids.
    rng : numpy.random.Generator
        The source of randomness.
    strata : array `[example]`, optional
        Where groups swap labels with each other, they do so inside a stratum: a split then keeps its numbers
        of such groups with each label.

    Returns
    -------
    int array `[example]`

    Example
    -------
    >>> permuted_labels(np.array([0, 1, 0, 1, 0, 1]), np.array([0, 0, 1, 1, 2, 2]), np.random.default_rng(3))
    array([1, 0, 0, 1, 0, 1])
    """
    permuted = labels.copy()
    _, first, member = np.unique(groups, return_index=True, return_inverse=True)
    size, positive = np.bincount(member), np.bincount(member, weights=labels == 1)
    mixed = (positive > 0) & (positive < size)
    rows = np.split(np.argsort(member, kind="stable"), np.cumsum(size)[:-1])
    for group in np.flatnonzero(mixed):
        permuted[rows[group]] = rng.permutation(labels[rows[group]])
    exchanged = labels[first]
    stratum = np.zeros(len(first)) if strata is None else np.asarray(strata)[first]
    for one in np.unique(stratum[~mixed]):
        those = ~mixed & (stratum == one)
        exchanged[those] = rng.permutation(exchanged[those])
    single = ~mixed[member]
    permuted[single] = exchanged[member[single]]
    return permuted


def exchanged_labels(
    labels: Int[np.ndarray, " example"],
    member: Int[np.ndarray, " example"],
    n: int,
    rng: np.random.Generator,
    *,
    n_groups: int | None = None,
    strata: Shaped[np.ndarray, " example"] | None = None,
) -> Int[np.ndarray, "labelling example"]:
    """The labels, and n labelings that mean nothing in which whole groups have exchanged their labels.

    A group that holds as many examples of one label as of the other has the two swapped, with probability
    1/2. Groups that hold one label only exchange it with each other. Any other group exchanges its labels, in
    their order, with the groups of as many examples; where it is alone of its size it keeps them.

    Parameters
    ----------
    labels : int array `[example]`
        0 or 1.
    member : int array `[example]`
        The number of each example's group, from 0.
    n : int
        How many labelings to draw.
    rng : numpy.random.Generator
        The source of randomness.
    n_groups : int, optional
        Where groups are counted beyond the highest number in `member`.
    strata : array `[example]`, optional
        Groups exchange labels with those of their own stratum alone.

    Returns
    -------
    int array `[1 + n, example]`
        The first are the labels themselves.

    Example
    -------
    >>> exchanged_labels(np.array([0, 1, 0, 0, 1]), np.array([0, 0, 1, 2, 3]), 2, np.random.default_rng(0))
    array([[0, 1, 0, 0, 1],
           [0, 1, 0, 1, 0],
           [0, 1, 0, 1, 0]])
    """
    n_groups = int(member.max()) + 1 if n_groups is None else n_groups
    swapped = rng.integers(0, 2, size=(n + 1, n_groups)).astype(bool)
    swapped[0] = False
    size, positive = np.bincount(member, minlength=n_groups), np.bincount(member, labels, minlength=n_groups)
    balanced = 2 * positive == size
    labelings = labels ^ (swapped & balanced)[:, member]
    if balanced.all():
        return labelings
    order = np.argsort(member, kind="stable")
    rows = dict(
        zip(np.flatnonzero(size).tolist(), np.split(order, np.cumsum(size[size > 0])[:-1]), strict=True)
    )
    alike: dict[tuple[object, int], list[int]] = {}
    for group in np.flatnonzero(~balanced).tolist():
        kind = 0 if positive[group] in (0, size[group]) else int(size[group])
        stratum = None if strata is None else strata[rows[group][0]]
        alike.setdefault((stratum, kind), []).append(group)
    for (_, kind), groups in alike.items():
        drawn = rng.permuted(np.tile(np.arange(len(groups)), (n, 1)), axis=1)  # [labelling, group]
        if kind:
            places = np.stack([rows[group] for group in groups])
            labelings[1:, places] = labels[places][drawn]
        else:
            own = labels[[rows[group][0] for group in groups]]
            places = np.concatenate([rows[group] for group in groups])
            labelings[1:, places] = np.repeat(own[drawn], size[groups], axis=1)
    return labelings


def control_labels(
    types: Shaped[np.ndarray, " example"], rng: np.random.Generator
) -> Int[np.ndarray, " example"]:
    """The labels of a control task: a random half of the types has label 1.

    A probe can only learn such labels by heart, type by type (Hewitt & Liang 2019, arXiv 1909.03368).

    Parameters
    ----------
    types : array `[example]`
        The type of each example, in general its template.
    rng : numpy.random.Generator
        The source of randomness.

    Returns
    -------
    int array `[example]`

    Example
    -------
    >>> control_labels(np.array(["t0", "t0", "t1", "t1"]), np.random.default_rng(0))
    array([0, 0, 1, 1])
    """
    names, member = np.unique(types, return_inverse=True)
    return rng.permutation(np.arange(len(names)) % 2)[member]
