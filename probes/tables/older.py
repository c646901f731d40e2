"""Names that columns had in older versions, so that folders written then can still be read.

A name is kept here for one version after it changed.
"""

from __future__ import annotations

import polars as pl

RENAMED = {"role_origin": "effect_origin"}
"""Older name -> today's, of `verdicts.parquet`; both since 0.2."""


def with_current_names(table: pl.DataFrame) -> pl.DataFrame:
    """The table with today's names in place of older ones.

    Example
    -------
    >>> with_current_names(pl.DataFrame({"role_origin": ["inherited"]})).columns
    ['effect_origin']
    """
    return table.rename({old: new for old, new in RENAMED.items() if old in table.columns})
