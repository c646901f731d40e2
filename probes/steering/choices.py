"""Which of two options a stage gives as its answer: behaviour, without sampling and without a judge."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Unpack

import numpy as np
import polars as pl

from probes.activations import RunOptions, run_context
from probes.concepts import ChoiceItem
from probes.models import Intervention
from probes.stats.estimates import mean_interval
from probes.steering.packed import score_prompts
from probes.steering.prompts import prompts_of
from probes.tables.result import Result
from probes.tables.schema import interval_columns, tidy

Score = Literal["summed", "per_token"]


@dataclass(repr=False)
class ChoiceScores(Result):
    """Scores of choice items, in the items' order.

    `summed` and `per_token` are `[item, order]`: log P(positive) - log P(negative) of the options' texts,
    summed over tokens or averaged. The positive option is presented first in order 0 and second in order 1,
    which is NaN for items that present no options. `columns` are shared by all rows of `.table`.
    """

    ids: list[str]
    summed: np.ndarray
    per_token: np.ndarray
    columns: dict[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        logit = self.logits().mean()
        return f"ChoiceScores({len(self.ids)} items, choice_rate={self.rate():.3f}, logit={logit:.3f})"

    def logits(self, score: Score = "summed") -> np.ndarray:
        """`[item]`: the score averaged over both orders of presentation; above 0 the positive option wins."""
        return np.nanmean(getattr(self, score), axis=1)

    def choices(self, score: Score = "summed") -> np.ndarray:
        """`[item]`: 1 where the positive option wins over both orders together, 0.5 for a tie."""
        return chosen(self.logits(score))

    def rate(self, score: Score = "summed") -> float:
        """Share of items on which the positive option wins."""
        return float(self.choices(score).mean())

    def position_bias(self, score: Score = "summed") -> np.ndarray:
        """`[item]`: preference for whatever is presented first, in logits; NaN for items with one order."""
        by_order = getattr(self, score)
        return (by_order[:, 0] - by_order[:, 1]) / 2

    @property
    def table(self) -> pl.DataFrame:
        """choice_rate, choice_logit and position_bias, `summed` and `per_token`, intervals over items."""
        rows = []
        for score in ("summed", "per_token"):
            for measure, values in (
                ("choice_rate", self.choices(score)),
                ("choice_logit", self.logits(score)),
                ("position_bias", self.position_bias(score)),
            ):
                two_orders = ~np.isnan(values)
                if two_orders.any():
                    ids = np.array(self.ids)[two_orders]
                    row = over_items(
                        values[two_orders], ids, measure == "choice_rate", self.columns.get("seed")
                    )
                    rows.append(self.columns | {"measure": measure, "variant": score} | row)
        return tidy(rows)


def chosen(logits: np.ndarray) -> np.ndarray:
    """Choice logits -> 1 where the positive option wins, 0 where the negative one does, 0.5 for a tie."""
    return (np.sign(logits) + 1) / 2


def over_items(
    values: np.ndarray, ids: Sequence[Any] | np.ndarray, rate: bool = False, seed: int | None = 0
) -> dict[str, Any]:
    """estimate, ci_low, ci_high and n_pairs of the mean of values `[item]`; no interval for a single item."""
    if len(set(ids)) < 2:
        return {"estimate": float(values.mean()), "n_pairs": len(set(ids))}
    estimate = mean_interval(values, np.asarray(ids), seed=seed or 0, bounds=(0.0, 1.0) if rate else None)
    return interval_columns(estimate)


def score_choices(
    stage: Any,
    items: Sequence[ChoiceItem],
    interventions: Sequence[Intervention] = (),
    *,
    system: str | None = None,
    concept: str | None = None,
    **run: Unpack[RunOptions],
) -> ChoiceScores:
    """log P(positive option) - log P(negative option) of every item, as the assistant's answer.

    Parameters
    ----------
    stage : a Stage, a LoadedStage, or a HookedModel.
    items : choice items; one whose prompt presents the options is read in both orders.
    interventions : pushes on every token, in order.
    system : text for the system message, for the prompt arm (the spec stated in context; AxBench 2501.17148).
    concept : the name of the concept, for the table.
    render : "shared" (the lineage's tokenizer and chat template) or "own" (the stage's). Where there is no
        chat template the prompt is "prompt\\nAnswer:" and the table says "plain".
    batch_tokens : tokens per forward, padding included.

    Raises InputError (no items), ConceptError (an item that cannot be read), TokenizerError, SiteError.
    """
    context = run_context(stage, **run)
    prompts = prompts_of(items, context, system)
    with context.model.intervene(*interventions):
        scores = score_prompts(context.model, prompts, context.tokens(2048)).numpy()
    columns = context.columns | {
        "concept": concept,
        "render": context.render_name,
        "seed": context.seed,
        "digest": context.digest([p.sequences for p in prompts], interventions),
    }
    return ChoiceScores([p.id for p in prompts], scores[0], scores[1], columns)
