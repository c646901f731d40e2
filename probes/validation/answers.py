"""The table of the exam's answers: one row an answer beside the truth, kept in a file as answers come in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import polars as pl

from probes.errors import InputError
from probes.tables.writing import write_table
from probes.verdicts import DirectionSurvival

ANSWERS: dict[str, Any] = {
    "exam": pl.String,  # verdict | origin | survival, of organisms; real, of minimal pairs in a real model;
    # change, of blocks whose weights were exchanged
    "half": pl.String,  # set | held out
    "kind": pl.String,  # of the organism, its later stage where survival is asked, "transform", or the pairs
    "size": pl.String,  # of the organism, or the real stage
    "seed": pl.Int64,
    "stage": pl.String,
    "truth": pl.String,
    "answer": pl.String,
    "decided_by": pl.String,
    "accuracy_alone": pl.Boolean,  # whether usual pipelines call it internal
    "split_alone": pl.Boolean,
    "steering_alone": pl.Boolean,
    "attempts": pl.Int64,  # trainings until the organism was admitted
    "evidence": pl.String,
}
"""Columns of a table of answers, with their types."""
_OLDER_EXAMS = {"fate": "survival"}
"""Names of exams in tables that were written by version 0.1."""


def answers_table(rows: Iterable[Mapping[str, Any]] = ()) -> pl.DataFrame:
    """Answers in the columns of `ANSWERS`; what a row does not hold is null."""
    return pl.DataFrame([dict.fromkeys(ANSWERS) | dict(row) for row in rows], schema=ANSWERS)


def read_answers(file: str | Path) -> pl.DataFrame:
    """Read a table of answers, also one whose exams have the names of an older version.

    Raises
    ------
    InputError : the file is not a table of answers.

    Example
    -------
    >>> from probes.validation.answers import answers_table, read_answers
    >>> older = answers_table([{"exam": "fate", "truth": "lost", "answer": "lost"}])
    >>> older.write_parquet(folder / "answers.parquet")
    >>> read_answers(folder / "answers.parquet").select("exam", "truth").rows()
    [('survival', 'lost')]
    """
    try:
        table = pl.read_parquet(file).select(list(ANSWERS))
    except (OSError, pl.exceptions.PolarsError) as error:
        raise InputError(f"{file}: no table of answers: {error}; expected what `examine` writes") from None
    return table.with_columns(pl.col("exam").replace(_OLDER_EXAMS))


def survival_answer(survival: DirectionSurvival) -> dict[str, Any]:
    """The columns of an answer that say what became of a direction."""
    return {
        "exam": "survival",
        "answer": survival.label,
        "decided_by": survival.decided_by,
        "evidence": "\n".join(f"{finding.outcome:<8} {finding}" for finding in survival.findings),
    }


class KeptAnswers:
    """Answers as they come in. Where a file is given, what it holds already is read, and it is written again
    after every `add`, so that an exam that was interrupted can go on where it stopped.

    Example
    -------
    >>> from probes.validation.answers import KeptAnswers
    >>> KeptAnswers(folder / "answers.parquet").add([{"exam": "verdict", "seed": 7}])
    >>> KeptAnswers(folder / "answers.parquet").table["seed"].to_list()
    [7]
    """

    def __init__(self, file: str | Path | None = None) -> None:
        self.file = Path(file) if file else None
        self.table = read_answers(self.file) if self.file and self.file.exists() else answers_table()

    def add(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Add answers, and write all of them to the file where there is one."""
        self.table = pl.concat([self.table, answers_table(rows)])
        if self.file:
            write_table(self.table, self.file)
