"""`survey`: measure every concept at every stage of a lineage, compare, judge, and write a folder."""

from __future__ import annotations

import platform
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal, Unpack

import polars as pl

from probes.activations import RunOptions, run_context
from probes.concepts import Concept, load_concept
from probes.concepts.neutral import neutral_texts
from probes.errors import InputError, MissingDependencyError
from probes.figures import export_all
from probes.lineage import Lineage, equal_weights, load_lineage, tree
from probes.measure import SAVINGS, Plan, StageMeasurement, measure_stage
from probes.probing import check_splits
from probes.study.record import Survey
from probes.study.stopwatch import Clock
from probes.tables.writing import check_folder
from probes.transfer import compare, comparison_table, related
from probes.verdicts import CRITERIA, Criteria, judge_all, verdict_table

VERSIONS = (
    "spec-probes",
    "torch",
    "transformers",
    "transformer-lens",
    "nnsight",
    "scikit-learn",
    "numpy",
    "plotly",
)


@dataclass(frozen=True)
class Size:
    """How much a survey measures of each concept. Activations and probes always use every pair."""

    items: int | None
    """The number of test choice items that are scored, with gradients, at every stage; None for all."""
    dose_items: int
    """The number of test items of the dose-response curves, at the stages that have no child; 0 makes
    none."""
    neutral_texts: int
    """The number of texts that stages are aligned on. With 0 none are aligned; a direction whose frozen probe
    fails is then inconclusive, because nobody knows whether it was rotated or lost."""
    damage_texts: int
    """The number of texts on which the damage of an intervention is measured."""
    wordings: int
    """The wordings of each form of the behaviour battery."""
    competence_items: int
    """The number of undisputed items that competence is measured on."""
    every: int
    """Only every so many layers are searched for where choices use a concept."""
    dimensions: tuple[int, ...]
    """The dimensions of the subspaces that are learned there."""


FULL = Size(
    items=14,
    dose_items=4,
    neutral_texts=12,
    damage_texts=8,
    wordings=1,
    competence_items=32,
    every=2,
    dimensions=(1, 2, 4),
)
"""14 items are two of each of the seven domains of the packaged attributes, and gradients at every layer for
them take about as long as everything else that is measured at a stage."""
QUICK = replace(
    FULL,
    items=7,
    dose_items=0,
    neutral_texts=0,
    damage_texts=4,
    competence_items=24,
    every=3,
    dimensions=(4,),
)

FORMS = ("asked", "reversed", "not_asked")
"""The forms of the battery that a survey asks: those that its verdicts and its figure need."""

Measured = dict[str, dict[str, StageMeasurement]]
"""Concept -> stage -> its measurement."""


def survey(
    lineage: Lineage | str | Path,
    concepts: Sequence[str | Path | Concept],
    out: str | Path = "out/survey",
    *,
    stages: Sequence[str] | None = None,
    seeds: Sequence[int] | None = None,
    quick: bool = False,
    items: int | Literal["all"] | None = None,
    position: str = "mean",
    estimator: str = "logistic",
    shifts: Sequence[str] = ("wording",),
    criteria: Criteria = CRITERIA,
    static: bool = True,
    command: Sequence[str] | None = None,
    **run: Unpack[RunOptions],
) -> Survey:
    """Measure every concept at every stage, compare the stages, judge, and write it all into a folder.

    The folder gets:

    - `results.parquet`: every measurement.
    - `verdicts.parquet`: one row for each concept at each stage.
    - `tests.parquet` and `comparisons.parquet`: what the verdicts are judged from (see
      `probes.judge_folder`).
    - `report.html` and `figures/`.
    - `run.json`: digests, versions, seeds, criteria, the command, and the wall time of each step.
    - `measurements/`: one folder for each stage and concept. An interrupted run goes on from there, and a
      second run reads them instead of measuring again.

    Parameters
    ----------
    lineage : a lineage, or the path of its lineage.toml or folder.
    concepts : concepts, names of packaged ones, or paths. "name/norm" names the other reading of a packaged
        concept that has two.
    out : the folder to write.
    stages : only the stages with these names.
    seeds : only the stages that were trained with these seeds, or once.
    quick : whether to measure less: fewer choice items, no dose-response curves, no alignment of stages.
    items : the number of test choice items of each concept, or "all". They are drawn with the run's seed so
        that domains and templates have equal shares; `evidence` in the verdicts says which were used. By
        default 14, two of each of the seven domains of the packaged attributes, and 7 with `quick`; more
        items make narrower intervals and take longer.
    position : where texts are read, as `probes.activations.POSITIONS` says.
    estimator : of the probes: "logistic", "mass_mean", "lda" or "ridge".
    shifts : the axes on which verdicts test the probes, as far as a concept has pairs on them.
    criteria : the thresholds of the verdicts. They also decide where the survey searches for the place at
        which choices use a concept: only where they depend on it and follow the question.
    static : whether the figures are also drawn as SVG and PNG. Without a browser that is left out, with a
        note.
    command : the command line, for the record.
    run : see `probes.activations.RunOptions`.

    Returns
    -------
    Survey, with the tables and the record of the run.

    Raises
    ------
    OutputError : `out` cannot be written; raised before anything is computed.
    InputError : there is no concept, or no stage is left.

    Example
    -------
    >>> result = probes.survey(
    ...     lineage, [concept], folder, stages=["mid"], seeds=[0], quick=True, items=3,
    ...     position="mean", estimator="logistic", shifts=["wording"],
    ...     criteria=probes.Criteria(decodable=0.75), static=False, command=["probes", "survey"],
    ...     progress=False,
    ... )
    >>> result.verdicts["stage"].to_list()
    ['mid']
    """
    if not concepts:
        raise InputError("a survey needs at least one concept: name one with --concept")
    lineage = lineage if isinstance(lineage, Lineage) else load_lineage(lineage)
    lineage = _narrowed(lineage, stages, seeds)
    loaded = [load_concept(concept) for concept in concepts]
    _check_names(loaded)
    folder, clock = check_folder(out), Clock()
    for concept in loaded:
        check_splits(concept.core, run.get("seed", 0))
    size = QUICK if quick else FULL
    if items is not None:
        size = replace(size, items=None if items == "all" else _positive(items))
    plan = Plan(
        position=position,
        estimator=estimator,
        items=size.items,
        dose_items=size.dose_items,
        forms=FORMS,
        wordings=size.wordings,
        competence_items=size.competence_items,
        every=size.every,
        dimensions=size.dimensions,
        alignment_texts=neutral_texts(size.neutral_texts) if size.neutral_texts else (),
        damage_texts=neutral_texts(size.damage_texts),
        damage_limit=criteria.damage,
        shifts=tuple(shifts),
        savings=SAVINGS,
        thresholds=criteria.thresholds(),
    )
    measured, fingerprints = _measure(lineage, loaded, plan, folder / "measurements", clock, run)
    result = _judged(lineage, measured, criteria, folder, clock)
    result.run |= {
        "command": shlex.join(command) if command else None,
        "started": clock.started,
        "fingerprints": fingerprints,
        "concepts": {concept.core.name: concept.core.digest for concept in loaded},
        "n_pairs": {concept.core.name: concept.core.n_pairs for concept in loaded},
        "seed": run.get("seed", 0),
        "size": vars(size),
        "plan": str(plan).splitlines(),
        "criteria": criteria.to_dict(),
        "options": {"position": position, "estimator": estimator, "shifts": list(shifts)}
        | {"backend": run.get("backend", "transformers"), "dtype": run.get("dtype", "float32")},
        "versions": {name: version(name) for name in VERSIONS} | {"python": platform.python_version()},
        "seconds": clock.seconds,
    }
    _write(result, clock, static)
    return result


def _positive(items: Any) -> int:
    """The number of items. Raises InputError for anything else."""
    if not isinstance(items, int) or isinstance(items, bool) or items < 1:
        raise InputError(f"items={items!r}: expected a number from 1 on, or 'all'")
    return items


def _narrowed(lineage: Lineage, stages: Sequence[str] | None, seeds: Sequence[int] | None) -> Lineage:
    """The lineage with only these stages, and only those trained with these seeds, or once."""
    if stages:
        lineage = lineage.subset(stages)
    if seeds:
        lineage = lineage.subset([s.name for s in lineage if s.seed is None or s.seed in seeds])
    if not len(lineage):
        raise InputError(
            f"no stage of lineage {lineage.name!r} is left with stages={stages} and seeds={seeds}: "
            "name more of them"
        )
    return lineage


def _check_names(concepts: Sequence[Concept]) -> None:
    """Raise InputError for two concepts of one name, whose rows could not be told apart."""
    names = [concept.core.name for concept in concepts]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise InputError(
            f"{names.count(twice)} of the concepts are named {twice!r}: give each a name of its own (in its "
            "concept.toml, or that of its file)"
        )


def _equal_stages(lineage: Lineage) -> list[str]:
    """A line for each stage that holds the weights of an earlier one, so that nothing can have changed."""
    equal = equal_weights(lineage)
    return [f"{name} equals {earlier}, tensor for tensor" for name, earlier in equal.items()]


def _other_spaces(lineage: Lineage, measured: Measured) -> list[str]:
    """A line for each stage whose width or depth is not that of its parent."""
    by_stage = next(iter(measured.values()))
    lines = []
    for name, later in by_stage.items():
        earlier = by_stage.get(lineage[name].parent or "")
        if earlier is not None and earlier.space != later.space:
            (_, layers, width), (_, layers_before, width_before) = later.space, earlier.space
            lines.append(
                f"{name} has {len(layers)} blocks of width {width}, its parent {earlier.stage} "
                f"{len(layers_before)} of width {width_before}: their directions are not compared"
            )
    return lines


def _measure(
    lineage: Lineage,
    concepts: Sequence[Concept],
    plan: Plan,
    folder: Path,
    clock: Clock,
    run: RunOptions,
) -> tuple[Measured, dict[str, str]]:
    """Measure every concept at every stage, each stage loaded once. Also the fingerprints of the stages."""
    measured: Measured = {concept.core.name: {} for concept in concepts}
    fingerprints = {}
    for stage in lineage:
        with clock.step(f"load {stage.name}"):
            context = run_context(stage, **run)
            fingerprints[stage.name] = context.require_loaded().fingerprint
        here = replace(plan, dose_items=0) if lineage.children(stage.name) else plan
        sources = [by_stage[stage.parent] for by_stage in measured.values() if stage.parent in by_stage]
        with clock.step(f"measure {stage.name}"):
            at_stage = measure_stage(context, concepts, here, sources=sources, keep=folder / stage.name)
        for name, measurement in at_stage.items():
            measured[name][stage.name] = measurement
    return measured, fingerprints


def _judged(lineage: Lineage, measured: Measured, criteria: Criteria, folder: Path, clock: Clock) -> Survey:
    """Compare the stages and judge. No model is run from here on."""

    def alike(source: str, target: str) -> bool:
        return related(lineage[source], lineage[target])

    everything = [measured[concept][stage.name] for stage in lineage for concept in measured]
    tables = [measurement.table for measurement in everything]
    for concept, by_stage in measured.items():
        with clock.step(f"compare {concept}"):
            tables.append(compare(by_stage, wanted=alike, seed=everything[0].seed))
    with clock.step("compare with parents"):
        parents = [
            (later, measured[later.concept].get(lineage[later.stage].parent or "")) for later in everything
        ]
        comparisons = comparison_table([(later, earlier) for later, earlier in parents if earlier])
    tests = pl.concat([measurement.tests for measurement in everything])
    return Survey(
        table=pl.concat(tables).unique(maintain_order=True),
        verdicts=verdict_table(judge_all(tests, comparisons, criteria)),
        tests=tests,
        comparisons=comparisons,
        folder=folder,
        run={
            "lineage": lineage.name,
            "lineage_tree": tree(lineage),
            "parents": {stage.name: stage.parent for stage in lineage},
            "families": {stage.name: stage.family for stage in lineage},
            "training_seeds": {stage.name: stage.seed for stage in lineage},
            "notes": [*_equal_stages(lineage), *_other_spaces(lineage, measured)],
        },
    )


def _write(result: Survey, clock: Clock, static: bool) -> None:
    """Write the folder of a survey; figures as SVG and PNG only where `static`."""
    for note in result.run["notes"]:
        print(f"note: {note}", file=sys.stderr)
    result.write_tables()
    if static:
        with clock.step("figures"):
            try:
                export_all(result.figures(), check_folder(result.folder / "figures"), ["png", "svg"])
            except MissingDependencyError as error:
                print(
                    f"note: no static figures; report.html holds them all the same. {error}", file=sys.stderr
                )
    clock.seconds["total"] = clock.total()
    result.write_report(result.folder / "report.html")
    result.write_run()
