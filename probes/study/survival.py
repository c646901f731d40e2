"""`survival`: what becomes of one concept's directions along a whole lineage."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Unpack

import polars as pl

from probes.activations import RunOptions
from probes.concepts import Concept, load_concept
from probes.errors import InputError
from probes.lineage import Lineage
from probes.measure import Plan, StageMeasurement, measure_stage
from probes.tables.comparisons import Comparison
from probes.tables.result import Result
from probes.transfer import compare, comparison_table
from probes.verdicts import CRITERIA, Criteria, judge_survival


@dataclass(repr=False)
class Survival(Result):
    """What became of a concept's directions: a tidy `.table`, and the measurements it was made from.

    Rows, each from `source_stage` (whose direction, at the layer chosen there on the selection split) to
    `stage` (where it is tested):

    - auroc, variant `frozen`: the probe of the source stage, unchanged, on this stage's test pairs;
      accuracy, variants `frozen` and `frozen_recentred`: with its own threshold, and with the threshold
      moved to this stage's mean, so that a drift of the threshold shows;
    - auroc, variant `refit`: a probe fitted at this stage, at the same layer;
    - cosine and cosine_whitened, variant `direction`: between the two stages' directions; variant
      `noise_floor`: between refits on bootstrap resamples within the source stage;
    - steering_slope, variant `direction`: what the source's direction does to this stage's choices, per
      natural unit of this stage; variant `random_direction`: the range of norm-matched random directions;
    - choice_rate and choice_logit: this stage's behaviour.
    """

    table: pl.DataFrame
    measurements: Mapping[str, StageMeasurement] = field(default_factory=dict)
    parents: Mapping[str, str | None] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"Survival({len(self.parents)} stages, {self.table.height} measurements)"

    def matrix(self, measure: str = "auroc", variant: str = "frozen") -> pl.DataFrame:
        """Estimates as a table: a row for each source stage, a column for each stage it is tested at.

        Raises InputError where the table has no rows of this measure and variant.
        """
        layers = {name: measurement.layer for name, measurement in self.measurements.items()}
        rows = self.table.filter(
            (pl.col("measure") == measure)
            & (pl.col("variant") == variant)
            & (pl.col("layer") == pl.col("source_stage").replace_strict(layers, default=None))
        )
        if rows.is_empty():
            names = self.table.select(name=pl.concat_str("measure", pl.lit(" "), "variant"))["name"]
            raise InputError(
                f"no rows {measure!r} {variant!r} here: expected one of {', '.join(sorted(set(names)))}"
            )
        return rows.pivot("stage", index="source_stage", values="estimate")

    def outcomes(self, criteria: Criteria = CRITERIA) -> pl.DataFrame:
        """What became of each parent's direction: persists, rotated, faded, lost or inconclusive.

        Columns stage, source_stage (the parent), survival, and decided_by, the quantity that decided it.
        """
        pairs = [
            (later, self.measurements[parent])
            for stage, later in self.measurements.items()
            if (parent := self.parents[stage] or "") in self.measurements
        ]
        rows = []
        for (stage, source), group in comparison_table(pairs).group_by(
            "stage", "source_stage", maintain_order=True
        ):
            judged = judge_survival(Comparison.from_rows(group), criteria)
            names = {"stage": stage, "source_stage": source}
            rows.append(names | {"survival": judged.label, "decided_by": judged.decided_by})
        names = ("stage", "source_stage", "survival", "decided_by")
        return pl.DataFrame(rows, schema=[(name, pl.String) for name in names])


def survival(
    lineage: Lineage,
    concept: Concept | str | Path,
    *,
    site: str = "resid_post",
    position: str = "mean",
    estimator: str = "logistic",
    **run: Unpack[RunOptions],
) -> Survival:
    """Follow the directions of one concept (of its `core`) along a lineage, every stage against every stage.

    Stages are loaded one at a time. A frozen probe, a refit and the causal effect of a direction are kept
    apart, because each can stay while another goes (Glass et al. 2026).

    Parameters
    ----------
    concept : a concept, the name of a packaged one, or a path.
    site, position, estimator : what is read and how, see `probes.extract` and `probes.probe_layers`.
    run : see `probes.activations.RunOptions`.

    Raises
    ------
    InputError : fewer than two stages. Also what loading, extraction and probing raise.

    Example
    -------
    >>> life = probes.survival(lineage, concept, progress=False)
    >>> life.matrix("auroc", "frozen").columns
    ['source_stage', 'base', 'mid', 'copy', 'control']
    >>> life.outcomes().columns
    ['stage', 'source_stage', 'survival', 'decided_by']
    """
    if len(lineage) < 2:
        raise InputError(
            f"survival compares stages, and lineage {lineage.name!r} has {len(lineage)}: give at least 2"
        )
    concept = load_concept(concept)
    plan = Plan(site=site, position=position, estimator=estimator, baselines=False, tests=False)
    measurements: dict[str, StageMeasurement] = {}
    for stage in lineage:
        sources = [measurements[stage.parent]] if stage.parent in measurements else []
        measured = measure_stage(stage, [concept], plan, sources=sources, **run)
        measurements[stage.name] = measured[concept.core.name]
    table = compare(measurements, seed=run.get("seed", 0))
    return Survival(table, measurements, {stage.name: stage.parent for stage in lineage})
