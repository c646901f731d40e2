"""`Criteria`: every threshold of a verdict in one frozen object, fixed before looking, saved with a run."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal

from probes.errors import InputError
from probes.stats.threshold import Threshold

NULLS = {"decodable": 0.5, "shift": 0.5}
"""Values of no effect that are not 0, by test."""


Label = Literal["absent", "surface", "represented", "internal", "inconclusive"]
LADDER: tuple[tuple[tuple[str, ...], Label], ...] = (
    (("decodable",), "absent"),
    (("beyond_surface", "shift"), "surface"),
    (("sufficient", "necessary", "specific"), "represented"),
)
"""Rungs in order: the tests to pass, and the verdict where one of them counts against."""
TESTS = tuple(test for tests, _ in LADDER for test in tests)
"""The tests of all rungs, in the order in which they are weighed. Each has a threshold in `Criteria`."""


@dataclass(frozen=True)
class Criteria:
    """Thresholds of `judge`. Each test has a null value, which its interval must exclude, and a smallest
    effect worth having: an estimate below it is not counted, an interval below it counts against.

    `probes validate` measures how often verdicts under them err; it keeps one half of its organisms for
    setting them and reports on the other.
    """

    alpha: float = 0.05
    """Level of every p-value, after Benjamini-Hochberg over the concepts and stages of a run."""
    decodable: float = 0.70
    """AUROC of the probe on held-out pairs worth calling decodable (null .5)."""
    beyond_surface: float = 0.05
    """AUROC gained on the strongest surface baseline (null 0)."""
    shift: float = 0.65
    """AUROC worth having of a probe away from what it was fitted on: on the worst shift axis, or unchanged at
    a later stage (null .5)."""
    sufficient: float = 0.10
    """Change of the choice logit for a push of half the class gap, or the part of it that does no damage, as
    a share of the mean absolute choice logit (null 0)."""
    necessary: float = 0.10
    """Choice logit lost with the direction held half way between the classes, as that share (null 0)."""
    specific: float = 0.05
    """Effect of the push beyond that of the strongest other concept pushed as far by its own gap, as that
    share (null 0)."""
    damage: float = 0.1
    """KL to the unpushed model on neutral text, nats per token, above which a push does not count."""
    origin: float = 0.10
    """Change of AUROC from the parent that counts as strengthened or weakened (null 0)."""
    kept: float = 0.5
    """Share of its margin between the classes that a frozen probe must keep to persist, and an aligned one to
    be merely rotated."""
    faded: float = 0.10
    """AUROC that a refit has lost against the source stage when the concept has faded, or that a frozen probe
    falls short of a refit when its direction is lost."""
    random_directions: int = 20
    """Fewest norm-matched random directions a causal p-value may rest on."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if value <= 0 or (field.name != "random_directions" and value >= 1):
                raise InputError(f"{field.name}={value}: expected a number between 0 and 1")
        if self.random_directions < 20:
            raise InputError(f"random_directions={self.random_directions}: expected at least 20")

    def threshold(self, test: str) -> Threshold:
        """What the estimate of a test is compared with. Raises InputError for a test without a threshold.

        Example
        -------
        >>> probes.Criteria().threshold("decodable")
        Threshold(null=0.5, worth=0.7, alpha=0.05)
        """
        if test not in TESTS:
            raise InputError(f"no test {test!r}: expected one of {', '.join(TESTS)}")
        return Threshold(NULLS.get(test, 0.0), getattr(self, test), self.alpha)

    def thresholds(self) -> Mapping[str, Threshold]:
        """The threshold of every test."""
        return {test: self.threshold(test) for test in TESTS}

    @classmethod
    def read(cls, path: str | Path) -> Criteria:
        """Criteria from a TOML file of the fields that differ from the defaults, such as `decodable = 0.8`.

        Raises InputError for a file that cannot be read, an unknown name, or a value that is no number.
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
        """Plain values, for run.json."""
        return asdict(self)

    def __str__(self) -> str:
        return "\n".join(f"{name:<18} {value:g}" for name, value in self.to_dict().items())


CRITERIA = Criteria()
