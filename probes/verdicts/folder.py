"""`judge_folder`: judges a survey's folder again, under other criteria and without a model."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from probes.errors import InputError
from probes.tables.comparisons import COMPARISONS
from probes.tables.tests import TESTS
from probes.verdicts.criteria import CRITERIA, Criteria
from probes.verdicts.summary import judge_all, verdict_table


def judge_folder(folder: str | Path, criteria: Criteria = CRITERIA) -> pl.DataFrame:
    """Judge again what a survey measured.

    Tests that the survey skipped under its own thresholds stay missing, and the verdict says so.

    Parameters
    ----------
    folder : a survey's folder, of which `tests.parquet` and `comparisons.parquet` are read.
    criteria : the thresholds, for example `probes.Criteria.read("criteria.toml")`.

    Returns
    -------
    A table in the columns `probes.verdicts.COLUMNS`, with one row for each concept at each stage.

    Raises
    ------
    InputError : the tables are not there, or have other columns.

    Example
    -------
    >>> from probes.stats.estimates import Estimate
    >>> from probes.tables.tests import MeasuredTest, tests_table
    >>> test = MeasuredTest("decodable", Estimate(0.75, 0.71, 0.79, n=200), p=0.002)
    >>> tests_table([test], stage="base", concept="prices").write_parquet(folder / "tests.parquet")
    >>> pl.DataFrame(schema=COMPARISONS).write_parquet(folder / "comparisons.parquet")
    >>> for criteria in (probes.Criteria(), probes.Criteria(decodable=0.8)):
    ...     probes.judge_folder(folder, criteria).select("stage", "verdict", "decided_by").rows()
    [('base', 'inconclusive', 'shift')]
    [('base', 'absent', 'decodable')]
    """
    tables = []
    for name, schema in (("tests", TESTS), ("comparisons", COMPARISONS)):
        file = Path(folder) / f"{name}.parquet"
        try:
            table = pl.read_parquet(file)
        except (OSError, pl.exceptions.PolarsError) as error:
            raise InputError(
                f"{file} cannot be read ({error}): expected the folder of a survey by version 0.2 or later"
            ) from None
        if name == "tests" and "items" not in table.columns:  # a folder of before there was this column
            table = table.with_columns(items=pl.lit(None, pl.String))
        if missing := [column for column in schema if column not in table.columns]:
            raise InputError(f"{file}: no column {missing[0]!r}: expected {', '.join(schema)}")
        tables.append(table.select(list(schema)))
    return verdict_table(judge_all(*tables, criteria=criteria))
