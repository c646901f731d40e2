"""One stage's probe at a later stage: unchanged, fitted anew, and moved there by an alignment."""

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
from probes.tables.schema import interval_columns

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
"""The columns of the table of comparisons between a stage and its parent."""


@dataclass(frozen=True)
class Comparison:
    """A concept at a stage compared with the same concept at an earlier stage.

    All quantities are on the same test pairs or choice items. Those that use the earlier stage's probe take
    the one of the layer that was chosen at the earlier stage.
    """

    source: Estimate
    """The AUROC of the earlier stage's probe at the earlier stage."""
    refit: Estimate
    """The AUROC of a probe fitted at the later stage, at the same layer."""
    refit_drop: Estimate
    """`source` minus `refit`."""
    frozen: Estimate
    """The AUROC of the earlier stage's probe, unchanged, at the later stage."""
    frozen_gap: Estimate
    """`refit` minus `frozen`."""
    kept: Estimate
    """The gap between the classes in the unchanged probe's scores at the later stage, as a share of that gap
    at the earlier stage."""
    realigned: Estimate | None = None
    """The same share after the stages were aligned on neutral text; None where they were not aligned."""
    turned: float | None = None
    """The cosine between the direction and its image under the alignment; None where they were not
    aligned."""
    change_decodable: Estimate | None = None
    """The AUROC of each stage's own best probe, later minus earlier."""
    change_sufficient: Estimate | None = None
    """The effect of adding each stage's own direction, later minus earlier; None where it was not
    measured."""

    def rows(self, **names: str | None) -> list[dict[str, Any]]:
        """One row of the table `COMPARISONS` for each quantity; `names` are its first four columns.

        Example
        -------
        >>> same = Estimate(1.0, 0.9, 1.0, n=8)
        >>> change = Estimate(0.0, 0.0, 0.0, n=8)
        >>> comparison = Comparison(same, same, change, same, change, same)
        >>> [row["quantity"] for row in comparison.rows(stage="mid", source_stage="base")]
        ['source', 'refit', 'refit_drop', 'frozen', 'frozen_gap', 'kept']
        """
        rows = []
        for field in fields(self):
            value = getattr(self, field.name)
            if value is None:
                continue
            row: dict[str, Any] = dict.fromkeys(COMPARISONS) | names | {"quantity": field.name}
            if isinstance(value, Estimate):
                columns = interval_columns(value)
                row |= {"n": columns.pop("n_pairs")} | columns
            else:
                row["estimate"] = value
            rows.append(row)
        return rows

    @classmethod
    def from_rows(cls, rows: pl.DataFrame) -> Comparison:
        """The comparison that the rows of one concept at one stage were made from."""
        values: dict[str, Any] = {}
        for row in rows.iter_rows(named=True):
            estimate = Estimate(row["estimate"], row["ci_low"], row["ci_high"], row["n"] or 0)
            values[row["quantity"]] = row["estimate"] if row["quantity"] == "turned" else estimate
        return cls(**values)


def compare_with(later: StageMeasurement, earlier: StageMeasurement) -> Comparison:
    """Compare a concept at a stage with the same concept at an earlier stage.

    All AUROCs are on the same test pairs, and differences are taken pair by pair. For the quantity
    `realigned`, the earlier stage's probe keeps its weights and gets the later stage's activations after they
    were rotated into the earlier stage's space (orthogonal Procrustes, Schönemann 1966,
    doi:10.1007/BF02289451).

    Parameters
    ----------
    later, earlier : measurements of one concept at the two stages. For an alignment both must hold the
        neutral activations at the layer that was chosen at the earlier stage (see `sources` of
        `probes.measure.measure_stage`). Without an alignment, a direction whose frozen probe fails cannot be
        called rotated or lost.

    Raises
    ------
    InputError : the two stages were not measured on the same pairs.

    Example
    -------
    >>> from probes.measure import Plan, measure_stage
    >>> plan = Plan(items=0, baselines=False, tests=False, alignment_texts=())
    >>> mid, copy = (
    ...     measure_stage(lineage[name], [concept], plan, progress=False)["prices"]
    ...     for name in ("mid", "copy")
    ... )
    >>> comparison = compare_with(copy, mid)  # the same weights: the probe keeps its whole margin
    >>> round(comparison.kept.value, 3), comparison.realigned
    (1.0, None)
    """
    before, after = earlier.activations, later.activations
    if not np.array_equal(before.groups, after.groups) or not np.array_equal(before.labels, after.labels):
        raise InputError(
            f"{earlier.stage} and {later.stage} were measured on different pairs of {later.concept!r}: "
            "measure both on the same pairs"
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
        """The AUROC of one row of scores, or of one minus another."""
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
    """The comparisons of several stages with earlier ones, in one table.

    Parameters
    ----------
    pairs : (later, earlier) measurements, each pair of one concept.

    Returns
    -------
    A table in the columns `COMPARISONS`: one row for each quantity of each comparison.

    Raises
    ------
    As `compare_with` does.

    Example
    -------
    >>> from probes.measure import Plan, measure_stage
    >>> plan = Plan(items=0, baselines=False, tests=False, alignment_texts=())
    >>> base, mid = (
    ...     measure_stage(lineage[name], [concept], plan, progress=False)["prices"]
    ...     for name in ("base", "mid")
    ... )
    >>> comparison_table([(mid, base)])["quantity"].to_list()
    ['source', 'refit', 'refit_drop', 'frozen', 'frozen_gap', 'kept', 'change_decodable']
    """
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
