"""`judge_folder`: the verdicts of a survey's folder again, under other criteria; no model is needed."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from probes.errors import InputError
from probes.tables.comparisons import COMPARISONS
from probes.tables.tests import TESTS
from probes.verdicts.criteria import CRITERIA, Criteria
from probes.verdicts.summary import judge_all, verdict_table


def judge_folder(folder: str | Path, criteria: Criteria = CRITERIA) -> pl.DataFrame:
    """Judge what a survey measured again.

    Tests that the survey's plan saved because of its own thresholds stay missing, with that reason.

    Parameters
    ----------
    folder : a survey's folder; `tests.parquet` and `comparisons.parquet` are read.
    criteria : thresholds, for example `probes.Criteria.read("criteria.toml")`.

    Returns
    -------
    One row a concept x stage, in the columns of `probes.verdicts.COLUMNS`.

    Raises
    ------
    InputError : the tables are not there, or have other columns.
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
        if missing := [column for column in schema if column not in table.columns]:
            raise InputError(f"{file}: no column {missing[0]!r}: expected {', '.join(schema)}")
        tables.append(table.select(list(schema)))
    return verdict_table(judge_all(*tables, criteria=criteria))
