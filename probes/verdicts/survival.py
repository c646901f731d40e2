"""What became of a direction at a later stage: persists, rotated, faded, lost or inconclusive. Pure.

AUROC alone cannot tell: with few dimensions and little noise any direction ranks the classes well, a rotated
one by luck, and a refit always finds the concept wherever it went. So the fate is read first from the margin:
how much of the gap between the classes the frozen probe still sees, as it is and after an orthogonal
alignment on text where the concept is not at stake.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from probes.stats.estimates import Estimate
from probes.verdicts.criteria import CRITERIA, Criteria
from probes.verdicts.verdict import Finding, Outcome, weigh

FateLabel = Literal["persists", "rotated", "faded", "lost", "inconclusive"]


TURNED = 0.5
"""Cosine with itself under the alignment below which a direction has turned."""


@dataclass(frozen=True)
class Following:
    """What is measured of a source stage's probe at a later one, all on the same pairs.

    source: AUROC of the probe at the source. refit: of one fitted at the later stage. refit_drop: `source`
    minus `refit`. frozen: AUROC of the source's probe unchanged. frozen_gap: `refit` minus `frozen`. kept:
    the gap between the classes in the unchanged probe's scores, as a share of that gap at the source.
    realigned: the same share after an orthogonal alignment, and turned: the cosine between the direction and
    what the alignment makes of it; both None where none was made.
    """

    source: Estimate
    refit: Estimate
    refit_drop: Estimate
    frozen: Estimate
    frozen_gap: Estimate
    kept: Estimate
    realigned: Estimate | None = None
    turned: float | None = None


@dataclass(frozen=True)
class Fate:
    """The fate of a direction, the finding that decided it, and all findings, named as in `Following` (and
    `decodable` for its `refit`)."""

    label: FateLabel
    decided_by: str
    findings: tuple[Finding, ...]

    def outcome(self, name: str) -> Outcome | None:
        """The outcome of one finding by name, None where it was not measured."""
        return next((finding.outcome for finding in self.findings if finding.test == name), None)


def judge_fate(found: Following, criteria: Criteria = CRITERIA) -> Fate:
    """The fate of a direction between a source stage and a later one, the first of these that holds.

    - `lost`: nothing is decodable any more.
    - `rotated`: an alignment keeps the margin, and without it the margin is gone, or is smaller and the
      direction turned away by the alignment (the unchanged probe then reads by luck).
    - `faded`: a refit reads worse than the source did, and the unchanged probe still reads.
    - `persists`: the unchanged probe keeps its margin, and a refit has lost little.
    - `lost`: the margin is gone, no alignment brings it back, and the unchanged probe reads nothing worth the
      name or falls short of a refit; `faded` where it reads as well as a refit.
    - `inconclusive`: what decides is open, or the margin is gone and no alignment was made. So is the fate of
      a probe that reads nothing at the source: it has no direction to follow.
    """
    told = tuple(_weighed(found, criteria))
    outcomes: dict[str, Outcome | None] = {"realigned": None}
    outcomes |= {finding.test: finding.outcome for finding in told}

    def fate(label: FateLabel, decided_by: str) -> Fate:
        return Fate(label, decided_by, told)

    if outcomes["source"] != "for":
        return fate("inconclusive", "source")
    if outcomes["decodable"] == "against":
        return fate("lost", "decodable")
    if outcomes["realigned"] == "for" and (outcomes["kept"] == "against" or _read_by_luck(found)):
        return fate("rotated", "realigned")
    if outcomes["refit_drop"] == "for" and outcomes["frozen"] == "for":
        return fate("faded", "refit_drop")
    if outcomes["kept"] == "for":
        steady = outcomes["refit_drop"] == "against" and outcomes["decodable"] == "for"
        return fate("persists" if steady else "inconclusive", "refit_drop")
    if outcomes["kept"] == "open":
        return fate("inconclusive", "kept")
    if outcomes["realigned"] != "against":
        return fate("inconclusive", "realigned")
    for name, sign in (("frozen", "against"), ("frozen_gap", "for")):
        if outcomes[name] == sign:
            return fate("lost", name)
    return fate("faded" if outcomes["frozen_gap"] == "against" else "inconclusive", "frozen_gap")


def _read_by_luck(found: Following) -> bool:
    assert found.realigned is not None
    turned = found.turned is not None and found.turned < TURNED
    return turned and found.realigned.value > found.kept.value


def _weighed(found: Following, criteria: Criteria) -> Iterator[Finding]:
    alpha = criteria.alpha
    yield Finding("source", found.source, 0.5, criteria.decodable, alpha=alpha)
    yield weigh("decodable", found.refit, criteria)
    yield Finding("kept", found.kept, criteria.kept, criteria.kept, alpha=alpha)
    if found.realigned is not None:
        note = "" if found.turned is None else f"cosine {found.turned:.2f} with itself under the alignment"
        yield Finding("realigned", found.realigned, criteria.kept, criteria.kept, note=note, alpha=alpha)
    yield Finding("refit_drop", found.refit_drop, 0.0, criteria.faded, alpha=alpha)
    yield Finding("frozen", found.frozen, 0.5, criteria.shift, alpha=alpha)
    yield Finding("frozen_gap", found.frozen_gap, 0.0, criteria.faded, alpha=alpha)
