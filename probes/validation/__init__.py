"""The toolkit's own error rates: what it says where the answer is known."""

from probes.validation.answers import ANSWERS, read_answers
from probes.validation.calibration import SETTINGS, calibrate
from probes.validation.changes import examine_changes
from probes.validation.exam import examine
from probes.validation.marking import marks
from probes.validation.question import HALVES, Question, questions
from probes.validation.real import RealSet, examine_real, real_sets
from probes.validation.simulated import Setting, Simulated, simulate
from probes.validation.transforms import examine_transforms
from probes.validation.validation import Validation, validate

__all__ = [
    "ANSWERS",
    "HALVES",
    "SETTINGS",
    "Question",
    "RealSet",
    "Setting",
    "Simulated",
    "Validation",
    "calibrate",
    "examine",
    "examine_changes",
    "examine_real",
    "examine_transforms",
    "marks",
    "questions",
    "read_answers",
    "real_sets",
    "simulate",
    "validate",
]
