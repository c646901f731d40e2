"""Mediation: does the choice run through the attribute? Exchange it between the options, and take it away.

Apart from `steering.ablate` because the exchange acts on the tokens of each option alone: the projection that
one option's words have on the attribute direction is given to the other's, everything else stays.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Unpack

import numpy as np
import polars as pl
import torch
from torch import Tensor

from probes.activations import RunOptions, run_context
from probes.concepts import ORDERS, ChoiceItem
from probes.errors import ConceptError, InputError
from probes.models import HookedModel, PositionMask, Site, TokenBatch
from probes.probing import Direction
from probes.stats.estimates import Estimate, mean_interval
from probes.steering.choices import Score, over_items
from probes.steering.packed import order_logits
from probes.steering.prompts import ChoicePrompt, prompts_of, render_chat
from probes.steering.slopes import direction_columns, random_directions, spread
from probes.tables.result import Result
from probes.tables.schema import tidy


@dataclass(eq=False)
class _Shift:
    """`h + dose v`, a dose for every token: `[batch, seq]`."""

    site: Site
    vector: Tensor
    dose: Tensor
    positions: Literal["all", "last"] | PositionMask = "all"

    def apply(self, values: Tensor) -> Tensor:
        return values + self.dose.to(values)[..., None] * self.vector.to(values)


@dataclass(repr=False)
class Mediation(Result):
    """Choice logits `[item]` as they are and with the attribute exchanged between the options.

    `exchanged` `[item]`, `random` `[n_random, item]` (the same doses along random directions). Rows of
    `.table`: `exchange_shift`, intact minus exchanged (above 0 the choice follows the attribute), variants
    `direction` and `random_direction` (mean and 95% range over directions), and `exchange_p`.
    """

    ids: list[str]
    intact: np.ndarray
    exchanged: np.ndarray
    random: np.ndarray
    columns: dict[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"Mediation({len(self.ids)} items, shift {self.shift.mean():+.2f}, p={self.p_value:.3f})"

    @property
    def shift(self) -> np.ndarray:
        """`[item]`: intact minus exchanged."""
        return self.intact - self.exchanged

    @property
    def p_value(self) -> float:
        """Share of random directions whose exchange shifts the mean choice at least as much (add-one)."""
        shifts = np.abs((self.intact - self.random).mean(-1))
        return float((1 + (shifts >= abs(self.shift.mean())).sum()) / (1 + len(shifts)))

    def share_of_gain(self, reference: np.ndarray, seed: int = 0) -> Estimate:
        """Half the exchange's shift over what the stage gained on a reference `[item]` (the same items at the
        parent, or in the arm without the stage): 1 where all of the gain follows the attribute.

        Exchanging turns a logit that runs through the attribute alone into its negative, hence the half.
        Interval by bootstrap over items. Raises InputError when the lengths differ or nothing was gained.
        """
        reference = np.asarray(reference, dtype=float)
        if reference.shape != self.intact.shape:
            raise InputError(
                f"reference of {reference.shape}: expected one value an item, {self.intact.shape}"
            )
        gain = self.intact - reference
        if mean_interval(gain, self.ids, seed=seed).low <= 0:
            raise InputError("the stage gained nothing on the reference: there is no share of it to tell")
        draws = np.random.default_rng(seed).integers(len(gain), size=(1000, len(gain)))
        ratios = (self.shift[draws].mean(1) / 2) / gain[draws].mean(1)
        low, high = np.quantile(ratios, [0.025, 0.975])
        return Estimate(float(self.shift.mean() / 2 / gain.mean()), float(low), float(high), len(gain))

    @property
    def table(self) -> pl.DataFrame:
        seed = self.columns.get("seed", 0)
        rows = [
            {"measure": "exchange_shift", "variant": "direction"}
            | over_items(self.shift, self.ids, seed=seed),
            {"measure": "exchange_shift", "variant": "random_direction"}
            | spread((self.intact - self.random).mean(-1), self.ids),
            {"measure": "exchange_p", "variant": "direction", "estimate": self.p_value}
            | {"n_pairs": len(self.ids)},
        ]
        return tidy(self.columns | row for row in rows)


def mediation(
    stage: Any,
    direction: Direction,
    items: Sequence[ChoiceItem],
    *,
    n_random: int = 20,
    score: Score = "summed",
    concept: str | None = None,
    **run: Unpack[RunOptions],
) -> Mediation:
    """Give each option's words the other's mean projection on `direction` at its site, and score the choices.

    Items must present both options ({first}, {second}); both orders are asked. The differences between the
    words of one option stay as they are. Random directions get the same doses, so their pushes have the same
    norm on the same tokens. Other parameters and errors as in `score_choices`; ConceptError for an item
    whose options cannot be found in its prompt.
    """
    if n_random < 1:
        raise InputError(f"n_random={n_random}: expected at least 1, and 20 for a control worth the name")
    context = run_context(stage, **run)
    seed = context.seed
    prompts = prompts_of(items, context)
    vector = torch.as_tensor(np.asarray(direction.vector, dtype=np.float32))
    vector = vector / vector.norm()
    vectors = [vector, *torch.as_tensor(random_directions(n_random, len(vector), seed), dtype=torch.float32)]
    intact, pushed = [], []
    with torch.inference_mode():
        for item, prompt in zip(items, prompts, strict=True):
            marks = [
                _option_tokens(item, order, context.tokenizer) for order in item.orders for _ in range(2)
            ]
            batch = TokenBatch.pad([[*p, *o] for p, o in prompt.sequences], context.pad_id)
            values = context.model.read(batch, [direction.site])[direction.site]
            dose = _doses(values @ vector, marks)

            shifts = [_Shift(direction.site, v, dose) for v in vectors]
            intact.append(_logit(context.model, batch, prompt, score))
            pushed.append([_logit(context.model, batch, prompt, score, shift) for shift in shifts])
    columns = {
        "concept": concept or direction.concept,
        "render": context.render_name,
        "n_seeds": 1,
        "seed": seed,
        "digest": context.digest([p.sequences for p in prompts], direction, score, n_random, seed),
    }
    table = np.array(pushed).T
    columns = context.columns | columns | direction_columns(direction)
    return Mediation([p.id for p in prompts], np.array(intact), table[0], table[1:], columns)


def _doses(projections: Tensor, marks: Sequence[tuple[list[int], list[int]]]) -> Tensor:
    """`[row, token]`: what moves the mean projection of each option's tokens to that of the other's."""
    dose = torch.zeros_like(projections)
    for row, (first, second) in enumerate(marks):
        difference = projections[row, second].mean() - projections[row, first].mean()
        dose[row, first], dose[row, second] = difference, -difference
    return dose


def _option_tokens(item: ChoiceItem, order: Any, tokenizer: Any) -> tuple[list[int], list[int]]:
    """Indices of the prompt's tokens that overlap the first and the second option as presented."""
    if len(item.orders) != len(ORDERS):
        raise ConceptError(
            f"choice {item.id!r} does not present its options: expected {{first}} and {{second}}"
        )
    text = render_chat(item.ask(order), tokenizer)
    options = (item.positive, item.negative) if order == ORDERS[0] else (item.negative, item.positive)
    encoded = tokenizer(text, add_special_tokens=not tokenizer.chat_template, return_offsets_mapping=True)
    found, start = [], 0
    for option in options:
        begin = text.find(option, start)
        start = begin + len(option)
        tokens = [
            i for i, (a, b) in enumerate(encoded["offset_mapping"]) if a < start and b > begin and b > a
        ]
        if begin < 0 or not tokens:
            raise ConceptError(f"choice {item.id!r}: option {option!r} does not stand in its prompt as it is")
        found.append(tokens)
    return found[0], found[1]


def _logit(
    model: HookedModel, batch: TokenBatch, prompt: ChoicePrompt, score: Score, *shifts: _Shift
) -> float:
    with model.intervene(*shifts):
        scores = order_logits([_logprobs(model, batch, prompt.sequences)])
    return float(scores[int(score == "per_token")].nanmean())


def _logprobs(model: HookedModel, batch: TokenBatch, sequences: Sequence[Any]) -> list[Tensor]:
    """Log-probability of each option's tokens, one row of `batch` each."""
    at = [(row, len(p) + j - 1) for row, (p, o) in enumerate(sequences) for j in range(len(o))]
    targets = torch.tensor([token for _, option in sequences for token in option])
    logprobs = model.logits(batch, torch.tensor(at)).log_softmax(-1)
    chosen = logprobs.gather(-1, targets[:, None].to(logprobs.device)).squeeze(-1)
    return list(chosen.split([len(option) for _, option in sequences]))
