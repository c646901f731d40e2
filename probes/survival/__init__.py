"""Stage against stage: what of a direction is still read, still there, and still used later on."""

from probes.survival.compare import compare
from probes.survival.pooling import family_parents, pooled, related
from probes.survival.reading import StageReading, read_stage
from probes.survival.survival import Survival, survival

__all__ = [
    "StageReading",
    "Survival",
    "compare",
    "family_parents",
    "pooled",
    "read_stage",
    "related",
    "survival",
]
