"""What became of a direction at a later stage: persists, rotated, faded, lost or inconclusive. Pure.

Frozen probes can stay flat while fresh ones move, and the other way round, so the fate is read from several
differences together: what a refit has lost, what the frozen probe falls short of it, and what an orthogonal
alignment on neutral text wins back of that.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from probes.evidence.criteria import CRITERIA, Criteria
from probes.evidence.verdict import Finding, Outcome, weigh
from probes.statistics import Estimate

FateLabel = Literal["persists", "rotated", "faded", "lost", "inconclusive"]
RECOVERED = 0.5
"""Share of the frozen probe's shortfall that an alignment must win back for a rotation."""


@dataclass(frozen=True)
class Fate:
    """The fate of a direction, what decided it, and the findings: `refit` (is the concept decodable at all),
    `refit_drop` (AUROC a refit lost against the source), `frozen_gap` (AUROC the frozen probe falls short of
    the refit), `unrecovered` (what is left of that gap after alignment, beyond the half that counts)."""

    label: FateLabel
    decided_by: str
    findings: tuple[Finding, ...]

    def outcome(self, name: str) -> Outcome | None:
        """The outcome of one finding by name, None where it was not measured."""
        return next((finding.outcome for finding in self.findings if finding.test == name), None)


def judge_fate(
    refit: Estimate,
    refit_drop: Estimate,
    frozen_gap: Estimate,
    aligned_gap: Estimate | None = None,
    criteria: Criteria = CRITERIA,
) -> Fate:
    """The fate of a direction between a source stage and a later one, from AUROCs on the same pairs.

    Args:
        refit: AUROC of a probe fitted at the later stage.
        refit_drop: AUROC at the source minus `refit`, paired.
        frozen_gap: `refit` minus the AUROC of the source's probe unchanged, paired.
        aligned_gap: `refit` minus the AUROC of the source's probe carried over by an orthogonal alignment.

    `lost` when nothing is decodable any more, or when the frozen probe falls short and alignment does not
    bring it back; `rotated` when alignment does; `faded` when the probe holds but the refit has lost much;
    `persists` when neither. A gap without an alignment is inconclusive.
    """
    found = [weigh("decodable", refit, criteria)]
    found.append(Finding("refit_drop", refit_drop, 0.0, criteria.faded, alpha=criteria.alpha))
    found.append(Finding("frozen_gap", frozen_gap, 0.0, criteria.rotated, alpha=criteria.alpha))
    if aligned_gap is not None:
        limit = max(criteria.rotated, RECOVERED * frozen_gap.value)
        found.append(Finding("unrecovered", aligned_gap, 0.0, limit, alpha=criteria.alpha))
    told = tuple(found)
    outcomes: dict[str, Outcome] = {finding.test: finding.outcome for finding in told}

    def fate(label: FateLabel, decided_by: str) -> Fate:
        return Fate(label, decided_by, told)

    if outcomes["decodable"] != "for":
        return fate("lost" if outcomes["decodable"] == "against" else "inconclusive", "decodable")
    if outcomes["frozen_gap"] == "for":
        recovered: dict[Outcome | None, FateLabel] = {"for": "lost", "against": "rotated"}
        return fate(recovered.get(outcomes.get("unrecovered"), "inconclusive"), "unrecovered")
    if outcomes["frozen_gap"] == "open":
        return fate("inconclusive", "frozen_gap")
    weaker: dict[Outcome, FateLabel] = {"for": "faded", "against": "persists", "open": "inconclusive"}
    return fate(weaker[outcomes["refit_drop"]], "refit_drop")
