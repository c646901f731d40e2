"""Which choice items of a concept are scored, and which of them choose a layer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from probes.concepts import ChoiceItem, Concept


def evaluation_items(concept: Concept, n: int | None = None, seed: int = 0) -> list[ChoiceItem]:
    """The canonical choice items that are marked "test", or all canonical ones where none is.

    Parameters
    ----------
    n : how many of them, drawn by `spread_items`; None for all, in the concept's order.
    seed : the seed of the draw.

    Example
    -------
    >>> len(concept.choices), len(evaluation_items(concept))  # two are marked "select"
    (10, 8)
    """
    items = [item for item in concept.choices if item.shift is None]
    tested = [item for item in items if item.split == "test"]
    items = tested or [item for item in items if item.split != "select"] or items
    return items if n is None or n >= len(items) else spread_items(items, seed)[:n]


def spread_items(items: Sequence[ChoiceItem], seed: int = 0) -> list[ChoiceItem]:
    """The items in an order whose beginning is spread over domains and templates, however long it is.

    Domains take turns, in a random order; within a domain the next item is one of the template that was
    used least so far. A longer beginning contains every shorter one of the same seed.

    Example
    -------
    >>> from probes.concepts import ChoiceItem
    >>> items = [
    ...     ChoiceItem(id=f"{domain}{i}", prompt="which", positive="a", negative="b", domain=domain)
    ...     for domain in ("art", "music") for i in range(5)
    ... ]
    >>> sorted(item.domain for item in spread_items(items, seed=3)[:4])
    ['art', 'art', 'music', 'music']
    """
    rng = np.random.default_rng(seed)
    left: dict[str | None, list[ChoiceItem]] = {}
    for i in rng.permutation(len(items)):
        left.setdefault(items[i].domain, []).append(items[i])
    used: Counter[str | None] = Counter()
    order = []
    while left:
        for domain in list(left):
            item = min(left[domain], key=lambda one: used[one.template])
            used[item.template] += 1
            order.append(item)
            left[domain].remove(item)
            if not left[domain]:
                del left[domain]
    return order


def describe_items(items: Sequence[ChoiceItem], chosen: Sequence[ChoiceItem], seed: int) -> str:
    """How many test items were used, of how many, and what they are spread over.

    Example
    -------
    >>> describe_items(concept.choices, evaluation_items(concept, 3), seed=0)
    '3 of 10 test items, drawn with seed 0'
    """
    if len(chosen) == len(items):
        return f"all {len(items)} test items"
    kinds = {
        "domains": {item.domain for item in chosen} - {None},
        "templates": {item.template for item in chosen} - {None},
    }
    spread = " and ".join(f"{len(values)} {kind}" for kind, values in kinds.items() if values)
    drawn = f"drawn over {spread}" if spread else "drawn"
    return f"{len(chosen)} of {len(items)} test items, {drawn} with seed {seed}"
