"""Verdicts of a whole run: p-values corrected over everything judged together, one row a concept x stage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from probes.measure.assess import Assessment
from probes.verdicts.criteria import CRITERIA, Criteria
from probes.verdicts.survival import Fate
from probes.verdicts.verdict import LADDER, Verdict, correct, judge

TESTS = tuple(name for tests, _ in LADDER for name in tests)
COLUMNS: dict[str, Any] = {
    "lineage": pl.String,
    "stage": pl.String,
    "concept": pl.String,
    "verdict": pl.String,  # absent | surface | represented | internal | inconclusive
    "survival": pl.String,  # of the parent's direction: persists | rotated | faded | lost | inconclusive
    "origin": pl.String,  # of what can be read: made here | inherited | strengthened | weakened | ...
    "role_origin": pl.String,  # the same of what a push does
    "decided_by": pl.String,
    "n_to_settle": pl.Int64,  # pairs or items that would settle an inconclusive verdict
    "n_pairs": pl.Int64,
    "n_seeds": pl.Int64,
    **{f"{test}{part}": pl.Float64 for test in TESTS for part in ("", "_low", "_high", "_p")},
    "evidence": pl.String,  # every finding, for and against, in words
}


@dataclass(frozen=True)
class Judged:
    """An assessment with its verdict under corrected p-values, and the fate of the parent's direction."""

    assessment: Assessment
    verdict: Verdict
    fate: Fate | None

    def row(self) -> dict[str, Any]:
        """One row of `verdict_table`. Of a test on several axes the worst is told."""
        told, acts = self.verdict, self.assessment.reading.activations
        numbers: dict[str, Any] = {}
        for finding in sorted(told.findings, key=lambda finding: -finding.estimate.value):
            e = finding.estimate
            parts = zip(("", "_low", "_high", "_p"), (e.value, e.low, e.high, finding.p), strict=True)
            numbers |= {finding.test + part: value for part, value in parts}
        origin = self.assessment.origin
        decodable = [finding for finding in told.findings if finding.test == "decodable"]
        return {
            "lineage": acts.lineage,
            "stage": acts.stage,
            "concept": acts.concept,
            "verdict": told.label,
            "survival": self.fate.label if self.fate else None,
            "origin": origin["decodable"].label if "decodable" in origin else None,
            "role_origin": origin["sufficient"].label if "sufficient" in origin else None,
            "decided_by": told.decided_by,
            "n_to_settle": told.n_to_settle,
            "n_pairs": decodable[0].estimate.n,
            "n_seeds": 1,
            "evidence": self.evidence,
            **numbers,
        }

    @property
    def evidence(self) -> str:
        """The findings for, against and open, the origins, and the fate with what decided it."""
        lines = [str(self.verdict)]
        lines += [f"  note: {note}" for note in self.assessment.notes]
        lines += [f"  origin of {name}: {told.label}" for name, told in self.assessment.origin.items()]
        if self.fate:
            lines.append(f"  the parent's direction {self.fate.label} (decided by {self.fate.decided_by})")
            lines += [
                f"  {finding.outcome:<8} {finding}"
                for finding in self.fate.findings
                if finding.test != "decodable"
            ]
        return "\n".join(lines)


def judge_all(
    assessments: Sequence[Assessment],
    fates: Mapping[tuple[str, str], Fate] | None = None,
    criteria: Criteria = CRITERIA,
) -> list[Judged]:
    """Verdicts under p-values corrected over all `assessments`, test by test (Benjamini & Hochberg 1995).

    `fates` maps (stage, concept) to the fate of the parent's direction there.
    """
    keys = {f"{i}": one for i, one in enumerate(assessments)}
    corrected = correct({key: one.verdict.findings for key, one in keys.items()}, criteria.alpha)
    return [
        Judged(one, judge(corrected[key]), (fates or {}).get((one.reading.stage, one.reading.concept)))
        for key, one in keys.items()
    ]


def verdict_table(judged: Sequence[Judged]) -> pl.DataFrame:
    """One row a concept x stage, in the columns of `COLUMNS`; what was not measured is null."""
    rows = [dict.fromkeys(COLUMNS) | one.row() for one in judged]
    return pl.DataFrame(rows, schema=COLUMNS)
