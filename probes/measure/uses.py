"""Tests of whether choices use a concept, and at which place: states are exchanged between prompts.

They stand apart from the tests of decodability, because they change what the model computes where those only
read it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from probes.activations import Activations, RunContext
from probes.concepts import ChoiceItem, Concept
from probes.errors import ConceptError, InputError
from probes.locating import Location, Patcher, align, choice_shifts, exchanged_by, locate, split_items
from probes.measure.items import describe_items, spread_items
from probes.measure.plan import Plan
from probes.probing import class_gap
from probes.tables.tests import USE, MeasuredTest


@dataclass(frozen=True)
class Used:
    """The tests of `probes.tables.tests.USE`, and the search behind them."""

    tests: list[MeasuredTest] = field(default_factory=list)
    location: Location | None = None
    """None where no place was searched for."""

    @property
    def by_item(self) -> tuple[list[str], np.ndarray] | None:
        """The names of the test items, and how far the exchange of the best subspace moves each choice, as a
        share of the mean choice; None where it was not measured."""
        found = self.location
        return None if found is None else (found.ids, found.shifts[found.best] / found.sizes.mean())


def use_tests(
    context: RunContext,
    concept: Concept,
    others: Mapping[str, Activations],
    earlier: Sequence[MeasuredTest],
    plan: Plan,
) -> Used:
    """Test whether the choices of a concept's items use it: first whether they depend on what is exchanged at
    all, then whether they run through a subspace of the states at one place.

    Parameters
    ----------
    others : name of another concept -> its activations, whose directions are exchanged as controls.
    earlier : the tests that were made before.

    Returns
    -------
    Used. It has no tests where the plan takes no items, or the concept has none of which anything can be
    exchanged.
    """
    items = [item for item in concept.choices if item.shift is None]
    if not items or plan.items == 0 or all(item.completion and item.reversed is None for item in items):
        return Used()
    if reason := plan.skipped("followed", earlier):
        return Used([MeasuredTest(name, reason=reason) for name in USE])
    try:
        kind = plan.exchanged or exchanged_by(items)
        chosen = planned_parts(items, plan, context.seed)
        tested = [item for item in chosen if item.split == "test"]
        aligned = align(tested, context, kind)
        shifts = choice_shifts(Patcher(context, aligned.exchanges))
        which = describe_items(split_items(items, context.seed)["test"], tested, context.seed)
        followed = MeasuredTest(
            "followed", shifts.followed, items=f"{which}; {kind} exchanged, {aligned.note}"
        )
    except (ConceptError, InputError) as error:
        return Used([MeasuredTest(name, reason=str(error)) for name in USE])
    made = [*earlier, followed]
    if reasons := {name: reason for name in USE[1:] if (reason := plan.skipped(name, made))}:
        return Used([followed, *(MeasuredTest(name, reason=reasons.get(name)) for name in USE[1:])])
    found = locate(
        context,
        chosen,
        exchanged=kind,
        every=plan.every,
        dimensions=[k for k in plan.dimensions if k <= context.model.d_model],
        n_random=plan.n_random,
        others=_directions(others, context.seed),
        texts=plan.damage_texts,
    )
    return Used([followed, *_located(found, plan)], found)


def planned_parts(items: Sequence[ChoiceItem], plan: Plan, seed: int) -> list[ChoiceItem]:
    """The items that a plan exchanges, each marked with its part: "train", "select" or "test"."""
    limits = {"train": plan.train_items, "select": plan.search_items, "test": plan.items}
    return [
        item.model_copy(update={"split": part})
        for part, of_part in split_items(items, seed).items()
        for item in spread_items(of_part, seed)[: limits[part]]
    ]


def _directions(others: Mapping[str, Activations], seed: int) -> dict[str, dict[int, np.ndarray]]:
    """Name of another concept -> layer -> the direction between its class means."""
    return {
        name: {layer: np.asarray(class_gap(acts, layer, seed).vector) for layer in acts.layers}
        for name, acts in others.items()
    }


def _located(found: Location, plan: Plan) -> list[MeasuredTest]:
    """The tests at the place that was found."""
    where = {"layer": found.layer, "role": found.role, "variant": found.best}
    among = {"p": found.p_value, "chance": found.chance, "n_random": plan.n_random}
    used = MeasuredTest("used", found.used, **among, **where)
    control = "no control" if found.control is None else found.control.replace("_", " ")
    specific = MeasuredTest("specific", found.specific, against=control, **where)
    if found.specific is None:
        specific = MeasuredTest("specific", reason="nothing was learned, and no other concept was given")
    return [used, specific, MeasuredTest("necessary", found.necessary, kl=found.damage, **where)]
