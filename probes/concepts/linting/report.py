"""What the lint hands back: findings, each with the rows that offend and what to do; the surface table."""

from __future__ import annotations

import html
from dataclasses import asdict, dataclass, field
from typing import Any

import polars as pl

from probes.tables.result import Result

SURFACE_SCHEMA: dict[str, Any] = {
    "concept": pl.String,
    "rows": pl.String,  # pairs | attribute pairs | norm pairs | choice options
    "axis": pl.String,  # canonical, or the shift axis
    "value": pl.String,  # where along the axis; null = the whole axis
    "surface": pl.String,  # word_ngrams | char_ngrams | length
    "auroc": pl.Float64,
    "ci_low": pl.Float64,  # 95% interval over pairs, or items
    "ci_high": pl.Float64,
    "n_pairs": pl.Int64,
    "trained_on": pl.String,  # train+select, or folds where the rows have no splits
    "leaks": pl.Boolean,
}


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong, the rows where it is (one line each), and how to mend it."""

    check: str
    what: str
    fix: str
    offenders: tuple[str, ...] = ()

    def lines(self, shown: int = 5) -> list[str]:
        """As printed: what is wrong, the first `shown` offenders and the number of the rest, what to do."""
        told = [f"{self.check}: {self.what}", *(f"    {line}" for line in self.offenders[:shown])]
        if len(self.offenders) > shown:
            told.append(f"    and {len(self.offenders) - shown} more")
        return [*told, f"  do: {self.fix}"]


@dataclass(frozen=True, repr=False)
class LintReport(Result):
    """What `lint` found in one concept.

    `table`: one row per surface classifier and part that it was tested on, in the columns of
    `SURFACE_SCHEMA`. `notes` say what could not be checked, and why; they do not fail a concept.
    """

    concept: str
    findings: tuple[Finding, ...]
    notes: tuple[str, ...]
    table: pl.DataFrame = field(repr=False)

    @property
    def passed(self) -> bool:
        """Whether nothing was found."""
        return not self.findings

    def text(self, shown: int = 5) -> str:
        """The report as the command line prints it, `shown` offenders of each finding."""
        verdict = "passed" if self.passed else f"{len(self.findings)} findings"
        lines = [f"{self.concept}: {verdict}"]
        for finding in self.findings:
            lines += [f"  {line}" for line in finding.lines(shown)]
        lines += [f"  note: {note}" for note in self.notes]
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Everything, every offender included, ready for JSON."""
        return {
            "concept": self.concept,
            "passed": self.passed,
            "findings": [asdict(finding) for finding in self.findings],
            "notes": list(self.notes),
            "surface": self.table.to_dicts(),
        }

    def __repr__(self) -> str:
        return f"LintReport({self.concept!r}, {len(self.findings)} findings)"

    def __str__(self) -> str:
        return self.text()

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(self.text())}</pre>{self.table._repr_html_()}"
