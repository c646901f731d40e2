"""Fitting a probe again with other labels, or on another stage, at the strength that was chosen before."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from sklearn.base import clone

from probes.probing.estimators import PenalisedProbe


def at_same_strength(probe: Any) -> Any:
    """An unfitted copy of a fitted probe, with the strength of its penalty fixed at the one that was chosen.

    Parameters
    ----------
    probe : fitted probe
        One of this room's estimators.

    Example
    -------
    >>> acts = probes.extract(stage, concept)
    >>> probe = probes.LogisticProbe(C=None).fit(acts.values[2], acts.labels, groups=acts.groups)
    >>> at_same_strength(probe).C == probe.C_
    True
    """
    copy: Any = clone(probe)
    if isinstance(probe, PenalisedProbe):
        setattr(copy, probe.strength_name, getattr(probe, f"{probe.strength_name}_"))
    return copy


def refit(probe: Any, X: Float[np.ndarray, "n d"], labelings: Sequence[Int[np.ndarray, " n"]]) -> list[Any]:
    """Copies of a fitted probe at the same strength, one fitted for each of several labelings.

    What depends on X alone is computed once.

    Parameters
    ----------
    probe : fitted probe
        One of this room's estimators.
    X : float array `[n, d]`
        Activations.
    labelings : sequence of int arrays `[n]`
        0 and 1, both in each.

    Returns
    -------
    list of fitted probes
        One for each labelling.

    Example
    -------
    >>> acts = probes.extract(stage, concept)
    >>> probe = probes.MassMeanProbe().fit(acts.values[2], acts.labels)
    >>> same, opposite = refit(probe, acts.values[2], [acts.labels, 1 - acts.labels])
    >>> np.allclose(same.direction_, -opposite.direction_)
    True
    """
    copies = [at_same_strength(probe) for _ in labelings]
    if isinstance(probe, PenalisedProbe):
        probe.fit_labelings(X, labelings, copies)
    else:
        for copy, labels in zip(copies, labelings, strict=True):
            copy.fit(X, labels)
    return copies
