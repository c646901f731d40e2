"""The plan of a measurement: what is measured of a concept at a stage, where, how much of it, and why."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from probes.concepts.neutral import neutral_texts
from probes.concepts.records import AXES
from probes.errors import InputError
from probes.stats.threshold import Outcome, Threshold
from probes.tables.tests import MeasuredTest

CAUSAL = ("sufficient", "specific", "necessary")
"""Tests that intervene on the model."""


@dataclass(frozen=True)
class Saving:
    """A line of the plan that saves work: a test is made only where earlier ones came out in a certain way.

    `test` is made where every test in `after` was made and counts for the concept, and none of `unless`
    counts against it.
    """

    test: str
    after: tuple[str, ...] = ()
    unless: tuple[str, ...] = ()

    @property
    def condition(self) -> str:
        """Where the test is made, in words."""
        parts = [f"{_words(self.after)} hold"] if self.after else []
        parts += [f"{_words(self.unless)} does not count against it"] if self.unless else []
        return " and ".join(parts)

    def __str__(self) -> str:
        return f"{self.test.replace('_', ' ')} only where {self.condition}"


LADDER_SAVINGS = (
    Saving("shift", unless=("decodable",)),
    Saving("sufficient", after=("decodable", "beyond_surface", "shift")),
    Saving("specific", after=("decodable", "beyond_surface", "shift")),
    Saving("necessary", after=("decodable", "beyond_surface", "shift", "sufficient"), unless=("specific",)),
)
"""Intervening is most of the cost of a survey, so a survey does it only where the concept is decodable,
beyond the surface of the text and on every shift axis."""


@dataclass(frozen=True)
class Plan:
    """What is measured of one concept at one stage. `print(plan)` says it line by line.

    Example
    -------
    >>> print(Plan(position="last", items=10))
    probe        logistic at every layer of resid_post, position last; to find where the concept is decodable
    baselines    surface of the text, input embeddings, an untrained model; what needs no trained state
    shifts       every axis the concept has; whether the probe carries over
    choices      10 test items; what the model chooses, and gradients at every layer
    intervention 1999 random directions, doses 1, 0.5, 0.25 half class gaps, damage up to 0.1 nats of KL ...
    alignment    12 neutral texts; to tell a rotated direction from a lost one
    """

    site: str = "resid_post"
    position: str = "mean"
    estimator: str = "logistic"
    groups: Literal["pair", "template"] = "pair"
    """What intervals count as one independent unit."""
    baselines: bool = True
    tests: bool = True
    """Whether the tests behind a verdict are made; False measures probes and choices alone."""
    shifts: tuple[str, ...] | None = None
    """Shift axes to test on, as far as a concept has pairs of them; None: every axis it has."""
    masked: bool = False
    """Also fit a probe on the tokens outside the evidence."""
    items: int | None = None
    """Test choice items; None: all, 0: none."""
    selection_items: bool = False
    """Also take the selection items, which then choose the layer to intervene at."""
    doses: tuple[float, ...] = (1.0, 0.5, 0.25)
    """Lengths of the intervention in half class gaps; the largest that does not damage counts."""
    n_random: int = 1999
    damage_limit: float = 0.1
    """KL to the model without intervention on neutral text, in nats per token, that is allowed."""
    damage_texts: tuple[str, ...] = field(default_factory=lambda: neutral_texts(16), repr=False)
    dose_items: int = 0
    """Test items of the dose-response curve; 0 makes none."""
    alignment_texts: tuple[str, ...] = field(default_factory=lambda: neutral_texts(12), repr=False)
    """Neutral texts that stages are aligned on; () aligns none."""
    savings: tuple[Saving, ...] = ()
    thresholds: Mapping[str, Threshold] = field(default_factory=dict, repr=False)
    """What the savings call holding, by test."""

    def __post_init__(self) -> None:
        unknown = [axis for axis in self.shifts or () if axis not in AXES]
        if unknown:
            raise InputError(f"{unknown[0]!r} is no shift axis: expected some of {', '.join(AXES)}")

    def skipped(self, test: str, earlier: Iterable[MeasuredTest]) -> str | None:
        """Why `test` is not made after `earlier` ones; None where it is made."""
        outcomes: dict[str, list[Outcome]] = {}
        for one in earlier:
            if one.estimate is not None and one.test in self.thresholds:
                outcome = self.thresholds[one.test].outcome(one.estimate, one.p, one.chance)
                outcomes.setdefault(one.test, []).append(outcome)
        for saving in self.savings:
            if saving.test != test:
                continue
            failed = [name for name in saving.after if set(outcomes.get(name, ())) != {"for"}]
            failed += [name for name in saving.unless if "against" in outcomes.get(name, ())]
            if failed:
                return f"saved: the plan makes it only where {saving.condition}"
        return None

    def __str__(self) -> str:
        axes = "every axis the concept has" if self.shifts is None else ", ".join(self.shifts) or "none"
        items = "all" if self.items is None else self.items
        doses = ", ".join(f"{dose:g}" for dose in self.doses)
        lines = [
            (
                "probe",
                f"{self.estimator} at every layer of {self.site}, position {self.position}; "
                "to find where the concept is decodable",
            )
        ]
        if self.baselines:
            text = "surface of the text, input embeddings, an untrained model; what needs no trained state"
            lines.append(("baselines", text))
        if self.tests:
            lines.append(("shifts", f"{axes}; whether the probe carries over"))
        if self.items != 0:
            chosen = ", and the selection items" if self.selection_items else ""
            text = f"{items} test items{chosen}; what the model chooses, and gradients at every layer"
            lines.append(("choices", text))
            if self.tests:
                text = (
                    f"{self.n_random} random directions, doses {doses} half class gaps, damage up to "
                    f"{self.damage_limit:g} nats of KL on {len(self.damage_texts)} neutral texts; "
                    "whether choices follow the direction"
                )
                lines.append(("intervention", text))
        if self.dose_items:
            lines.append(("doses", f"{self.dose_items} items; how the choice grows with the dose"))
        if self.alignment_texts:
            text = f"{len(self.alignment_texts)} neutral texts; to tell a rotated direction from a lost one"
            lines.append(("alignment", text))
        lines += [("saving", str(saving)) for saving in self.savings]
        lines += [
            (
                "threshold",
                f"{test.replace('_', ' ')} holds above {t.null:g}, from {t.worth:g}, p <= {t.alpha:g}",
            )
            for test, t in self.thresholds.items()
            if any(test in (*saving.after, *saving.unless) for saving in self.savings)
        ]
        return "\n".join(f"{name:<12} {text}" for name, text in lines)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)


def _words(names: Sequence[str]) -> str:
    return ", ".join(name.replace("_", " ") for name in names)
