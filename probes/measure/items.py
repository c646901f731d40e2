"""Which choice items of a concept are asked, and which choose a layer."""

from __future__ import annotations

from probes.concepts import ChoiceItem, Concept
from probes.measure.plan import Plan


def evaluation_items(concept: Concept) -> list[ChoiceItem]:
    """The canonical choice items marked `test`; all canonical ones where no split is marked."""
    items = [item for item in concept.choices if item.shift is None]
    return [item for item in items if item.split == "test"] or items


def selection_items(concept: Concept) -> list[ChoiceItem]:
    """The canonical choice items that may choose a layer: those marked `select`."""
    return [item for item in concept.choices if item.shift is None and item.split == "select"]


def planned_items(concept: Concept, plan: Plan) -> list[ChoiceItem]:
    """The choice items that a plan asks, the selection items first where it takes them."""
    first = selection_items(concept) if plan.selection_items and plan.items != 0 else []
    return [*first, *evaluation_items(concept)[: plan.items]]
