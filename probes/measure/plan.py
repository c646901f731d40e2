"""The plan of a measurement: what is measured of a concept at a stage, where, how much of it, and why."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from probes.concepts.battery import FORMS, Form
from probes.concepts.neutral import neutral_texts
from probes.concepts.records import AXES
from probes.errors import InputError
from probes.locating import Exchanged
from probes.stats.threshold import Outcome, Threshold
from probes.tables.tests import MeasuredTest


@dataclass(frozen=True)
class Saving:
    """A line of the plan that saves work: a test is made only where earlier ones came out in a certain way.

    Example
    -------
    >>> print(Saving("used", after=("followed",), unless=("principled",)))
    used only where followed holds and principled does not count against it
    """

    test: str
    """The test that is made or skipped; "gradients" are those of the choices."""
    after: tuple[str, ...] = ()
    """Tests that must have been made, and count for the concept."""
    unless: tuple[str, ...] = ()
    """Tests that must not count against the concept."""

    @property
    def condition(self) -> str:
        """The condition under which the test is made, in words."""
        hold = "holds" if len(self.after) == 1 else "hold"
        do = "does" if len(self.unless) == 1 else "do"
        parts = [f"{_words(self.after)} {hold}"] if self.after else []
        parts += [f"{_words(self.unless)} {do} not count against it"] if self.unless else []
        return " and ".join(parts)

    def __str__(self) -> str:
        return f"{self.test.replace('_', ' ')} only where {self.condition}"


SAVINGS = (
    Saving("shift", unless=("decodable",)),
    Saving("gradients", unless=("competent",)),
    Saving("followed", unless=("competent",)),
    *(
        Saving(test, after=("followed",), unless=("competent", "principled"))
        for test in ("used", "specific", "necessary")
    ),
)
"""The savings of a survey. The search for the place where choices use a concept is most of its cost, so it is
made only where the choices depend on the concept and follow the question."""


@dataclass(frozen=True)
class Plan:
    """What is measured of one concept at one stage. `print(plan)` shows it line by line.

    Example
    -------
    >>> print(Plan(position="last", items=10))
    probe        logistic at every layer of resid_post, position last; to find where the concept is decodable
    baselines    surface of the text, input embeddings, an untrained model; what needs no trained state
    shifts       every axis the concept has; whether the probe carries over
    choices      10 test items; what the model chooses, and gradients at every layer
    battery      asked, reversed, not asked, other agent, unconditioned, in 2 wordings; 48 undisputed items...
    exchange     every layer, subspaces of dimension 1, 2, 4; 24 items to fit them, 12 to choose the site, ...
    alignment    12 neutral texts; to tell a rotated direction from a lost one
    """

    site: str = "resid_post"
    """The kind of site, one of `probes.models.KINDS`."""
    position: str = "mean"
    """Where texts are read, as `probes.activations.POSITIONS` says."""
    estimator: str = "logistic"
    """The estimator of the probes: "logistic", "mass_mean", "lda" or "ridge"."""
    groups: Literal["pair", "template"] = "pair"
    """The independent units of the intervals."""
    baselines: bool = True
    """Whether surface baselines are fitted."""
    tests: bool = True
    """Whether the tests behind a verdict are made; False measures probes and choices alone."""
    shifts: tuple[str, ...] | None = None
    """The shift axes that are tested, as far as a concept has pairs on them; None takes every axis it has."""
    masked: bool = False
    """Whether a probe is also fitted on the tokens outside the evidence."""
    items: int | None = None
    """The number of test choice items; None takes all of them, and 0 none."""
    forms: tuple[Form, ...] = FORMS
    """The forms of the behaviour battery; a verdict needs "asked" and "reversed"."""
    wordings: int = 2
    """The wordings of each form of the behaviour battery, which is asked the same test items; 0 asks none."""
    competence_items: int | None = 48
    """The number of undisputed items that competence is measured on; None takes all of them."""
    exchanged: Exchanged | None = None
    """What is exchanged between the two prompts of an item, one of `probes.locating.EXCHANGED`; by default
    the texts of completions, else the options."""
    every: int = 1
    """Only every so many layers are searched for where choices use the concept."""
    dimensions: tuple[int, ...] = (1, 2, 4)
    """The dimensions of the subspaces that are learned there."""
    train_items: int = 24
    """The most items that subspaces are learned on."""
    search_items: int = 12
    """The most items that the place is searched on."""
    n_random: int = 999
    """The number of random subspaces that the best one is compared with."""
    damage_limit: float = 0.1
    """The KL to the intact model on neutral text, in nats per token, up to which erasing counts."""
    damage_texts: tuple[str, ...] = field(default_factory=lambda: neutral_texts(16), repr=False)
    """The neutral texts on which damage is measured."""
    dose_items: int = 0
    """The number of test items of the dose-response curve; 0 makes no curve."""
    alignment_texts: tuple[str, ...] = field(default_factory=lambda: neutral_texts(12), repr=False)
    """The neutral texts on which stages are aligned; () aligns none."""
    savings: tuple[Saving, ...] = ()
    """The tests that are skipped, and where."""
    thresholds: Mapping[str, Threshold] = field(default_factory=dict, repr=False)
    """Test -> the threshold under which the savings say that it holds, or counts against the concept."""

    def __post_init__(self) -> None:
        unknown = [axis for axis in self.shifts or () if axis not in AXES]
        if unknown:
            raise InputError(f"{unknown[0]!r} is not a shift axis: expected some of {', '.join(AXES)}")

    def skipped(self, test: str, earlier: Iterable[MeasuredTest]) -> str | None:
        """Why a test is not made after earlier ones, in words; None where it is made.

        Example
        -------
        >>> Plan().skipped("necessary", []) is None  # without savings every test is made
        True
        >>> Plan(savings=SAVINGS).skipped("specific", [])
        'saved: the plan makes it only where followed holds and competent, principled do not count against it'
        """
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
            text = f"{items} test items; what the model chooses, and gradients at every layer"
            lines.append(("choices", text))
            if self.wordings and self.tests:
                competence = "all" if self.competence_items is None else self.competence_items
                forms = ", ".join(form.replace("_", " ") for form in self.forms)
                text = f"{forms}, in {self.wordings} wordings; {competence} undisputed items"
                lines.append(("battery", f"{text}; whether choices follow the question"))
            if self.tests:
                layers = "every layer" if self.every == 1 else f"1 of {self.every} layers"
                dimensions = ", ".join(map(str, self.dimensions))
                text = (
                    f"{layers}, subspaces of dimension {dimensions}; {self.train_items} items to fit them, "
                    f"{self.search_items} to choose the site, {self.n_random} random subspaces; whether "
                    "choices use the concept, and where"
                )
                lines.append(("exchange", text))
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
        """The plan as plain values, for JSON."""
        return asdict(self)


def _words(names: Sequence[str]) -> str:
    """The names of tests, in words."""
    return ", ".join(name.replace("_", " ") for name in names)
