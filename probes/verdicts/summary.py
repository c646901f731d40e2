"""The verdicts of a whole run from its tables: p-values are corrected over all of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from probes.stats.estimates import Estimate
from probes.tables.comparisons import COMPARISONS, Comparison
from probes.tables.schema import interval_columns
from probes.tables.tests import MeasuredTest, measured_tests
from probes.verdicts.criteria import CRITERIA, READING, REPORTED, TESTS, Criteria, Label
from probes.verdicts.origin import Change, Origin, judge_change, judge_origin
from probes.verdicts.survival import DirectionSurvival, judge_survival
from probes.verdicts.verdict import Finding, Verdict, correct, judge

FEW_PAIRS = 20
"""With fewer test pairs than this, a note says that little can be decided."""
COLUMNS: dict[str, Any] = {
    "lineage": pl.String,
    "stage": pl.String,
    "concept": pl.String,
    "verdict": pl.String,  # untestable | absent | surface | represented | internal | inconclusive
    "reading": pl.String,  # what reading alone supports: absent | surface | represented | inconclusive
    "survival": pl.String,  # of the parent's direction: persists | rotated | faded | lost | inconclusive
    "origin": pl.String,  # of what can be read: made here | inherited | strengthened | weakened | ...
    "effect_origin": pl.String,  # the same of whether choices run through it
    "change": pl.String,  # of the choices since the parent: meaning | strings | both | none | unclear
    "decided_by": pl.String,
    "n_to_settle": pl.Int64,  # pairs or items that would settle an inconclusive verdict
    "n_pairs": pl.Int64,
    "n_seeds": pl.Int64,
    **{
        f"{test}{part}": pl.Float64
        for test in (*TESTS, "beyond_surface")
        for part in ("", "_low", "_high", "_p")
    },
    **{
        f"{name}{part}": pl.Float64  # in logits per token; string is the same whatever is asked
        for name in ("string", "change_string", "change_principled")
        for part in ("", "_low", "_high")
    },
    "sentence": pl.String,  # the verdict in one plain sentence
    "evidence": pl.String,  # every finding, for and against, in words
}


@dataclass(frozen=True)
class Judged:
    """The verdict on one concept at one stage, where its findings come from, and what became of the parent's
    direction. `print` shows all of it in words.
    """

    lineage: str | None
    stage: str
    concept: str
    verdict: Verdict
    origins: Mapping[str, Origin]
    """Test -> where its finding comes from, compared with the parent stage."""
    survival: DirectionSurvival | None
    """What became of the parent's direction; None where no parent was measured."""
    notes: tuple[str, ...] = ()
    """What could not be tested, and why."""
    string: Estimate | None = None
    """The string score of the behaviour battery; None where it was not measured."""
    change: Change | None = None
    """What has changed of the choices since the parent; None where that was not measured."""
    reading: Label | None = None
    """The verdict that reading alone supports, whatever the choices do."""

    def __str__(self) -> str:
        lines = [str(self.verdict)]
        lines += [f"  note: {note}" for note in self.notes]
        lines += [f"  origin of {name}: {origin.label}" for name, origin in self.origins.items()]
        if self.change:
            lines.append(f"  {self.change.sentence}")
        if self.survival:
            survival = self.survival
            lines.append(f"  the parent's direction {survival.label} (decided by {survival.decided_by})")
            lines += [f"  {f.outcome:<8} {f}" for f in survival.findings if f.test != "decodable"]
        return "\n".join(lines)

    def row(self) -> dict[str, Any]:
        """The row of `verdict_table`. Of the shift axes it shows the one with the lowest AUROC."""
        numbers: dict[str, Any] = {}
        findings = [finding for finding in self.verdict.findings if finding.test != "string"]
        for finding in sorted(findings, key=lambda finding: -finding.estimate.value):
            columns = interval_columns(finding.estimate)
            values = (columns["estimate"], columns["ci_low"], columns["ci_high"], finding.p)
            numbers |= dict(
                zip((finding.test + part for part in ("", "_low", "_high", "_p")), values, strict=True)
            )
        decodable = [finding for finding in self.verdict.findings if finding.test == "decodable"]
        return {
            "lineage": self.lineage,
            "stage": self.stage,
            "concept": self.concept,
            "verdict": self.verdict.label,
            "reading": self.reading,
            "survival": self.survival.label if self.survival else None,
            "origin": self.origins["decodable"].label if "decodable" in self.origins else None,
            "effect_origin": self.origins["used"].label if "used" in self.origins else None,
            "change": self.change.label if self.change else None,
            "decided_by": self.verdict.decided_by,
            "n_to_settle": self.verdict.n_to_settle,
            "n_pairs": decodable[0].estimate.n if decodable else None,
            "n_seeds": 1,
            "evidence": str(self),
            "sentence": " ".join([self.verdict.sentence, *([self.change.sentence] if self.change else [])]),
            **numbers,
            **_columns("string", self.string),
            **(_columns("change_string", self.change.string) if self.change else {}),
            **(_columns("change_principled", self.change.principled) if self.change else {}),
        }


def _columns(name: str, estimate: Estimate | None) -> dict[str, float]:
    if estimate is None:
        return {}
    return {name: estimate.value, f"{name}_low": estimate.low, f"{name}_high": estimate.high}


def judge_all(
    tests: pl.DataFrame, comparisons: pl.DataFrame | None = None, criteria: Criteria = CRITERIA
) -> list[Judged]:
    """The verdicts on everything that was measured. No model is needed.

    p-values are corrected over all of `tests` together, test by test (Benjamini and Hochberg 1995,
    doi:10.1111/j.2517-6161.1995.tb02031.x). For its origin, a finding is compared with the same test at the
    parent stage before that correction.

    Parameters
    ----------
    tests : a table in the columns `probes.tables.tests.TESTS`, of any number of concepts and stages.
    comparisons : a table in the columns `probes.tables.comparisons.COMPARISONS`, of stages with their
        parents. Without it there are no origins and no survival.
    criteria : the thresholds.

    Returns
    -------
    One `Judged` for each concept at each stage, in the order of `tests`.

    Example
    -------
    >>> from probes.tables.tests import MeasuredTest, tests_table
    >>> from probes.stats.estimates import Estimate
    >>> chance = MeasuredTest("decodable", Estimate(0.5, 0.4, 0.6, n=40), p=0.5)
    >>> [judged] = judge_all(tests_table([chance], stage="base", concept="affordability"))
    >>> judged.verdict.label, judged.verdict.decided_by
    ('absent', 'decodable')
    """
    comparisons = pl.DataFrame(schema=COMPARISONS) if comparisons is None else comparisons
    tests = tests.filter(pl.col("test").is_in([*TESTS, *REPORTED]))
    measured = {
        (names[0], names[1], names[2]): list(measured_tests(rows))
        for names, rows in tests.group_by("lineage", "stage", "concept", maintain_order=True)
    }
    findings = {key: list(_findings(of_key, criteria)) for key, of_key in measured.items()}
    corrected = correct(findings)
    judged = []
    for key, of_key in measured.items():
        lineage, stage, concept = key
        same_lineage = pl.col("lineage").eq_missing(pl.lit(lineage, pl.String))
        rows = comparisons.filter(same_lineage, stage=stage, concept=concept)
        comparison = Comparison.from_rows(rows) if rows.height else None
        earlier = findings.get((lineage, rows["source_stage"][0], concept), []) if rows.height else []
        change = judge_change(comparison, criteria) if comparison else None
        said = [] if change is None else [Finding("string", change.string, criteria.threshold("string"))]
        judged.append(
            Judged(
                lineage=lineage,
                stage=stage,
                concept=concept,
                verdict=judge([*corrected[key], *said], _reasons(of_key, criteria)),
                origins=_origins(findings[key], earlier, comparison, criteria) if comparison else {},
                survival=judge_survival(comparison, criteria) if comparison else None,
                notes=tuple(_notes(of_key, followed=comparison is not None)),
                string=next((test.estimate for test in of_key if test.test == "string"), None),
                change=change,
                reading=_reading(corrected[key], _reasons(of_key, criteria)),
            )
        )
    return judged


def _reading(findings: list[Finding], reasons: Mapping[str, str]) -> Label:
    """The label of a verdict from `decodable` and `shift` alone."""
    kept = [finding for finding in findings if finding.test in READING]
    return judge(kept, {test: why for test, why in reasons.items() if test in READING}).label


def verdict_table(judged: list[Judged]) -> pl.DataFrame:
    """A table in the columns `COLUMNS`, with one row for each concept at each stage.

    What was not measured is null.
    """
    rows = [dict.fromkeys(COLUMNS) | one.row() for one in judged]
    return pl.DataFrame(rows, schema=COLUMNS)


def _findings(tests: list[MeasuredTest], criteria: Criteria) -> Iterator[Finding]:
    """The tests that were made and count, under the criteria."""
    for test in tests:
        if test.test == "string" or test.estimate is None or _uncounted(test, criteria) is not None:
            continue
        yield Finding(
            test.test, test.estimate, criteria.threshold(test.test), test.p, _note(test), test.chance
        )


def _uncounted(test: MeasuredTest, criteria: Criteria) -> str | None:
    """Why a test that was made does not count; None where it does.

    What erasing takes away does not count where erasing damages neutral text, but the lack of it does.
    """
    if test.n_random is not None and test.n_random < criteria.random_subspaces:
        return f"only {test.n_random} random subspaces: expected at least {criteria.random_subspaces}"
    if test.estimate is None or test.kl is None or test.kl <= criteria.damage:
        return None
    if criteria.threshold(test.test).outcome(test.estimate, test.p, test.chance) == "for":
        return f"erasing damages neutral text too much: KL {test.kl:.2f}, allowed {criteria.damage:g}"
    return None


def _note(test: MeasuredTest) -> str:
    """What was tested and where, in a few words."""
    place = f"{(test.variant or '').replace('_', ' ')} at layer {test.layer}, {test.role}"
    match test.test:
        case "decodable":
            return f"layer {test.layer}; p is corrected for having chosen the best of {test.n_layers} layers"
        case "beyond_surface":
            return f"decides nothing; whether a reader of the text could have told, by {test.against}"
        case "competent":
            return "share of undisputed answers that turn round with the question"
        case "principled":
            return "logits per token that follow the question"
        case "shift":
            return test.axis or ""
        case "followed":
            return "share of the choice that follows the exchange"
        case "used":
            return f"share of that effect; {place}, {test.n_random} random subspaces"
        case "specific":
            return f"above {test.against}"
        case "necessary":
            return f"share that is gone when held at the mean; {place}"
    return ""


def _reasons(tests: list[MeasuredTest], criteria: Criteria) -> dict[str, str]:
    """Test -> why it was not made, or does not count."""
    reasons = {test.test: test.reason for test in tests if test.estimate is None and test.reason}
    return reasons | {test.test: why for test in tests if (why := _uncounted(test, criteria))}


def _notes(tests: list[MeasuredTest], followed: bool) -> Iterator[str]:
    """What could not be tested of a concept at a stage, and why."""
    decodable = [test.estimate for test in tests if test.test == "decodable" and test.estimate]
    if decodable and decodable[0].n < FEW_PAIRS:
        yield f"{decodable[0].n} test pairs: expected at least {FEW_PAIRS} for intervals that decide anything"
    if string := next((test.estimate for test in tests if test.test == "string" and test.estimate), None):
        yield (
            f"the same whatever is asked (string score): {string.value:.2f} [{string.low:.2f}, "
            f"{string.high:.2f}] logits per token"
        )
    if items := next((test.items for test in tests if test.items), None):
        yield f"whether choices follow the concept was measured on {items}"
    if not followed:
        yield "not compared with a parent stage: whether this stage made it is not known"
    yield "one training seed: this is about one checkpoint, not about the recipe"


def _origins(
    here: list[Finding], earlier: list[Finding], comparison: Comparison, criteria: Criteria
) -> dict[str, Origin]:
    """The origins of the tests `decodable`, paired by example, and `used`, paired by item."""
    now, before = ({f.test: f for f in findings} for findings in (here, earlier))
    changes: dict[str, tuple[Estimate | None, float]] = {
        "decodable": (comparison.change_decodable, criteria.origin),
        "used": (comparison.change_used, criteria.used),
    }
    return {
        test: judge_origin(now[test], before[test], change, worth)
        for test, (change, worth) in changes.items()
        if change is not None and test in now and test in before
    }
