"""A concept at a stage against the same concept at an earlier stage: the numbers, and their table."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import polars as pl

from probes.stats.estimates import Estimate

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
