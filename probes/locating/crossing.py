"""`cross`: whose lower blocks and whose upper blocks carry the change that a training stage made.

Two stages of one shape give four models at every layer: the blocks below it from one or the other, and those
from it on from one or the other. A change that the upper blocks carry is a changed way of answering; one that
the lower blocks carry is a changed reading of the prompt.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Unpack

import numpy as np
import polars as pl
import torch
from torch import Tensor
from tqdm import tqdm

from probes.activations import RunContext, RunOptions
from probes.concepts import ChoiceItem, Concept
from probes.errors import InputError
from probes.locating.asking import TOKENS, Questions, Tally, Tokens, canonical_items
from probes.locating.scores import derived
from probes.locating.stage_pairs import SeveralStages, StagePair, pair_columns, stage_pairs
from probes.models import Site
from probes.models.fanning import Put
from probes.models.packing import Pack
from probes.stats.estimates import Estimate
from probes.stats.jackknife import mean_contrast, ratio_of_means
from probes.steering.choices import Score
from probes.tables.result import Result
from probes.tables.schema import interval_columns, tidy

ROLES: tuple[Tokens, ...] = ("all", "options", "evidence", "last")
"""The roles of tokens that are crossed by default, as far as items have them."""
TOLERANCE = 1e-4
"""How far a choice logit may be from that of a plain stage and still count as the same."""


@dataclass(frozen=True, repr=False)
class Crossing(Result):
    """The choices of every mixture of two stages.

    At layer l, the blocks before l are those of one stage, and block l and all after it are those of the
    other. With a role other than "all", only the states of those tokens come from the first.

    Example
    -------
    >>> found = probes.cross(lineage["mid"], lineage["base"], concept.choices, progress=False)
    >>> found.layers, found.roles
    ([0, 1, 2, 3], ['all', 'options', 'last'])
    >>> bool(np.allclose(found.below() + found.above(), found.total()[:, None, None]))
    True
    """

    layers: list[int]
    """From 0 (no block is the lower stage's) to the number of blocks (all are)."""
    roles: list[Tokens]
    ids: list[str]
    """`[item]`."""
    plain: Mapping[str, np.ndarray]
    """Score -> `[training seed, stage, item]`: the choice logits of the parent (0) and of the child (1). The
    scores are "asked" and, where questions were also turned round, "reversed", "principled" (half the
    difference of the two) and "string" (their mean)."""
    crossed: Mapping[str, np.ndarray]
    """Score -> `[training seed, layer, role, mixture, item]`: the choice logits with the child below and the
    parent above (0), and the other way round (1)."""
    columns: dict[str, Any] = field(default_factory=dict)
    """The columns of `.table` that are the same in every row."""

    def __repr__(self) -> str:
        names = f"{self.columns.get('stage')} and {self.columns.get('source_stage')}"
        return f"Crossing({names}, {len(self.layers)} layers, {len(self.roles)} roles, {len(self.ids)} items)"

    def total(self, score: str = "asked") -> np.ndarray:
        """`[training seed, item]`: the child's choice logits minus the parent's."""
        parent, child = np.moveaxis(self._of(self.plain, score), 1, 0)
        return child - parent

    def below(self, score: str = "asked") -> np.ndarray:
        """`[training seed, layer, role, item]`: what taking the child's states changes, in logits, averaged
        over whose blocks come after."""
        return self._main(score, 0)

    def above(self, score: str = "asked") -> np.ndarray:
        """`[training seed, layer, role, item]`: what taking the child's upper blocks changes (with its states
        at the other tokens), averaged over whose states they are given. `below` and `above` add up to
        `total`."""
        return self._main(score, 1)

    def interaction(self, score: str = "asked") -> np.ndarray:
        """`[training seed, layer, role, item]`: what the child's states and its upper blocks do together
        beyond what each does alone."""
        crossed, (parent, child) = self._both(score)
        return child - crossed[..., 0, :] - crossed[..., 1, :] + parent

    def share(self, layer: int, role: Tokens = "all", score: str = "asked") -> Estimate:
        """The share of the change that the child's states carry at a layer, with its interval over items; the
        child's upper blocks carry the rest.

        Raises
        ------
        InputError : the layer, the role or the score is not there.

        Example
        -------
        >>> found = probes.cross(lineage["mid"], lineage["base"], concept.choices, progress=False)
        >>> found.share(0).value, found.share(3).value
        (0.0, 1.0)
        """
        if layer not in self.layers or role not in self.roles:
            raise InputError(
                f"layer {layer}, role {role!r}: expected one of {self.layers} and one of {self.roles}"
            )
        i, j = self.layers.index(layer), self.roles.index(role)
        part, whole = self.below(score)[:, i, j].mean(0), self.total(score).mean(0)
        return ratio_of_means(part, whole, self.ids)

    def span(self, tolerance: float = TOLERANCE) -> tuple[int, int] | None:
        """The first and the last block that take part in the change; None where nothing changes.

        The first is where the child's states begin to change some choice of the parent's. The last is after
        which they change all of it. It is exact where every layer was crossed.

        Example
        -------
        >>> probes.cross(lineage["mid"], lineage["base"], concept.choices, progress=False).span()
        (0, 2)
        """
        if "all" not in self.roles:
            raise InputError(f"crossed at the roles {self.roles}: expected 'all' among them")
        j = self.roles.index("all")
        parent, child = np.moveaxis(self._of(self.plain, "asked"), 1, 0)
        lower = self.crossed["asked"][:, :, j, 0]
        moved = np.abs(lower - parent[:, None]).max((0, 2)) > tolerance
        left = np.abs(lower - child[:, None]).max((0, 2)) > tolerance
        if np.abs(child - parent).max() <= tolerance and not moved.any():
            return None
        first = self.layers[int(moved.argmax())] - 1 if moved.any() else self.layers[-1]
        after = [layer for layer, is_left in zip(self.layers, left, strict=True) if is_left]
        return max(0, first), after[-1] if after else 0

    @property
    def table(self) -> pl.DataFrame:
        """Rows in the columns of `probes.tables.schema.SCHEMA`, with the score as their variant.

        `crossing_total` is the whole change. `crossing_below`, `crossing_above` and `crossing_interaction`
        are in logits, at every layer and role (column `position`); `crossing_share` is the share that the
        child's states carry, where the whole change is not 0.
        """
        rows: list[dict[str, Any]] = []
        for score in self.plain:
            total = mean_contrast([self.total(score)], [1], self.ids)
            rows.append({"measure": "crossing_total", "variant": score} | interval_columns(total))
            parts = {
                "crossing_below": self.below(score),
                "crossing_above": self.above(score),
                "crossing_interaction": self.interaction(score),
            }
            for i, layer in enumerate(self.layers):
                for j, role in enumerate(self.roles):
                    where = {"site": "resid_pre", "layer": layer, "position": role, "variant": score}
                    for measure, values in parts.items():
                        estimate = mean_contrast([values[:, i, j]], [1], self.ids)
                        rows.append(where | {"measure": measure} | interval_columns(estimate))
                    if total.low > 0 or total.high < 0:
                        share = interval_columns(self.share(layer, role, score))
                        rows.append(where | {"measure": "crossing_share"} | share)
        seeds = {"n_seeds": len(self._of(self.plain, "asked"))}
        return tidy(self.columns | seeds | row for row in rows)

    def _main(self, score: str, which: int) -> np.ndarray:
        crossed, (parent, child) = self._both(score)
        mine, others = crossed[..., which, :], crossed[..., 1 - which, :]
        return ((mine - parent) + (child - others)) / 2

    def _both(self, score: str) -> tuple[np.ndarray, np.ndarray]:
        """The mixtures, and the two plain stages in a shape that goes with them."""
        return self._of(self.crossed, score), np.moveaxis(self.plain[score], 1, 0)[:, :, None, None]

    def _of(self, values: Mapping[str, np.ndarray], score: str) -> np.ndarray:
        if score not in values:
            raise InputError(f"no score {score!r}: expected one of {', '.join(values)}")
        return values[score]


def cross(
    child: SeveralStages,
    parent: SeveralStages,
    items: Concept | Sequence[ChoiceItem],
    *,
    turned: bool = False,
    layers: Literal["all"] | Sequence[int] = "all",
    every: int = 1,
    roles: Sequence[Tokens] | None = None,
    score: Score = "per_token",
    **run: Unpack[RunOptions],
) -> Crossing:
    """Run every mixture of two stages: one's blocks below a layer and the other's from there on.

    This is cross-model activation patching (Prakash et al. 2024, arXiv 2402.14811) in both directions, so
    that it has the two main effects and the interaction of a 2 x 2 design. Every mixture of stages on one
    base is an exact model.

    Parameters
    ----------
    child, parent : two stages of one shape, which need not be child and parent: a stage and the one it was
        trained from, or the last stages of two arms. With lists of as many stages of each, they are paired as
        training seeds.
    items : choice items, or a concept, of which the canonical ones are used.
    turned : whether every question is also asked turned round. Then there are the scores "principled" and
        "string" (see `probes.battery`), and it takes twice as long.
    layers : from 0 to the number of blocks; by default all.
    every : only every so many of them, counted from the last.
    roles : the roles of tokens (see `probes.locating.TOKENS`) whose states are crossed; by default those of
        `probes.locating.crossing.ROLES` that the items have.
    score : "per_token" or "summed" log-probabilities of the options.
    run : see `probes.activations.RunOptions`.

    Returns
    -------
    Crossing

    Raises
    ------
    InputError : the stages are of different shapes, there are no items, or a layer or role does not exist.
    TokenizerError : the stages do not have one vocabulary.
    ConceptError : an item cannot be turned round.

    Example
    -------
    >>> found = probes.cross(
    ...     lineage["mid"], lineage["base"], concept.choices, turned=True, every=3, roles=["all"],
    ...     progress=False,
    ... )
    >>> found.layers, sorted(found.plain)
    ([0, 3], ['asked', 'principled', 'reversed', 'string'])
    """
    asked = canonical_items(items)
    plain: list[np.ndarray] = []
    crossed: list[np.ndarray] = []
    columns: dict[str, Any] = {}
    questions: Questions | None = None
    chosen: list[int] = []
    wanted: list[Tokens] = []
    for pair in stage_pairs(child, parent, run):
        if questions is None:
            questions = Questions(pair.parent, asked, turned, score)
            chosen = layers_of(layers, every, pair.parent.model.n_layers)
            wanted = _roles(roles, questions)
            columns = pair_columns(pair) | {"concept": items.name if isinstance(items, Concept) else None}
            columns["digest"] = pair.digest(questions.ids, questions.forms, chosen, wanted, score)
        pair.check(questions.packs)
        of_plain, of_crossed = _crossed(pair, questions, chosen, wanted)
        plain.append(of_plain)
        crossed.append(of_crossed)
    assert questions is not None
    names = questions.forms
    return Crossing(
        layers=chosen,
        roles=wanted,
        ids=questions.ids,
        plain=derived(names, np.stack(plain, 1)),
        crossed=derived(names, np.stack(crossed, 1)),
        columns=columns,
    )


def _crossed(
    pair: StagePair, questions: Questions, layers: Sequence[int], roles: Sequence[Tokens]
) -> tuple[np.ndarray, np.ndarray]:
    """The choice logits of the plain stages `[form, stage, item]`, and of their mixtures `[form, layer, role,
    mixture, item]`."""
    contexts = (pair.parent, pair.child)
    tally = Tally(questions)
    shape = (len(layers), len(roles), 2)
    bar = tqdm(
        total=len(questions.packs) * len(layers),
        desc=f"cross {pair.child.name} and {pair.parent.name}",
        unit="layer",
        file=sys.stderr,
        disable=not pair.child.progress,
    )
    with bar, torch.no_grad():
        for pack in questions.packs:
            states = [_states(context, pack, layers) for context in contexts]
            logits = [pack.logits(context.model) for context in contexts]
            for which, of_stage in enumerate(logits):
                tally.add(which, pack, of_stage)
            for i, layer in enumerate(layers):
                for j, role in enumerate(roles):
                    mask = questions.mask(pack, role)
                    for mixture, (below, above) in enumerate(((1, 0), (0, 1))):
                        own, given = states[above][layer], states[below][layer]
                        mixed = torch.where(mask[..., None], given, own)
                        same = torch.equal(mixed, own)
                        answer = logits[above] if same else _from(contexts[above], pack, layer, mixed)
                        tally.add((i, j, mixture), pack, answer)
                bar.update()
    plain = np.stack([tally.choices(which) for which in (0, 1)], 1)
    mixed = np.stack([tally.choices(where) for where in np.ndindex(*shape)], 1)
    return plain, mixed.reshape(len(questions.forms), *shape, -1)


def _site(layer: int) -> Site:
    """The states that block `layer` is given."""
    return Site("resid_post", layer - 1) if layer else Site("resid_pre", 0)


def _states(context: RunContext, pack: Pack, layers: Sequence[int]) -> dict[int, Tensor]:
    read = pack.read(context.model, [_site(layer) for layer in layers])
    return {layer: read[_site(layer)] for layer in layers}


def _from(context: RunContext, pack: Pack, layer: int, states: Tensor) -> Tensor:
    """The logits of a stage whose block `layer` is given some states."""
    if layer:
        return pack.logits_from(context.model, layer - 1, states)
    with context.model.intervene(Put(_site(0), states)):
        return pack.logits(context.model)


def layers_of(layers: Literal["all"] | Sequence[int], every: int, n_layers: int) -> list[int]:
    """The layers at which two stages are crossed: of 0 to `n_layers`, every so many, counted from the last.

    Raises
    ------
    InputError : a layer is not there, or `every` is below 1.

    Example
    -------
    >>> layers_of("all", 2, 5)
    [1, 3, 5]
    """
    if every < 1:
        raise InputError(f"every={every}: expected a number from 1 on")
    wanted = list(range(n_layers + 1)) if layers == "all" else list(layers)
    if unknown := [layer for layer in wanted if not 0 <= layer <= n_layers]:
        raise InputError(f"layer {unknown[0]}: expected one from 0 to {n_layers}, the number of blocks")
    return wanted[::-1][::every][::-1]


def _roles(roles: Sequence[Tokens] | None, questions: Questions) -> list[Tokens]:
    have: list[Tokens] = ["all", *questions.roles]
    if roles is None:
        return [role for role in ROLES if role in have]
    if unknown := [role for role in roles if role not in TOKENS]:
        raise InputError(f"no role {unknown[0]!r}: expected some of {', '.join(TOKENS)}")
    if missing := [role for role in roles if role not in have]:
        raise InputError(f"no item has tokens of the role {missing[0]!r}: there are {', '.join(have)}")
    return list(roles)
