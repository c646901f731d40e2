"""Correction of p-values for the number of tests that were made together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64
from numpy.typing import ArrayLike
from scipy.stats import false_discovery_control

from probes.errors import InputError


@dataclass(frozen=True)
class Discoveries:
    """The result of `discoveries`, in the shape of the p-values that were given.

    Attributes
    ----------
    adjusted : float array
        Adjusted p-values: the lowest rate of false discoveries at which each test is a discovery.
    found : bool array
        Which tests are discoveries.

    Example
    -------
    >>> Discoveries(np.array([0.03, 0.6]), np.array([True, False])).found.tolist()
    [True, False]
    """

    adjusted: Float64[np.ndarray, "*test"]
    found: Bool[np.ndarray, "*test"]


def discoveries(p_values: ArrayLike, rate: float = 0.05) -> Discoveries:
    """Correct a family of tests for its size, by the procedure of Benjamini & Hochberg.

    Among the discoveries, the expected share of false ones is at most `rate` (Benjamini & Hochberg 1995,
    doi:10.1111/j.2517-6161.1995.tb02031.x).

    Parameters
    ----------
    p_values : array of any shape
        One p-value for each test of the family.
    rate : float
        The share of false discoveries that is accepted.

    Returns
    -------
    Discoveries
        Adjusted p-values, and which tests are discoveries.

    Raises
    ------
    InputError
        For p-values outside [0, 1], or none.

    Example
    -------
    >>> result = discoveries([0.001, 0.02, 0.03, 0.6])
    >>> result.adjusted
    array([0.004, 0.04 , 0.04 , 0.6  ])
    >>> result.found
    array([ True,  True,  True, False])
    """
    p_values = np.asarray(p_values, dtype=np.float64)
    if p_values.size == 0 or not ((p_values >= 0) & (p_values <= 1)).all():
        raise InputError("p-values: expected at least one, each between 0 and 1")
    adjusted = np.asarray(false_discovery_control(p_values.ravel())).reshape(p_values.shape)
    return Discoveries(adjusted, adjusted <= rate)
