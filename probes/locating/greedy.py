"""A small set whose value is large enough, by greedy search that asks again only where it has to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

Thing = TypeVar("Thing")


def fewest(
    things: Sequence[Thing],
    value: Callable[[Sequence[Thing]], float],
    enough: float,
    tick: Callable[[], object] = lambda: None,
) -> list[Thing]:
    """Few things whose value together is at least `enough`; all of them where no subset found has it.

    Every step adds the thing with the largest gain. Gains of the step before are taken as upper bounds, so
    that mostly the first few are asked again (lazy greedy; Minoux 1978, doi:10.1007/BFb0006528); where gains
    grow, the choice may not be the best, and so is the set. In the end, things that are no longer needed are
    left out again.

    Parameters
    ----------
    value : the value of some things, in the order in which they were added.
    tick : called after every first value of a thing.

    Example
    -------
    >>> fewest([5, 1, 3], lambda some: sum(some) / 9, enough=0.8)
    [5, 3]
    """
    gains: dict[int, float] = {}
    for number, thing in enumerate(things):
        gains[number] = value([thing])
        tick()
    chosen: list[int] = []
    reached = 0.0
    while gains and reached < enough:
        asked: set[int] = set() if chosen else set(gains)
        while (best := max(gains, key=gains.__getitem__)) not in asked:
            gains[best] = value([things[i] for i in [*chosen, best]]) - reached
            asked.add(best)
        reached += gains.pop(best)
        chosen.append(best)
    for number in sorted(chosen, key=chosen.index, reverse=True)[1:]:
        without = [i for i in chosen if i != number]
        if without and value([things[i] for i in without]) >= enough:
            chosen = without
    return [things[i] for i in chosen]
