"""The base class of what measuring functions return: a tidy table that knows how to show itself."""

from __future__ import annotations

from typing import Any

import polars as pl

from probes.tables.drawing import drawing


class Result:
    """A measurement with a tidy `.table` (columns: `probes.tables.schema.SCHEMA`).

    In a notebook it is shown as its table without the columns that are empty throughout.
    """

    table: pl.DataFrame

    def figure(self, **options: Any) -> Any:
        """The most telling `probes.figures.Figure` that the table holds the rows for.

        `options` are those of `probes.draw`: `kind`, `stages`, `order`, `title`, `preset`.
        """
        return drawing(self, **options)

    def _repr_html_(self) -> str:
        empty = [c for c in self.table.columns if self.table[c].is_null().all()]
        return self.table.drop(empty)._repr_html_()
