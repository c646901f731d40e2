"""The rows that a check compares: the pairs of one reading, or the options of all choice items."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from probes.concepts.concept import Concept
from probes.concepts.records import ChoiceItem, Example
from probes.concepts.units import units_of_examples


@dataclass(frozen=True)
class View:
    """Texts to compare with each other, with their labels and where they belong; arrays are `[row]`."""

    name: str
    """`pairs`, `attribute pairs`, `norm pairs` or `choice options`."""
    rows: tuple[Example | ChoiceItem, ...]
    texts: tuple[str, ...]
    labels: NDArray[np.int64]
    groups: NDArray
    """The id of each row's unit (see `probes.concepts.units`; in general a pair) or item."""
    parts: NDArray
    """Each row's shift axis, or else its split, or else None."""

    @property
    def canonical(self) -> NDArray[np.bool_]:
        """Which rows were not moved along any axis."""
        return np.array([row.shift is None for row in self.rows], dtype=bool)

    @property
    def units(self) -> NDArray:
        """What folds hold out together: templates where every canonical row has one, else pairs or items."""
        templates = [row.template for row in self.rows]
        if not all(row.template for row in self.rows if row.shift is None):
            return self.groups
        return np.array([t or str(g) for t, g in zip(templates, self.groups, strict=True)])

    def values(self, axis: str) -> NDArray:
        """Where on `axis` each row was moved to; None for rows that were not moved along it."""
        return np.array([getattr(r, axis) if r.shift == axis else None for r in self.rows], dtype=object)


def views(concept: Concept) -> list[View]:
    """One view for each reading, and one for the options of the choice items: positive ones have label 1."""
    readings = dict.fromkeys(example.reading for example in concept.examples)
    all_views = []
    for reading in readings:
        rows = tuple(e for e in concept.examples if e.reading == reading)
        all_views.append(
            View(
                name=f"{reading} pairs" if reading else "pairs",
                rows=rows,
                texts=tuple(written(e) for e in rows),
                labels=np.array([e.label for e in rows]),
                groups=units_of_examples(rows),
                parts=_parts(rows),
            )
        )
    if concept.choices:
        items = tuple(item for item in concept.choices for _ in range(2))
        all_views.append(
            View(
                name="choice options",
                rows=items,
                texts=tuple(o for item in concept.choices for o in (item.positive, item.negative)),
                labels=np.tile([1, 0], len(concept.choices)),
                groups=np.array([item.id for item in items]),
                parts=_parts(items),
            )
        )
    return all_views


def written(row: Example | ChoiceItem) -> str:
    """The text of an example, or the prompt of an item; a chat becomes lines `role: content`."""
    plain = row.text if isinstance(row, Example) else row.prompt
    return plain or "\n".join(f"{turn.role}: {turn.content}" for turn in row.messages or ())


def row_id(row: Example | ChoiceItem) -> str:
    """The pair of an example, or the id of a choice item."""
    return row.pair if isinstance(row, Example) else row.id


def _parts(rows: tuple[Example | ChoiceItem, ...]) -> NDArray:
    return np.array([row.shift or row.split for row in rows], dtype=object)
