"""Which rows train a probe, which choose its layer, and which report on it: never the same pair twice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from probes.errors import InputError
from probes.models.sites import Site

if TYPE_CHECKING:
    from probes.activations import Activations

NAMES = ("train", "select", "test")
FRACTIONS = (0.6, 0.2, 0.2)
MIN_PAIRS = 4
MIN_TEMPLATES = 10
"""Scenario templates from which a split by template still leaves two in the smallest part."""


@dataclass(frozen=True)
class Splits:
    """Row indices of each part, in row order."""

    train: NDArray[np.int64]
    select: NDArray[np.int64]
    test: NDArray[np.int64]


def split_rows(acts: Activations, seed: int = 0) -> Splits:
    """The concept's own splits where it has them, else 60/20/20 of whole templates or pairs by `seed`.

    Rows without a split are left out when others have one. Without any, whole templates are kept together
    when there are at least `MIN_TEMPLATES` and none divides a pair, else whole pairs.
    Raises InputError when a part is missing, holds fewer than `MIN_PAIRS` pairs or one class only, or when a
    pair is in two parts.
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


def clusters(acts: Activations, groups: str) -> NDArray:
    """The unit of folds and resampling of each row: its pair, or its template. Raises InputError."""
    if groups == "pair":
        return np.asarray(acts.groups)
    if groups != "template":
        raise InputError(f'groups={groups!r}: expected "pair" or "template"')
    if any(template is None for template in acts.templates):
        raise InputError(f'concept {acts.concept!r}: groups="template", but not every example has a template')
    return np.array([str(template) for template in acts.templates])


def layer_values(acts: Activations, site: Site, width: int) -> NDArray:
    """Activations `[example, width]` at a site. Raises InputError when they were read elsewhere or have
    another width."""
    layer = 0 if site.layer is None else site.layer
    if site.kind != acts.site:
        raise InputError(f"the probe was fitted at {site}, the activations are from {acts.site}")
    if layer not in acts.layers:
        raise InputError(f"layer {layer} was not extracted: the activations have {acts.layers}")
    values = acts.values[list(acts.layers).index(layer)]
    if values.shape[-1] != width:
        raise InputError(f"the probe has width {width}, the activations {values.shape[-1]}")
    return values


def _units(acts: Activations) -> NDArray:
    pairs = np.asarray(acts.groups)
    if any(template is None for template in acts.templates):
        return pairs
    templates = clusters(acts, "template")
    pair_template = set(zip(pairs.tolist(), templates.tolist(), strict=True))
    enough = len(np.unique(templates)) >= MIN_TEMPLATES
    return templates if enough and len(pair_template) == len(np.unique(pairs)) else pairs


def _drawn(units: NDArray, seed: int) -> NDArray:
    names, member = np.unique(units, return_inverse=True)
    order = np.random.default_rng(seed).permutation(len(names))
    edges = np.round(np.cumsum(FRACTIONS) * len(names))
    part = np.searchsorted(edges, order, side="right")
    return np.array(NAMES, dtype=object)[np.minimum(part, len(NAMES) - 1)][member]
