"""The questions of the exam: which organisms are planted, and what their answers are for.

The organisms of one half, `set`, were there when the thresholds of the verdicts were set. Those of the other
half, `held out`, were looked at once, at the end, and are what error rates are quoted from.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

from probes.errors import InputError
from probes.organisms import LATER, SIZES
from probes.organisms.later import Later
from probes.organisms.planting import Kind

HALVES = ("set", "held out")


@dataclass(frozen=True)
class Question:
    """One organism to plant and examine."""

    kind: Kind
    seed: int
    size: str
    half: str
    """A name in `HALVES`, which says what the answer is for."""
    later: tuple[Later, ...] = ()
    """Stages after the one that is examined; what becomes of the direction there is asked too."""


def questions(n_each: int = 12, seed: int = 0) -> list[Question]:
    """The questions of a whole exam.

    Parameters
    ----------
    n_each : organisms of every kind in each half, in turn of every size. Internal ones get every later stage.
        The order is such that an exam that was interrupted has asked about every kind.
    seed : different seeds give different organisms.

    Raises
    ------
    InputError : n_each is below 1.

    Example
    -------
    >>> from probes.validation import questions
    >>> for question in questions(n_each=1)[:2]:
    ...     print(question)
    Question(kind='internal', seed=1000, size='small', half='set', later=('keep', 'copy', 'invert', ...))
    Question(kind='inherited', seed=1000, size='small', half='set', later=())
    """
    if n_each < 1:
        raise InputError(f"n_each={n_each}: expected at least 1 organism of each kind")
    sizes = list(SIZES)
    return [
        Question(
            kind,
            seed=1000 * (seed + 1) + 500 * HALVES.index(half) + i,
            size=sizes[i % len(sizes)],
            half=half,
            later=tuple(LATER) if kind == "internal" else (),
        )
        for i in range(n_each)
        for half in HALVES
        for kind in get_args(Kind)
    ]
