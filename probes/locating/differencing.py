"""`difference`: the mean change of states that a training stage made, as directions, and what they carry."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Unpack

import numpy as np
import polars as pl
import torch
from torch import Tensor
from tqdm import tqdm

from probes.activations import AnyStage, RunContext, RunOptions
from probes.concepts import ChoiceItem, Concept
from probes.concepts.neutral import neutral_texts
from probes.errors import InputError
from probes.lineage import text_ids
from probes.locating.asking import Questions, Tokens, canonical_items
from probes.locating.crossing import layers_of
from probes.locating.scores import derived
from probes.locating.stage_pairs import StagePair, pair_columns, stage_pairs
from probes.models import Site, TokenBatch
from probes.models.packing import Pack
from probes.probing import Direction
from probes.stats.estimates import Estimate
from probes.stats.jackknife import mean_contrast, ratio_of_means
from probes.tables.result import Result
from probes.tables.schema import interval_columns, tidy

PREFERRED: tuple[Tokens, ...] = ("options", "evidence", "last")
"""The first of these roles that items have is where differences are taken by default."""
CARRIERS = ("mean", "along")
"""What is put in the place of the other stage's states: "mean" adds the mean difference to every token;
"along" takes each token's own component along it from the other stage."""


@dataclass(frozen=True, repr=False)
class StageDifference(Result):
    """The mean difference of states between two stages on the same tokens, layer by layer.

    Example
    -------
    >>> found = probes.difference(lineage["mid"], lineage["base"], concept.choices, progress=False)
    >>> found.layers, found.role, found.vectors.shape
    ([1, 2, 3], 'options', (3, 32))
    >>> found.direction(2).site
    Site(kind='resid_post', layer=1)
    """

    layers: list[int]
    """As in `Crossing`: at layer l, the states that block l is given, which are the output of block l - 1."""
    role: Tokens
    """The tokens whose states were compared."""
    vectors: np.ndarray
    """`[layer, d]`: the mean difference on the items, minus `neutral`."""
    neutral: np.ndarray
    """`[layer, d]`: the mean difference on neutral text, which has to do with no item."""
    scales: np.ndarray
    """`[layer]`: the standard deviation of the parent's states along the vectors."""
    repeated: np.ndarray
    """`[layer]`: the cosine between the differences of two halves of the items: how well they are known."""
    columns: dict[str, Any] = field(default_factory=dict)
    """The columns of `.table` that are the same in every row."""

    def __repr__(self) -> str:
        names = f"{self.columns.get('stage')} and {self.columns.get('source_stage')}"
        return f"StageDifference({names}, {len(self.layers)} layers, tokens: {self.role})"

    def direction(self, layer: int) -> Direction:
        """The difference at a layer as a direction like any other: to read with, push along and ablate.

        Raises
        ------
        InputError : the layer is not there.

        Example
        -------
        >>> found = probes.difference(lineage["mid"], lineage["base"], concept.choices, progress=False)
        >>> addition = probes.Add.along(found.direction(2), alpha=1.0)
        >>> addition.scale == found.direction(2).scale
        True
        """
        vector = self.vectors[self._index(layer)]
        length = float(np.linalg.norm(vector))
        return Direction(
            vector=vector / length if length else vector,
            site=Site("resid_post", layer - 1),
            position=self.role,
            stage=str(self.columns.get("stage")),
            concept=str(self.columns.get("concept") or ""),
            estimator="stage_difference",
            scale=float(self.scales[self._index(layer)]),
            gap=length / 2,
            digest=str(self.columns.get("digest")),
        )

    @property
    def table(self) -> pl.DataFrame:
        """Rows in the columns of `probes.tables.schema.SCHEMA`: at every layer `difference_norm` (variants
        `items`, without the neutral offset, and `neutral`), `difference_cosine` (variants `neutral`, between
        the two, and `halves`, `repeated`)."""
        rows: list[dict[str, Any]] = []
        for i, layer in enumerate(self.layers):
            lengths = {"items": self.vectors[i], "neutral": self.neutral[i]}
            norms = {name: float(np.linalg.norm(vector)) for name, vector in lengths.items()}
            both = norms["items"] * norms["neutral"]
            cosines = {
                "neutral": float(self.vectors[i] @ self.neutral[i]) / both if both else None,
                "halves": float(self.repeated[i]) if np.isfinite(self.repeated[i]) else None,
            }
            for measure, of in (("difference_norm", norms), ("difference_cosine", cosines)):
                rows += [
                    {"measure": measure, "variant": name, "estimate": value} | self._where(layer)
                    for name, value in of.items()
                ]
        return tidy(self.columns | row for row in rows)

    def _where(self, layer: int) -> dict[str, Any]:
        return {"site": "resid_pre", "layer": layer, "position": self.role}

    def _index(self, layer: int) -> int:
        if layer not in self.layers:
            raise InputError(f"layer {layer}: expected one of {self.layers}")
        return self.layers.index(layer)


@dataclass(frozen=True, repr=False)
class Carried(Result):
    """What a stage difference carries of the change between two stages.

    Example
    -------
    >>> made = probes.difference(lineage["mid"], lineage["base"], concept.choices, progress=False)
    >>> found = probes.carried(made, lineage["mid"], lineage["base"], concept.choices, progress=False)
    >>> found.share(1, "mean").n
    10
    """

    layers: list[int]
    role: Tokens
    ids: list[str]
    whole: Mapping[str, np.ndarray]
    """Score -> `[layer, way, item]`: how far the other stage's states move the choices, put into the parent
    (0), and how far the parent's move those of the child (1). Both are towards the child."""
    moved: Mapping[str, np.ndarray]
    """Score -> `[layer, carrier, way, item]`: the same for the carriers of `CARRIERS`."""
    columns: dict[str, Any] = field(default_factory=dict)
    """The columns of `.table` that are the same in every row."""

    def __repr__(self) -> str:
        names = f"{self.columns.get('stage')} and {self.columns.get('source_stage')}"
        return f"Carried({names}, {len(self.layers)} layers, tokens: {self.role}, {len(self.ids)} items)"

    def share(self, layer: int, carrier: str = "mean", way: int = 0, score: str = "asked") -> Estimate:
        """The share of what whole states do at a layer that the difference does there.

        Parameters
        ----------
        carrier : one of `CARRIERS`.
        way : 0 puts it into the parent, 1 takes it out of the child.

        Raises
        ------
        InputError : there is no such layer, carrier or score, or whole states do nothing there.

        Example
        -------
        >>> made = probes.difference(lineage["mid"], lineage["base"], concept.choices, progress=False)
        >>> found = probes.carried(made, lineage["mid"], lineage["base"], concept.choices, progress=False)
        >>> found.share(2, "along").low <= found.share(2, "along").value
        True
        """
        if layer not in self.layers or carrier not in CARRIERS or score not in self.whole:
            raise InputError(
                f"layer {layer}, {carrier!r}, {score!r}: expected one of {self.layers}, of {CARRIERS} and of "
                f"{', '.join(self.whole)}"
            )
        i, c = self.layers.index(layer), CARRIERS.index(carrier)
        return ratio_of_means(self.moved[score][i, c, way], self.whole[score][i, way], self.ids)

    @property
    def table(self) -> pl.DataFrame:
        """Rows in the columns of `probes.tables.schema.SCHEMA`, by layer and score.

        `difference_put_in` and `difference_taken_out` are in logits, with what is exchanged as estimator:
        `whole` states, or one of `CARRIERS`. `difference_put_in_share` and `difference_taken_out_share` are
        the carriers' shares of what whole states do, where that is not 0.
        """
        rows: list[dict[str, Any]] = []
        for score, whole in self.whole.items():
            for i, layer in enumerate(self.layers):
                where = {"site": "resid_pre", "layer": layer, "position": self.role, "variant": score}
                for way, measure in enumerate(("difference_put_in", "difference_taken_out")):
                    of_whole = mean_contrast([whole[i, way]], [1], self.ids)
                    name = {"measure": measure, "estimator": "whole"}
                    rows.append(where | name | interval_columns(of_whole))
                    for c, carrier in enumerate(CARRIERS):
                        moved = mean_contrast([self.moved[score][i, c, way]], [1], self.ids)
                        name = {"measure": measure, "estimator": carrier}
                        rows.append(where | name | interval_columns(moved))
                        if of_whole.low > 0 or of_whole.high < 0:
                            share = self.share(layer, carrier, way, score)
                            name["measure"] = f"{measure}_share"
                            rows.append(where | name | interval_columns(share))
        return tidy(self.columns | {"n_seeds": 1} | row for row in rows)


def difference(
    child: AnyStage,
    parent: AnyStage,
    items: Concept | Sequence[ChoiceItem] | Sequence[str],
    *,
    role: Tokens | None = None,
    every: int = 1,
    neutral: Sequence[str] | None = None,
    **run: Unpack[RunOptions],
) -> StageDifference:
    """The mean difference between two stages' states on the same tokens, at every layer.

    A training stage also moves all states a little, whatever is read; that offset is measured on neutral text
    and taken off. What is left is a direction like any other (differences of activations between a model and
    its fine-tuned self; Minder et al. 2025, arXiv 2510.13900): it can be read with, pushed along, ablated,
    and tried at other stages with `probes.carried`.

    Parameters
    ----------
    child, parent : two stages of one shape.
    items : choice items, a concept (of which the canonical items are used), or plain texts.
    role : the role of the tokens that are compared (see `probes.locating.TOKENS`); by default the first of
        `PREFERRED` that items have, and "all" for texts.
    every : only every so many layers, counted from the last.
    neutral : texts whose difference is taken off; by default 32 that come with the package. With () nothing
        is.
    run : see `probes.activations.RunOptions`.

    Returns
    -------
    StageDifference

    Raises
    ------
    InputError : the stages are of different shapes, there are fewer than 2 items or texts, or no token has
        the role.
    TokenizerError : the stages do not have one vocabulary.

    Example
    -------
    >>> texts = ["a chair in Ohio", "a song"]
    >>> found = probes.difference(lineage["mid"], lineage["base"], texts, progress=False)
    >>> found.role, found.vectors.shape
    ('all', (3, 32))
    """
    [pair] = stage_pairs(child, parent, run)
    asked = items.choices if isinstance(items, Concept) else items
    layers = [layer for layer in layers_of("all", every, pair.parent.model.n_layers) if layer]
    texts = [one for one in asked if isinstance(one, str)]
    if len(asked) < 2 or (texts and len(texts) < len(asked)):
        raise InputError(
            f"{len(asked)} items, {len(texts)} of them plain texts: expected at least 2 choice items, or at "
            "least 2 texts"
        )
    if texts:
        role = role or "all"
        if role != "all":
            raise InputError(f"role {role!r} of plain texts: expected 'all'; choice items have other roles")
        states = _of_texts(pair, texts, layers)
    else:
        asked = canonical_items([item for item in asked if not isinstance(item, str)])
        questions = Questions(pair.parent, asked, both=False)
        pair.check(questions.packs)
        role = role or next(one for one in PREFERRED if one in questions.roles)
        states = _of_items(pair, questions, layers, role)
    plain = neutral_texts(32) if neutral is None else neutral
    of_neutral = _of_texts(pair, plain, layers) if len(plain) else None
    offset = np.zeros_like(states[1][:, 0]) if of_neutral is None else _mean(of_neutral[1])
    vectors = _mean(states[1]) - offset
    halves = [_mean(states[1][:, k::2]) - offset for k in (0, 1)]
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    units = np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0)
    along = np.einsum("lnd,ld->ln", states[0], units)
    with np.errstate(invalid="ignore"):
        repeated = np.einsum("ld,ld->l", *halves) / np.prod(
            [np.linalg.norm(half, axis=-1) for half in halves], 0
        )
    columns = pair_columns(pair) | {
        "concept": items.name if isinstance(items, Concept) else None,
        "n_seeds": 1,
        "n_pairs": len(asked),
        "digest": pair.digest(role, layers, [one if isinstance(one, str) else one.id for one in asked]),
    }
    return StageDifference(layers, role, vectors, offset, along.std(-1), repeated, columns)


def carried(
    made: StageDifference,
    child: AnyStage,
    parent: AnyStage,
    items: Concept | Sequence[ChoiceItem],
    *,
    turned: bool = False,
    **run: Unpack[RunOptions],
) -> Carried:
    """What a stage difference carries of the change between two stages, which need not be those it is of.

    At every layer of the difference, the states of its tokens are exchanged between the two stages whole, by
    the mean difference, and by their components along it. Give other items than those that the difference was
    taken on, so that it is tried on words it has not seen; give later stages, to follow it through training.

    Parameters
    ----------
    made : what `probes.difference` gave.
    child, parent, items, turned, run : as in `probes.cross`.

    Returns
    -------
    Carried

    Raises
    ------
    InputError : the difference is of another width than the states, or no item has tokens of its role.
    Other errors are those of `probes.cross`.

    Example
    -------
    >>> made = probes.difference(lineage["mid"], lineage["base"], concept.choices[:5], progress=False)
    >>> later = probes.carried(made, lineage["copy"], lineage["base"], concept.choices[5:], progress=False)
    >>> later.table["estimator"].unique().sort().to_list()
    ['along', 'mean', 'whole']
    """
    [pair] = stage_pairs(child, parent, run)
    width = pair.parent.model.d_model
    if made.vectors.shape[1] != width:
        raise InputError(
            f"a difference of width {made.vectors.shape[1]}: expected that of the states, {width}"
        )
    questions = Questions(pair.parent, canonical_items(items), turned)
    pair.check(questions.packs)
    if made.role not in ("all", *questions.roles):
        raise InputError(f"no item has tokens of the role {made.role!r}, at which the difference was taken")
    whole, moved = _carried(pair, questions, made)
    columns = pair_columns(pair) | {
        "concept": items.name if isinstance(items, Concept) else None,
        "digest": pair.digest(made.columns.get("digest"), questions.ids),
    }
    forms = questions.forms
    return Carried(
        made.layers, made.role, questions.ids, derived(forms, whole), derived(forms, moved), columns
    )


def _carried(pair: StagePair, questions: Questions, made: StageDifference) -> tuple[np.ndarray, np.ndarray]:
    """`[form, layer, way, item]` and `[form, layer, carrier, way, item]`."""
    contexts = (pair.parent, pair.child)
    sites = [Site("resid_post", layer - 1) for layer in made.layers]
    scored: dict[tuple[int, ...], dict[int, list[Tensor]]] = {}
    bar = tqdm(
        total=len(questions.packs) * len(sites),
        desc=f"difference in {pair.child.name} and {pair.parent.name}",
        unit="layer",
        file=sys.stderr,
        disable=not pair.child.progress,
    )

    def keep(where: tuple[int, ...], pack: Pack, logits: Tensor) -> None:
        scored.setdefault(where, {}).update(zip(pack.groups, pack.scores(logits.cpu()), strict=True))

    with bar, torch.no_grad():
        for pack in questions.packs:
            states = [pack.read(context.model, sites) for context in contexts]
            mask = questions.mask(pack, made.role)[..., None]
            for way, context in enumerate(contexts):
                keep((way,), pack, pack.logits(context.model))
            for i, site in enumerate(sites):
                vector = torch.tensor(made.vectors[i], dtype=torch.float32)
                unit = vector / vector.norm() if vector.norm() else vector
                for way, context in enumerate(contexts):
                    own, other = states[way][site], states[1 - way][site]
                    along = ((other - own) @ unit)[..., None] * unit
                    edits = (other, own + (vector if way == 0 else -vector), own + along)
                    for c, edit in enumerate(edits):
                        new = torch.where(mask, edit, own)
                        keep((i, c, way), pack, pack.logits_from(context.model, site.layer or 0, new))
                bar.update()
    plain = [questions.choices(scored[way,]) for way in (0, 1)]
    shape = (len(sites), 1 + len(CARRIERS), 2)
    shifts = np.stack(
        [
            (questions.choices(scored[i, c, way]) - plain[way]) * (1 if way == 0 else -1)
            for i, c, way in np.ndindex(*shape)
        ],
        1,
    ).reshape(len(questions.forms), *shape, -1)
    return shifts[:, :, 0], shifts[:, :, 1:]


def _of_items(
    pair: StagePair, questions: Questions, layers: Sequence[int], role: Tokens
) -> tuple[np.ndarray, np.ndarray]:
    """The parent's states and the child's minus them, `[layer, item, d]`, as means over each item's tokens of
    a role."""
    sites = [Site("resid_post", layer - 1) for layer in layers]
    n, width = len(questions.questions), pair.parent.model.d_model
    sums = np.zeros((2, len(sites), n, width))
    for pack in questions.packs:
        chosen = _tokens_of(questions, pack, role)
        for which, context in enumerate((pair.parent, pair.child)):
            with torch.no_grad():
                states = pack.read(context.model, sites)
            for i, site in enumerate(sites):
                values = states[site].double().numpy()
                for number, places in chosen.items():
                    sums[which, i, number] = np.mean([values[place] for place in places], 0)
    have = np.array([bool(sums[0, 0, k].any()) for k in range(n)])
    if have.sum() < 2:
        raise InputError(f"{int(have.sum())} items have tokens of the role {role!r}: expected at least 2")
    return sums[0][:, have], (sums[1] - sums[0])[:, have]


def _tokens_of(questions: Questions, pack: Pack, role: Tokens) -> dict[int, list[tuple[int, int]]]:
    """The number of each question in a pack -> the (row, token) of its tokens of a role."""
    chosen: dict[int, list[tuple[int, int]]] = {}
    for number, of_group in zip(pack.groups, pack.places, strict=True):
        question = questions.questions[number]
        found: set[tuple[int, int]] = set()
        for k, ((row, path), (prompt, _)) in enumerate(zip(of_group, question.prompt.sequences, strict=True)):
            places = questions.places_of(question, k, role, len(prompt), len(path))
            found.update((row, path[i]) for i in places)
        if found:
            chosen[number] = sorted(found)
    return chosen


def _of_texts(pair: StagePair, texts: Sequence[str], layers: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """As `_of_items`, over all tokens of each text but the first."""
    sites = [Site("resid_post", layer - 1) for layer in layers]
    means = np.zeros((2, len(sites), len(texts), pair.parent.model.d_model))
    for number, text in enumerate(texts):
        ids = text_ids(pair.parent.tokenizer, text, special_tokens=True)
        if len(ids) < 2:
            raise InputError(f"text {text!r} has fewer than 2 tokens: expected longer ones")
        for which, context in enumerate((pair.parent, pair.child)):
            means[which, :, number] = _text_means(context, ids, sites)
    return means[0], means[1] - means[0]


def _text_means(context: RunContext, ids: Sequence[int], sites: Sequence[Site]) -> np.ndarray:
    """`[site, d]`"""
    with torch.no_grad():
        states = context.model.read(TokenBatch.pad([list(ids)], context.pad_id), sites)
    return np.stack([states[site][0, 1:].double().mean(0).numpy() for site in sites])


def _mean(values: np.ndarray) -> np.ndarray:
    return values.mean(1)
