"""Where a finding comes from: inherited from the parent stage, made here, strengthened or weakened. Pure.

What pretraining made must never be credited to midtraining, so every verdict comes with its origin.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from probes.stats.estimates import Estimate
from probes.verdicts.verdict import Finding

OriginLabel = Literal["made here", "inherited", "strengthened", "weakened", "absent", "unclear"]


@dataclass(frozen=True)
class Origin:
    """The origin of one finding, and the change from the parent, paired by example or item."""

    label: OriginLabel
    change: Estimate


def judge_origin(here: Finding, parent: Finding, change: Estimate, worth: float) -> Origin:
    """`made here` when the finding holds here, counts against at the parent, and the change is worth having.

    With the finding at both stages: `strengthened` or `weakened` when the change excludes 0 by more than
    nothing and is at least `worth`, `inherited` when the interval lies within `worth` of 0. `weakened` also
    when it held at the parent and counts against here; `absent` when it holds at neither; else `unclear`.
    """
    up = change.low > 0 and change.value >= worth
    down = change.high < 0 and change.value <= -worth
    steady = change.low > -worth and change.high < worth

    def origin(label: OriginLabel) -> Origin:
        return Origin(label, change)

    match here.outcome, parent.outcome:
        case "for", "against" if up:
            return origin("made here")
        case "for", "for" if up:
            return origin("strengthened")
        case ("for", "for") | ("against", "for") if down:
            return origin("weakened")
        case "for", "for" if steady:
            return origin("inherited")
        case "against", "against":
            return origin("absent")
    return origin("unclear")
