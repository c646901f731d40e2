"""Random directions as controls: what steering along a direction is compared with."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64

from probes.errors import InputError
from probes.stats.permutation import add_one_p


def random_directions(n: int, width: int, seed: int) -> Float64[np.ndarray, "{n} {width}"]:
    """Unit vectors that are uniform on the sphere.

    Parameters
    ----------
    n : how many.
    width : their length as arrays.
    seed : the seed that draws them.

    Returns
    -------
    `[n, width]` float64; each row has length 1.

    Example
    -------
    >>> vectors = random_directions(3, 32, seed=0)
    >>> vectors.shape, np.linalg.norm(vectors, axis=1).round(6).tolist()
    ((3, 32), [1.0, 1.0, 1.0])
    """
    vectors = np.random.default_rng(seed).standard_normal((n, width))
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def p_among_random(effect: float, random: np.ndarray) -> float:
    """The two-sided p-value of an effect among those of random directions.

    It is the share of directions whose effect is at least as large in absolute value, with the direction
    itself counted as one of them (`probes.stats.permutation.add_one_p`).

    Parameters
    ----------
    effect : the effect of the direction that is tested.
    random : `[direction]`, the effects of random directions of the same length.

    Example
    -------
    >>> p_among_random(3.0, np.linspace(-2, 2, 19))
    0.05
    """
    return add_one_p(int((np.abs(random) >= abs(effect)).sum()), len(random))


def require_random(n_random: int) -> None:
    """Raises InputError for fewer than one random direction."""
    if n_random < 1:
        raise InputError(f"n_random={n_random}: expected at least 1; 20 or more make a useful control")


def spaced(n: int, wanted: int | None) -> list[int]:
    """Evenly spaced item numbers, on which the controls are run so that they do not cost too much.

    Parameters
    ----------
    n : the number of items.
    wanted : how many of them are chosen; None chooses all.

    Raises
    ------
    InputError : `wanted` is less than 1.

    Example
    -------
    >>> spaced(10, 4)
    [0, 2, 5, 7]
    """
    if wanted is not None and wanted < 1:
        raise InputError(f"control_items={wanted}: expected at least 1, or None for all")
    n_chosen = n if wanted is None else min(n, wanted)
    return [i * n // n_chosen for i in range(n_chosen)]
