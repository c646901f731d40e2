"""The exam of the instrument: what it says where the answer is known, and so how often it errs."""

from probes.validation.calibration import SETTINGS, calibrate
from probes.validation.exam import examine, examine_transforms, marks, questions
from probes.validation.simulated import Setting, Simulated, simulate
from probes.validation.validate import Validation, validate

__all__ = [
    "SETTINGS",
    "Setting",
    "Simulated",
    "Validation",
    "calibrate",
    "examine",
    "examine_transforms",
    "marks",
    "questions",
    "simulate",
    "validate",
]
