"""Rows out of whatever people hold tables in, without importing the library it came from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import polars as pl

from probes.errors import ConceptError


def table_rows(table: Any) -> list[dict[str, Any]]:
    """One dict per row of a polars or pandas frame, a Hugging Face dataset, anything with `to_pandas`, or an
    iterable of mappings. A missing value (null, NaN) is None.

    Raises ConceptError for anything else, naming the splits when a dict of splits was given.
    """
    if isinstance(table, pl.DataFrame):
        return table.to_dicts()
    if isinstance(table, Mapping):
        raise ConceptError(
            f"got a {type(table).__name__} with {', '.join(map(str, table)) or 'nothing'}: "
            "expected one table; pass one of its splits"
        )
    rows: list[Any] = [table]
    if hasattr(table, "iterrows"):  # pandas
        rows = table.to_dict("records")
    elif isinstance(table, Iterable) and not isinstance(table, (str, bytes)):
        rows = list(table)
    elif to_pandas := getattr(table, "to_pandas", None):
        rows = to_pandas().to_dict("records")
    for number, row in enumerate(rows, 1):
        if not isinstance(row, Mapping):
            raise ConceptError(
                f"row {number} is a {type(row).__name__}: expected a polars or pandas frame, a Hugging Face "
                "dataset, or an iterable of dicts"
            )
    return [{key: _present(value) for key, value in row.items()} for row in rows]


def _present(value: Any) -> Any:
    return None if isinstance(value, float) and value != value else value
