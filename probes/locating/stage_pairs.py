"""Two stages of one shape, both loaded: what crossing, grafting and difference directions start from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from probes.activations import AnyStage, RunContext, RunOptions, run_context
from probes.errors import InputError
from probes.lineage import Lineage, Stage
from probes.locating.weights import WeightPair
from probes.models.packing import Pack

SeveralStages = AnyStage | Sequence[AnyStage]
"""One stage, or the same stage of several training seeds."""


@dataclass(frozen=True)
class StagePair:
    """Two loaded stages, and their weights side by side."""

    child: RunContext
    parent: RunContext
    weights: WeightPair

    def digest(self, *inputs: Any) -> str:
        """16 hex digits that identify the weights of both stages together with `inputs`."""
        return self.child.digest(self.parent.digest(), *inputs)

    def check(self, packs: Sequence[Pack]) -> None:
        """Raises TokenizerError for token ids that mean another token to one of the stages."""
        ids = {int(token) for pack in packs for token in pack.ids.unique()}
        for context in (self.child, self.parent):
            context.check(ids)


def stage_pairs(child: SeveralStages, parent: SeveralStages, run: RunOptions) -> Iterator[StagePair]:
    """The pairs of stages, loaded one pair after the other.

    Raises
    ------
    InputError : there is not the same number of stages on both sides, the stages are of different shapes, or
        a hooked model was given, whose weights are not known.

    Example
    -------
    >>> [pair] = stage_pairs(lineage["mid"], lineage["base"], {"progress": False})
    >>> pair.child.name, pair.parent.name, len(pair.weights.units)
    ('mid', 'base', 6)
    """
    children = list(child) if isinstance(child, Sequence) else [child]
    parents = list(parent) if isinstance(parent, Sequence) else [parent]
    if len(children) != len(parents) or not children:
        raise InputError(
            f"{len(children)} stages beside {len(parents)}: expected as many of each, paired by training seed"
        )
    for one, other in zip(children, parents, strict=True):
        here, there = run_context(one, **run), run_context(other, **run)
        ours, theirs = here.require_loaded().model, there.require_loaded().model
        loaded_here = isinstance(one, Stage) and isinstance(other, Stage)
        yield StagePair(here, there, WeightPair.of(ours, theirs, share=loaded_here))


def seed_pairs(lineage: Lineage, child: str, parent: str) -> tuple[list[Stage], list[Stage]]:
    """The training seeds that two stages of a lineage have in common, as two lists in the same order.

    A stage without a training seed, such as the base, goes with every seed of the other.

    Raises
    ------
    InputError : the two have no training seed in common.

    Example
    -------
    >>> seed_pairs(lineage, "mid", "base")
    ([Stage('mid', ...)], [Stage('base', ...)])
    """
    ours, theirs = (
        {stage.seed: stage for stage in lineage if stage.family == lineage[name].family}
        for name in (child, parent)
    )
    if None in theirs:
        return list(ours.values()), [theirs[None]] * len(ours)
    if None in ours:
        return [ours[None]] * len(theirs), list(theirs.values())
    seeds = [seed for seed in ours if seed in theirs]
    if not seeds:
        raise InputError(
            f"{child} and {parent} have no training seed in common ({list(ours)} and {list(theirs)}): "
            "expected one at least"
        )
    return [ours[seed] for seed in seeds], [theirs[seed] for seed in seeds]


def pair_columns(pair: StagePair) -> dict[str, Any]:
    """The columns of a result table that say which two stages were compared, whatever their training seed."""
    return {
        "lineage": pair.child.lineage,
        "stage": _family(pair.child),
        "source_stage": _family(pair.parent),
        "render": pair.child.render_name,
        "seed": pair.child.seed,
    }


def _family(context: RunContext) -> str:
    """The name of the context's stage without its training seed."""
    stage = context.require_loaded().stage
    return getattr(stage, "family", context.name)
