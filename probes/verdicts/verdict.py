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
from probes.tables.tests import USE
from probes.verdicts.criteria import LADDER, OPTIONAL, REPORTED, TESTS, Label

POWER = 0.8
NO_AXIS = "the concept has no pairs on a shift axis, so nothing says whether what is read carries over"
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
        estimate = self.threshold.oriented(self.estimate)
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
        numbers = "" if decisive is None else decisive.estimate.short
        read = f"AUROC {found['decodable'].estimate.short}" if "decodable" in found else "not measured"
        match self.label, self.decided_by:
            case "untestable", _:
                n = decisive.estimate.n if decisive else 0
                reading = f" A probe reads the concept at {read}." if "decodable" in found else ""
                return (
                    f"The stage does not follow questions: of {n} undisputed answers a share of {numbers} "
                    f"turns round with the question. So nothing can be said of what its choices use.{reading}"
                )
            case "absent", _:
                return f"No probe reads the concept here ({read})."
            case "surface", "string":
                return (
                    f"The stage says other things than its parent, by {numbers} logits per token whatever is "
                    "asked, and its choices do not follow the concept."
                )
            case "surface", "principled":
                return (
                    "The choices are the same whatever is asked: what follows the question is "
                    f"{numbers} logits per token."
                )
            case "surface", _:
                return f"What a probe reads does not carry over to other texts (AUROC {numbers})."
            case "represented", "followed":
                return (
                    f"A probe reads the concept ({read}), and the choices do not depend on it: a share of "
                    f"{numbers} of the choice follows."
                )
            case "represented", ("used" | "specific" | "necessary"):
                return (
                    f"A probe reads the concept ({read}), and at no place that was searched do the choices "
                    f"run through it ({self._named}: {numbers})."
                )
            case "represented", _:
                return (
                    f"A probe reads the concept ({read}). Whether choices use it was not asked, as there are "
                    "no choice items."
                )
            case "internal", _:
                share = f", a share of {found['used'].estimate.short}" if "used" in found else ""
                return f"A probe reads the concept ({read}), and the choices run through it{share}."
            case _, "decodable" if all(found[test].outcome == "for" for test in USE if test in found) and (
                "used" in found
            ):
                return (
                    "The choices run through the concept, and no probe reads it where the texts are read "
                    f"({read}): read them at another position."
                )
        if decisive is None:
            why = self.missing.get(self.decided_by, "not measured")
            return f"Nothing can be concluded, as one test was not made ({self._named}: {why})."
        return f"Nothing can be concluded, as one test is open ({self._named}: {numbers})."

    @property
    def _named(self) -> str:
        return self.decided_by.replace("_", " ")

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


def judge(findings: Sequence[Finding], missing: Mapping[str, str] | None = None) -> Verdict:
    """The verdict on a concept at a stage, from its findings.

    The tests are weighed in the order of `LADDER`:

    - `untestable`: the stage cannot follow a question (`competent`).
    - `absent`: no probe reads the concept (`decodable`), and choices do not use it.
    - `surface`: what the probe reads does not carry over to a shift axis (`shift`), or what changed is what
      the stage says, whatever is asked (`string`, `principled`).
    - `represented`: the concept is read, and the choices do not depend on it (`followed`), or run through it
      at no place that was searched (`used`, `specific`, `necessary`). Where there are no choice items, it is
      what reading alone supports, which then has to carry over to a shift axis.
    - `internal`: it is read, and the choices depend on it, run through it, and follow the question.

    On each rung, a test that counts against the concept decides first; then a test that is open, or was not
    made, makes the verdict `inconclusive`. A test with several findings (one for each shift axis, for
    example) must hold each time. Tests of `OPTIONAL` are left out where nothing was asked of them.

    Parameters
    ----------
    findings : the results of the tests, after the correction of their p-values.
    missing : test -> why it was not made.

    Raises
    ------
    InputError : a finding is of a test that no verdict knows.

    Example
    -------
    >>> threshold = probes.Criteria().threshold("decodable")
    >>> verdict = judge([Finding("decodable", Estimate(0.5, 0.4, 0.6, n=40), threshold)])
    >>> verdict.label, verdict.decided_by
    ('absent', 'decodable')
    """
    by_test: dict[str, list[Finding]] = {name: [] for name in (*TESTS, *REPORTED)}
    for finding in findings:
        if finding.test not in by_test:
            raise InputError(f"no test {finding.test!r}: expected one of {', '.join(by_test)}")
        by_test[finding.test].append(finding)
    everything = tuple(finding for of_test in by_test.values() for finding in of_test)
    reasons = missing or {}
    asks_use = any(by_test[name] or name in reasons for name in USE)
    left_out = {name for name in OPTIONAL if not by_test[name] and name not in reasons}
    left_out = left_out if asks_use else left_out - {"shift"} | set(USE)
    unmade = {
        name: reasons.get(name, NO_AXIS if name == "shift" else "not measured")
        for name in TESTS
        if not by_test[name] and name not in left_out
    }
    outcomes = {name: _together(of_test) for name, of_test in by_test.items()}

    def verdict(label: Label, decided_by: str) -> Verdict:
        return Verdict(label, decided_by, everything, unmade)

    for tests, otherwise in LADDER:
        weighed = [name for name in tests if name not in left_out]
        for name in weighed:
            if outcomes[name] != "against":
                continue
            if name == "decodable" and asks_use and all(outcomes[test] != "against" for test in USE):
                return verdict("inconclusive", name)
            if name == "followed" and outcomes["string"] == "for":
                return verdict("surface", "string")
            return verdict(otherwise, name)
        for name in weighed:
            if outcomes[name] != "for":
                return verdict("inconclusive", name)
    decided_by = [name for name in TESTS if by_test[name]][-1]
    return verdict("internal" if asks_use else "represented", decided_by)


def _together(findings: Sequence[Finding]) -> Outcome | None:
    """What several findings of one test say together; None without any."""
    outcomes = {finding.outcome for finding in findings}
    if not outcomes:
        return None
    return "against" if "against" in outcomes else "open" if "open" in outcomes else "for"


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
