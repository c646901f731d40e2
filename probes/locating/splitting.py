"""Which choice items fit a subspace, which choose where it is, and which test it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from probes.concepts import ChoiceItem
from probes.errors import InputError

PARTS = ("train", "select", "test")
SHARES = (0.4, 0.2, 0.4)
"""The shares of items that mark no split."""
FEWEST = 2
"""The fewest items of each part."""


def split_items(items: Sequence[ChoiceItem], seed: int = 0) -> dict[str, list[ChoiceItem]]:
    """Items for training, selection and testing.

    Marks are kept. Where none is marked "test", the unmarked ones are drawn; those of one template, or else
    of one domain, stay together where there are enough templates or domains, so that tests are on other
    words. Otherwise, where none is marked "train", those marked "select" are shared between training and
    selection.

    Parameters
    ----------
    items : choice items.
    seed : the seed of the draw.

    Raises
    ------
    InputError : a part would have fewer than 2 items.

    Example
    -------
    >>> plain = [item.model_copy(update={"split": None}) for item in concept.choices] * 2
    >>> {part: len(of_part) for part, of_part in split_items(plain).items()}
    {'train': 8, 'select': 4, 'test': 8}
    """
    parts: dict[str, list[ChoiceItem]] = {
        part: [item for item in items if item.split == part] for part in PARTS
    }
    free = [item for item in items if item.split is None]
    rng = np.random.default_rng(seed)
    if not parts["test"]:
        parts = {part: parts[part] + of_part for part, of_part in _drawn(free, rng).items()}
    elif not parts["train"]:
        marked = [*parts["select"], *free]
        order = rng.permutation(len(marked))
        half = (len(marked) + 1) // 2
        parts["train"] = [marked[i] for i in sorted(order[:half])]
        parts["select"] = [marked[i] for i in sorted(order[half:])]
    else:
        parts["train"] += free
    if few := next((part for part in PARTS if len(parts[part]) < FEWEST), None):
        counts = ", ".join(f"{len(parts[part])} {part}" for part in PARTS)
        raise InputError(
            f"{len(items)} choice items make {counts}: expected at least {FEWEST} for {few!r}; add items, or "
            "mark their split"
        )
    return parts


def _drawn(items: Sequence[ChoiceItem], rng: np.random.Generator) -> dict[str, list[ChoiceItem]]:
    """Unmarked items shared out, with groups kept together where there are at least ten of them."""
    for field in ("template", "domain"):
        groups = [getattr(item, field) for item in items]
        if None not in groups and len(set(groups)) >= 10:
            break
    else:
        groups = [str(number) for number in range(len(items))]
    names = sorted(set(groups))
    names = [names[i] for i in rng.permutation(len(names))]
    ends = np.round(np.cumsum(SHARES) * len(names)).astype(int)
    part_of = {
        name: PARTS[int(np.searchsorted(ends, place, side="right"))] for place, name in enumerate(names)
    }
    return {part: [i for i, g in zip(items, groups, strict=True) if part_of[g] == part] for part in PARTS}
