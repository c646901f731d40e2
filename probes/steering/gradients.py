"""The gradient of every choice with respect to a vector added at every token of a site.

A choice logit is a smooth function of a vector that is added at every token of a site. Its gradient there
gives the slope along every direction at once. So one forward and one backward of the items answer for all
layers, for a fitted direction and for thousands of random ones, and give the intact scores as well.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Unpack

import numpy as np
import torch
from numpy.typing import ArrayLike
from tqdm.auto import tqdm

from probes.activations import AnyStage, RunOptions, run_context
from probes.concepts import ChoiceItem
from probes.errors import InputError, SiteError
from probes.models import PackedModel, PositionMask, Site, expand
from probes.models.batching import batches_by_length
from probes.models.packing import Trie, scored_tokens
from probes.models.plain import PlainModel
from probes.probing import Direction
from probes.steering.choices import ChoiceScores, Score
from probes.steering.interventions import after_first
from probes.steering.packed import option_logprobs, order_logits
from probes.steering.prompts import ChoicePrompt, prompts_of, render_column


@dataclass(repr=False)
class ChoiceGradients:
    """The gradients of choice logits, and the scores of the same pass.

    Example
    -------
    >>> gradients = probes.choice_gradients(stage, concept.choices, layers=[1], progress=False)
    >>> gradients
    ChoiceGradients(resid_post, 1 layers x 10 items x width 32)
    >>> gradients.at(probes.Site("resid_post", 1)).shape
    (10, 32)
    """

    values: np.ndarray
    """`[layer, item, width]` float32: the derivative of each item's choice logit with respect to a vector
    added at every token."""
    site: str
    """The kind of site."""
    layers: list[int]
    """The index of the block, for each row of the first axis of `values`."""
    score: Score
    """Which logit is differentiated, "summed" or "per_token"; both are means over the orders of
    presentation."""
    scores: ChoiceScores
    """The scores of the model without any intervention."""
    columns: dict[str, Any] = field(default_factory=dict)
    """The columns of result tables that are the same in every row."""

    def __repr__(self) -> str:
        layers, items, width = self.values.shape
        return f"ChoiceGradients({self.site}, {layers} layers x {items} items x width {width})"

    def at(self, site: Site) -> np.ndarray:
        """The gradients at one site, `[item, width]`. Raises SiteError for a site without gradients."""
        if site.kind != self.site or (site.layer or 0) not in self.layers:
            raise SiteError(f"no gradients at {site}: these are of {self.site} at layers {self.layers}")
        return self.values[self.layers.index(site.layer or 0)]

    def of(self, ids: Sequence[str], score: Score) -> ChoiceGradients:
        """The gradients of some items.

        Parameters
        ----------
        ids : the names of the items, in the order in which they are wanted.
        score : the score that the gradients must be of.

        Raises
        ------
        InputError : an item is not here, or the gradients are of another score.
        """
        if score != self.score:
            raise InputError(f"gradients of the {self.score!r} score: expected those of {score!r}")
        if missing := sorted(set(ids) - set(self.scores.ids)):
            raise InputError(f"no gradients for item {missing[0]!r}: expected them for every item")
        rows = [self.scores.ids.index(one) for one in ids]
        scores = replace(
            self.scores, ids=list(ids), summed=self.scores.summed[rows], per_token=self.scores.per_token[rows]
        )
        return replace(self, values=self.values[:, rows], scores=scores)

    def slopes(self, direction: Direction) -> np.ndarray:
        """How each item's choice logit changes per natural unit of a direction, at a dose of 0: `[item]`.

        Raises SiteError for a site without gradients, or a direction of another width.
        """
        gradient = self.at(direction.site)
        vector = np.asarray(direction.vector, dtype=np.float64)
        if vector.shape != gradient.shape[1:]:
            raise SiteError(
                f"vector of width {vector.shape[-1]} cannot act at {direction.site}: "
                f"the activations there are {gradient.shape[1]} wide"
            )
        return direction.scale * (gradient @ vector)


def choice_gradients(
    stage: AnyStage,
    items: Sequence[ChoiceItem],
    layers: str | int | Sequence[int] = "all",
    site: str = "resid_post",
    *,
    score: Score = "summed",
    system: str | None = None,
    concept: str | None = None,
    **run: Unpack[RunOptions],
) -> ChoiceGradients:
    """The gradient of each item's choice logit with respect to a vector added at every token, by layer.

    The gradients are exact (autograd). For all layers together they cost one forward and one backward of the
    items.

    Parameters
    ----------
    stage, items, system, concept : as in `score_choices`.
    layers : "all", a block index, or several; negative indices count from the end.
    site : the kind of site, one of `probes.models.KINDS`.
    score : which logit is differentiated: "summed" over an option's tokens, or "per_token".
    run : see `probes.activations.RunOptions`; `batch_tokens` bounds the memory of the graph.

    Returns
    -------
    ChoiceGradients, with `.values` `[layer, item, width]` float32.

    Raises
    ------
    SiteError : a layer does not exist. Other errors are those of `score_choices`.

    Example
    -------
    >>> gradients = probes.choice_gradients(
    ...     stage, concept.choices, layers="all", site="resid_post", score="summed", system=None,
    ...     concept="prices", progress=False,
    ... )
    >>> gradients.values.shape, gradients.layers
    ((3, 10, 32), [0, 1, 2])
    """
    context = run_context(stage, **run)
    model = context.model
    sites = expand(site, layers, model.n_layers)
    if not sites:
        raise SiteError("no layers to take gradients at: expected at least one")
    width = model.n_heads * model.d_head if site == "z" else model.d_model
    prompts = prompts_of(items, context, system)
    values = np.empty((len(sites), len(prompts), width), dtype=np.float32)
    scores = np.empty((2, len(prompts), 2))
    with tqdm(
        total=len(prompts), desc=f"gradients · {context.name}", disable=not context.progress, leave=False
    ) as bar:

        def take(rows: list[int]) -> None:
            taps = [_Tap(site, torch.zeros(len(rows), width, requires_grad=True)) for site in sites]
            of_batch, gradient = _gradients(model, [prompts[i] for i in rows], taps, score)
            values[:, rows], scores[:, rows] = gradient, of_batch
            bar.update(len(rows))

        _by_item(model, prompts, context.tokens(512), take)
    summed, per_token = scores
    columns = context.columns | {
        "concept": concept,
        "render": render_column(items, context),
        "seed": context.seed,
        "digest": context.digest([p.sequences for p in prompts], [], "score", score),
    }
    return ChoiceGradients(
        values=values,
        site=site,
        layers=[where.layer or 0 for where in sites],
        score=score,
        scores=ChoiceScores([p.id for p in prompts], summed, per_token, columns),
        columns=columns,
    )


def ablation_slopes(
    model: PackedModel,
    prompts: Sequence[ChoicePrompt],
    site: Site,
    centre: ArrayLike,
    vectors: np.ndarray,
    score: Score = "summed",
    batch_tokens: int = 512,
) -> np.ndarray:
    """How choice logits change, to first order, when directions are ablated one at a time.

    Each unit vector v is held at the projection of `centre`: h becomes h - ((h - centre) . v) v. That is
    h - (h - centre) A with A = v v', so the gradient with respect to the matrix A, at A = 0, answers for any
    number of vectors from one forward and one backward of the items. It is close to the exact change where
    a vector carries little of the activations, as a random one in hundreds of dimensions does.

    Parameters
    ----------
    site : where the directions are ablated, at every token but the first.
    centre : `[width]`, the activation whose projection is held.
    vectors : `[vector, width]`, unit vectors.

    Returns
    -------
    `[vector, item]`, the change of each item's choice logit.

    Example
    -------
    >>> from probes.activations import run_context
    >>> context = run_context(stage, progress=False)
    >>> vectors = np.eye(32)[:5]
    >>> prompts = prompts_of(concept.choices, context)
    >>> ablation_slopes(context.model, prompts, Site("resid_post", 1), np.zeros(32), vectors).shape
    (5, 10)
    """
    centre, width = torch.as_tensor(np.asarray(centre), dtype=torch.float32), vectors.shape[1]
    slopes = np.empty((len(vectors), len(prompts)))

    def take(rows: list[int]) -> None:
        tap = _Turn(site, torch.zeros(len(rows), width, width, requires_grad=True), centre)
        _, gradient = _gradients(model, [prompts[i] for i in rows], [tap], score)
        for row, matrix in zip(rows, gradient[0], strict=True):
            slopes[:, row] = ((vectors @ matrix) * vectors).sum(-1)

    _by_item(model, prompts, batch_tokens, take)
    return slopes


def _by_item(
    model: PackedModel, prompts: Sequence[ChoicePrompt], batch_tokens: int, take: Callable[[list[int]], None]
) -> None:
    """Call `take` with the numbers of the prompts of one batch after the other, the longest prompts first."""
    sizes = [len(Trie.of(scored_tokens(prompt.sequences)).ids) for prompt in prompts]
    # A backend without packed rows takes one item at a time; then every row belongs to that item.
    packs = not isinstance(model, PlainModel)
    for rows in batches_by_length(sizes, batch_tokens if packs else 1):
        try:
            take(rows)
        except _SeveralRowsAnItem:
            for row in rows:
                take([row])


class _SeveralRowsAnItem(Exception):
    """The backend made several rows of each item, so the rows of a batch are not its items."""


@dataclass(eq=False)
class _Tap:
    """Adds row i of `leaf` `[item, width]` to every token of row i; a single row is added to all."""

    site: Site
    leaf: torch.Tensor
    positions: Literal["all", "last"] | PositionMask = "all"

    def apply(self, values: torch.Tensor) -> torch.Tensor:
        if len(self.leaf) not in (1, len(values)):
            raise _SeveralRowsAnItem
        return values + self.leaf[:, None].to(values)


@dataclass(eq=False)
class _Turn:
    """Takes (h - centre) @ leaf[i] from every token h of row i but the first; `leaf` is
    `[item, width, width]`."""

    site: Site
    leaf: torch.Tensor
    centre: torch.Tensor
    positions: Literal["all", "last"] | PositionMask = after_first

    def apply(self, values: torch.Tensor) -> torch.Tensor:
        if len(self.leaf) not in (1, len(values)):
            raise _SeveralRowsAnItem
        return values - (values - self.centre.to(values)) @ self.leaf.to(values)


def _gradients(
    model: PackedModel, prompts: Sequence[ChoicePrompt], taps: Sequence[_Tap | _Turn], score: Score
) -> tuple[np.ndarray, np.ndarray]:
    """The scores `[score, item, order]` of one batch, and its gradients with respect to the taps' leaves,
    `[tap, item, ...]`.

    It takes one forward, with a packed row for each item. The prompts must come longest first, which is the
    order in which the backend lays out its rows.
    """
    with torch.enable_grad(), model.intervene(*taps):
        batch_scores = order_logits(option_logprobs(model, prompts, batch_tokens=10**9))
    # Rows do not see each other, so the gradient of the sum is each item's own gradient in its own row.
    objective = batch_scores[int(score == "per_token")].nanmean(-1).sum()
    gradient = torch.autograd.grad(objective, [tap.leaf for tap in taps])
    return batch_scores.detach().double().cpu().numpy(), torch.stack(gradient).float().numpy()
