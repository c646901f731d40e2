"""What the lint returns: issues, each with the rows that offend and what to do, and the surface table."""

from __future__ import annotations

import html
from dataclasses import asdict, dataclass, field
from typing import Any

import polars as pl

from probes.tables.result import Result

SURFACE_SCHEMA: dict[str, Any] = {
    "concept": pl.String,
    "rows": pl.String,  # pairs | attribute pairs | norm pairs | choice options
    "axis": pl.String,  # canonical | one of the shift axes
    "value": pl.String,  # where on the axis; null means the whole axis
    "surface": pl.String,  # word_ngrams | char_ngrams | length
    "auroc": pl.Float64,
    "ci_low": pl.Float64,  # 95% interval over pairs, or items
    "ci_high": pl.Float64,
    "n_pairs": pl.Int64,
    "trained_on": pl.String,  # train+select | folds, where the rows have no splits
    "leaks": pl.Boolean,  # whether this classifier tells the labels apart
}


@dataclass(frozen=True)
class LintIssue:
    r"""One thing that is wrong with a concept.

    Parameters
    ----------
    check : str
        The check that found it: "structure", "sides", "duplicates", "evidence", "balance", "surface" or
        "length".
    what : str
        What is wrong.
    fix : str
        What to do about it.
    offenders : tuple of str
        The rows in which it is wrong, one line each.

    Example
    -------
    >>> issue = LintIssue("sides", "pairs that lack a side", "write the other side", ("p1", "p2", "p3"))
    >>> print("\n".join(issue.lines(shown=2)))
    sides: pairs that lack a side
        p1
        p2
        and 1 more
      do: write the other side
    """

    check: str
    what: str
    fix: str
    offenders: tuple[str, ...] = ()

    def lines(self, shown: int = 5) -> list[str]:
        """The issue as it is printed, with the first `shown` offenders and the number of the others."""
        lines = [f"{self.check}: {self.what}", *(f"    {line}" for line in self.offenders[:shown])]
        if len(self.offenders) > shown:
            lines.append(f"    and {len(self.offenders) - shown} more")
        return [*lines, f"  do: {self.fix}"]


@dataclass(frozen=True, repr=False)
class LintReport(Result):
    """What `probes.lint` found in one concept.

    Attributes
    ----------
    concept : str
        The name of the concept.
    findings : tuple of LintIssue
        What is wrong.
    notes : tuple of str
        What could not be checked, and why. Notes do not make a concept fail.
    table : polars.DataFrame
        One row for each surface classifier and each part of the concept that it was tested on, in the columns
        of `SURFACE_SCHEMA`.

    Example
    -------
    >>> report = probes.lint([{"text": "a hat", "label": 1}, {"text": "no hat", "label": 0}])
    >>> report.passed, sorted(report.to_dict())
    (True, ['concept', 'findings', 'notes', 'passed', 'surface'])
    """

    concept: str
    findings: tuple[LintIssue, ...]
    notes: tuple[str, ...]
    table: pl.DataFrame = field(repr=False)

    @property
    def passed(self) -> bool:
        """Whether nothing is wrong."""
        return not self.findings

    def text(self, shown: int = 5) -> str:
        """The report as the command line prints it, with `shown` offenders of each issue.

        Example
        -------
        >>> probes.lint([{"text": "a hat", "label": 1}, {"text": "no hat", "label": 0}]).text()
        'concept: passed...'
        """
        verdict = "passed" if self.passed else f"{len(self.findings)} findings"
        lines = [f"{self.concept}: {verdict}"]
        for issue in self.findings:
            lines += [f"  {line}" for line in issue.lines(shown)]
        lines += [f"  note: {note}" for note in self.notes]
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """The whole report, with every offender, ready for JSON.

        Example
        -------
        >>> probes.lint([{"text": "a hat", "label": 1}, {"text": "no hat", "label": 0}]).to_dict()["passed"]
        True
        """
        return {
            "concept": self.concept,
            "passed": self.passed,
            "findings": [asdict(issue) for issue in self.findings],
            "notes": list(self.notes),
            "surface": self.table.to_dicts(),
        }

    def __repr__(self) -> str:
        return f"LintReport({self.concept!r}, {len(self.findings)} findings)"

    def __str__(self) -> str:
        return self.text()

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(self.text())}</pre>{self.table._repr_html_()}"
