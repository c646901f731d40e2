"""The tests behind a verdict as they were measured: a table with one row a test, which is judged later."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from typing import Any, Literal

import polars as pl

from probes.stats.estimates import Estimate
from probes.tables.schema import interval_columns

TestName = Literal[
    "competent",
    "decodable",
    "beyond_surface",
    "shift",
    "followed",
    "principled",
    "string",
    "used",
    "specific",
    "necessary",
    "masked",
]

USE: tuple[TestName, ...] = ("followed", "used", "specific", "necessary")
"""The tests of whether choices use a concept, in the order in which one needs another."""

TESTS: dict[str, Any] = {
    "lineage": pl.String,
    "stage": pl.String,
    "concept": pl.String,
    "test": pl.String,  # one of `TestName`
    "estimate": pl.Float64,  # null where the test was not made; `reason` says why
    "ci_low": pl.Float64,
    "ci_high": pl.Float64,
    "n": pl.Int64,  # independent units behind the estimate: pairs, templates or choice items
    "p": pl.Float64,  # before any correction for other tests
    "chance": pl.Float64,  # lower limit of the share of random subspaces with as large an effect
    "layer": pl.Int64,
    "axis": pl.String,  # shift axis
    "against": pl.String,  # what it was compared with: a surface baseline, another concept
    "role": pl.String,  # the tokens whose states were exchanged: evidence | options | after | last
    "variant": pl.String,  # the direction or subspace that was exchanged
    "n_layers": pl.Int64,  # layers that the best was chosen from
    "n_random": pl.Int64,  # random subspaces it was compared with
    "kl": pl.Float64,  # what the intervention does to neutral text: KL in nats per token
    "items": pl.String,  # which choice items were used, in words
    "reason": pl.String,  # why the test was not made
}
"""The columns of `tests.parquet` and of `probes.measure.StageMeasurement.tests`."""


@dataclass(frozen=True)
class MeasuredTest:
    """One test of one concept at one stage. The fields are explained at `TESTS`, the columns of its table.

    Example
    -------
    >>> MeasuredTest("decodable", Estimate(0.9, 0.8, 0.95, n=40), p=0.002, layer=12).row()["estimate"]
    0.9
    """

    test: TestName
    estimate: Estimate | None = None
    p: float | None = None
    chance: float | None = None
    layer: int | None = None
    axis: str | None = None
    against: str | None = None
    role: str | None = None
    variant: str | None = None
    n_layers: int | None = None
    n_random: int | None = None
    kl: float | None = None
    items: str | None = None
    reason: str | None = None

    def row(self) -> dict[str, Any]:
        """The row of the table `TESTS`, without lineage, stage and concept."""
        row = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "estimate"}
        if self.estimate is not None:
            row |= interval_columns(self.estimate, count="n")
        return row


def tests_table(tests: Iterable[MeasuredTest], **names: str | None) -> pl.DataFrame:
    """The tests of one concept at one stage as a table in the columns `TESTS`.

    Parameters
    ----------
    names : the values of the columns lineage, stage and concept.

    Example
    -------
    >>> skipped = MeasuredTest("masked", reason="the concept marks no evidence")
    >>> tests_table([skipped], stage="base", concept="prices").select("test", "reason").rows()
    [('masked', 'the concept marks no evidence')]
    """
    return pl.DataFrame([dict.fromkeys(TESTS) | names | test.row() for test in tests], schema=TESTS)


def measured_tests(table: pl.DataFrame) -> Iterator[MeasuredTest]:
    """The tests that a table in the columns `TESTS` holds, in its order."""
    names = [field.name for field in fields(MeasuredTest) if field.name != "estimate"]
    for row in table.iter_rows(named=True):
        made = row["estimate"] is not None
        estimate = Estimate(row["estimate"], row["ci_low"], row["ci_high"], row["n"]) if made else None
        yield MeasuredTest(estimate=estimate, **{name: row[name] for name in names})
