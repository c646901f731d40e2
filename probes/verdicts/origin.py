"""Where a finding comes from: inherited from the parent stage, made here, strengthened or weakened; and what
has changed of the choices since the parent.

Every verdict comes with its origin, so that midtraining never gets the credit for what pretraining made.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from probes.stats.estimates import Estimate
from probes.tables.comparisons import Comparison
from probes.verdicts.criteria import Criteria
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


ChangeLabel = Literal["meaning", "strings", "both", "none", "unclear"]


@dataclass(frozen=True)
class Change:
    """What has changed of the choices since the parent stage: what follows the question, or what is said
    whatever is asked.

    Example
    -------
    >>> strings, nothing = Estimate(0.36, 0.22, 0.53, n=24), Estimate(0.01, -0.01, 0.02, n=24)
    >>> print(Change("strings", principled=nothing, string=strings).sentence)
    Since the parent, what is said whatever is asked has changed by .36 [.22, .53] logits per token, and ...
    """

    label: ChangeLabel
    principled: Estimate
    string: Estimate

    @property
    def sentence(self) -> str:
        """The change in one plain sentence."""
        said = f"what is said whatever is asked has changed by {self.string.short} logits per token"
        return f"Since the parent, {said}, and what follows the question by {self.principled.short}."


def judge_change(comparison: Comparison, criteria: Criteria) -> Change | None:
    """What has changed of the choices since the parent; None where the battery was not asked at both stages.

    The label is `meaning` where what follows the question has changed and what is said whatever is asked has
    not, `strings` the other way round, `both`, `none`, or `unclear` where an interval leaves one of them
    open.
    """
    if comparison.change_principled is None or comparison.change_string is None:
        return None
    principled, string = comparison.change_principled, comparison.change_string
    return Change(change_label(principled, string, criteria), principled, string)


def change_label(principled: Estimate, string: Estimate, criteria: Criteria) -> ChangeLabel:
    """The label of `judge_change`, from the changes of the principled and of the string score.

    Example
    -------
    >>> nothing, much = Estimate(0.01, -0.01, 0.02, n=24), Estimate(0.36, 0.22, 0.53, n=24)
    >>> change_label(nothing, much, probes.Criteria())
    'strings'
    """
    changes = (("principled", principled), ("string", string))
    moved = tuple(criteria.threshold(test).outcome(estimate) for test, estimate in changes)
    labels: dict[tuple[str, ...], ChangeLabel] = {
        ("for", "against"): "meaning",
        ("against", "for"): "strings",
        ("for", "for"): "both",
        ("against", "against"): "none",
    }
    return labels.get(moved, "unclear")
