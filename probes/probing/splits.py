"""Which rows train a probe, which choose its layer, and which report on it; pairs are kept whole."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Int, Shaped

from probes.errors import InputError

if TYPE_CHECKING:
    from probes.activations import Activations
    from probes.concepts import Concept

NAMES = ("train", "select", "test")
FRACTIONS = (0.6, 0.2, 0.2)
MIN_PAIRS = 4
"""Pairs that each part needs."""

MIN_UNITS = 20
"""With so many units, each part of a draw has `MIN_PAIRS` of them."""

MIN_OF_LABEL = 10
"""With so many units that hold a label, each part of a draw has enough of them."""

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

    def names(self, n: int) -> Shaped[np.ndarray, " {n}"]:
        """The part of each of n rows, `[example]`; empty for rows of none.

        Example
        -------
        >>> Splits(train=np.array([0]), select=np.array([2]), test=np.array([3])).names(4).tolist()
        ['train', '', 'select', 'test']
        """
        part = np.full(n, "", dtype="<U6")
        for name in NAMES:
            part[getattr(self, name)] = name
        return part


def split_rows(acts: Activations, seed: int = 0) -> Splits:
    """The splits of a concept's rows: its own where it has them, otherwise drawn at random.

    When some rows have a split, rows without one are left out. When no row has one, 60% of the pairs are
    drawn to train, 20% to select and 20% to test. Whole templates are drawn instead when there are at least
    `MIN_TEMPLATES` of them and no pair lies in two. What is drawn is stratified: units with both labels, with
    label 0 alone and with label 1 alone are each divided in these shares.

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
        When a part is missing, holds fewer than `MIN_PAIRS` pairs or one class only, when a pair is in two
        parts; when a drawn train or test split has a label in one pair alone. No seed changes that.

    Example
    -------
    >>> splits = probes.probing.split_rows(probes.extract(stage, concept))
    >>> len(splits.train), len(splits.select), len(splits.test)
    (24, 8, 16)
    """
    return _split(acts, acts.concept, seed)


def check_splits(concept: Concept, seed: int = 0) -> None:
    """Refuse a concept whose examples cannot be split, before any model reads them.

    Raises
    ------
    InputError
        As `split_rows` does.

    Example
    -------
    >>> check_splits(concept)
    >>> check_splits(probes.Concept(name="few", examples=concept.examples[4:12]))
    Traceback (most recent call last):
    probes.errors.InputError: concept 'few': splits are train; expected train, select and test, ...
    """
    _split(concept, concept.name, seed)


def _split(rows_of: Activations | Concept, name: str, seed: int) -> Splits:
    labels, pairs = np.asarray(rows_of.labels), np.asarray(rows_of.groups)
    if not np.isin(labels, (0, 1)).all():
        raise InputError(f"concept {name!r}: labels are {np.unique(labels).tolist()}, expected 0 and 1")
    given = np.array([None if part in (None, "") else str(part) for part in rows_of.splits], dtype=object)
    present = sorted({part for part in given if part is not None})
    advice = ""
    if not present:
        given = _drawn(_units(rows_of), labels, seed)
        advice = f"; have {MIN_UNITS} pairs or more in all, or give each row a split"
    elif set(present) != set(NAMES):
        raise InputError(
            f"concept {name!r}: splits are {', '.join(present)}; expected train, select and test, "
            "or none at all to have them drawn"
        )
    rows = {part: np.flatnonzero(given == part) for part in NAMES}
    for part, members in rows.items():
        n_pairs = len(np.unique(pairs[members]))
        if n_pairs < MIN_PAIRS:
            raise InputError(
                f"concept {name!r}: {n_pairs} pairs in the {part} split, expected {MIN_PAIRS} or more{advice}"
            )
        if len(np.unique(labels[members])) < 2:
            raise InputError(
                f"concept {name!r}: the {part} split holds one class only, label {labels[members][0]}"
                + (_more_of(1 - labels[members][0], labels, pairs) if advice else "")
            )
        if advice and part != "select":
            for label in (0, 1):
                if len(np.unique(pairs[members][labels[members] == label])) < 2:
                    raise InputError(
                        f"concept {name!r}: label {label} is in one pair of the {part} split, expected 2 or "
                        f"more{_more_of(label, labels, pairs)}"
                    )
    for first, second in (("train", "select"), ("train", "test"), ("select", "test")):
        shared = np.intersect1d(pairs[rows[first]], pairs[rows[second]])
        if shared.size:
            raise InputError(
                f"concept {name!r}: pair {str(shared[0])!r} is in the {first} and the {second} split; a pair "
                "must stay in one, together with whatever holds one of its texts"
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


def _units(acts: Activations | Concept) -> Shaped[np.ndarray, " example"]:
    """What a random draw keeps together: templates, where they are many and keep pairs whole, or pairs."""
    pairs = np.asarray(acts.groups)
    if any(template is None for template in acts.templates):
        return pairs
    templates = np.array([str(template) for template in acts.templates])
    pair_template = set(zip(pairs.tolist(), templates.tolist(), strict=True))
    enough = len(np.unique(templates)) >= MIN_TEMPLATES
    return templates if enough and len(pair_template) == len(np.unique(pairs)) else pairs


def _more_of(
    label: int, labels: Shaped[np.ndarray, " example"], pairs: Shaped[np.ndarray, " example"]
) -> str:
    n, total = len(np.unique(pairs[labels == label])), len(np.unique(pairs))
    return (
        f"; label {label} is in {n} independent units of {total}: have {MIN_OF_LABEL} or more, "
        "or give each row a split"
    )


def _drawn(
    units: Shaped[np.ndarray, " example"], labels: Shaped[np.ndarray, " example"], seed: int
) -> Shaped[np.ndarray, " example"]:
    names, member = np.unique(units, return_inverse=True)
    counts = [np.bincount(member[labels == label], minlength=len(names)) for label in (0, 1)]
    kind = (counts[0] > 0) + 2 * (counts[1] > 0)  # 1: label 0 alone, 2: label 1 alone, 3: both
    rng = np.random.default_rng(seed)
    part = np.empty(len(names), dtype=int)
    for one in np.unique(kind)[::-1]:
        those = np.flatnonzero(kind == one)
        edges = np.round(np.cumsum(FRACTIONS) * len(those))
        part[those] = np.searchsorted(edges, rng.permutation(len(those)), side="right")
    return np.array(NAMES, dtype=object)[np.minimum(part, len(NAMES) - 1)][member]
