"""Cases with a known answer: what the toolkit says about them is its own measured error rate."""

from probes.organisms.calibration import SETTINGS, calibrate
from probes.organisms.checking import THRESHOLDS, Facts, Thresholds
from probes.organisms.exam import examine, examine_transforms, marks, questions
from probes.organisms.language import Language
from probes.organisms.later import LATER
from probes.organisms.planting import Organism, check, plant, read_organism
from probes.organisms.simulated import Setting, Simulated, simulate
from probes.organisms.transforms import project_out, rotate, save_stage
from probes.organisms.tuning import SIZES
from probes.organisms.validation import Validation, validate

__all__ = [
    "LATER",
    "SETTINGS",
    "SIZES",
    "THRESHOLDS",
    "Facts",
    "Language",
    "Organism",
    "Setting",
    "Simulated",
    "Thresholds",
    "Validation",
    "calibrate",
    "check",
    "examine",
    "examine_transforms",
    "marks",
    "plant",
    "project_out",
    "questions",
    "read_organism",
    "rotate",
    "save_stage",
    "simulate",
    "validate",
]
