"""`difference`: the mean change of states that a training stage made, as a direction at every layer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Unpack

import numpy as np
import polars as pl
import torch

from probes.activations import AnyStage, RunContext, RunOptions
from probes.concepts import ChoiceItem, Concept
from probes.concepts.neutral import neutral_texts
from probes.errors import InputError
from probes.lineage import text_ids
from probes.locating.asking import Questions, Tokens, canonical_items
from probes.locating.crossing import layers_of
from probes.locating.stage_pairs import StagePair, pair_columns, stage_pairs
from probes.models import Site, TokenBatch
from probes.models.packing import Pack
from probes.probing import Direction
from probes.tables.result import Result
from probes.tables.schema import tidy

PREFERRED: tuple[Tokens, ...] = ("options", "evidence", "last")
"""The first of these roles that items have is where differences are taken by default."""


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
    offset = np.zeros_like(states[1][:, 0]) if of_neutral is None else of_neutral[1].mean(1)
    vectors = states[1].mean(1) - offset
    halves = [states[1][:, k::2].mean(1) - offset for k in (0, 1)]
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
