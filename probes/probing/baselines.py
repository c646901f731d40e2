"""What can be read without the trained model: by chance, and from the text (`probes.concepts.surface`)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from probes.concepts.surface import TEXT_STRENGTHS, length_features, text_scores

__all__ = ["TEXT_STRENGTHS", "control_labels", "length_features", "permuted_labels", "text_scores"]


def permuted_labels(labels: NDArray, groups: NDArray, rng: np.random.Generator) -> NDArray:
    """Labels without the concept: shuffled within each group that mixes the classes; groups of one class
    exchange theirs whole."""
    permuted = labels.copy()
    single = np.ones(len(labels), dtype=bool)
    for group in np.unique(groups):
        members = np.flatnonzero(groups == group)
        if len(np.unique(labels[members])) == 2:
            permuted[members] = rng.permutation(labels[members])
            single[members] = False
    names, first, member = np.unique(groups[single], return_index=True, return_inverse=True)
    permuted[single] = rng.permutation(labels[single][first])[member] if len(names) else labels[single]
    return permuted


def control_labels(types: NDArray, rng: np.random.Generator) -> NDArray[np.int64]:
    """A control task: half of the types have label 1, at random (Hewitt & Liang 2019, arXiv 1909.03368)."""
    names, member = np.unique(types, return_inverse=True)
    return rng.permutation(np.arange(len(names)) % 2)[member]
