"""`survey`: everything the toolkit measures, for every stage and concept of a lineage, into one folder.

Apart from the rooms because it only calls them in order and keeps what they return.
"""

from __future__ import annotations

import json
import platform
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from probes.activations import Store
from probes.concepts import Concept, load_concept
from probes.concepts.neutral import neutral_texts
from probes.errors import InputError, MissingDependencyError
from probes.figures import Figure, draw_all, export_all
from probes.lineage import Lineage, LoadedStage, load_lineage, tree
from probes.measure.assess import Assessment, assess_reading
from probes.measure.reading import StageReading, read_stage, test_items
from probes.measure.shifts import shifted
from probes.models import BackendName, Site
from probes.probing import shuffled_direction
from probes.report import glance, write_report
from probes.steering import steer, steerability
from probes.study.stopwatch import Clock
from probes.tables.result import Result
from probes.tables.schema import tidy
from probes.tables.writing import check_folder, write_table, written_atomically
from probes.transfer import compare, family_parents, pooled, related
from probes.transfer.following import follow, neutral_states
from probes.verdicts import CRITERIA, Criteria, judge_all, verdict_table
from probes.verdicts.survival import Fate

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
    """How much of the choice tasks a survey runs; extraction and probes always use every pair."""

    items: int
    """Test items whose choices and gradients are taken at every stage."""
    dose_items: int
    """Test items of the dose-response curves, at the stages where an arm ends; 0 makes no curves."""
    neutral_texts: int
    """Texts that stages are aligned on; 0 aligns none, and a direction that no longer reads stays open."""
    damage_texts: int
    """Texts that the damage of a push is measured on for the verdicts."""


FULL = Size(items=10, dose_items=4, neutral_texts=12, damage_texts=8)
QUICK = Size(items=8, dose_items=0, neutral_texts=0, damage_texts=4)


@dataclass(repr=False)
class Survey(Result):
    """All measurements of a survey, tidy, its verdicts (`probes.verdicts.summary.COLUMNS`), and where they
    were written."""

    table: pl.DataFrame
    verdicts: pl.DataFrame
    folder: Path
    run: dict[str, Any] = field(default_factory=dict)

    @property
    def overview(self) -> pl.DataFrame:
        """One row a concept x stage: the verdict; what it knows, uses and keeps, at the chosen layer."""
        lines = glance(self.table, order=list(self.run["parents"]), parents=self.run["parents"])
        told = pl.DataFrame([{"concept": line.concept, "stage": line.stage, **line.cells} for line in lines])
        verdicts = self.verdicts.select("concept", "stage", "verdict", "origin", "survival")
        return verdicts.join(told, on=["concept", "stage"], how="right", maintain_order="right").select(
            "concept", "stage", pl.col("verdict", "origin", "survival").fill_null("–"), *told.columns[2:]
        )

    def figures(self) -> dict[str, Figure]:
        """Every figure the table holds the rows for, by name; stages that differ in their training seed alone
        are pooled (`probes.transfer.pooled`)."""
        parents = self.run["parents"]
        families = {stage: self.run.get("families", {}).get(stage, stage) for stage in parents}
        seeds = self.run.get("training_seeds", {})
        lines = family_parents(parents, families)
        return draw_all(pooled(self.table, families, seeds), order=list(lines), parents=lines)

    def write_report(self, path: str | Path) -> Path:
        """Write the self-contained HTML report; its path. Raises OutputError."""
        return write_report(
            path,
            table=self.table,
            verdicts=self.verdicts,
            figures=self.figures(),
            lineage=self.run["lineage_tree"],
            meta={k: v for k, v in self.run.items() if k not in ("lineage_tree", "parents")},
            order=list(self.run["parents"]),
            parents=self.run["parents"],
            title=f"{self.run['lineage']}: what each stage knows, uses and keeps",
        )

    def __repr__(self) -> str:
        return f"Survey({self.folder}, {self.table.height} measurements)"


def survey(
    lineage: Lineage | str | Path,
    concepts: Sequence[str | Path | Concept],
    out: str | Path = "out/survey",
    *,
    stages: Sequence[str] | None = None,
    seeds: Sequence[int] | None = None,
    quick: bool = False,
    position: str = "mean",
    estimator: str = "logistic",
    shifts: Sequence[str] = ("wording",),
    criteria: Criteria = CRITERIA,
    static: bool = True,
    backend: BackendName = "transformers",
    device: str = "auto",
    dtype: str = "float32",
    seed: int = 0,
    progress: bool = True,
    command: Sequence[str] | None = None,
) -> Survey:
    """Probe, push and compare every stage for every concept, and write what was found.

    Writes `results.parquet` (the tidy table), `verdicts.parquet` (one row a concept x stage), `report.html`,
    `figures/`, `run.json` (digests, versions, seeds, criteria, command, wall time of each step) and
    `activations/` (the store, so that a second run or one that was interrupted does not read the texts
    again) into `out`.

    Parameters
    ----------
    concepts : of each its `core`; "name/norm" asks for the other reading of a packaged concept that has two.
    stages, seeds : only the stages with these names, or trained with these seeds.
    quick : fewer choice items, no dose-response curves and no alignment of stages.
    shifts : axes that the verdicts test the probes on, as far as a concept has them.
    criteria : thresholds of the verdicts.
    static : also draw the figures as PDF, SVG and PNG; without a browser that is left out with a note.

    Raises
    ------
    OutputError : `out` cannot be written; raised before anything is computed.
    InputError : no concept, or no stage is left.
    """
    if not concepts:
        raise InputError("a survey needs at least one concept: name one with --concept")
    lineage = lineage if isinstance(lineage, Lineage) else load_lineage(lineage)
    lineage = _narrowed(lineage, stages, seeds)
    given = [c if isinstance(c, Concept) else load_concept(c) for c in concepts]
    chosen = [concept.core for concept in given]
    folder = check_folder(out)
    size = QUICK if quick else FULL
    clock = Clock()
    store = Store(folder / "activations")
    readings: dict[str, dict[str, StageReading]] = {concept.name: {} for concept in chosen}
    tables: list[pl.DataFrame] = []
    fingerprints = {}
    judging = _Judging(lineage, shifts, criteria, size, store, backend, seed, progress)
    options = {"position": position, "estimator": estimator, "backend": backend, "store": store, "seed": seed}
    for stage in lineage:
        with clock.step(f"load {stage.name}"):
            loaded = stage.load(device=device, dtype=dtype)
            fingerprints[stage.name] = loaded.fingerprint
        for concept in chosen:
            with clock.step(f"read {stage.name} {concept.name}"):
                items = test_items(concept)[: size.items]
                reading = read_stage(loaded, concept, items, progress=progress, **options)
                readings[concept.name][stage.name] = reading
        for concept in chosen:
            reading = readings[concept.name][stage.name]
            others = [readings[c.name][stage.name] for c in chosen if c is not concept]
            tables += [reading.sweep.table, _steerability(reading, others, seed)]
            if size.dose_items and not lineage.children(stage.name) and reading.gradients is not None:
                with clock.step(f"steer {stage.name} {concept.name}"):
                    direction = reading.sweep.best.direction
                    dose = test_items(concept)[: size.dose_items]
                    curve = steer(
                        loaded,
                        direction,
                        dose,
                        alphas=(-4, -2, 2, 4),
                        n_random=0,
                        n_texts=3,
                        gradients=reading.gradients,
                        backend=backend,
                        seed=seed,
                        progress=progress,
                    )
                    # The slopes at no push are there already, from more items.
                    tables.append(curve.table.filter(pl.col("alpha").is_not_null()))
        with clock.step(f"judge {stage.name}"):
            judging.stage(loaded, given, {name: found[stage.name] for name, found in readings.items()})

    def alike(source: str, target: str) -> bool:
        return related(lineage[source], lineage[target])

    for concept in chosen:
        with clock.step(f"compare {concept.name}"):
            tables.append(compare(readings[concept.name], wanted=alike, seed=seed))
    tables += [one.table for one in judging.assessments.values()]
    table = pl.concat(tables).unique(maintain_order=True)
    verdicts = judging.verdicts()
    run: dict[str, Any] = {
        "command": shlex.join(command) if command else None,
        "started": clock.started,
        "lineage": lineage.name,
        "lineage_tree": tree(lineage),
        "parents": {stage.name: stage.parent for stage in lineage},
        "families": {stage.name: stage.family for stage in lineage},
        "training_seeds": {stage.name: stage.seed for stage in lineage},
        "fingerprints": fingerprints,
        "concepts": {concept.name: concept.digest for concept in chosen},
        "n_pairs": {concept.name: concept.n_pairs for concept in chosen},
        "seed": seed,
        "size": vars(size),
        "criteria": criteria.to_dict(),
        "options": {k: options[k] for k in ("position", "estimator", "backend")}
        | {"dtype": dtype, "shifts": list(shifts)},
        "versions": {name: version(name) for name in VERSIONS} | {"python": platform.python_version()},
        "seconds": clock.seconds,
    }
    done = Survey(table, verdicts, folder, run)
    write_table(table, folder / "results.parquet")
    write_table(verdicts, folder / "verdicts.parquet")
    if static:
        with clock.step("figures"):
            _export(done)
    clock.seconds["total"] = clock.total()
    done.write_report(folder / "report.html")
    with written_atomically(folder / "run.json") as temporary:
        temporary.write_text(json.dumps(run, indent=1) + "\n")
    return done


def _export(done: Survey) -> None:
    try:
        export_all(done.figures(), check_folder(done.folder / "figures"), ["png", "svg"])
    except MissingDependencyError as error:
        print(f"note: no static figures; report.html holds them all the same. {error}", file=sys.stderr)


def _narrowed(lineage: Lineage, stages: Sequence[str] | None, seeds: Sequence[int] | None) -> Lineage:
    if stages:
        lineage = lineage.subset(stages)
    if seeds:
        lineage = lineage.subset([s.name for s in lineage if s.seed is None or s.seed in seeds])
    if not len(lineage):
        raise InputError(
            f"no stage of lineage {lineage.name!r} is left with stages={stages} and seeds={seeds}"
        )
    return lineage


def _steerability(reading: StageReading, others: Sequence[StageReading], seed: int) -> pl.DataFrame:
    """Slopes of the control directions at the chosen layer: other concepts', and one of shuffled labels."""
    if reading.gradients is None:
        return tidy([])
    layer = reading.sweep.best.layer
    controls = {
        "shuffled_labels": [shuffled_direction(reading.sweep, reading.activations, layer, seed)],
        "other_concept": [other.sweep.directions[layer] for other in others],
    }
    table = steerability(reading.gradients, controls, seed=seed).table
    return table.filter(pl.col("variant").is_in(list(controls)))


def export_figures(
    results: str | Path,
    out: str | Path,
    formats: Sequence[str] = ("pdf", "svg", "png"),
    preset: str | None = None,
) -> list[Path]:
    """Draw the figures of a survey's folder (or of a results.parquet) again; the paths written."""
    done = load_survey(results)
    return export_all(done.figures(), check_folder(out), list(formats), preset)


def rebuild_report(results: str | Path, out: str | Path | None = None) -> Path:
    """Write the report of a survey's folder again; its path."""
    done = load_survey(results)
    path = Path(out) if out else done.folder / "report.html"
    done.write_report(path)
    return path


def load_survey(results: str | Path) -> Survey:
    """Read a survey back from its folder or its results.parquet. Raises InputError when it is not there."""
    folder = Path(results)
    folder = folder.parent if folder.suffix == ".parquet" else folder
    try:
        table = pl.read_parquet(folder / "results.parquet")
        verdicts = pl.read_parquet(folder / "verdicts.parquet")
        run = json.loads((folder / "run.json").read_text())
    except (OSError, ValueError, pl.exceptions.PolarsError) as error:
        raise InputError(
            f"{folder} is not a survey's folder (results.parquet, verdicts.parquet and run.json are needed): "
            f"{error}"
        ) from None
    return Survey(table, verdicts, folder, run)


class _Judging:
    """Assessments and fates, gathered while each stage is loaded; its parent was judged before it."""

    def __init__(
        self,
        lineage: Lineage,
        shifts: Sequence[str],
        criteria: Criteria,
        size: Size,
        store: Store,
        backend: BackendName,
        seed: int,
        progress: bool,
    ) -> None:
        self.lineage, self.shifts, self.criteria, self.size = lineage, shifts, criteria, size
        self.store, self.seed, self.progress = store, seed, progress
        self.backend: BackendName = backend
        self.assessments: dict[tuple[str, str], Assessment] = {}
        self.fates: dict[tuple[str, str], Fate] = {}
        self._states: dict[str, dict[Site, np.ndarray]] = {}

    def stage(
        self, loaded: LoadedStage, concepts: Sequence[Concept], readings: Mapping[str, StageReading]
    ) -> None:
        """Judge every concept at one stage, and follow its parent's directions there."""
        parent = self.lineage[loaded.name].parent
        befores = {name: self.assessments.get((parent, name)) for name in readings} if parent else {}
        sources = {name: before.reading for name, before in befores.items() if before is not None}
        sites = {r.sweep.best.direction.site for r in (*readings.values(), *sources.values())}
        if self.size.neutral_texts:
            texts = neutral_texts(self.size.neutral_texts)
            self._states[loaded.name] = neutral_states(loaded, list(sites), texts, backend=self.backend)
        for concept in concepts:
            name = concept.core.name
            self.assessments[loaded.name, name] = assess_reading(
                loaded,
                readings[name],
                concept,
                lambda name=name: {other: r.activations for other, r in readings.items() if other != name},
                parent=befores.get(name),
                criteria=self.criteria,
                shifts=[axis for axis in self.shifts if axis in shifted(concept)],
                texts=neutral_texts(self.size.damage_texts),
                store=self.store,
                backend=self.backend,
                seed=self.seed,
                progress=self.progress,
            )
            if name in sources:
                states = self._both(sources[name], loaded.name)
                self.fates[loaded.name, name] = follow(
                    sources[name], readings[name], states, criteria=self.criteria, seed=self.seed
                )

    def verdicts(self) -> pl.DataFrame:
        """`verdicts.parquet`."""
        return verdict_table(judge_all(list(self.assessments.values()), self.fates, self.criteria))

    def _both(self, source: StageReading, target: str) -> tuple[np.ndarray, np.ndarray] | None:
        site = source.sweep.best.direction.site
        if not self.size.neutral_texts:
            return None
        return self._states[source.stage][site], self._states[target][site]
