"""One stage's direction at a later stage: unchanged, refitted, and carried over by an alignment."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import polars as pl

from probes.errors import InputError
from probes.measure import StageMeasurement
from probes.measure.decodability import units_of
from probes.probing import split_rows
from probes.probing.frozen_scores import margin_kept
from probes.stats.alignment import procrustes
from probes.stats.contrasts import beyond
from probes.stats.estimates import Estimate
from probes.stats.jackknife import Tested, auroc_contrast, mean_contrast

COMPARISONS: dict[str, Any] = {
    "lineage": pl.String,
    "stage": pl.String,  # the later stage
    "source_stage": pl.String,  # the earlier one, whose probe and direction are followed
    "concept": pl.String,
    "quantity": pl.String,  # a field of `Comparison`
    "estimate": pl.Float64,
    "ci_low": pl.Float64,
    "ci_high": pl.Float64,
    "n": pl.Int64,
}
"""Columns of the table of comparisons between a stage and its parent."""


@dataclass(frozen=True)
class Comparison:
    """A concept at a stage against an earlier one, all on the same test pairs or choice items.

    The first two are changes, of what can be read and of what adding the direction does. The others follow
    the earlier stage's probe, at the layer that was chosen there.
    """

    source: Estimate
    """AUROC of the earlier stage's probe at the earlier stage."""
    refit: Estimate
    """AUROC of a probe fitted at the later stage."""
    refit_drop: Estimate
    """`source` minus `refit`."""
    frozen: Estimate
    """AUROC of the earlier stage's probe, unchanged, at the later stage."""
    frozen_gap: Estimate
    """`refit` minus `frozen`."""
    kept: Estimate
    """The gap between the classes in the unchanged probe's scores, as a share of that gap before."""
    realigned: Estimate | None = None
    """The same share after an orthogonal alignment on neutral text; None where none was made."""
    turned: float | None = None
    """Cosine between the direction and what the alignment makes of it; None where none was made."""
    change_decodable: Estimate | None = None
    """AUROC of each stage's own probe, later minus earlier."""
    change_sufficient: Estimate | None = None
    """Effect of adding each stage's own direction, later minus earlier; None where it was not measured."""

    def rows(self, **names: str | None) -> list[dict[str, Any]]:
        """Rows of the table `COMPARISONS`; `names` are lineage, stage, source_stage and concept."""
        rows = []
        for field in fields(self):
            value = getattr(self, field.name)
            if value is None:
                continue
            row: dict[str, Any] = dict.fromkeys(COMPARISONS) | names | {"quantity": field.name}
            if isinstance(value, Estimate):
                row |= {"estimate": value.value, "ci_low": value.low, "ci_high": value.high, "n": value.n}
            else:
                row["estimate"] = value
            rows.append(row)
        return rows

    @classmethod
    def from_rows(cls, rows: pl.DataFrame) -> Comparison:
        """The comparison that `rows` of one concept and stage were made of."""
        values: dict[str, Any] = {}
        for row in rows.iter_rows(named=True):
            estimate = Estimate(row["estimate"], row["ci_low"], row["ci_high"], row["n"] or 0)
            values[row["quantity"]] = row["estimate"] if row["quantity"] == "turned" else estimate
        return cls(**values)


def compare_with(later: StageMeasurement, earlier: StageMeasurement) -> Comparison:
    """Compare a concept at a stage with the same concept at an earlier stage.

    Both need the neutral activations at the layer chosen at the earlier stage for an alignment (see `sources`
    of `probes.measure.measure_stage`); without them a direction that no longer reads cannot be called
    rotated or lost.

    All AUROCs are on the same test pairs and compared pair by pair. The aligned probe keeps its weights and
    is given the later stage's activations turned into the earlier stage's space (orthogonal Procrustes).

    Raises InputError when the two stages were not measured on the same pairs.
    """
    before, after = earlier.activations, later.activations
    if not np.array_equal(before.groups, after.groups) or not np.array_equal(before.labels, after.labels):
        raise InputError(
            f"{earlier.stage} and {later.stage} were measured on different pairs of {later.concept!r}: "
            "expected the same"
        )
    layer = earlier.layer
    test = split_rows(before, earlier.seed).test
    labels = np.asarray(before.labels).astype(int)[test]
    units = units_of(before, earlier.facts["groups"])[test]
    probe, own = earlier.sweep.probes[layer], later.sweep.probes[layer]
    values = after.values[after.layers.index(layer)][test].astype(np.float64)
    source = probe.decision_function(before.values[before.layers.index(layer)][test].astype(np.float64))
    refit, frozen = own.decision_function(values), probe.decision_function(values)

    def contrast(*rows: np.ndarray) -> Tested:
        """AUROC of one row, or of one minus another."""
        return auroc_contrast(rows, [1, -1][: len(rows)], labels, units, null=0.5 if len(rows) == 1 else 0.0)

    realigned = turned = None
    site = earlier.sweep.best.direction.site
    if site in earlier.neutral and site in later.neutral:
        back = procrustes(later.neutral[site], earlier.neutral[site])
        vector = np.asarray(earlier.sweep.best.direction.vector, dtype=np.float64)
        turned = float(vector @ back.directions(vector))
        realigned = margin_kept(probe.decision_function(back.activations(values)), source, labels, units)
    effects, effects_before = later.effects, earlier.effects
    change_sufficient = None
    if effects is not None and effects_before is not None:
        change_sufficient = mean_contrast([effects, effects_before], [1, -1], np.arange(len(effects)))
    return Comparison(
        source=contrast(source),
        refit=contrast(refit),
        refit_drop=contrast(source, refit),
        frozen=contrast(frozen),
        frozen_gap=contrast(refit, frozen),
        kept=margin_kept(frozen, source, labels, units),
        realigned=realigned,
        turned=turned,
        change_decodable=beyond(later.scores[test], earlier.scores[test], labels, units),
        change_sufficient=change_sufficient,
    )


def comparison_table(pairs: list[tuple[StageMeasurement, StageMeasurement]]) -> pl.DataFrame:
    """The table `COMPARISONS` of (later, earlier) measurements of one concept each."""
    rows = []
    for later, earlier in pairs:
        names = {
            "lineage": later.activations.lineage,
            "stage": later.stage,
            "source_stage": earlier.stage,
            "concept": later.concept,
        }
        rows += compare_with(later, earlier).rows(**names)
    return pl.DataFrame(rows, schema=COMPARISONS)
