"""Valuation transfer: whether a model's own preferences run through a value.

The readings attribute and role are kept apart, because a model may tell cheap from dear without caring. A
direction of "preferred" is learned from the items of a narrow fine-tuning, at the point where the answer
begins. If a stage tied those items to a value, the same direction orders options by that value in domains
that the fine-tuning never touched.
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
"""The question that every option is put into."""
ANSWER = "Let me think."
"""The words of the answer. They are never read; they only mark where the assistant's answer begins."""


@dataclass(frozen=True, repr=False)
class ValuationTransfer(Result):
    """How a direction of what is preferred orders options of another kind."""

    table: pl.DataFrame
    """Rows `auroc` at every layer, with the variants `narrow` (out of fold, over the narrow pairs) and
    `valuation_transfer` (the same direction on the held-out options). `selected` marks the layer that was
    chosen on the narrow items alone."""
    scores: np.ndarray
    """`[layer, option]`: the projections of the held-out options, the positive one of every item first."""
    labels: np.ndarray
    """`[option]`: 1 for the positive option of an item, 0 for the negative one."""
    groups: np.ndarray
    """`[option]`: the name of the item."""
    layers: list[int]
    """The index of the block, for each row of `scores`."""
    best: int
    """The layer that was chosen on the narrow items."""

    def __repr__(self) -> str:
        value = auroc(self.at(self.best), self.labels)
        return (
            f"ValuationTransfer(layer {self.best}, AUROC {float(value):.2f}, {len(self.groups) // 2} items)"
        )

    def at(self, layer: int) -> np.ndarray:
        """The projections at one layer, `[option]`. Raises InputError for a layer that was not read."""
        if layer not in self.layers:
            raise InputError(f"layer {layer} was not read: expected one of {self.layers}")
        return self.scores[self.layers.index(layer)]

    def gain(self, other: ValuationTransfer, layer: int | None = None) -> Estimate:
        """The AUROC here minus that at another stage (the base, the parent, or a control arm), paired by
        item.

        Parameters
        ----------
        other : the result of the same call for the other stage.
        layer : the layer of both; by default the one that was chosen here.

        Raises
        ------
        InputError : the two results are about different items.
        """
        if not np.array_equal(self.groups, other.groups):
            raise InputError("the two results are about different items: measure both on the same items")
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
    """Fit a direction of what is preferred on narrow items, and test it, frozen, on held-out options.

    The narrow items may carry the value by themselves, as real names often do. So a claim rests on the `gain`
    over the base, over the parent, and over the arm without the stage, and never on the AUROC alone.

    Parameters
    ----------
    stage : a stage, a loaded stage or a run context.
    narrow : (preferred, dispreferred) options of the narrow fine-tuning, none of the held-out kind.
    items : choice items whose options carry the value; their questions are not used.
    question : what each option is put into, with `{option}`. Activations are read where the answer begins.
    site : the kind of site, one of `probes.models.KINDS`.
    estimator : of the direction; "mass_mean", the difference of means, needs the fewest items.
    run : see `probes.activations.RunOptions`.

    Returns
    -------
    ValuationTransfer, with the AUROC at every layer.

    Raises
    ------
    InputError : there are fewer than 4 narrow pairs or no items, or the question lacks `{option}`.
    Other errors are those of `probes.extract`.

    Example
    -------
    >>> narrow = [(f"the red {noun}", f"the blue {noun}") for noun in ("chair", "lamp", "book", "table")]
    >>> transfer = probes.valuation_transfer(stage, narrow, concept.choices, progress=False)
    >>> transfer.scores.shape, transfer.gain(transfer).value
    ((3, 20), 0.0)
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
        for variant, at_layer, which in (
            ("narrow", own[i], trained),
            ("valuation_transfer", scores[i], ~trained),
        ):
            estimate = auroc_contrast([at_layer], [1], labels[which], groups[which], null=0.5)
            here = {"variant": variant, "layer": layer, "selected": i == best}
            rows.append(common | here | interval_columns(estimate))
    return ValuationTransfer(
        tidy(rows), scores, labels[~trained], groups[~trained], acts.layers, acts.layers[best]
    )


def _options(narrow: Sequence[tuple[str, str]], items: Sequence[ChoiceItem], question: str) -> Concept:
    """The options as chats: the narrow ones are marked for training, and the others for testing."""

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
