"""`survival`: one concept along a whole lineage."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from probes.activations import Store
from probes.concepts import Concept, load_concept
from probes.errors import InputError
from probes.lineage import Lineage
from probes.measure.reading import StageReading, read_stage
from probes.models import BackendName
from probes.tables.result import Result
from probes.transfer.compare import compare


@dataclass(repr=False)
class Survival(Result):
    """What became of a concept's directions: a tidy `.table`, and the readings it was made from.

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
    readings: Mapping[str, StageReading] = field(default_factory=dict)
    parents: Mapping[str, str | None] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"Survival({len(self.parents)} stages, {self.table.height} measurements)"

    def matrix(self, measure: str = "auroc", variant: str = "frozen") -> pl.DataFrame:
        """Estimates as a table: a row for each source stage, a column for each stage it is tested at."""
        layers = {name: reading.sweep.best.layer for name, reading in self.readings.items()}
        rows = self.table.filter(
            (pl.col("measure") == measure)
            & (pl.col("variant") == variant)
            & (pl.col("layer") == pl.col("source_stage").replace_strict(layers, default=None))
        )
        if rows.is_empty():
            told = sorted(set(self.table.select(pl.concat_str("measure", pl.lit(" "), "variant"))["measure"]))
            raise InputError(f"no rows {measure!r} {variant!r} here: expected one of {', '.join(told)}")
        return rows.pivot("stage", index="source_stage", values="estimate")


def survival(
    lineage: Lineage,
    concept: Concept | str | Path,
    *,
    site: str = "resid_post",
    position: str = "mean",
    estimator: str = "logistic",
    store: Store | str | Path | None = None,
    backend: BackendName = "transformers",
    render: str = "shared",
    truncate: bool = False,
    device: str = "auto",
    dtype: str = "float32",
    seed: int = 0,
    progress: bool = True,
) -> Survival:
    """Every stage of `lineage` against every stage, for the `core` of one concept.

    Stages are loaded one at a time. See `Survival` for the rows, `probes.extract` for the options of
    reading, and methods in Glass et al. 2026 for why frozen, refit and causal are told apart.

    Raises InputError for fewer than two stages, and what loading, extraction and probing raise.
    """
    if len(lineage) < 2:
        raise InputError(
            f"survival compares stages, and lineage {lineage.name!r} has {len(lineage)}: give at least 2"
        )
    concept = (concept if isinstance(concept, Concept) else load_concept(concept)).core
    store = Store(store) if isinstance(store, str | Path) else store
    readings = {}
    for stage in lineage:
        readings[stage.name] = read_stage(
            stage.load(device=device, dtype=dtype),
            concept,
            site=site,
            position=position,
            estimator=estimator,
            store=store,
            backend=backend,
            render=render,
            truncate=truncate,
            baselines=False,
            seed=seed,
            progress=progress,
        )
    return Survival(compare(readings, seed=seed), readings, {s.name: s.parent for s in lineage})
