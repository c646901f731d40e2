"""`graft`: which modules of a training stage make its change, by putting them in and taking them out.

A stage's weights are exact grafts: any of its modules can be put into the stage that it was trained from, or
be given back the weights of before.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Unpack

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from probes.activations import RunContext, RunOptions
from probes.concepts import ChoiceItem, Concept
from probes.errors import InputError
from probes.locating.asking import Questions, canonical_items
from probes.locating.grafts import DOSES, ENOUGH, WAYS, Grafting, Way
from probes.locating.greedy import fewest
from probes.locating.scores import derived
from probes.locating.stage_pairs import SeveralStages, StagePair, pair_columns, stage_pairs
from probes.locating.weights import Unit
from probes.models import Site
from probes.models.packing import Pack
from probes.steering.choices import Score


def graft(
    child: SeveralStages,
    parent: SeveralStages,
    items: Concept | Sequence[ChoiceItem],
    *,
    turned: bool = False,
    aim: str | None = None,
    doses: Sequence[float] = DOSES,
    n_random: int = 8,
    sets: Sequence[Sequence[Unit]] = (),
    ways: Sequence[Way] = WAYS,
    score: Score = "per_token",
    **run: Unpack[RunOptions],
) -> Grafting:
    """Put the modules of one stage into another, and take them out, one by one and together.

    A module is the attention or the MLP of a block (embeddings and head, where they differ). What is grafted
    is the difference of weights (Ilharco et al. 2022, arXiv 2212.04089; Panigrahi et al. 2023, arXiv
    2302.06600), so it is exact for adapters and for full checkpoints. Half of the items choose the smallest
    set of modules that keeps `ENOUGH` of the change, by greedy search; all numbers are of the other half. Its
    control is a random update with the same singular values in the same modules.

    Parameters
    ----------
    child, parent : as in `probes.cross`.
    items : choice items, or a concept, of which the canonical ones are used. Those marked "test" are the test
        items; where none is marked, every second one is.
    turned : as in `probes.cross`.
    aim : the score whose change the smallest set keeps; by default "asked", and "principled" with `turned`.
    doses : multiples of the whole change.
    n_random : the number of random updates.
    sets : sets of modules that are put in together as well, such as those that another change lives in.
    ways : how single modules are grafted, some of `WAYS`; fewer take less time.
    score : "per_token" or "summed" log-probabilities of the options.
    run : see `probes.activations.RunOptions`.

    Returns
    -------
    Grafting

    Raises
    ------
    InputError : the stages are of different shapes, there are fewer than 4 items, `n_random` is negative,
        there is no such score or way, or a module of a set does not differ between the stages.
    TokenizerError : the stages do not have one vocabulary.
    ConceptError : an item cannot be turned round.

    Example
    -------
    >>> found = probes.graft(
    ...     lineage["mid"], lineage["mid"], concept.choices, doses=(), n_random=0, progress=False
    ... )
    >>> found.units, found.smallest
    ([], [[]])
    """
    if n_random < 0:
        raise InputError(f"n_random={n_random}: expected 0 or more random updates")
    if unknown := [way for way in ways if way not in WAYS]:
        raise InputError(f"no way {unknown[0]!r} of grafting: expected some of {', '.join(WAYS)}")
    select, test = _halves(canonical_items(items))
    aim = aim or ("principled" if turned else "asked")
    columns: dict[str, Any] = {}
    parts: tuple[Questions, Questions] | None = None
    found: list[_Grafted] = []
    notes: list[str] = []
    units: list[Unit] = []
    for pair in stage_pairs(child, parent, run):
        if parts is None:
            parts = (
                Questions(pair.parent, select, turned, score),
                Questions(pair.parent, test, turned, score),
            )
            columns = pair_columns(pair) | {"concept": items.name if isinstance(items, Concept) else None}
            columns["digest"] = pair.digest(
                [part.ids for part in parts], parts[0].forms, aim, n_random, score
            )
            if aim not in derived(parts[0].forms, np.zeros(len(parts[0].forms))):
                raise InputError(f"aim={aim!r}: expected a score that is measured, such as 'asked'")
        for part in parts:
            pair.check(part.packs)
        known = pair.weights.units
        if missing := [unit for units in sets for unit in units if unit not in known]:
            raise InputError(
                f"{missing[0]} of a set is the same in both stages: expected some of {known[0]} to "
                f"{known[-1]}"
                if known
                else f"{missing[0]} of a set is the same in both stages, as everything is"
            )
        found.append(_grafted(pair, *parts, aim, doses, n_random, sets, tuple(ways)))
        notes.append(_in_common(pair))
        units = list(dict.fromkeys([*units, *found[-1].units]))
    assert parts is not None
    names = parts[1].forms
    units.sort(key=lambda unit: unit.height)
    effects = np.stack([one.effects_of(units) for one in found], 1)
    return Grafting(
        units=units,
        ids=parts[1].ids,
        plain=derived(names, np.stack([one.plain for one in found], 1)),
        effects=derived(names, effects),
        doses=tuple(doses),
        at_doses=derived(names, np.stack([one.at_doses for one in found], 1)),
        smallest=[one.smallest for one in found],
        kept=derived(names, np.stack([one.kept for one in found], 1)),
        random=derived(names, np.stack([one.random for one in found], 1)),
        aim=aim,
        ways=tuple(ways),
        of_sets=derived(names, np.stack([one.of_sets for one in found], 1)),
        note=notes[0],
        columns=columns,
    )


@dataclass(frozen=True)
class _Grafted:
    """The grafts of one training seed, by form; see `Grafting`."""

    units: list[Unit]
    ways: tuple[Way, ...]
    plain: np.ndarray
    effects: np.ndarray
    at_doses: np.ndarray
    smallest: list[Unit]
    kept: np.ndarray
    random: np.ndarray
    of_sets: np.ndarray

    def effects_of(self, units: Sequence[Unit]) -> np.ndarray:
        """The effects of all `units`: 0 for those whose weights do not differ here, except that a graft of
        several has the effect of the units up to it that do."""
        forms, n_ways, _, n = self.effects.shape
        result = np.zeros((forms, n_ways, len(units), n))
        for k, unit in enumerate(units):
            if unit in self.units:
                result[:, :, k] = self.effects[:, :, self.units.index(unit)]
                continue
            place = units[:k]
            before = [other for other in self.units if other in place]
            after = [other for other in self.units if other not in place]
            for way, nearest in (("from below", before[-1:]), ("from above", after[:1])):
                if nearest and way in self.ways:
                    w = self.ways.index(way)
                    result[:, w, k] = self.effects[:, w, self.units.index(nearest[0])]
        return result


class _Bench:
    """Questions with the states of both stages at every layer, so that a mixture of the two runs no block
    below the first module that breaks the row."""

    def __init__(self, pair: StagePair, questions: Questions):
        self.pair = pair
        self.questions = questions
        self.units = pair.weights.units
        layers = sorted({unit.layer for unit in self.units if unit.layer})
        sites = [Site("resid_post", layer - 1) for layer in layers]
        self._states: list[list[dict[Site, Tensor]]] = [
            [pack.read(context.model, sites) if sites else {} for pack in questions.packs]
            for context in (pair.parent, pair.child)
        ]
        self.plain = np.stack([self.as_is(pair.parent), self.as_is(pair.child)], 1)
        """`[form, stage, item]`."""

    def as_is(self, context: RunContext) -> np.ndarray:
        """`[form, item]`: the choice logits of a model as it is now."""
        return self.questions.ask(lambda pack: pack.logits(context.model))

    def mixture(self, units: Sequence[Unit]) -> np.ndarray:
        """`[form, item]`: how far the child's weights in some units move the parent's choices."""
        inside = [unit in units for unit in self.units]
        start = next((k for k, one in enumerate(inside) if one != inside[0]), None)
        if start is None:
            return self.plain[:, int(inside[0])] - self.plain[:, 0]
        layer, below = self.units[start].layer, int(inside[0])
        above = [unit for unit in units if unit.layer is None or unit.layer >= (layer or 0)]
        states = iter(self._states[below])
        model = self.pair.parent.model

        def answer(pack: Pack) -> Tensor:
            given = next(states)
            if not layer:
                return pack.logits(model)
            return pack.logits_from(model, layer - 1, given[Site("resid_post", layer - 1)])

        with self.pair.weights.grafted(above if layer else units):
            return self.questions.ask(answer) - self.plain[:, 0]


def _grafted(
    pair: StagePair,
    select: Questions,
    test: Questions,
    aim: str,
    doses: Sequence[float],
    n_random: int,
    sets: Sequence[Sequence[Unit]],
    ways: tuple[Way, ...],
) -> _Grafted:
    weights, parent = pair.weights, pair.parent
    units = weights.units
    with torch.no_grad():
        bench, choosing = _Bench(pair, test), _Bench(pair, select)
    shape = (len(test.forms), len(test.ids))
    whole = bench.plain[:, 1] - bench.plain[:, 0]
    effects = np.zeros((shape[0], len(ways), len(units), shape[1]))
    at_doses = np.zeros((shape[0], len(doses), shape[1]))
    kept, random = np.zeros(shape), np.zeros((shape[0], n_random, shape[1]))
    of_sets = np.zeros((shape[0], len(sets), shape[1]))
    bar = tqdm(
        total=len(units) * (len(ways) + 1) + len(doses) + len(sets) + n_random,
        desc=f"graft {pair.child.name} into {parent.name}",
        unit="graft",
        file=sys.stderr,
        disable=not parent.progress,
    )
    with bar:
        for k, unit in enumerate(units):
            inside: dict[Way, list[Unit]] = {
                "put in": [unit],
                "taken out": [other for other in units if other != unit],
                "from below": units[: k + 1],
                "from above": units[k:],
            }
            for w, way in enumerate(ways):
                moved = bench.mixture(inside[way])
                effects[:, w, k] = whole - moved if way == "taken out" else moved
                bar.update()
        for k, dose in enumerate(doses):
            with weights.scaled(dose):
                at_doses[:, k] = bench.as_is(parent)
            bar.update()
        for k, some in enumerate(sets):
            of_sets[:, k] = bench.mixture(some)
            bar.update()
        smallest = _smallest(choosing, aim, bar)
        if smallest:
            kept = bench.mixture(smallest)
        for k in range(n_random if smallest else 0):
            with weights.randomised(smallest, parent.seed + k):
                random[:, k] = bench.as_is(parent) - bench.plain[:, 0]
            bar.update()
    return _Grafted(units, ways, bench.plain, effects, at_doses, smallest, kept, random, of_sets)


def _smallest(bench: _Bench, aim: str, bar: tqdm) -> list[Unit]:
    """The fewest units found that keep `ENOUGH` of the change of a score on the selection items."""
    forms, units = bench.questions.forms, bench.units
    whole = float(derived(forms, bench.plain[:, 1] - bench.plain[:, 0])[aim].mean())
    if not units or not whole:
        return []

    def share(some: Sequence[Unit]) -> float:
        return float(derived(forms, bench.mixture(some))[aim].mean()) / whole

    return sorted(fewest(units, share, ENOUGH, bar.update), key=units.index)


def _halves(items: Sequence[ChoiceItem]) -> tuple[list[ChoiceItem], list[ChoiceItem]]:
    """The items that choose, and those that test."""
    test = [item for item in items if item.split == "test"]
    select = [item for item in items if item.split != "test"]
    if not test or not select:
        select, test = list(items[0::2]), list(items[1::2])
    if min(len(select), len(test)) < 2:
        raise InputError(
            f"{len(items)} choice items: expected at least 4, as half of them choose modules and half test "
            "them"
        )
    return select, test


def _in_common(pair: StagePair) -> str:
    weights = pair.weights
    n = sum(1 for _ in weights.parent.named_parameters())
    return (
        f"{pair.child.name} and {pair.parent.name} differ in {len(weights.differing)} of {n} weights; "
        "what is grafted is the difference of those"
    )
