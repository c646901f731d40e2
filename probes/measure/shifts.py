"""Shift transfer: a probe fitted on canonical pairs, tried on each shift axis alone, and the worst axis."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Unpack

import numpy as np
import polars as pl

from probes.activations import Activations, RunContext, RunOptions, extract, run_context
from probes.concepts import Concept, Example, load_concept
from probes.errors import InputError
from probes.lineage import LoadedStage, Stage
from probes.probing import LayerSweep, make_probe, out_of_fold_scores, probe_layers
from probes.stats.estimates import Estimate
from probes.stats.jackknife import auroc_contrast, mean_contrast
from probes.steering import score_choices
from probes.tables.result import Result
from probes.tables.schema import tidy

MIN_PAIRS = 8
"""Pairs from which a value of an axis gets rows of its own; an axis as a whole always does."""


@dataclass(frozen=True, repr=False)
class ShiftTransfer(Result):
    """What is left of a concept's probe, and of the choices, off canonical wording.

    Rows, at the layer chosen on the canonical selection split; `shift` names the axis (null: canonical),
    `shift_value` where to on that axis (null: the whole axis):

    - auroc, variant `probe` (canonical test pairs) and `shift_transfer` (the same probe on the shift pairs);
      accuracy, variants `shift_transfer` and `shift_transfer_recentred`, whose threshold is the mean score
      of the shift pairs;
    - auroc, variant `shift_refit`: scores out of fold of a probe fitted on the axis' own pairs, so that a
      concept that is there but along another direction is distinguished from one that is not there; folds
      hold out whole templates (where there are two), because pairs of one template can share an act that is
      right in one and wrong in the other, and a probe that saw one of them errs on the other;
    - steadiness, variant `worst_axis`: the lowest `shift_transfer` AUROC of the axes, with that axis named;
    - choice_rate, choice_logit, position_bias of the axis' own choice items.
    """

    table: pl.DataFrame
    sweep: LayerSweep

    def __repr__(self) -> str:
        worst = self.table.filter(pl.col("measure") == "steadiness").to_dicts()
        text = f"worst axis {worst[0]['shift']}, AUROC {worst[0]['estimate']:.2f}" if worst else "no axes"
        return f"ShiftTransfer({text})"


def shift_transfer(
    stage: Stage | LoadedStage | RunContext,
    concept: Concept | str | Path,
    *,
    site: str = "resid_post",
    position: str = "answer",
    estimator: str = "logistic",
    choices: bool = True,
    **run: Unpack[RunOptions],
) -> ShiftTransfer:
    """Fit probes on the canonical pairs of a concept's first reading and try them on its shift pairs.

    Give `"name/norm"` for the other reading of a concept that has two. `choices=False` leaves out the choice
    items. Other parameters and errors as in `probes.extract` and `probes.probe_layers`; also InputError for
    a concept without shift pairs.
    """
    concept = load_concept(concept)
    context = run_context(stage, **run)
    if not any(value is None for _, value, _ in places(concept)):
        raise InputError(
            f"concept {concept.name!r} has no shift pairs of the reading that is measured: mark pairs with "
            'shift = "wording" (or another axis), or name the other reading, "concept/norm"'
        )
    acts = extract(context, concept, site, position=position, controls=())
    sweep = probe_layers(acts, estimator=estimator, seed=context.seed, baselines=False)
    chosen = (pl.col("measure") == "auroc") & (pl.col("variant") == "probe") & pl.col("selected")
    rows = [*sweep.table.filter(chosen).to_dicts(), *_probe_rows(acts, concept, sweep, context.seed)]
    tables = [tidy(rows)]
    if choices and concept.choices:
        tables += _choice_tables(context, concept)
    return ShiftTransfer(pl.concat(tables), sweep)


def places(concept: Concept) -> Iterator[tuple[str, str | None, np.ndarray]]:
    """Axis, value (None for the whole axis) and rows, of the first reading's shift pairs."""
    first = (concept.readings or (None,))[0]
    for axis, values in concept.axes.items():
        for value in (None, *values):
            found = [
                i
                for i, e in enumerate(concept.examples)
                if e.shift == axis and e.reading == first and value in (None, str(getattr(e, axis)))
            ]
            n_pairs = len({concept.examples[i].pair for i in found})
            if n_pairs >= (2 if value is None else MIN_PAIRS):
                yield axis, value, np.array(found)


def shifted(concept: Concept) -> dict[str, list[Example]]:
    """The examples of the first reading's shift pairs, by axis."""
    return {
        axis: [concept.examples[i] for i in rows] for axis, value, rows in places(concept) if value is None
    }


def _probe_rows(
    acts: Activations, concept: Concept, sweep: LayerSweep, seed: int
) -> Iterator[dict[str, Any]]:
    layer, estimator = sweep.best.layer, sweep.best.direction.estimator
    values = acts.values[acts.layers.index(layer)].astype(np.float64)
    scores = sweep.best.probe.decision_function(values)
    context = acts.columns | {
        "estimator": estimator,
        "layer": layer,
        "n_seeds": 1,
        "seed": seed,
        "selected": True,
    }
    carried_over: list[dict[str, Any]] = []
    for axis, value, rows in places(concept):
        labels, units = acts.labels[rows], acts.groups[rows]
        here = context | {"shift": axis, "shift_value": value, "n_pairs": len(np.unique(units))}
        carried = auroc_contrast([scores[rows]], [1], labels, units, null=0.5)
        carried_over.append(here | {"measure": "auroc", "variant": "shift_transfer"} | _interval(carried))
        yield carried_over[-1]
        for variant, at in (
            ("shift_transfer", 0.0),
            ("shift_transfer_recentred", float(scores[rows].mean())),
        ):
            right = (scores[rows] > at) == labels
            share = mean_contrast([right], [1], units, bounded=True, null=0.5)
            yield here | {"measure": "accuracy", "variant": variant} | _interval(share)
        if value is None:
            scenarios = [t or str(u) for t, u in zip(acts.templates[rows], units, strict=True)]
            apart = scenarios if len(set(scenarios)) > 1 else units
            own = out_of_fold_scores(
                make_probe(estimator), values[rows], labels, apart, units=units, seed=seed
            )
            refit = auroc_contrast([own], [1], labels, units, null=0.5)
            yield here | {"measure": "auroc", "variant": "shift_refit"} | _interval(refit)
    yield worst_axis(carried_over)


def worst_axis(rows: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """The row of steadiness from the `shift_transfer` rows of one stage and concept: the lowest whole axis,
    the first of equals."""
    whole = (row for row in rows if row["shift_value"] is None)
    return min(whole, key=lambda row: row["estimate"]) | {"measure": "steadiness", "variant": "worst_axis"}


def _choice_tables(context: RunContext, concept: Concept) -> Iterator[pl.DataFrame]:
    for axis in (None, *concept.axes):
        items = [c for c in concept.choices if c.shift == axis and c.split in (None, "test")]
        if items:
            scores = score_choices(context, items, concept=concept.name)
            yield scores.table.with_columns(shift=pl.lit(axis, pl.String))


def _interval(estimate: Estimate) -> dict[str, float]:
    return {"estimate": estimate.value, "ci_low": estimate.low, "ci_high": estimate.high}
