"""`exchange`: what one subspace carries of a choice, at any stage: the causal effect of a frozen subspace."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Unpack

import torch

from probes.activations import AnyStage, RunOptions, run_context
from probes.concepts import ChoiceItem, Concept
from probes.errors import InputError
from probes.locating.aligning import Exchanged, Role, align
from probes.locating.patching import Patcher
from probes.locating.shifting import ItemShifts
from probes.locating.splitting import split_items
from probes.locating.subspaces import Within
from probes.probing import Subspace
from probes.stats.estimates import Estimate
from probes.stats.jackknife import ratio_of_means


def exchange(
    stage: AnyStage,
    concept: Concept | Sequence[ChoiceItem],
    subspace: Subspace,
    *,
    exchanged: Exchanged | None = None,
    **run: Unpack[RunOptions],
) -> Estimate:
    """The share of a choice that follows when the component within a given subspace is exchanged.

    A subspace that was found at one stage is thus tried, unchanged, at another: whether the choices there
    still run through it. `probes.locate` at that stage says what a subspace does that is found anew.

    Parameters
    ----------
    stage : a stage, a loaded stage, a hooked model or a run context.
    concept : a concept with choice items, of which the canonical test items are used, or choice items.
    subspace : the subspace, exchanged at its own site and role of tokens.
    exchanged : as in `probes.locate`.
    run : see `probes.activations.RunOptions`; its seed draws the test items, where items mark none.

    Returns
    -------
    The share of what exchanging the text, the options or the question does, with its interval over items.

    Raises
    ------
    InputError : the subspace is of another width than the stage's states, or no test item has tokens of its
        role.
    Other errors are those of `probes.locate`.

    Example
    -------
    >>> items = [item.model_copy(update={"split": None}) for item in concept.choices]
    >>> found = probes.locate(stage, items, dimensions=(1,), n_random=2, steps=2, progress=False)
    >>> here = probes.exchange(stage, items, found.subspaces[found.best], progress=False)
    >>> abs(here.value - found.used.value) < 1e-6
    True
    >>> there = probes.exchange(lineage["base"], items, found.subspaces[found.best], progress=False)
    >>> there.n
    4
    """
    context = run_context(stage, **run)
    if subspace.basis.shape[1] != context.model.d_model:
        raise InputError(
            f"a subspace of width {subspace.basis.shape[1]}: expected that of the states, "
            f"{context.model.d_model}"
        )
    items = concept.choices if isinstance(concept, Concept) else concept
    tested = split_items([item for item in items if item.shift is None], context.seed)["test"]
    patcher = Patcher(context, align(tested, context, exchanged).exchanges)
    role: Role = subspace.position  # pyright: ignore[reportAssignmentType]
    if not any(role in one.roles for one in patcher.exchanges):
        raise InputError(f"no test item has tokens of the role {role!r}, at which the subspace was found")
    work = ItemShifts(context, {"test": patcher}, progress=False)
    edit = Within(torch.tensor(subspace.basis))
    shifts = work.shifts("test", subspace.site.layer or 0, role, {"exchanged": edit})["exchanged"]
    choices = work.totals("test")
    return ratio_of_means(shifts, choices.totals, choices.ids)
