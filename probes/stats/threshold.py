"""What an interval says about a threshold: it holds, it does not, or the data do not decide."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from probes.stats.estimates import Estimate

Outcome = Literal["for", "against", "open"]


@dataclass(frozen=True)
class Threshold:
    """What an estimate is compared with.

    `null` is the value of no effect, `worth` the smallest effect that counts, and `alpha` the level of the
    p-value.

    Example
    -------
    >>> threshold = Threshold(null=0.5, worth=0.7)
    >>> threshold.outcome(Estimate(0.9, 0.8, 0.95, n=40))
    'for'
    >>> threshold.outcome(Estimate(0.75, 0.45, 0.9, n=8))
    'open'
    >>> threshold.outcome(Estimate(0.55, 0.45, 0.65, n=40))
    'against'
    >>> Threshold(null=0.0, worth=0.1, two_sided=True).outcome(Estimate(-0.4, -0.5, -0.3, n=40))
    'for'
    """

    null: float
    worth: float
    alpha: float = 0.05
    two_sided: bool = False
    """Whether an effect of the other sign counts as well; `null` is then 0."""

    def oriented(self, estimate: Estimate) -> Estimate:
        """The estimate, with its sign turned where effects of either sign count and the whole interval is
        negative."""
        if not self.two_sided or estimate.high >= 0:
            return estimate
        return replace(estimate, value=-estimate.value, low=-estimate.high, high=-estimate.low)

    def outcome(self, estimate: Estimate, p: float | None = None, chance: float | None = None) -> Outcome:
        """Whether an estimate counts for an effect, against it, or leaves it open.

        "for": the interval lies above `null`, the estimate reaches `worth`, and p is at most `alpha`.
        "against": the whole interval lies below `worth`, or clearly more random directions than `alpha`
        allows have as large an effect, which no larger n would change. "open": anything else.

        Parameters
        ----------
        estimate : the value with its interval.
        p : p-value of the effect, None where the test has none.
        chance : lower 95% limit of the share of random directions whose effect is as large, where the test
            compares with random directions.
        """
        estimate = self.oriented(estimate)
        if chance is not None and chance > self.alpha:
            return "against"
        significant = estimate.low > self.null and (p is None or p <= self.alpha)
        if significant and estimate.value >= self.worth:
            return "for"
        below = estimate.high < self.worth and (not self.two_sided or estimate.low > -self.worth)
        return "against" if below else "open"
