"""`Criteria`: every threshold of a verdict in one frozen object, which is fixed before anyone looks at
data."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal

from probes.errors import InputError
from probes.stats.threshold import Threshold

NULLS = {"decodable": 0.5, "shift": 0.5}
"""The value that means no effect, for the tests where it is not 0."""


Label = Literal["untestable", "absent", "surface", "represented", "internal", "inconclusive"]
LADDER: tuple[tuple[tuple[str, ...], Label], ...] = (
    (("competent",), "untestable"),
    (("decodable",), "absent"),
    (("shift",), "surface"),
    (("followed",), "represented"),
    (("principled",), "surface"),
    (("used", "specific", "necessary"), "represented"),
)
"""The rungs in order: the tests of each, and the verdict where one of them counts against the concept.
`judge` says where the rules differ from this."""
OPTIONAL = ("competent", "shift", "principled")
"""Tests whose rungs are left out where nothing was asked: of a plan without the behaviour battery, and of a
concept without pairs on a shift axis."""
READING = ("decodable", "shift")
"""Tests of whether the concept can be read."""
TESTS = tuple(test for tests, _ in LADDER for test in tests)
"""The tests of all rungs, in the order in which they are weighed. Each has a threshold in `Criteria`."""
REPORTED = ("string", "beyond_surface")
"""Findings that stand beside the rungs. `string`: whether what is the same whatever is asked has changed from
the parent. `beyond_surface`: whether a reader of the text could not have told the label."""
TWO_SIDED = ("followed", "principled", "string")
"""Tests in which an effect against the concept counts like one for it: a stage that was taught to choose the
opposite uses the concept as well."""


@dataclass(frozen=True)
class Criteria:
    """The thresholds of a verdict.

    Each test has a null value, which its interval must exclude, and a smallest effect that counts. An
    estimate below the smallest effect does not count for the concept; an interval that is wholly below it
    counts against the concept. `probes validate` measures how often verdicts under these thresholds are
    wrong: one half of its organisms was used to set them, and the error rates are those of the other half.

    Example
    -------
    >>> strict = probes.Criteria(decodable=0.8)
    >>> strict.threshold("decodable").worth, strict.damage
    (0.8, 0.1)
    """

    competent: float = 0.5
    """The smallest share of undisputed items whose answer a stage must turn round with the question. A stage
    below it follows no question, and nothing can be said of what its choices use."""
    principled: float = 0.15
    """The smallest principled score that counts (see `probes.battery`), in logits per token: how far the
    choice follows the question when that is turned round."""
    alpha: float = 0.05
    """The level of every p-value, after the correction of Benjamini and Hochberg over all concepts and stages
    of a run."""
    decodable: float = 0.70
    """The smallest AUROC of the probe on held-out pairs that counts as decodable (the null is 0.5)."""
    beyond_surface: float = 0.05
    """The smallest gain of AUROC over the strongest surface baseline that counts. No verdict depends on
    it."""
    shift: float = 0.65
    """The smallest AUROC that counts where a probe is used away from the texts that it was fitted on: on a
    shift axis, or unchanged at a later stage (the null is 0.5)."""
    followed: float = 0.25
    """The smallest share of the choice that must follow an exchange of the text, the options or the question
    (see `probes.locating.ChoiceShifts`)."""
    used: float = 0.30
    """The smallest share of that effect that the exchange of one subspace of at most four dimensions must
    have, at one layer and one kind of tokens."""
    specific: float = 0.15
    """How much larger that share must be than the one of the strongest control: a subspace that was learned
    on random targets, or another concept's direction."""
    necessary: float = 0.30
    """The smallest share of the choice that must be gone when the subspace's component is held at its
    mean."""
    string: float = 0.15
    """The smallest change of the string score from the parent, in logits per token, that counts as a change
    of what a stage says whatever is asked."""
    damage: float = 0.1
    """The KL to the intact model on neutral text, in nats per token, above which what is gone when a
    component is held at its mean does not count."""
    origin: float = 0.10
    """The smallest change of AUROC from the parent that counts as strengthened or weakened."""
    kept: float = 0.5
    """The share of its margin between the classes that a frozen probe must keep for its direction to persist,
    or an aligned probe for the direction to be rotated."""
    faded: float = 0.10
    """How much AUROC a refit must have lost since the source stage for the concept to have faded, or a frozen
    probe must be below a refit for its direction to be lost."""
    random_subspaces: int = 20
    """The fewest random subspaces that a p-value of a test that intervenes may rest on."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if value <= 0 or (field.name != "random_subspaces" and value >= 1):
                raise InputError(f"{field.name}={value}: expected a number between 0 and 1")
        if self.random_subspaces < 20:
            raise InputError(f"random_subspaces={self.random_subspaces}: expected at least 20")

    def threshold(self, test: str) -> Threshold:
        """The threshold that the estimate of a test is compared with.

        Raises InputError for a test without a threshold.

        Example
        -------
        >>> probes.Criteria().threshold("decodable")
        Threshold(null=0.5, worth=0.7, alpha=0.05, two_sided=False)
        """
        if test not in (*TESTS, *REPORTED):
            raise InputError(f"no test {test!r}: expected one of {', '.join((*TESTS, *REPORTED))}")
        return Threshold(NULLS.get(test, 0.0), getattr(self, test), self.alpha, two_sided=test in TWO_SIDED)

    def thresholds(self) -> Mapping[str, Threshold]:
        """The threshold of every test."""
        return {test: self.threshold(test) for test in (*TESTS, *REPORTED)}

    @classmethod
    def read(cls, path: str | Path) -> Criteria:
        """Read criteria from a TOML file that holds the thresholds which differ from the defaults.

        Raises
        ------
        InputError : the file cannot be read, or holds an unknown name or a value that is not a number.

        Example
        -------
        >>> path = folder / "criteria.toml"
        >>> path.write_text("decodable = 0.8") > 0
        True
        >>> probes.Criteria.read(path).decodable
        0.8
        """
        try:
            table = tomllib.loads(Path(path).read_text(encoding="utf-8-sig"))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise InputError(
                f"{path}: expected a TOML file of thresholds, such as decodable = 0.8: {error}"
            ) from None
        names = [field.name for field in fields(cls)]
        for name, value in table.items():
            if name not in names:
                raise InputError(f"{path}: no threshold {name!r}: expected some of {', '.join(names)}")
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise InputError(f"{path}: {name} = {value!r}: expected a number")
        return cls(**table)

    def to_dict(self) -> dict[str, Any]:
        """The thresholds as plain values, for run.json."""
        return asdict(self)

    def __str__(self) -> str:
        return "\n".join(f"{name:<18} {value:g}" for name, value in self.to_dict().items())


CRITERIA = Criteria()
