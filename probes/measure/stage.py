"""`measure_stage`: everything that a plan names, measured of several concepts at one stage."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Unpack

import numpy as np
import polars as pl

from probes.activations import Activations, RunContext, RunOptions, extract, run_context
from probes.concepts import Concept
from probes.lineage import LoadedStage, Stage
from probes.measure.battery import Battery, battery_rows, battery_scores, battery_tests, plan_battery
from probes.measure.decodability import decodability_tests, masked_auroc, shift_tests
from probes.measure.items import evaluation_items
from probes.measure.keeping import inputs_digest, kept_measurements
from probes.measure.measurement import StageMeasurement, folder_name, rows_of_tests, space_of
from probes.measure.neutral import neutral_states
from probes.measure.plan import Plan
from probes.measure.shifts import shifted
from probes.measure.uses import Used, use_tests
from probes.models import Site
from probes.probing import LayerSweep, probe_layers, shuffled_direction
from probes.steering import (
    ChoiceGradients,
    ChoiceScores,
    choice_gradients,
    score_choices,
    steer,
    steerability,
)
from probes.tables.tests import MeasuredTest, tests_table


def measure_stage(
    stage: Stage | LoadedStage | RunContext,
    concepts: Sequence[Concept],
    plan: Plan | None = None,
    *,
    others: Sequence[Concept] = (),
    sources: Sequence[StageMeasurement] = (),
    keep: str | Path | None = None,
    **run: Unpack[RunOptions],
) -> dict[str, StageMeasurement]:
    """Measure concepts at one stage by a plan.

    Parameters
    ----------
    stage : a stage, a loaded stage or a run context.
    concepts : the concepts. Of each its `core` is measured: the canonical pairs and choice items of its first
        reading. Each is also a control for the others, because a direction that moves choices no more than
        another concept's direction is not specific.
    plan : what is measured, where and how much; by default `Plan()`, which skips nothing.
    others : further concepts that are controls only.
    sources : measurements of earlier stages, with which this stage will be compared. Neutral texts are read
        at their layers too, so that the stages can be aligned.
    keep : a folder in which the measurements are kept, with one folder for each concept. Those of the very
        same inputs (weights, texts, plan, seed, versions) are read back and not measured again.
    run : see `probes.activations.RunOptions`.

    Returns
    -------
    The name of each concept's core -> its measurement.

    Raises
    ------
    As `probes.extract`, `probes.probe_layers` and `probes.choice_gradients` do.

    Example
    -------
    >>> from probes.measure import Plan, measure_stage
    >>> plan = Plan(baselines=False, n_random=50, alignment_texts=())
    >>> measured = measure_stage(stage, [concept], plan, progress=False)["prices"]
    >>> measured.tests["test"].to_list()
    ['competent', 'principled', 'string', 'decodable', 'beyond_surface', 'followed', 'used', ...]
    """
    context, plan = run_context(stage, **run), plan or Plan()
    digest = inputs_digest(context, concepts, plan, others, sources)
    folders = (
        {concept.core.name: Path(keep) / folder_name(concept.core.name) for concept in concepts}
        if keep
        else {}
    )
    if folders and (why := context.alteration()):
        warnings.warn(f"nothing is kept or looked up in {keep}: {why}", stacklevel=2)
        folders = {}
    if kept := kept_measurements(folders, digest):
        return kept
    asked = plan_battery(context, concepts, plan)
    probed = {concept.core.name: _probed(context, concept, asked, plan) for concept in concepts}
    space = space_of(next(iter(probed.values())).activations)
    sites = {one.sweep.best.direction.site for one in probed.values()}
    sites |= {source.sweep.best.direction.site for source in sources if source.space == space}
    neutral = neutral_states(context, list(sites), plan.alignment_texts) if plan.alignment_texts else {}
    measured = {}
    for name, one in probed.items():
        beside = {n: other for n, other in probed.items() if n != name}
        measured[name] = _measured(context, one, beside, others, neutral, plan, digest)
    for name, folder in folders.items():
        measured[name].save(folder)
    return measured


@dataclass(frozen=True)
class _Probed:
    """A concept with its activations, probes and choices, from which every other measurement starts."""

    concept: Concept
    activations: Activations
    sweep: LayerSweep
    choices: ChoiceScores | None
    gradients: ChoiceGradients | None
    asked: Battery | None
    """The stage's answers to the battery, also those about other concepts."""
    battery: list[MeasuredTest]
    """The tests of the battery."""


def _probed(context: RunContext, concept: Concept, asked: Battery | None, plan: Plan) -> _Probed:
    """Extract activations, fit a probe at every layer, and score every choice, with gradients at every layer
    where the plan takes them."""
    core = concept.core
    controls = ("embedding", "random_init") if plan.baselines else ()
    acts = extract(context, core, plan.site, position=plan.position, controls=controls)
    items = evaluation_items(core, plan.items, context.seed)
    tests = battery_tests(asked, concept) if plan.tests else []
    # Probes are fitted by one thread, which leaves room for the model beside it.
    with ThreadPoolExecutor(1) as beside:
        fitting = beside.submit(
            probe_layers, acts, estimator=plan.estimator, seed=context.seed, baselines=plan.baselines
        )
        choices = gradients = None
        if items and plan.skipped("gradients", tests):
            choices = score_choices(context, items, concept=core.name)
        elif items:
            gradients = choice_gradients(context, items, site=plan.site, concept=core.name)
            choices = gradients.scores
        return _Probed(concept, acts, fitting.result(), choices, gradients, asked, tests)


def _measured(
    context: RunContext,
    probed: _Probed,
    beside: Mapping[str, _Probed],
    others: Sequence[Concept],
    neutral: Mapping[Site, np.ndarray],
    plan: Plan,
    digest: str,
) -> StageMeasurement:
    """Measure one concept, with the concepts `beside` it and the `others` as controls."""
    acts, sweep, seed, core = probed.activations, probed.sweep, context.seed, probed.concept.core
    values = acts.values[acts.layers.index(sweep.best.layer)].astype(float)
    scores = sweep.best.probe.decision_function(values)
    tests = list(probed.battery)
    used = Used()
    if plan.tests:
        tests += decodability_tests(acts, sweep, scores, plan, seed)
        tests += _shift_tests(context, probed, tests, plan)
        controls = {name: other.activations for name, other in beside.items()}
        controls |= {
            other.name: extract(context, other.core, plan.site, position=plan.position, controls=())
            for other in others
        }
        used = use_tests(context, core, controls, tests, plan)
        tests += used.tests
        if plan.masked:
            tests.append(_masked_test(context, probed, plan))
    names = {"lineage": acts.lineage, "stage": acts.stage, "concept": acts.concept}
    table = tests_table(tests, **names)
    common = acts.columns | {"estimator": sweep.best.direction.estimator, "n_seeds": 1, "seed": seed}
    tables = [sweep.table, *_slopes_of_controls(probed, list(beside.values()), seed)]
    tables += [*_doses(context, probed, plan), rows_of_tests(table, common)]
    tables.append(battery_rows(probed.asked, acts, seed))
    if used.location is not None:
        tables.append(used.location.table.with_columns(concept=pl.lit(acts.concept)))
    by_item = battery_scores(probed.asked, acts.concept)
    if used.by_item is not None:
        by_item["used"] = used.by_item
    return StageMeasurement(
        table=pl.concat(tables),
        tests=table,
        activations=acts,
        sweep=sweep,
        choices=probed.choices,
        gradients=probed.gradients,
        scores=scores,
        by_item={name: values for name, (_, values) in by_item.items()},
        item_ids={name: ids for name, (ids, _) in by_item.items()},
        neutral=neutral,
        plan=str(plan),
        facts={"seed": seed, "groups": plan.groups, "digest": digest},
    )


def _shift_tests(
    context: RunContext, probed: _Probed, tests: Sequence[MeasuredTest], plan: Plan
) -> list[MeasuredTest]:
    """The tests on shift axes, given the `tests` that were made before."""
    by_axis = shifted(probed.concept)
    if not by_axis:
        return []
    if reason := plan.skipped("shift", tests):
        return [MeasuredTest("shift", reason=reason)]
    made = list(shift_tests(context, probed.activations, probed.sweep.best, probed.concept, by_axis, plan))
    return made or [MeasuredTest("shift", reason="the plan names no shift axis that the concept has")]


def _masked_test(context: RunContext, probed: _Probed, plan: Plan) -> MeasuredTest:
    """The test on the tokens outside the evidence."""
    best = probed.sweep.best.direction
    estimate = masked_auroc(context, probed.concept.core, best.site, best.estimator, plan.groups)
    if estimate is None:
        return MeasuredTest("masked", reason="the concept marks no evidence")
    return MeasuredTest("masked", estimate, p=estimate.p, layer=best.site.layer)


def _slopes_of_controls(probed: _Probed, beside: Sequence[_Probed], seed: int) -> list[pl.DataFrame]:
    """The slopes of control directions at the best layer: other concepts', and one of shuffled labels."""
    if probed.gradients is None:
        return []
    layer = probed.sweep.best.layer
    controls: dict[str, Any] = {
        "shuffled_labels": [shuffled_direction(probed.sweep, probed.activations, layer, seed)],
        "other_concept": [other.sweep.directions[layer] for other in beside],
    }
    table = steerability(probed.gradients, controls, seed=seed).table
    return [table.filter(pl.col("variant").is_in(list(controls)))]


def _doses(context: RunContext, probed: _Probed, plan: Plan) -> list[pl.DataFrame]:
    """The dose-response curve, without the slopes at a dose of 0, which were taken from more items before."""
    if not plan.dose_items or probed.gradients is None:
        return []
    n = plan.dose_items if plan.items is None else min(plan.dose_items, plan.items)
    curve = steer(
        context,
        probed.sweep.best.direction,
        evaluation_items(probed.concept.core, n, context.seed),
        alphas=(-4, -2, 2, 4),
        n_random=0,
        n_texts=3,
        gradients=probed.gradients,
    )
    return [curve.table.filter(pl.col("alpha").is_not_null())]
