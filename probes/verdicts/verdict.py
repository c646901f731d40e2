"""From findings to a verdict: untestable, absent, surface, represented, internal or inconclusive, and why.

Findings go in and a verdict comes out, so that the decision can be tested on findings that nobody measured.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from scipy.stats import norm

from probes.errors import InputError
from probes.stats.corrections import discoveries
from probes.stats.estimates import LEVEL, Estimate
from probes.stats.threshold import Outcome, Threshold
from probes.verdicts.criteria import LADDER, OPTIONAL, Label

POWER = 0.8
Key = TypeVar("Key")


@dataclass(frozen=True)
class Finding:
    """The result of one test under a threshold: for the concept, against it, or open.

    Example
    -------
    >>> threshold = probes.Criteria().threshold("decodable")
    >>> finding = Finding("decodable", Estimate(0.75, 0.45, 0.9, n=8), threshold)
    >>> finding.outcome, finding.n_to_settle
    ('open', 14)
    """

    test: str
    estimate: Estimate
    threshold: Threshold
    p: float | None = None
    """The p-value, or None where the test has none."""
    note: str = ""
    """What was tested and where, such as the layer, the shift axis or the baseline."""
    chance: float | None = None
    """The lower 95% limit of the share of random directions with as large an effect, where the test compares
    with random directions."""

    @property
    def outcome(self) -> Outcome:
        """ "for", "against" or "open"; see `probes.stats.threshold.Threshold`."""
        return self.threshold.outcome(self.estimate, self.p, self.chance)

    @property
    def n_to_settle(self) -> int | None:
        """The number of units that would settle an open finding with power 0.8, if the estimate stayed as it
        is.

        It would be settled for the concept where the estimate is large enough to count, and against it
        otherwise. None when the finding is not open, or no number would do. The half-width of the interval is
        taken to shrink with the square root of the number.
        """
        if self.outcome != "open":
            return None
        estimate = self.estimate
        error = (estimate.high - estimate.low) / (2 * norm.ppf((1 + LEVEL) / 2))
        null, worth = self.threshold.null, self.threshold.worth
        far = estimate.value - null if estimate.value >= worth else worth - estimate.value
        if far <= 0 or error == 0:
            return None
        needed = estimate.n * (error * (norm.ppf((1 + LEVEL) / 2) + norm.ppf(POWER)) / far) ** 2
        return math.ceil(max(needed, estimate.n + 1))

    def __str__(self) -> str:
        e = self.estimate
        p = "" if self.p is None else f", p={self.p:.3g}"
        where = f" ({self.note})" if self.note else ""
        return (
            f"{self.test.replace('_', ' ')}: {e.value:.2f} [{e.low:.2f}, {e.high:.2f}]{p}, "
            f"n={e.n}, needs > {self.threshold.null:g} and >= {self.threshold.worth:g}{where}"
        )


@dataclass(frozen=True)
class Verdict:
    """What was concluded, which test decided it, and all findings. `print` shows them by outcome.

    `judge` makes verdicts.
    """

    label: Label
    decided_by: str
    findings: tuple[Finding, ...] = field(repr=False)
    missing: Mapping[str, str] = field(default_factory=dict)
    """The tests that were not made or do not count -> why."""

    def of(self, outcome: Outcome) -> list[Finding]:
        """The findings with this outcome, in the order of the tests."""
        return [finding for finding in self.findings if finding.outcome == outcome]

    @property
    def sentence(self) -> str:
        """The verdict in one plain sentence.

        Example
        -------
        >>> threshold = probes.Criteria().threshold("competent")
        >>> print(judge([Finding("competent", Estimate(0.02, -0.05, 0.1, n=48), threshold)]).sentence)
        The stage does not follow questions: of 48 undisputed answers a share of .02 [-.05, .10] turns ...
        """
        found = {finding.test: finding for finding in reversed(self.findings)}
        decisive = found.get(self.decided_by)
        numbers = "" if decisive is None else _numbers(decisive.estimate)
        match self.label:
            case "untestable":
                n = decisive.estimate.n if decisive else 0
                read = found.get("decodable")
                reading = f" A probe reads the concept at AUROC {_numbers(read.estimate)}." if read else ""
                return (
                    f"The stage does not follow questions: of {n} undisputed answers a share of {numbers} "
                    f"turns round with the question. So nothing can be said of what its choices use.{reading}"
                )
            case "absent":
                return f"No probe reads the concept here (AUROC {numbers})."
            case "surface" if self.decided_by == "principled":
                return (
                    "The choices are the same whatever is asked: what follows the question is "
                    f"{numbers} logits per token."
                )
            case "surface":
                return (
                    f"What a probe reads is a property of these texts ({self.decided_by.replace('_', ' ')}: "
                    f"{numbers})."
                )
            case "represented":
                return (
                    "The concept is read beyond the texts, and choices do not use it "
                    f"({self.decided_by.replace('_', ' ')}: {numbers})."
                )
            case "internal":
                return "The concept is read beyond the texts, and choices use it."
        test = self.decided_by.replace("_", " ")
        if decisive is None:
            why = self.missing.get(self.decided_by, "not measured")
            return f"Nothing can be concluded, as one test was not made ({test}: {why})."
        return f"Nothing can be concluded, as one test is open ({test}: {numbers})."

    @property
    def n_to_settle(self) -> int | None:
        """The number of units that would settle an inconclusive verdict; None for any other verdict."""
        if self.label != "inconclusive":
            return None
        return next((f.n_to_settle for f in self.findings if f.test == self.decided_by), None)

    def __str__(self) -> str:
        lines = [f"{self.label} (decided by {self.decided_by.replace('_', ' ')})"]
        for outcome in ("for", "against", "open"):
            lines += [f"  {outcome:<8} {finding}" for finding in self.of(outcome)]
        lines += [f"  missing  {test.replace('_', ' ')}: {why}" for test, why in self.missing.items()]
        if self.n_to_settle:
            lines.append(f"  about {self.n_to_settle} pairs or items would settle it")
        return "\n".join(lines)


def _numbers(estimate: Estimate) -> str:
    """A value and its interval, without the zeros before the points."""
    text = f"{estimate.value:.2f} [{estimate.low:.2f}, {estimate.high:.2f}]"
    return text.replace("0.", ".")


def judge(findings: Sequence[Finding], missing: Mapping[str, str] | None = None) -> Verdict:
    """The verdict on a concept at a stage, from its findings.

    The verdict is `untestable` unless the stage can follow a question, `absent` unless the concept is
    decodable, `surface` unless it is beyond the surface of the text and carries over to every shift axis,
    `represented` unless its direction is sufficient, necessary and specific, `surface` again unless the
    choices follow the question when that is turned round, and `internal` otherwise. The first and the last
    test are those of the behaviour battery, and are left out where it was not asked.

    On each of these rungs, a test that counts against the concept decides first; then a test that is open, or
    was not made, makes the verdict `inconclusive`. So `internal` needs every test to count for the concept. A
    test with several findings (one for each shift axis, for example) must hold each time.

    Parameters
    ----------
    findings : the results of the tests, after the correction of their p-values.
    missing : test -> why it was not made.

    Raises
    ------
    InputError : a finding is of a test that is on no rung.

    Example
    -------
    >>> threshold = probes.Criteria().threshold("decodable")
    >>> verdict = judge([Finding("decodable", Estimate(0.5, 0.4, 0.6, n=40), threshold)])
    >>> verdict.label, verdict.decided_by
    ('absent', 'decodable')
    """
    by_test: dict[str, list[Finding]] = {name: [] for tests, _ in LADDER for name in tests}
    for finding in findings:
        if finding.test not in by_test:
            raise InputError(f"no test {finding.test!r}: expected one of {', '.join(by_test)}")
        by_test[finding.test].append(finding)
    everything = tuple(finding for name in by_test for finding in by_test[name])
    reasons = missing or {}
    unmade = {
        name: reasons.get(name, "not measured")
        for name, of_test in by_test.items()
        if not of_test and (name in reasons or name not in OPTIONAL)
    }
    for tests, otherwise in LADDER:
        if set(tests) <= set(OPTIONAL) and not any(by_test[name] or name in reasons for name in tests):
            continue
        outcomes = {name: {finding.outcome for finding in by_test[name]} for name in tests}
        for name in tests:
            if "against" in outcomes[name]:
                return Verdict(otherwise, name, everything, unmade)
        for name in tests:
            if outcomes[name] != {"for"}:
                return Verdict("inconclusive", name, everything, unmade)
    decided_by = [name for name in by_test if by_test[name]][-1]
    return Verdict("internal", decided_by, everything, unmade)


def correct(findings: Mapping[Key, Sequence[Finding]]) -> dict[Key, list[Finding]]:
    """The same findings with p-values that are corrected over everything judged together, test by test.

    The correction is that of Benjamini and Hochberg (1995, doi:10.1111/j.2517-6161.1995.tb02031.x).

    Parameters
    ----------
    findings : whatever names a concept at a stage -> its findings.

    Example
    -------
    >>> threshold, high = probes.Criteria().threshold("decodable"), Estimate(0.9, 0.8, 1.0, n=40)
    >>> findings = {
    ...     stage: [Finding("decodable", high, threshold, p)] for stage, p in (("base", 0.01), ("mid", 0.04))
    ... }
    >>> [of_stage[0].p for of_stage in correct(findings).values()]
    [0.02, 0.04]
    """
    corrected = {key: list(of_key) for key, of_key in findings.items()}
    for test in {finding.test for of_key in findings.values() for finding in of_key}:
        tested = [
            (key, i, finding.p)
            for key, of_key in findings.items()
            for i, finding in enumerate(of_key)
            if finding.test == test and finding.p is not None
        ]
        if tested:
            adjusted = discoveries([p for _, _, p in tested]).adjusted
            for (key, i, _), p in zip(tested, adjusted, strict=True):
                corrected[key][i] = replace(findings[key][i], p=float(p))
    return corrected
