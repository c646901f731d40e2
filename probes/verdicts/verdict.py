"""From findings to a verdict: absent, surface, represented, internal or inconclusive, and why.

Pure: findings in, verdict out, so that the decision can be tried on findings nobody measured.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from scipy.stats import norm

from probes.errors import InputError
from probes.stats.estimates import LEVEL, Estimate
from probes.verdicts.criteria import CRITERIA, Criteria

Outcome = Literal["for", "against", "open"]
Label = Literal["absent", "surface", "represented", "internal", "inconclusive"]
LADDER: tuple[tuple[tuple[str, ...], Label], ...] = (
    (("decodable",), "absent"),
    (("beyond_surface", "shift"), "surface"),
    (("sufficient", "necessary", "specific"), "represented"),
)
"""Rungs in order: the tests to pass, and the verdict where one of them counts against."""
POWER = 0.8


@dataclass(frozen=True)
class Finding:
    """One test's result, weighed: `for`, `against`, or `open` when the interval spans what decides.

    `null` is the value of no effect, `worth` the smallest effect that counts; `p` where the test has one;
    `note` says what was tested where (a layer, an axis, a baseline).
    """

    test: str
    estimate: Estimate
    null: float
    worth: float
    p: float | None = None
    note: str = ""
    alpha: float = CRITERIA.alpha
    chance: float | None = None
    """Lower 95% limit of the share of random directions that do as much, where the test is against them."""

    @property
    def outcome(self) -> Outcome:
        """`for`: the interval excludes the null from above, the estimate is worth having, and p is within the
        level. `against`: the interval excludes an effect worth having, or clearly more random directions than
        the level allows do as much, which no larger n would change."""
        told = self.estimate
        if self.chance is not None and self.chance > self.alpha:
            return "against"
        significant = told.low > self.null and (self.p is None or self.p <= self.alpha)
        if significant and told.value >= self.worth:
            return "for"
        return "against" if told.high < self.worth else "open"

    @property
    def n_to_settle(self) -> int | None:
        """Independent units at which an effect of the size seen would be settled with power .8: for it when
        the estimate is worth having, against it otherwise. None when it is settled, or no n would do.

        The interval's half width is taken to shrink with the square root of n.
        """
        if self.outcome != "open":
            return None
        told = self.estimate
        error = (told.high - told.low) / (2 * norm.ppf((1 + LEVEL) / 2))
        far = told.value - self.null if told.value >= self.worth else self.worth - told.value
        if far <= 0 or error == 0:
            return None
        needed = told.n * (error * (norm.ppf((1 + LEVEL) / 2) + norm.ppf(POWER)) / far) ** 2
        return math.ceil(max(needed, told.n + 1))

    def __str__(self) -> str:
        told = self.estimate
        p = "" if self.p is None else f", p={self.p:.3g}"
        where = f" ({self.note})" if self.note else ""
        return (
            f"{self.test.replace('_', ' ')}: {told.value:.2f} [{told.low:.2f}, {told.high:.2f}]{p}, "
            f"n={told.n}, needs > {self.null:g} and >= {self.worth:g}{where}"
        )


@dataclass(frozen=True)
class Verdict:
    """What was concluded, which test decided it, and every finding by outcome."""

    label: Label
    decided_by: str
    findings: tuple[Finding, ...] = field(repr=False)
    missing: tuple[str, ...] = ()

    def of(self, outcome: Outcome) -> list[Finding]:
        """The findings with this outcome, in the order of the tests."""
        return [finding for finding in self.findings if finding.outcome == outcome]

    @property
    def n_to_settle(self) -> int | None:
        """Units that would settle the test that left an inconclusive verdict open; None otherwise."""
        if self.label != "inconclusive":
            return None
        return next((f.n_to_settle for f in self.findings if f.test == self.decided_by), None)

    def __str__(self) -> str:
        lines = [f"{self.label} (decided by {self.decided_by.replace('_', ' ')})"]
        for outcome in ("for", "against", "open"):
            lines += [f"  {outcome:<8} {finding}" for finding in self.of(outcome)]
        lines += [f"  missing  {test.replace('_', ' ')}" for test in self.missing]
        if self.n_to_settle:
            lines.append(f"  about {self.n_to_settle} pairs or items would settle it")
        return "\n".join(lines)


def weigh(
    test: str,
    estimate: Estimate,
    criteria: Criteria = CRITERIA,
    *,
    p: float | None = None,
    note: str = "",
    chance: float | None = None,
) -> Finding:
    """The finding of one of the tests of `LADDER` under `criteria`. Raises InputError for another name."""
    nulls = {"decodable": 0.5, "shift": 0.5}
    if not any(test in tests for tests, _ in LADDER):
        known = ", ".join(name for tests, _ in LADDER for name in tests)
        raise InputError(f"no test {test!r}: expected one of {known}")
    null, worth = nulls.get(test, 0.0), getattr(criteria, test)
    return Finding(test, estimate, null, worth, p, note, criteria.alpha, chance)


def judge(findings: Sequence[Finding]) -> Verdict:
    """Climb the ladder: absent unless decodable; surface unless beyond the surface and shift-robust;
    represented unless sufficient, necessary and specific; else internal.

    On each rung a test that counts against decides, then one that is open or was not made (inconclusive), so
    `internal` needs every test for it. A test given several times (one axis each, say) must hold each time.
    Raises InputError for a finding of a test that is on no rung.
    """
    by_test: dict[str, list[Finding]] = {name: [] for tests, _ in LADDER for name in tests}
    for finding in findings:
        if finding.test not in by_test:
            raise InputError(f"no test {finding.test!r}: expected one of {', '.join(by_test)}")
        by_test[finding.test].append(finding)
    told = tuple(finding for name in by_test for finding in by_test[name])
    missing = tuple(name for name, found in by_test.items() if not found)
    for tests, otherwise in LADDER:
        outcomes = {name: {finding.outcome for finding in by_test[name]} for name in tests}
        for name in tests:
            if "against" in outcomes[name]:
                return Verdict(otherwise, name, told, missing)
        for name in tests:
            if outcomes[name] != {"for"}:
                return Verdict("inconclusive", name, told, missing)
    return Verdict("internal", LADDER[-1][0][-1], told, missing)


def correct(
    findings: Mapping[str, Sequence[Finding]], alpha: float = CRITERIA.alpha
) -> dict[str, list[Finding]]:
    """The same findings with p-values adjusted (Benjamini & Hochberg 1995) over everything that was judged
    together, test by test: keys are whatever names a concept at a stage."""
    from dataclasses import replace

    from scipy.stats import false_discovery_control

    adjusted = {key: list(found) for key, found in findings.items()}
    for test in {finding.test for found in findings.values() for finding in found}:
        places = [
            (key, i)
            for key, found in findings.items()
            for i, finding in enumerate(found)
            if finding.test == test and finding.p is not None
        ]
        if places:
            corrected = false_discovery_control([findings[key][i].p for key, i in places])
            for (key, i), p in zip(places, corrected, strict=True):
                adjusted[key][i] = replace(findings[key][i], p=float(p), alpha=alpha)
    return adjusted
