"""What became of a direction at a later stage: it persists, is rotated, has faded, is lost, or nobody knows.

The AUROC alone does not say. With few dimensions and little noise any direction ranks the classes well, so a
direction that was rotated away may do so by luck, and a probe that is fitted anew finds the concept wherever
it went. So survival is judged first by the margin: the share of the gap between the classes that is left in
the scores of the frozen probe, as it is and after an orthogonal alignment on neutral text.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from probes.stats.threshold import Outcome, Threshold
from probes.tables.comparisons import Comparison
from probes.verdicts.criteria import CRITERIA, Criteria
from probes.verdicts.verdict import Finding

SurvivalLabel = Literal["persists", "rotated", "faded", "lost", "inconclusive"]


TURNED = 0.5
"""A direction has turned when the cosine with its image under the alignment is below this."""


@dataclass(frozen=True)
class DirectionSurvival:
    """What became of a direction, the finding that decided it, and all findings.

    Findings are named like the quantities of `probes.tables.comparisons.Comparison`, and `decodable` for its
    `refit`.
    """

    label: SurvivalLabel
    decided_by: str
    findings: tuple[Finding, ...]

    def outcome(self, name: str) -> Outcome | None:
        """The outcome of one finding by name, None where it was not measured."""
        return next((finding.outcome for finding in self.findings if finding.test == name), None)


def judge_survival(comparison: Comparison, criteria: Criteria = CRITERIA) -> DirectionSurvival:
    """What became of a direction between a source stage and a later one: the first of these that holds.

    1. `inconclusive`: the concept was not decodable at the source stage, so there is no direction to judge.
    2. `lost`: the concept is not decodable at the later stage.
    3. `rotated`: the probe keeps its margin after an alignment. Without the alignment the margin is gone; or
       it is smaller, and the direction has turned, so that the unchanged probe works by luck.
    4. `faded`: a refit does worse than the probe did at the source stage, and the unchanged probe still
    works. 5. `persists`: the unchanged probe keeps its margin, and a refit has lost little. 6. `lost`: the
    margin is gone, an alignment does not bring it back, and the unchanged probe does not work,
       or does worse than a refit. It is `faded` where the unchanged probe does as well as a refit.

    Wherever the data leave open what decides, or the margin is gone and the stages were not aligned, it is
    `inconclusive`.

    Parameters
    ----------
    comparison : the concept at the later stage compared with the source stage.
    criteria : the thresholds.

    Example
    -------
    >>> from probes.stats.estimates import Estimate
    >>> works, none = Estimate(0.95, 0.9, 1.0, n=40), Estimate(0.0, -0.03, 0.03, n=40)
    >>> comparison = Comparison(works, works, none, works, none, kept=Estimate(0.9, 0.8, 1.0, n=40))
    >>> judge_survival(comparison).label
    'persists'
    """
    findings = tuple(_weighed(comparison, criteria))
    outcomes: dict[str, Outcome | None] = {"realigned": None}
    outcomes |= {finding.test: finding.outcome for finding in findings}

    def survival(label: SurvivalLabel, decided_by: str) -> DirectionSurvival:
        return DirectionSurvival(label, decided_by, findings)

    if outcomes["source"] != "for":
        return survival("inconclusive", "source")
    if outcomes["decodable"] == "against":
        return survival("lost", "decodable")
    if outcomes["realigned"] == "for" and (outcomes["kept"] == "against" or _works_by_luck(comparison)):
        return survival("rotated", "realigned")
    if outcomes["refit_drop"] == "for" and outcomes["frozen"] == "for":
        return survival("faded", "refit_drop")
    if outcomes["kept"] == "for":
        steady = outcomes["refit_drop"] == "against" and outcomes["decodable"] == "for"
        return survival("persists" if steady else "inconclusive", "refit_drop")
    if outcomes["kept"] == "open":
        return survival("inconclusive", "kept")
    if outcomes["realigned"] != "against":
        return survival("inconclusive", "realigned")
    for name, sign in (("frozen", "against"), ("frozen_gap", "for")):
        if outcomes[name] == sign:
            return survival("lost", name)
    return survival("faded" if outcomes["frozen_gap"] == "against" else "inconclusive", "frozen_gap")


def _works_by_luck(comparison: Comparison) -> bool:
    """Whether the direction has turned, and the alignment gives its probe more of the margin."""
    assert comparison.realigned is not None
    turned = comparison.turned is not None and comparison.turned < TURNED
    return turned and comparison.realigned.value > comparison.kept.value


def _weighed(comparison: Comparison, criteria: Criteria) -> Iterator[Finding]:
    def against(null: float, worth: float) -> Threshold:
        return Threshold(null, worth, criteria.alpha)

    margin = against(criteria.kept, criteria.kept)
    yield Finding("source", comparison.source, against(0.5, criteria.decodable))
    yield Finding("decodable", comparison.refit, criteria.threshold("decodable"))
    yield Finding("kept", comparison.kept, margin)
    if comparison.realigned is not None:
        note = (
            ""
            if comparison.turned is None
            else f"cosine {comparison.turned:.2f} with itself under the alignment"
        )
        yield Finding("realigned", comparison.realigned, margin, note=note)
    yield Finding("refit_drop", comparison.refit_drop, against(0.0, criteria.faded))
    yield Finding("frozen", comparison.frozen, against(0.5, criteria.shift))
    yield Finding("frozen_gap", comparison.frozen_gap, against(0.0, criteria.faded))
