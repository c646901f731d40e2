"""Where a finding comes from: inherited from the parent stage, made here, strengthened or weakened.

Every verdict comes with its origin, so that midtraining never gets the credit for what pretraining made.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from probes.stats.estimates import Estimate
from probes.verdicts.verdict import Finding

OriginLabel = Literal["made here", "inherited", "strengthened", "weakened", "absent", "unclear"]


@dataclass(frozen=True)
class Origin:
    """The origin of one finding, and the change from the parent, paired by example or item.

    Example
    -------
    >>> Origin("inherited", Estimate(0.0, -0.02, 0.02, n=40)).label
    'inherited'
    """

    label: OriginLabel
    change: Estimate


def judge_origin(here: Finding, parent: Finding, change: Estimate, worth: float) -> Origin:
    """The origin of a finding, from the same finding at the parent stage and the change between them.

    - `made here`: the finding holds here, counts against the concept at the parent, and the change is large.
    - `strengthened` or `weakened`: it holds at both stages, and the change is large. It is also `weakened`
      when it held at the parent, counts against the concept here, and the change is large.
    - `inherited`: it holds at both stages, and the interval of the change lies within `worth` of 0.
    - `absent`: it counts against the concept at both stages.
    - `unclear`: anything else.

    A change is large when its interval excludes 0 and its size is at least `worth`.

    Parameters
    ----------
    here, parent : the finding at this stage and at its parent.
    change : the estimate here minus that at the parent, paired by example or item.
    worth : the smallest change that counts.

    Example
    -------
    >>> from probes.verdicts import Finding
    >>> threshold = probes.Criteria().threshold("decodable")
    >>> here = Finding("decodable", Estimate(0.9, 0.85, 0.95, n=40), threshold)
    >>> parent = Finding("decodable", Estimate(0.5, 0.4, 0.6, n=40), threshold)
    >>> judge_origin(here, parent, Estimate(0.4, 0.3, 0.5, n=40), worth=0.1).label
    'made here'
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
