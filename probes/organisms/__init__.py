"""Cases whose answer is known: model organisms with planted answers, and exact transforms of real models."""

from probes.organisms.checking import THRESHOLDS, Facts, Thresholds
from probes.organisms.language import Language
from probes.organisms.later import LATER
from probes.organisms.planting import Organism, check, plant, read_organism
from probes.organisms.transforms import project_out, rotate, save_stage
from probes.organisms.tuning import SIZES

__all__ = [
    "LATER",
    "SIZES",
    "THRESHOLDS",
    "Facts",
    "Language",
    "Organism",
    "Thresholds",
    "check",
    "plant",
    "project_out",
    "read_organism",
    "rotate",
    "save_stage",
]
