"""Role: does the model's own evaluation run through a value? Learned on narrow items, tried on others.

Attribute and role are kept apart: a model may tell cheap from dear without caring. What was preferred in the
narrow fine-tuning gives a direction of "preferred" at the point where the answer begins; if a stage gave
those items their meaning by a value, the same direction orders options by that value in domains it never saw.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Unpack

import numpy as np
import polars as pl

from probes.activations import RunContext, RunOptions, extract, run_context
from probes.concepts import ChoiceItem, Concept, Example, Message
from probes.errors import InputError
from probes.lineage import LoadedStage, Stage
from probes.probing import make_probe, out_of_fold_scores
from probes.stats.contrasts import beyond
from probes.stats.estimates import Estimate, auroc
from probes.stats.jackknife import auroc_contrast
from probes.tables.result import Result
from probes.tables.schema import interval_columns, tidy

QUESTION = "What do you think of {option}?"
ANSWER = "Let me think."
"""Never read: it only marks where the assistant's answer begins."""


@dataclass(frozen=True, repr=False)
class ValuationTransfer(Result):
    """How the direction of what is preferred orders options of another kind.

    Rows at every layer, `selected` at the one chosen on the narrow items alone: auroc, variants `narrow` (out
    of fold, over the narrow pairs) and `valuation_transfer` (the same direction on the held-out options).
    `scores` is `[layer, option]`: projections of the held-out options, the positive one of every item first.
    """

    table: pl.DataFrame
    scores: np.ndarray
    labels: np.ndarray
    groups: np.ndarray
    layers: list[int]
    best: int

    def __repr__(self) -> str:
        value = auroc(self.at(self.best), self.labels)
        return (
            f"ValuationTransfer(layer {self.best}, AUROC {float(value):.2f}, {len(self.groups) // 2} items)"
        )

    def at(self, layer: int) -> np.ndarray:
        """`[option]`: projections at one layer. Raises InputError for a layer that was not read."""
        if layer not in self.layers:
            raise InputError(f"layer {layer} was not read: expected one of {self.layers}")
        return self.scores[self.layers.index(layer)]

    def gain(self, other: ValuationTransfer, layer: int | None = None) -> Estimate:
        """AUROC here minus AUROC at another stage (base, parent, the control arm), paired by item.

        `layer` defaults to the one chosen here. Raises InputError when the other was asked about other items.
        """
        if not np.array_equal(self.groups, other.groups):
            raise InputError("the two stages were asked about different items: expected the same")
        layer = self.best if layer is None else layer
        return beyond(self.at(layer), other.at(layer), self.labels, self.groups)


def valuation_transfer(
    stage: Stage | LoadedStage | RunContext,
    narrow: Sequence[tuple[str, str]],
    items: Sequence[ChoiceItem],
    *,
    question: str = QUESTION,
    site: str = "resid_post",
    estimator: str = "mass_mean",
    **run: Unpack[RunOptions],
) -> ValuationTransfer:
    """Learn preferred against dispreferred from narrow items, and try it, frozen, on held-out options.

    Args:
        narrow: (preferred, dispreferred) options of the narrow fine-tuning; never of the held-out kind.
        items: choice items whose options carry the value; their questions are not used.
        question: what each option is put into, with `{option}`; activations are read where the answer begins.
        estimator: of the direction; the difference of means needs the fewest items.

    The narrow items must not carry the value by themselves (methods: with real names they may), so a claim is
    the `gain` over base, parent and the arm without the stage, never the AUROC alone. Raises InputError for
    fewer than 4 narrow pairs, no items, or a question without `{option}`.
    """
    if len(narrow) < 4 or not items:
        raise InputError(f"{len(narrow)} narrow pairs and {len(items)} items: expected at least 4 and 1")
    if "{option}" not in question:
        raise InputError(f"question {question!r}: expected {{option}} in it")
    concept = _options(narrow, items, question)
    context = run_context(stage, **run)
    acts, seed = extract(context, concept, site, position="decision", controls=()), context.seed
    trained = np.array([e.split == "train" for e in concept.examples])
    values, labels, groups = acts.values.astype(np.float64), acts.labels, acts.groups
    own = np.stack(
        [
            out_of_fold_scores(make_probe(estimator), v[trained], labels[trained], groups[trained], seed=seed)
            for v in values
        ]
    )
    scores = np.stack(
        [
            make_probe(estimator).fit(v[trained], labels[trained]).decision_function(v[~trained])
            for v in values
        ]
    )
    best = int(np.argmax(auroc(own, labels[trained])))
    common = acts.columns | {"estimator": estimator, "measure": "auroc", "n_seeds": 1, "seed": seed}
    rows: list[dict[str, Any]] = []
    for i, layer in enumerate(acts.layers):
        for variant, found, which in (
            ("narrow", own[i], trained),
            ("valuation_transfer", scores[i], ~trained),
        ):
            estimate = auroc_contrast([found], [1], labels[which], groups[which], null=0.5)
            here = {"variant": variant, "layer": layer, "selected": i == best}
            rows.append(common | here | interval_columns(estimate))
    return ValuationTransfer(
        tidy(rows), scores, labels[~trained], groups[~trained], acts.layers, acts.layers[best]
    )


def _options(narrow: Sequence[tuple[str, str]], items: Sequence[ChoiceItem], question: str) -> Concept:
    """The options as chats, the narrow ones to train on and the others to test."""

    def sides(pair: str, options: tuple[str, str], split: Literal["train", "test"]) -> list[Example]:
        return [
            Example(
                pair=pair,
                label=label,
                split=split,
                messages=(
                    Message(role="user", content=question.format(option=option)),
                    Message(role="assistant", content=ANSWER),
                ),
            )
            for label, option in zip((1, 0), options, strict=True)
        ]

    rows = [e for i, options in enumerate(narrow) for e in sides(f"narrow{i}", options, "train")]
    rows += [e for item in items for e in sides(item.id, (item.positive, item.negative), "test")]
    return Concept(name="valuation", examples=tuple(rows))
