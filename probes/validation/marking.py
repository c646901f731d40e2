"""What a table of answers comes to: how many are right, and how often something was wrongly called
internal."""

from __future__ import annotations

from typing import Any

import polars as pl
from scipy.stats import binomtest

from probes.stats.estimates import LEVEL
from probes.validation.question import HALVES

UNUSED = ("absent", "surface", "represented")
"""The answers that are right where a key certifies that choices do not use a concept."""
PIPELINES = ("accuracy_alone", "split_alone", "steering_alone")
"""The columns of usual pipelines that sit the exam too."""


def marks(answers: pl.DataFrame, half: str = HALVES[1]) -> pl.DataFrame:
    """Count the right answers, and the false `internal`s, of one half of the exam.

    Parameters
    ----------
    answers : a table with the columns of `probes.validation.answers.ANSWERS`.
    half : "held out" (default), or "set", whose answers were seen when the thresholds were set.

    Returns
    -------
    One row a mark. `exam` says which answers are meant ("verdict" are those on organisms, "real" those on
    real weights, of which the uncertified are left out, "change" those on changed blocks) and `truth` what
    was true of them (null: anything). `measure` says what is counted: `right`, or `false internal`, which is
    how often something that is not internal was called internal, by the toolkit's verdict or by a usual
    pipeline. This holds for `k` of `n` answers; `estimate` is their share, and `ci_low` to `ci_high` its
    exact 95% interval (Clopper and Pearson 1934, doi:10.1093/biomet/26.4.404).

    Example
    -------
    >>> from probes.validation import marks
    >>> from probes.validation.answers import answers_table
    >>> row = {"exam": "verdict", "half": "held out", "truth": "surface", "answer": "surface"}
    >>> table = marks(answers_table([row] * 19 + [row | {"answer": "internal"}]))
    >>> table.filter(exam="verdict").select("measure", "k", "n", "ci_high").rows()
    [('right', 19, 20, 0.999), ('right', 19, 20, 0.999), ('false internal', 1, 20, 0.249)]
    """
    answers = answers.filter(pl.col("half") == half)
    rows = []
    certified = answers.filter(pl.col("truth").ne_missing("uncertified"))
    for exam in certified["exam"].unique(maintain_order=True):
        of_exam = certified.filter(pl.col("exam") == exam)
        unused = (of_exam["truth"] == "unused") & of_exam["answer"].is_in(UNUSED)
        right = ((of_exam["answer"] == of_exam["truth"]) | unused).fill_null(False)
        rows.append(_mark(exam, None, "right", right))
        for truth in of_exam["truth"].unique(maintain_order=True) if exam != "change" else ():
            rows.append(_mark(exam, truth, "right", right.filter(of_exam["truth"] == truth)))
    for exam, prefix in (("verdict", ""), ("real", "real ")):
        others = certified.filter((pl.col("exam") == exam) & (pl.col("truth") != "internal"))
        if others.height:
            rows.append(_mark(exam, None, "false internal", others["answer"] == "internal"))
            for pipeline in PIPELINES:
                called = others[pipeline].fill_null(False)
                rows.append(_mark(f"{prefix}{pipeline}", None, "false internal", called))
    return pl.DataFrame(rows)


def _mark(exam: str, truth: str | None, measure: str, hits: pl.Series) -> dict[str, Any]:
    """One row: how many of the answers are hits, and their share with its interval."""
    k, n = int(hits.sum()), len(hits)
    interval = binomtest(k, n).proportion_ci(LEVEL, method="exact")
    return {
        "exam": exam,
        "truth": truth,
        "measure": measure,
        "k": k,
        "n": n,
        "estimate": k / n,
        "ci_low": interval.low,
        "ci_high": interval.high,
    }
