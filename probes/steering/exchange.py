"""Mediation: whether a choice runs through an attribute, tested by exchanging it between the options.

It stands apart from `steering.ablation` because the exchange acts on the tokens of each option alone: each
option's words get the projection on the attribute's direction that the other's have, and all else stays.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Unpack

import numpy as np
import polars as pl
import torch
from torch import Tensor

from probes.activations import AnyStage, RunOptions, run_context
from probes.concepts import ChoiceItem
from probes.errors import InputError
from probes.models import HookedModel, PositionMask, Site, TokenBatch
from probes.probing import Direction
from probes.stats.estimates import Estimate, mean_interval
from probes.steering.choices import Score
from probes.steering.columns import direction_columns, over_directions, over_items
from probes.steering.controls import p_among_random, random_directions, require_random
from probes.steering.packed import order_logits
from probes.steering.prompts import ChoicePrompt, option_tokens, prompts_of
from probes.tables.result import Result
from probes.tables.schema import tidy


@dataclass(eq=False)
class _Shift:
    """`h + dose v`, with a dose for every token: `[batch, seq]`."""

    site: Site
    vector: Tensor
    dose: Tensor
    positions: Literal["all", "last"] | PositionMask = "all"

    def apply(self, values: Tensor) -> Tensor:
        return values + self.dose.to(values)[..., None] * self.vector.to(values)


@dataclass(repr=False)
class Mediation(Result):
    """Choice logits as they are, and with the attribute exchanged between the options."""

    ids: list[str]
    """`[item]`: the names of the items."""
    intact: np.ndarray
    """`[item]`: the choice logits of the model without an intervention."""
    exchanged: np.ndarray
    """`[item]`: the choice logits with the attribute exchanged."""
    random: np.ndarray
    """`[n_random, item]`: the choice logits with the same doses along random directions."""
    columns: dict[str, Any] = field(default_factory=dict)
    """The columns of `.table` that are the same in every row."""

    def __repr__(self) -> str:
        return f"Mediation({len(self.ids)} items, shift {self.shift.mean():+.2f}, p={self.p_value:.3f})"

    @property
    def shift(self) -> np.ndarray:
        """The intact choice logit minus the exchanged one, `[item]`; above 0 the choice follows the
        attribute."""
        return self.intact - self.exchanged

    @property
    def p_value(self) -> float:
        """The two-sided p-value of the mean shift among those of random directions."""
        return p_among_random(self.shift.mean(), (self.intact - self.random).mean(-1))

    def share_of_gain(self, reference: np.ndarray, seed: int = 0) -> Estimate:
        """The share of what the stage gained on a reference that follows the attribute.

        It is half the exchange's mean shift over the mean gain, because the exchange turns a logit that runs
        through the attribute alone into its negative. It is 1 where all of the gain follows the attribute.

        Parameters
        ----------
        reference : `[item]`, the choice logits of the same items at the parent, or in the arm without the
            stage.
        seed : the seed of the bootstrap over items, which gives the interval.

        Raises
        ------
        InputError : the lengths differ, or the stage gained nothing.

        Example
        -------
        >>> logits = np.linspace(1, 2, 10)
        >>> result = Mediation([f"c{i}" for i in range(10)], logits, -logits, np.zeros((1, 10)))
        >>> result.share_of_gain(np.zeros(10)).value
        1.0
        """
        reference = np.asarray(reference, dtype=float)
        if reference.shape != self.intact.shape:
            raise InputError(
                f"reference of {reference.shape}: expected one value an item, {self.intact.shape}"
            )
        gain = self.intact - reference
        if mean_interval(gain, self.ids, seed=seed).low <= 0:
            raise InputError(
                "the stage gained nothing on the reference, so there is no share of it: give another one"
            )
        draws = np.random.default_rng(seed).integers(len(gain), size=(1000, len(gain)))
        ratios = (self.shift[draws].mean(1) / 2) / gain[draws].mean(1)
        low, high = np.quantile(ratios, [0.025, 0.975])
        return Estimate(float(self.shift.mean() / 2 / gain.mean()), float(low), float(high), len(gain))

    @property
    def table(self) -> pl.DataFrame:
        """Rows `exchange_shift` (variants `direction` and `random_direction`) and `exchange_p`; see
        `mediation`."""
        shift = {"measure": "exchange_shift"}
        by_item = over_items(self.shift, self.ids, seed=self.columns.get("seed", 0))
        by_direction = over_directions((self.intact - self.random).mean(-1), self.ids)
        p = {"measure": "exchange_p", "estimate": self.p_value, "n_pairs": len(self.ids)}
        rows = [
            shift | {"variant": "direction"} | by_item,
            shift | {"variant": "random_direction"} | by_direction,
            p | {"variant": "direction"},
        ]
        return tidy(self.columns | row for row in rows)


def mediation(
    stage: AnyStage,
    direction: Direction,
    items: Sequence[ChoiceItem],
    *,
    n_random: int = 20,
    score: Score = "summed",
    concept: str | None = None,
    **run: Unpack[RunOptions],
) -> Mediation:
    """Exchange an attribute between the two options of each item, and score the choices.

    At the direction's site, the words of each option get the other option's mean projection on the direction.
    The differences between the words of one option stay as they are. This is an interchange intervention
    along one direction (Geiger et al. 2021, arXiv 2106.02997), between the options of a single prompt.

    Parameters
    ----------
    stage : a stage, a loaded stage, a hooked model or a run context.
    direction : the direction of the attribute, at the site where it was fitted.
    items : choice items that present both options ({first} and {second}); both orders are scored.
    n_random : the number of random directions. They get the same doses, so that what is added to each token
        has the same norm.
    score : "summed" or "per_token", as in `score_choices`.
    concept : the concept that `items` are about, where it is not the direction's own.
    run : see `probes.activations.RunOptions`.

    Returns
    -------
    Mediation. The rows of its table are `exchange_shift`, intact minus exchanged, for "direction" with an
    interval over items and for "random_direction" with the range from 2.5 to 97.5% of the directions; and
    `exchange_p`.

    Raises
    ------
    InputError : `n_random` is less than 1.
    ConceptError : an item does not present its options, or not as they are.
    Other errors are those of `score_choices`.

    Example
    -------
    >>> acts = probes.extract(stage, concept, controls=(), progress=False)
    >>> direction = probes.probe_layers(acts).best.direction
    >>> result = probes.mediation(stage, direction, concept.choices[:4], n_random=2, progress=False)
    >>> result.shift.shape, result.random.shape
    ((4,), (2, 4))
    """
    require_random(n_random)
    context = run_context(stage, **run)
    seed = context.seed
    prompts = prompts_of(items, context)
    vector = torch.tensor(direction.vector, dtype=torch.float32)
    vector = vector / vector.norm()
    vectors = [vector, *torch.as_tensor(random_directions(n_random, len(vector), seed), dtype=torch.float32)]
    intact, steered = [], []
    with torch.inference_mode():
        for item, prompt in zip(items, prompts, strict=True):
            marks = [option_tokens(item, order, context.tokenizer) for order in item.orders for _ in range(2)]
            batch = TokenBatch.pad([[*p, *o] for p, o in prompt.sequences], context.pad_id)
            values = context.model.read(batch, [direction.site])[direction.site]
            dose = _doses(values @ vector, marks)
            shifts = [_Shift(direction.site, v, dose) for v in vectors]
            intact.append(_logit(context.model, batch, prompt, score))
            steered.append([_logit(context.model, batch, prompt, score, shift) for shift in shifts])
    columns = {
        "concept": concept or direction.concept,
        "render": context.render_name,
        "n_seeds": 1,
        "seed": seed,
        "digest": context.digest([p.sequences for p in prompts], direction, score, n_random, seed),
    }
    logits = np.array(steered).T
    columns = context.columns | columns | direction_columns(direction)
    return Mediation([p.id for p in prompts], np.array(intact), logits[0], logits[1:], columns)


def _doses(projections: Tensor, marks: Sequence[tuple[list[int], list[int]]]) -> Tensor:
    """`[row, token]`: what moves the mean projection of each option's tokens to that of the other's."""
    dose = torch.zeros_like(projections)
    for row, (first, second) in enumerate(marks):
        difference = projections[row, second].mean() - projections[row, first].mean()
        dose[row, first], dose[row, second] = difference, -difference
    return dose


def _logit(
    model: HookedModel, batch: TokenBatch, prompt: ChoicePrompt, score: Score, *shifts: _Shift
) -> float:
    """The choice logit of one item under `shifts`."""
    with model.intervene(*shifts):
        scores = order_logits([_logprobs(model, batch, prompt.sequences)])
    return float(scores[int(score == "per_token")].nanmean())


def _logprobs(model: HookedModel, batch: TokenBatch, sequences: Sequence[Any]) -> list[Tensor]:
    """The log-probability of each option's tokens; each sequence is one row of `batch`."""
    at = [(row, len(p) + j - 1) for row, (p, o) in enumerate(sequences) for j in range(len(o))]
    targets = torch.tensor([token for _, option in sequences for token in option])
    logprobs = model.logits(batch, torch.tensor(at)).log_softmax(-1)
    chosen = logprobs.gather(-1, targets[:, None].to(logprobs.device)).squeeze(-1)
    return list(chosen.split([len(option) for _, option in sequences]))
