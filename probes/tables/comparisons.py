"""The comparison of a concept at a stage with the same concept at an earlier stage, and its table."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import polars as pl

from probes.stats.estimates import Estimate
from probes.tables.schema import interval_columns

COMPARISONS: dict[str, Any] = {
    "lineage": pl.String,
    "stage": pl.String,  # the later stage
    "source_stage": pl.String,  # the earlier stage
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

    Example
    -------
    >>> same, change = Estimate(1.0, 0.9, 1.0, n=8), Estimate(0.0, 0.0, 0.0, n=8)
    >>> comparison = Comparison(same, same, change, same, change, kept=same)
    >>> [row["quantity"] for row in comparison.rows(stage="mid", source_stage="base")]
    ['source', 'refit', 'refit_drop', 'frozen', 'frozen_gap', 'kept']
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
    """The cosine between the direction and its image under the alignment; None without an alignment."""
    change_decodable: Estimate | None = None
    """The AUROC of each stage's own best probe, later minus earlier."""
    change_used: Estimate | None = None
    """How far the exchange of each stage's own best subspace moves the choices, later minus earlier, as a
    share of the choice; None where it was not measured at both."""
    change_principled: Estimate | None = None
    """The principled score, later minus earlier, in logits per token; None where it was not measured."""
    change_string: Estimate | None = None
    """The string score, later minus earlier, in logits per token; None where it was not measured."""

    def rows(self, **names: str | None) -> list[dict[str, Any]]:
        """One row of the table `COMPARISONS` for each quantity.

        `names` fills the columns lineage, stage, source_stage and concept.
        """
        rows = []
        for field in fields(self):
            value = getattr(self, field.name)
            if value is None:
                continue
            row: dict[str, Any] = dict.fromkeys(COMPARISONS) | names | {"quantity": field.name}
            if isinstance(value, Estimate):
                row |= interval_columns(value, count="n")
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
