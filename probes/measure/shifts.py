"""Shift transfer: a probe that was fitted on canonical pairs, tested on each shift axis by itself."""

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
from probes.stats.jackknife import auroc_contrast, mean_contrast
from probes.steering import score_choices
from probes.tables.result import Result
from probes.tables.schema import interval_columns, tidy

MIN_PAIRS = 8
"""The fewest pairs with which a value of an axis gets rows of its own; an axis as a whole always does."""


@dataclass(frozen=True, repr=False)
class ShiftTransfer(Result):
    """How well a concept's probe, and the choices, hold where texts are shifted.

    The rows of `table` are at the layer that was chosen on the canonical selection pairs. `shift` names the
    axis (null for canonical pairs), and `shift_value` the value on it (null for the whole axis).

    - `auroc`, variants `probe` (on canonical test pairs) and `shift_transfer` (the same probe on shift
      pairs).
    - `accuracy`, variants `shift_transfer` and `shift_transfer_recentred`. The threshold of the latter is the
      mean score of the shift pairs.
    - `auroc`, variant `shift_refit`: out-of-fold scores of a probe that is fitted on the axis' own pairs. It
      tells a concept that lies along another direction there from one that is not there. Folds hold out whole
      templates where there are two or more: pairs of one template can share an act that is right in one and
      wrong in the other, so that a probe that saw one of them errs on the other.
    - `steadiness`, variant `worst_axis`: the lowest `shift_transfer` AUROC of the axes, with that axis named.
    - `choice_rate`, `choice_logit` and `position_bias` of the axis' own choice items.
    """

    table: pl.DataFrame
    sweep: LayerSweep
    """The probes that were fitted on canonical pairs."""

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
    """Fit probes on the canonical pairs of a concept, and test them on its shift pairs.

    Parameters
    ----------
    stage : a stage, a loaded stage or a run context.
    concept : a concept, the name of a packaged one, or a path. Its first reading is measured; `"name/norm"`
        names the other reading of a packaged concept that has two.
    site, position : where activations are read, as in `probes.extract`.
    estimator : of the probes: "logistic", "mass_mean", "lda" or "ridge".
    choices : whether the choice items are scored as well.
    run : see `probes.activations.RunOptions`.

    Returns
    -------
    ShiftTransfer, whose docstring names the rows of its table.

    Raises
    ------
    InputError : the concept has no shift pairs of this reading.
    Other errors are those of `probes.extract` and `probes.probe_layers`.

    Example
    -------
    >>> from probes.concepts import Example
    >>> shifted = [
    ...     Example(pair=f"s{i}", label=k, text=f"a {('costly', 'cheap')[k]} lamp {i}", shift="wording",
    ...             wording="paraphrase", split="test", template=f"t{i}")
    ...     for i in range(4) for k in (1, 0)
    ... ]
    >>> both = probes.Concept(name="prices", examples=(*concept.examples, *shifted))
    >>> transfer = probes.shift_transfer(stage, both, position="mean", choices=False, progress=False)
    >>> transfer.table.filter(measure="steadiness").select("shift", "variant", "n_pairs").rows()
    [('wording', 'worst_axis', 4)]
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
    """The shift pairs of the first reading: axis, value (None for the whole axis), and numbers of
    examples."""
    first = (concept.readings or (None,))[0]
    for axis, values in concept.axes.items():
        for value in (None, *values):
            rows = [
                i
                for i, e in enumerate(concept.examples)
                if e.shift == axis and e.reading == first and value in (None, str(getattr(e, axis)))
            ]
            n_pairs = len({concept.examples[i].pair for i in rows})
            if n_pairs >= (2 if value is None else MIN_PAIRS):
                yield axis, value, np.array(rows)


def shifted(concept: Concept) -> dict[str, list[Example]]:
    """The shift pairs of the first reading: axis -> examples."""
    return {
        axis: [concept.examples[i] for i in rows] for axis, value, rows in places(concept) if value is None
    }


def _probe_rows(
    acts: Activations, concept: Concept, sweep: LayerSweep, seed: int
) -> Iterator[dict[str, Any]]:
    """The rows of the probe on shift pairs, and that of the worst axis."""
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
        here = context | {"shift": axis, "shift_value": value}
        carried = auroc_contrast([scores[rows]], [1], labels, units, null=0.5)
        columns = {"measure": "auroc", "variant": "shift_transfer"} | interval_columns(carried)
        carried_over.append(here | columns)
        yield carried_over[-1]
        for variant, at in (
            ("shift_transfer", 0.0),
            ("shift_transfer_recentred", float(scores[rows].mean())),
        ):
            right = (scores[rows] > at) == labels
            share = mean_contrast([right], [1], units, bounded=True, null=0.5)
            yield here | {"measure": "accuracy", "variant": variant} | interval_columns(share)
        if value is None:
            templates = [t or str(u) for t, u in zip(acts.templates[rows], units, strict=True)]
            held_out = templates if len(set(templates)) > 1 else units
            own = out_of_fold_scores(
                make_probe(estimator), values[rows], labels, held_out, units=units, seed=seed
            )
            refit = auroc_contrast([own], [1], labels, units, null=0.5)
            yield here | {"measure": "auroc", "variant": "shift_refit"} | interval_columns(refit)
    yield worst_axis(carried_over)


def worst_axis(rows: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """The row of steadiness: the axis with the lowest AUROC, and the first of several such axes.

    Parameters
    ----------
    rows : the rows `auroc`, `shift_transfer` of one concept at one stage.

    Example
    -------
    >>> rows = [
    ...     {"shift": axis, "shift_value": None, "estimate": auroc}
    ...     for axis, auroc in (("wording", 0.9), ("domain", 0.7))
    ... ]
    >>> worst_axis(rows)["shift"]
    'domain'
    """
    whole = (row for row in rows if row["shift_value"] is None)
    return min(whole, key=lambda row: row["estimate"]) | {"measure": "steadiness", "variant": "worst_axis"}


def _choice_tables(context: RunContext, concept: Concept) -> Iterator[pl.DataFrame]:
    """The choices on canonical items and on the items of each axis."""
    for axis in (None, *concept.axes):
        items = [c for c in concept.choices if c.shift == axis and c.split in (None, "test")]
        if items:
            scores = score_choices(context, items, concept=concept.name)
            yield scores.table.with_columns(shift=pl.lit(axis, pl.String))
