"""What became of a direction at a later stage: persists, rotated, faded, lost or inconclusive. Pure.

AUROC alone cannot tell: with few dimensions and little noise any direction ranks the classes well, a rotated
one by luck, and a refit always finds the concept wherever it went. So survival is judged first by the margin:
how much of the gap between the classes the frozen probe still sees, as it is and after an orthogonal
alignment on text where the concept is not at stake.
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
"""Cosine with itself under the alignment below which a direction has turned."""


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

    - `lost`: nothing is decodable any more.
    - `rotated`: an alignment keeps the margin, and without it the margin is gone, or is smaller and the
      direction turned away by the alignment (the unchanged probe then reads by luck).
    - `faded`: a refit reads worse than the source did, and the unchanged probe still reads.
    - `persists`: the unchanged probe keeps its margin, and a refit has lost little.
    - `lost`: the margin is gone, no alignment brings it back, and the unchanged probe reads nothing worth the
      name or falls short of a refit; `faded` where it reads as well as a refit.
    - `inconclusive`: what decides is open, or the margin is gone and no alignment was made. So is a
      probe that reads nothing at the source: it has no direction to follow.
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
    if outcomes["realigned"] == "for" and (outcomes["kept"] == "against" or _read_by_luck(comparison)):
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


def _read_by_luck(comparison: Comparison) -> bool:
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
