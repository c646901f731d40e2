"""`Criteria`: every threshold of a verdict in one frozen object, fixed before looking, saved with a run."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any

from probes.errors import InputError


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

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for run.json."""
        return asdict(self)

    def __str__(self) -> str:
        return "\n".join(f"{name:<18} {value:g}" for name, value in self.to_dict().items())


CRITERIA = Criteria()
