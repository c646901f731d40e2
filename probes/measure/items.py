"""Which choice items of a concept are scored, and which of them choose a layer."""

from __future__ import annotations

from probes.concepts import ChoiceItem, Concept
from probes.measure.plan import Plan


def evaluation_items(concept: Concept) -> list[ChoiceItem]:
    """The canonical choice items that are marked "test", or all canonical ones where none is.

    Example
    -------
    >>> len(concept.choices), len(evaluation_items(concept))  # two are marked "select"
    (10, 8)
    """
    items = [item for item in concept.choices if item.shift is None]
    return [item for item in items if item.split == "test"] or items


def selection_items(concept: Concept) -> list[ChoiceItem]:
    """The canonical choice items that are marked "select", which may choose a layer."""
    return [item for item in concept.choices if item.shift is None and item.split == "select"]


def planned_items(concept: Concept, plan: Plan) -> list[ChoiceItem]:
    """The choice items that a plan scores. The selection items come first, where it takes them."""
    first = selection_items(concept) if plan.selection_items and plan.items != 0 else []
    return [*first, *evaluation_items(concept)[: plan.items]]
