"""`survival`: what became of one concept's directions along a whole lineage."""

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
    """What became of a concept's directions along a lineage.

    Each row of `table` is about the direction of `source_stage`, at the layer that was chosen there on the
    selection pairs. It is tested at `stage`.

    - `auroc`, variant `frozen`: the probe of the source stage, unchanged, on this stage's test pairs.
    - `accuracy`, variants `frozen` and `frozen_recentred`: with the probe's own threshold, and with the
      threshold moved to this stage's mean score. If only the first falls, nothing but the threshold drifted.
    - `auroc`, variant `refit`: a probe that is fitted at this stage, at the same layer.
    - `cosine` and `cosine_whitened`, variant `direction`: between the directions of the two stages; variant
      `noise_floor`: between refits of the source stage's direction on bootstrap resamples.
    - `steering_slope`, variant `direction`: how steering along the source's direction changes this stage's
      choices, per natural unit of this stage; variant `random_direction`: the range of random directions of
      the same norm.
    - `choice_rate` and `choice_logit`: the behaviour of this stage.
    """

    table: pl.DataFrame
    measurements: Mapping[str, StageMeasurement] = field(default_factory=dict)
    """Stage -> the measurement that the table was made from."""
    parents: Mapping[str, str | None] = field(default_factory=dict)
    """Stage -> its parent, None at the root."""

    def __repr__(self) -> str:
        return f"Survival({len(self.parents)} stages, {self.table.height} measurements)"

    def matrix(self, measure: str = "auroc", variant: str = "frozen") -> pl.DataFrame:
        """The estimates of one measure as a matrix.

        Parameters
        ----------
        measure, variant : which rows of the table, for example "cosine" and "direction".

        Returns
        -------
        A table with a row for each source stage, and a column for each stage where it is tested.

        Raises
        ------
        InputError : the table has no rows of this measure and variant.
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
                f"there are no rows {measure!r} {variant!r} here: expected one of "
                f"{', '.join(sorted(set(names)))}"
            )
        return rows.pivot("stage", index="source_stage", values="estimate")

    def outcomes(self, criteria: Criteria = CRITERIA) -> pl.DataFrame:
        """What became of the direction of each stage's parent.

        Parameters
        ----------
        criteria : the thresholds.

        Returns
        -------
        A table with the columns stage, source_stage (the parent), survival ("persists", "rotated", "faded",
        "lost" or "inconclusive"; see `probes.verdicts.judge_survival`), and decided_by, the quantity that
        decided it.
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
    """Compare the directions of one concept along a lineage, every stage with every stage.

    Stages are loaded one at a time. The frozen probe, the refit and the effect of steering are kept apart,
    because each can stay while another goes (Glass et al. 2026).

    Parameters
    ----------
    lineage : the lineage; `lineage.subset` narrows it.
    concept : a concept, the name of a packaged one, or a path. Its `core` is measured.
    site, position : where activations are read, as in `probes.extract`.
    estimator : of the probes: "logistic", "mass_mean", "lda" or "ridge".
    run : see `probes.activations.RunOptions`.

    Returns
    -------
    Survival, with `.table`, `.matrix()` and `.outcomes()`.

    Raises
    ------
    InputError : the lineage has fewer than two stages.
    Other errors are those of loading, `probes.extract` and `probes.probe_layers`.

    Example
    -------
    >>> life = probes.survival(lineage.subset(["base", "mid"]), concept, progress=False)
    >>> life.matrix("auroc", "frozen").columns
    ['source_stage', 'base', 'mid']
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
