"""Choices: which of two options a stage gives as its answer, without sampling and without a judge."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Unpack

import numpy as np
import polars as pl

from probes.activations import AnyStage, RunOptions, run_context
from probes.concepts import ChoiceItem
from probes.models import Intervention
from probes.steering.columns import over_items
from probes.steering.packed import score_prompts
from probes.steering.prompts import prompts_of, render_column
from probes.tables.result import Result
from probes.tables.schema import tidy

Score = Literal["summed", "per_token"]
"""How the log-probabilities of an option's tokens are put together: summed, or averaged."""


@dataclass(repr=False)
class ChoiceScores(Result):
    """The scores of choice items, in the order of the items.

    A score is log P(positive option) - log P(negative option). The positive option is presented first in
    order 0 and second in order 1, which is NaN for an item that does not present its options.

    Example
    -------
    >>> scores = probes.score_choices(stage, concept.choices, progress=False)
    >>> scores.summed.shape, scores.logits().shape, 0 <= scores.rate() <= 1
    ((10, 2), (10,), True)
    """

    ids: list[str]
    """`[item]`: the names of the items."""
    summed: np.ndarray
    """`[item, order]`: scores with log-probabilities summed over an option's tokens."""
    per_token: np.ndarray
    """`[item, order]`: scores with log-probabilities averaged over an option's tokens."""
    columns: dict[str, Any] = field(default_factory=dict)
    """The columns of `.table` that are the same in every row."""

    def __repr__(self) -> str:
        logit = self.logits().mean()
        return f"ChoiceScores({len(self.ids)} items, choice_rate={self.rate():.3f}, logit={logit:.3f})"

    def logits(self, score: Score = "summed") -> np.ndarray:
        """The choice logit of each item, `[item]`: its score averaged over both orders of presentation.

        Above 0 the positive option wins.
        """
        return np.nanmean(getattr(self, score), axis=1)

    def choices(self, score: Score = "summed") -> np.ndarray:
        """The choice of each item, `[item]`: 1 where the positive option wins, 0 where the negative one does,
        and 0.5 for a tie."""
        return chosen(self.logits(score))

    def rate(self, score: Score = "summed") -> float:
        """The share of items on which the positive option wins."""
        return float(self.choices(score).mean())

    def position_bias(self, score: Score = "summed") -> np.ndarray:
        """How much each item prefers what is presented first, in logits: `[item]`, NaN for items with one
        order."""
        by_order = getattr(self, score)
        return (by_order[:, 0] - by_order[:, 1]) / 2

    @property
    def table(self) -> pl.DataFrame:
        """Rows `choice_rate`, `choice_logit` and `position_bias`, each with an interval over items.

        Their variants are `summed` and `per_token`.
        """
        rows = []
        for score in ("summed", "per_token"):
            for measure, values in (
                ("choice_rate", self.choices(score)),
                ("choice_logit", self.logits(score)),
                ("position_bias", self.position_bias(score)),
            ):
                has_value = ~np.isnan(values)
                if has_value.any():
                    ids = np.array(self.ids)[has_value]
                    rate, seed = measure == "choice_rate", self.columns.get("seed")
                    columns = over_items(values[has_value], ids, rate, seed)
                    rows.append(self.columns | {"measure": measure, "variant": score} | columns)
        return tidy(rows)


def chosen(logits: np.ndarray) -> np.ndarray:
    """Choices from choice logits: 1 where the positive option wins, 0 where the negative one does, 0.5 for a
    tie.

    Example
    -------
    >>> chosen(np.array([2.0, 0.0, -0.1])).tolist()
    [1.0, 0.5, 0.0]
    """
    return (np.sign(logits) + 1) / 2


def score_choices(
    stage: AnyStage,
    items: Sequence[ChoiceItem],
    interventions: Sequence[Intervention] = (),
    *,
    system: str | None = None,
    concept: str | None = None,
    **run: Unpack[RunOptions],
) -> ChoiceScores:
    """Score every choice item: log P(positive option) - log P(negative option), as the assistant's answer.

    Parameters
    ----------
    stage : a stage, a loaded stage, a hooked model or a run context.
    items : choice items. One whose prompt presents the options is scored in both orders of presentation.
    interventions : what is changed in the model, in this order; see `probes.steering`.
    system : a text for the system message, which states a spec in context (the prompting baseline of AxBench,
        Wu et al. 2025, arXiv 2501.17148).
    concept : the name of the concept, for the table.
    run : see `probes.activations.RunOptions`. Where the tokenizer has no chat template, a prompt is rendered
        as "prompt\\nAnswer:", and the table says "plain".

    Returns
    -------
    ChoiceScores

    Raises
    ------
    InputError : there are no items.
    ConceptError : an item is longer than the context window.
    TokenizerError : the chat template refuses the messages, or an option does not survive tokenisation.
    SiteError : an intervention is at a site, or has a width, that the model does not have.

    Example
    -------
    >>> plain = probes.score_choices(stage, concept.choices, progress=False)
    >>> along = probes.choice_gradients(stage, concept.choices, layers=1, progress=False).values[0].mean(0)
    >>> addition = probes.Add(probes.Site("resid_post", 1), along / np.linalg.norm(along))
    >>> steered = probes.score_choices(stage, concept.choices, [addition], progress=False)
    >>> bool(steered.logits().mean() > plain.logits().mean())
    True
    """
    context = run_context(stage, **run)
    prompts = prompts_of(items, context, system)
    with context.model.intervene(*interventions):
        scores = score_prompts(context.model, prompts, context.tokens(2048)).numpy()
    columns = context.columns | {
        "concept": concept,
        "render": render_column(items, context),
        "seed": context.seed,
        "digest": context.digest([p.sequences for p in prompts], interventions),
    }
    return ChoiceScores([p.id for p in prompts], scores[0], scores[1], columns)
