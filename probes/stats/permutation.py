"""p-values of permutation tests, and of a rank among random controls."""

from __future__ import annotations


def add_one_p(as_extreme: int, n: int) -> float:
    """The p-value of a test that draws n permutations (or random directions) at random.

    It is (1 + as_extreme) / (1 + n). The observed value counts as one of the permutations, so that the
    p-value is never 0, and the test keeps its level however few permutations are drawn (Phipson & Smyth
    2010, doi:10.2202/1544-6115.1585).

    Parameters
    ----------
    as_extreme : int
        How many permutations are at least as extreme as what was observed.
    n : int
        How many permutations were drawn.

    Example
    -------
    >>> add_one_p(0, 19)
    0.05
    """
    return float((1 + as_extreme) / (1 + n))
