"""Which rows train a probe, which choose its layer, and which report on it; pairs are kept whole."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Int, Shaped

from probes.errors import InputError

if TYPE_CHECKING:
    from probes.activations import Activations

NAMES = ("train", "select", "test")
FRACTIONS = (0.6, 0.2, 0.2)
MIN_PAIRS = 4
"""Pairs that each part needs."""

MIN_TEMPLATES = 10
"""With this many templates, a split by template still leaves two of them in the smallest part."""


@dataclass(frozen=True)
class Splits:
    """The row indices of each part, in ascending order.

    Attributes
    ----------
    train : int array
        Rows that probes are fitted on.
    select : int array
        Rows that choose the layer.
    test : int array
        Rows that results are reported on. They choose nothing.

    Example
    -------
    >>> Splits(train=np.arange(8), select=np.arange(8, 16), test=np.arange(16, 24)).select
    array([ 8,  9, 10, 11, 12, 13, 14, 15])
    """

    train: Int[np.ndarray, " n_train"]
    select: Int[np.ndarray, " n_select"]
    test: Int[np.ndarray, " n_test"]


def split_rows(acts: Activations, seed: int = 0) -> Splits:
    """The splits of a concept's rows: its own where it has them, otherwise drawn at random.

    When some rows have a split, rows without one are left out. When no row has one, 60% of the pairs are
    drawn to train, 20% to select and 20% to test. Whole templates are drawn instead when there are at least
    `MIN_TEMPLATES` of them and no pair lies in two.

    Parameters
    ----------
    acts : Activations
        Its labels, groups, splits and templates are used.
    seed : int
        Of the draw.

    Returns
    -------
    Splits

    Raises
    ------
    InputError
        When a part is missing, holds fewer than `MIN_PAIRS` pairs or one class only, or when a pair is in two
        parts.

    Example
    -------
    >>> splits = probes.probing.split_rows(probes.extract(stage, concept))
    >>> len(splits.train), len(splits.select), len(splits.test)
    (24, 8, 16)
    """
    labels, pairs = np.asarray(acts.labels), np.asarray(acts.groups)
    if not np.isin(labels, (0, 1)).all():
        raise InputError(
            f"concept {acts.concept!r}: labels are {np.unique(labels).tolist()}, expected 0 and 1"
        )
    given = np.array([None if name in (None, "") else str(name) for name in acts.splits], dtype=object)
    present = sorted({name for name in given if name is not None})
    if not present:
        given = _drawn(_units(acts), seed)
    elif set(present) != set(NAMES):
        raise InputError(
            f"concept {acts.concept!r}: splits are {', '.join(present)}; expected train, select and test, "
            "or none at all to have them drawn"
        )
    rows = {name: np.flatnonzero(given == name) for name in NAMES}
    for name, part in rows.items():
        n_pairs = len(np.unique(pairs[part]))
        if n_pairs < MIN_PAIRS:
            raise InputError(
                f"concept {acts.concept!r}: {n_pairs} pairs in the {name} split, expected {MIN_PAIRS} or more"
            )
        if len(np.unique(labels[part])) < 2:
            raise InputError(
                f"concept {acts.concept!r}: the {name} split holds one class only, label {labels[part][0]}"
            )
    for first, second in (("train", "select"), ("train", "test"), ("select", "test")):
        shared = np.intersect1d(pairs[rows[first]], pairs[rows[second]])
        if shared.size:
            raise InputError(
                f"concept {acts.concept!r}: pair {str(shared[0])!r} is in the {first} and the {second} "
                "split; a pair must stay in one"
            )
    return Splits(**rows)


def units_of(acts: Activations, groups: str) -> Shaped[np.ndarray, " example"]:
    """The independent unit of each row, `[example]`: its pair, or its template.

    Folds hold out whole units, and intervals and permutations treat units as independent.

    Parameters
    ----------
    acts : Activations
        Its groups and templates are used.
    groups : str
        "pair" or "template".

    Raises
    ------
    InputError
        For another value of `groups`, or for templates that some rows lack.

    Example
    -------
    >>> units_of(probes.extract(stage, concept), "template")[:6].tolist()
    ['t0', 't0', 't0', 't0', 't1', 't1']
    """
    if groups == "pair":
        return np.asarray(acts.groups)
    if groups != "template":
        raise InputError(f'groups={groups!r}: expected "pair" or "template"')
    if any(template is None for template in acts.templates):
        raise InputError(f'concept {acts.concept!r}: groups="template", but not every example has a template')
    return np.array([str(template) for template in acts.templates])


def _units(acts: Activations) -> Shaped[np.ndarray, " example"]:
    """What a random draw keeps together: templates, where they are many and keep pairs whole, or pairs."""
    pairs = np.asarray(acts.groups)
    if any(template is None for template in acts.templates):
        return pairs
    templates = units_of(acts, "template")
    pair_template = set(zip(pairs.tolist(), templates.tolist(), strict=True))
    enough = len(np.unique(templates)) >= MIN_TEMPLATES
    return templates if enough and len(pair_template) == len(np.unique(pairs)) else pairs


def _drawn(units: Shaped[np.ndarray, " example"], seed: int) -> Shaped[np.ndarray, " example"]:
    names, member = np.unique(units, return_inverse=True)
    order = np.random.default_rng(seed).permutation(len(names))
    edges = np.round(np.cumsum(FRACTIONS) * len(names))
    part = np.searchsorted(edges, order, side="right")
    return np.array(NAMES, dtype=object)[np.minimum(part, len(NAMES) - 1)][member]
