"""`assess`: every test of one concept at one stage, weighed, and the verdict they come to."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import polars as pl

from probes.activations import Activations, Store, extract
from probes.concepts import Concept
from probes.errors import InputError
from probes.lineage import LoadedStage, Stage, as_loaded
from probes.measure.effects import (
    DOSES,
    ablation_findings,
    half_way,
    harmless_dose,
    push_findings,
    pushing_layer,
    selection_items,
)
from probes.measure.masked import masked_auroc
from probes.measure.reading import StageReading, read_stage, test_items
from probes.measure.shifts import shifted
from probes.models import BackendName
from probes.probing import class_gap, split_rows
from probes.probing.decoding import max_layer_p
from probes.stats.contrasts import beyond, strongest_baseline
from probes.stats.estimates import Estimate
from probes.stats.jackknife import auroc_contrast, mean_contrast
from probes.tables.result import Result
from probes.tables.schema import tidy
from probes.verdicts.criteria import CRITERIA, Criteria
from probes.verdicts.origin import Origin, judge_origin
from probes.verdicts.verdict import Finding, Verdict, judge, weigh

FEW_PAIRS = 20
"""Test pairs below which a note says that few things can be decided."""


@dataclass(frozen=True, repr=False)
class Assessment(Result):
    """The verdict on one concept at one stage, where its findings come from, and what was measured.

    `.table` has a row for every finding (measure, the name of the test; variant `finding`; the estimate with
    its interval), one for its p-value (measure `<test>_p`), and one for what is read outside the evidence
    (measure `masked`). `origin` is by test, against the parent's assessment.
    `layer` is where the concept is read best, `pushed` where it was pushed at. `notes` say what could not be
    tested and why, and what the verdict is silent about.
    """

    verdict: Verdict
    origin: Mapping[str, Origin]
    table: pl.DataFrame
    reading: StageReading
    layer: int
    pushed: int | None
    scores: np.ndarray = field(repr=False)
    slopes: np.ndarray | None = field(repr=False)
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        where = f"{self.reading.concept} at {self.reading.stage}"
        origin = self.origin.get("decodable")
        return f"Assessment({where}: {self.verdict.label}{f', {origin.label}' if origin else ''})"

    def __str__(self) -> str:
        lines = [f"{self.reading.concept} at {self.reading.stage}: {self.verdict}"]
        lines += [f"  origin of {test.replace('_', ' ')}: {told.label}" for test, told in self.origin.items()]
        lines += [f"  note: {note}" for note in self.notes]
        return "\n".join(lines)


def assess(
    stage: Stage | LoadedStage,
    concept: Concept,
    *,
    others: Sequence[Concept] = (),
    parent: Assessment | None = None,
    criteria: Criteria = CRITERIA,
    groups: Literal["pair", "template"] = "pair",
    shifts: Sequence[str] | None = None,
    site: str = "resid_post",
    position: str = "mean",
    estimator: str = "logistic",
    texts: Sequence[str] | None = None,
    masked: bool = True,
    store: Store | None = None,
    backend: BackendName = "transformers",
    device: str = "auto",
    dtype: str = "float32",
    seed: int = 0,
    progress: bool = True,
) -> Assessment:
    """Read, push and weigh one concept at one stage.

    Args:
        others: concepts whose directions the push is compared with; without any, nothing is specific.
        parent: the assessment of the same concept at the parent stage, for the origins.
        groups: what the intervals draw: pairs, or templates where the pairs of one share wording.
        shifts: axes to test shift transfer on; default all the concept has.
        texts: neutral texts that damage is measured on; default the toolkit's.
        masked: also read the tokens outside the evidence, where it is marked (`masked_auroc`); told in the
            table, on no rung: evidence at the end of a text leaves nothing after it to read.

    A rung of the ladder that fails ends the climb, and what is left is not measured: `verdict.missing` names
    it. Raises what extraction, probing and steering raise.
    """
    loaded = as_loaded(stage, device=device, dtype=dtype)
    options: dict[str, Any] = {"position": position, "backend": backend, "store": store, "progress": progress}
    reading = read_stage(
        loaded,
        concept.core,
        [*selection_items(concept), *test_items(concept)] or None,
        site=site,
        estimator=estimator,
        seed=seed,
        **options,
    )

    def rivals() -> Mapping[str, Activations]:
        return {
            other.name: _acts(extract(loaded, other.core, site, controls=(), **options)) for other in others
        }

    return assess_reading(
        loaded,
        reading,
        concept,
        rivals,
        parent=parent,
        criteria=criteria,
        groups=groups,
        shifts=shifts,
        texts=texts,
        masked=masked,
        store=store,
        backend=backend,
        seed=seed,
        progress=progress,
    )


def assess_reading(
    loaded: LoadedStage,
    reading: StageReading,
    concept: Concept,
    others: Callable[[], Mapping[str, Activations]],
    *,
    parent: Assessment | None = None,
    criteria: Criteria = CRITERIA,
    groups: Literal["pair", "template"] = "pair",
    shifts: Sequence[str] | None = None,
    texts: Sequence[str] | None = None,
    masked: bool = False,
    store: Store | None = None,
    backend: BackendName = "transformers",
    seed: int = 0,
    progress: bool = True,
) -> Assessment:
    """`assess` of a stage that was read already; `others` gives other concepts' activations when needed.

    What is read with is the probe; what is pushed along and silenced is the difference of class means
    (`class_gap`). Pushed are those of the concept's canonical test items that `reading` has gradients of;
    where it has those of the selection items too, the layer that is pushed at is chosen on them.
    """
    acts, sweep = reading.activations, reading.sweep
    test = split_rows(acts, seed).test
    units = np.asarray(acts.groups if groups == "pair" else acts.templates)
    layer = sweep.best.layer
    scores = sweep.best.probe.decision_function(acts.values[acts.layers.index(layer)].astype(float))
    labels = np.asarray(acts.labels).astype(int)
    found = [*_reading_findings(reading, scores, labels, units, test, criteria, seed)]
    if judge(found).label != "absent":
        found += _shift_findings(loaded, reading, concept, criteria, groups, shifts, store, backend, progress)
    pushed = slopes = None
    notes = [*_notes(acts, concept, test, parent)]
    known = set(reading.gradients.scores.ids) if reading.gradients is not None else set()
    items = [item for item in test_items(concept) if item.id in known]
    if items and judge(found).decided_by in ("sufficient", "necessary", "specific"):
        pushed = pushing_layer(reading, [item.id for item in selection_items(concept)], seed)
        rivals = {name: class_gap(other, pushed, seed) for name, other in others().items()}
        push = class_gap(acts, pushed, seed)
        ids = [item.id for item in items]
        dose = harmless_dose(loaded, push, criteria, texts, backend)
        slopes, pushing = push_findings(reading, ids, push, dose or 1.0, rivals, criteria, seed)
        if dose is None:  # an effect does not count then, the lack of one does
            pushing = [finding for finding in pushing if finding.outcome != "for"]
            notes.append(f"even a push of {min(DOSES):g} of half the class gap damages neutral text too much")
        if not rivals:
            notes.append("no other concept was given: nothing is specific")
        found += pushing
        if dose and judge(found).decided_by == "necessary":
            centre = half_way(acts, pushed, seed)
            lost = ablation_findings(loaded, push, centre, items, criteria, texts, backend, seed, progress)
            if not lost:
                notes.append("holding the direction damages neutral text too much")
            found += lost
    verdict = judge(found)
    origin = _origins(found, scores, slopes, labels, units, test, parent, criteria) if parent else {}
    context = acts.columns | {"estimator": sweep.best.direction.estimator, "n_seeds": 1, "seed": seed}
    rows = [*_rows(verdict, layer, pushed)]
    if masked:
        rows += _masked_row(loaded, reading, concept, groups, store, backend, seed, progress)
    table = tidy(context | row for row in rows)
    return Assessment(verdict, origin, table, reading, layer, pushed, scores, slopes, tuple(notes))


def _notes(acts: Activations, concept: Concept, test: np.ndarray, parent: Assessment | None) -> Iterator[str]:
    """What this concept and this stage leave untested."""
    n_pairs = len(np.unique(np.asarray(acts.groups)[test]))
    if n_pairs < FEW_PAIRS:
        yield f"{n_pairs} test pairs: expected at least {FEW_PAIRS} for intervals that decide anything"
    if not shifted(concept):
        yield "no pairs of this reading on a shift axis: transfer is not tested, so nothing is internal"
    if not test_items(concept):
        yield "no canonical choice items: what a push does is not tested, so nothing is internal"
    if parent is None:
        yield "no parent stage was assessed: whether this stage made it is not known"
    yield "one training seed: this speaks of one checkpoint, not of the recipe"


def _reading_findings(
    reading: StageReading,
    scores: np.ndarray,
    labels: np.ndarray,
    units: np.ndarray,
    test: np.ndarray,
    criteria: Criteria,
    seed: int,
) -> Iterator[Finding]:
    acts, sweep = reading.activations, reading.sweep
    told = auroc_contrast([scores[test]], [1], labels[test], units[test], null=0.5)
    paid = max_layer_p(acts.values, labels, units, split_rows(acts, seed), seed=seed)
    note = f"layer {sweep.best.layer} of {len(acts.layers)}; p pays for the choice of layer"
    yield weigh("decodable", told, criteria, p=paid.p, note=note)
    if sweep.surface:
        baselines = {name: values[test] for name, values in sweep.surface.items()}
        strongest = strongest_baseline(scores[test], baselines, labels[test], units[test])
        yield weigh("beyond_surface", strongest.gap, criteria, p=strongest.gap.p, note=strongest.name)


def _shift_findings(
    loaded: LoadedStage,
    reading: StageReading,
    concept: Concept,
    criteria: Criteria,
    groups: str,
    shifts: Sequence[str] | None,
    store: Store | None,
    backend: BackendName,
    progress: bool,
) -> Iterator[Finding]:
    """The canonical probe on each axis alone, at its own layer; each axis is a finding."""
    acts, best = reading.activations, reading.sweep.best
    by_axis = shifted(concept)
    for axis in by_axis if shifts is None else shifts:
        if axis not in by_axis:
            raise InputError(
                f"concept {concept.name!r} has no pairs of its first reading on the axis {axis!r}: "
                f"expected one of {', '.join(by_axis) or 'none'}"
            )
        moved = by_axis[axis]
        there = _acts(
            extract(
                loaded,
                Concept(name=concept.name, examples=tuple(moved)),
                acts.site,
                layers=[best.layer],
                position=acts.position,
                backend=backend,
                store=store,
                render=acts.render,
                controls=(),
                progress=progress,
            )
        )
        units = np.asarray(there.groups if groups == "pair" else there.templates)
        told = auroc_contrast(
            [best.probe.decision_function(there.values[0].astype(float))], [1], there.labels, units, null=0.5
        )
        yield weigh("shift", told, criteria, p=told.p, note=axis)


def _origins(
    found: Sequence[Finding],
    scores: np.ndarray,
    slopes: np.ndarray | None,
    labels: np.ndarray,
    units: np.ndarray,
    test: np.ndarray,
    parent: Assessment,
    criteria: Criteria,
) -> dict[str, Origin]:
    """Of what can be read, paired by example, and of what a push does, paired by item."""
    here = {finding.test: finding for finding in found}
    there = {finding.test: finding for finding in parent.verdict.findings}
    changes: dict[str, Estimate] = {
        "decodable": beyond(scores[test], parent.scores[test], labels[test], units[test])
    }
    if slopes is not None and parent.slopes is not None:
        changes["sufficient"] = mean_contrast([slopes, parent.slopes], [1, -1], np.arange(len(slopes)))
    worth = {"decodable": criteria.origin, "sufficient": criteria.sufficient}
    return {
        test_name: judge_origin(here[test_name], there[test_name], change, worth[test_name])
        for test_name, change in changes.items()
        if test_name in here and test_name in there
    }


def _rows(verdict: Verdict, layer: int, pushed: int | None) -> Iterator[dict[str, Any]]:
    for finding in verdict.findings:
        told = finding.estimate
        causal = finding.test in ("sufficient", "necessary", "specific")
        where = {"layer": pushed if causal else layer, "n_pairs": told.n}
        where["shift"] = finding.note if finding.test == "shift" else None
        numbers = {"estimate": told.value, "ci_low": told.low, "ci_high": told.high}
        yield {"measure": finding.test, "variant": "finding"} | where | numbers
        if finding.p is not None:
            yield {"measure": f"{finding.test}_p", "variant": "finding", "estimate": finding.p} | where


def _masked_row(
    loaded: LoadedStage,
    reading: StageReading,
    concept: Concept,
    groups: Literal["pair", "template"],
    store: Store | None,
    backend: BackendName,
    seed: int,
    progress: bool,
) -> Iterator[dict[str, Any]]:
    best = reading.sweep.best.direction
    told = masked_auroc(
        loaded,
        concept.core,
        best.site,
        estimator=best.estimator,
        groups=groups,
        store=store,
        backend=backend,
        seed=seed,
        progress=progress,
    )
    if told is not None:
        numbers = {"estimate": told.value, "ci_low": told.low, "ci_high": told.high, "n_pairs": told.n}
        yield {"measure": "masked", "variant": "finding", "layer": best.site.layer} | numbers


def _acts(extracted: Any) -> Activations:
    assert isinstance(extracted, Activations)
    return extracted
