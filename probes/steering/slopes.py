"""Steerability of any direction at any layer, from one forward and one backward per item.

A choice score is a smooth function of a vector added at every token of a site; its gradient there gives the
slope along every direction at once. So one pass over the items answers for all layers, for the direction,
and for hundreds of random ones, and it returns the unpushed scores as well.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, Unpack

import numpy as np
import polars as pl
import torch
from jaxtyping import Float, Float64
from tqdm.auto import tqdm

from probes.activations import RunOptions, run_context
from probes.concepts import ChoiceItem
from probes.errors import InputError, SiteError
from probes.models import PackedModel, PositionMask, Site, expand
from probes.models.batching import batches_by_length
from probes.models.packing import Trie, scored_tokens
from probes.models.plain import PlainModel
from probes.steering.choices import ChoiceScores, Score, over_items
from probes.steering.interventions import after_first
from probes.steering.packed import option_logprobs, order_logits
from probes.steering.prompts import ChoicePrompt, prompts_of
from probes.tables.result import Result
from probes.tables.schema import tidy

if TYPE_CHECKING:
    from probes.probing import Direction


@dataclass(repr=False)
class ChoiceGradients:
    """`values` `[layer, item, width]` float32: d(item's choice logit) / d(a vector added at every token).

    `layers` names the first axis (block indices), `site` the kind of site, `score` which logit ("summed" or
    "per_token", averaged over both orders); `scores` are the unpushed scores of the same pass.
    """

    values: np.ndarray
    site: str
    layers: list[int]
    score: Score
    scores: ChoiceScores
    columns: dict[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        layers, items, width = self.values.shape
        return f"ChoiceGradients({self.site}, {layers} layers x {items} items x width {width})"

    def at(self, site: Site) -> np.ndarray:
        """`[item, width]` at one site. Raises SiteError for one that was not asked for."""
        if site.kind != self.site or (site.layer or 0) not in self.layers:
            raise SiteError(f"no gradients at {site}: these are of {self.site} at layers {self.layers}")
        return self.values[self.layers.index(site.layer or 0)]

    def of(self, ids: Sequence[str], score: Score) -> ChoiceGradients:
        """Those of some items, in the order of `ids`. Raises InputError for an item that is not here or for
        gradients of another score."""
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
        """`[item]`: change of the choice logit per natural unit of `direction`, at no push."""
        gradient = self.at(direction.site)
        vector = np.asarray(direction.vector, dtype=np.float64)
        if vector.shape != gradient.shape[1:]:
            raise SiteError(
                f"vector of width {vector.shape[-1]} cannot act at {direction.site}: "
                f"the activations there are {gradient.shape[1]} wide"
            )
        return direction.scale * (gradient @ vector)


@dataclass(repr=False)
class Steerability(Result):
    """Slopes of the choice logit on alpha at alpha = 0, beside those of norm-matched random directions.

    `slopes` maps (variant, layer) to `[item]`, `random` to `[n_random]` (means over items), `p_values` to the
    share of random directions that move the choice as much (two-sided, add-one).
    """

    table: pl.DataFrame
    slopes: dict[tuple[str, int], np.ndarray]
    random: dict[tuple[str, int], np.ndarray]
    p_values: dict[tuple[str, int], float]


def choice_gradients(
    stage: Any,
    items: Sequence[ChoiceItem],
    layers: str | int | Sequence[int] = "all",
    site: str = "resid_post",
    *,
    score: Score = "summed",
    system: str | None = None,
    concept: str | None = None,
    **run: Unpack[RunOptions],
) -> ChoiceGradients:
    """Gradient of each item's choice logit with respect to a vector added at every token, at every layer.

    Exact (autograd), at the cost of one forward and one backward of the items for all layers together;
    `batch_tokens` bounds the memory of the graph. Other parameters and errors as in `score_choices`;
    SiteError for a layer that does not exist.
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
        "render": context.render_name,
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
    centre: Any,
    vectors: np.ndarray,
    score: Score = "summed",
    batch_tokens: int = 512,
) -> np.ndarray:
    """`[vector, item]`: to first order, how a choice logit changes when unit `vectors` `[vector, width]` are
    held one at a time at the projection of `centre` `[width]`, at every token of `site` but the first.

    h - ((h - centre) . v) v is h - (h - centre) A with A = v v', so the gradient with respect to A at 0
    answers for any number of vectors from one forward and one backward of the items. It is close where a
    vector carries little, as random ones in hundreds of dimensions do.
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
    """Call `take` with the numbers of the prompts of one batch after the other, longest first."""
    sizes = [len(Trie.of(scored_tokens(prompt.sequences)).ids) for prompt in prompts]
    # A backend without packed rows takes one item at a time: then every row belongs to that item.
    packs = not isinstance(model, PlainModel)
    for rows in batches_by_length(sizes, batch_tokens if packs else 1):
        try:
            take(rows)
        except _SeveralRowsAnItem:
            for row in rows:
                take([row])


class _SeveralRowsAnItem(Exception):
    """The backend made several rows of each item, so a batch's rows are not its items."""


@dataclass(eq=False)
class _Tap:
    """Adds row i of `leaf` `[item, width]` to every token of row i; one row is added to all."""

    site: Site
    leaf: torch.Tensor
    positions: Literal["all", "last"] | PositionMask = "all"

    def apply(self, values: torch.Tensor) -> torch.Tensor:
        if len(self.leaf) not in (1, len(values)):
            raise _SeveralRowsAnItem
        return values + self.leaf[:, None].to(values)


@dataclass(eq=False)
class _Turn:
    """Takes (h - centre) @ leaf[i] `[width, width]` from every token h of row i but the first."""

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
    """Scores `[score, item, order]` of one batch, and its gradients with respect to the taps' leaves,
    stacked, in one forward with a packed row for each item. The prompts come longest first, the order in
    which the backend lays out rows.
    """
    with torch.enable_grad(), model.intervene(*taps):
        batch_scores = order_logits(option_logprobs(model, prompts, batch_tokens=10**9))
    # Rows do not see each other, so the gradient of the sum is each item's own gradient in its own row.
    objective = batch_scores[int(score == "per_token")].nanmean(-1).sum()
    gradient = torch.autograd.grad(objective, [tap.leaf for tap in taps])
    return batch_scores.detach().double().cpu().numpy(), torch.stack(gradient).float().numpy()


def steerability(
    gradients: ChoiceGradients,
    directions: Direction | Sequence[Direction] | Mapping[str, Direction | Sequence[Direction]],
    n_random: int = 100,
    seed: int = 0,
) -> Steerability:
    """Slope of the choice logit on alpha at alpha = 0, for directions at any of the gradients' layers.

    Parameters
    ----------
    directions : one direction, one for each of several layers, or a mapping from a variant's name (for
        example "shuffled_labels" or "other_concept") to either; unnamed ones are called "direction".
    n_random : random directions, Gaussian on the sphere, each pushed by the direction's own scale, so that
        their doses have the same norm.

    Returns rows `steering_slope` (mean over items and its interval; for "random_direction", made once for
    each layer with the scale of the first direction there, the mean over random directions and their 2.5 to
    97.5% range) and `steering_p`. Raises SiteError for a layer or a width that does not fit.
    """
    if n_random < 1:
        raise InputError(f"n_random={n_random}: expected at least 1, and 20 for a control worth the name")
    ids = gradients.scores.ids
    result = Steerability(tidy([]), {}, {}, {})
    rows: list[dict[str, Any]] = []
    layers_done: set[int] = set()
    for variant, direction in _named(directions):
        slopes = gradients.slopes(direction)
        layer = direction.site.layer or 0
        key = (variant, layer)
        units = random_directions(n_random, len(direction.vector), seed)
        random = direction.scale * (units @ gradients.at(direction.site).mean(0))
        p = float((1 + (np.abs(random) >= abs(slopes.mean())).sum()) / (1 + n_random))
        result.slopes[key], result.random[key], result.p_values[key] = slopes, random, p
        row = gradients.columns | direction_columns(direction) | {"seed": seed}
        row["concept"] = row["concept"] or direction.concept
        rows.append(
            row | {"measure": "steering_slope", "variant": variant} | over_items(slopes, ids, seed=seed)
        )
        rows.append(
            row | {"measure": "steering_p", "variant": variant, "estimate": p, "n_pairs": len(set(ids))}
        )
        if layer not in layers_done:
            layers_done.add(layer)
            rows.append(
                row | {"measure": "steering_slope", "variant": "random_direction"} | spread(random, ids)
            )
    result.table = tidy(rows)
    return result


def direction_columns(direction: Direction) -> dict[str, Any]:
    """The columns of `results.SCHEMA` that say what was pushed."""
    return {
        "source_stage": direction.stage,
        "estimator": direction.estimator,
        "site": direction.site.kind,
        "layer": direction.site.layer,
        "position": direction.position,
    }


def random_directions(n: int, width: int, seed: int) -> Float64[np.ndarray, "{n} {width}"]:
    """`[n, width]` float64: unit vectors, uniform on the sphere."""
    vectors = np.random.default_rng(seed).standard_normal((n, width))
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def spread(values: Float[np.ndarray, " direction"], ids: Sequence[str]) -> dict[str, Any]:
    """Mean and 2.5 to 97.5% range over random directions; `estimator` is null, nothing was fitted."""
    low, high = np.quantile(values, [0.025, 0.975])
    return {
        "estimate": float(values.mean()),
        "ci_low": float(low),
        "ci_high": float(high),
        "n_pairs": len(set(ids)),
        "estimator": None,
    }


def _named(directions: Any) -> Iterator[tuple[str, Direction]]:
    groups = directions.items() if isinstance(directions, Mapping) else [("direction", directions)]
    for name, group in groups:
        for direction in group if isinstance(group, Sequence) else [group]:
            yield name, direction
