"""Tests of what a direction or a stage is worth as evidence, each from readings to rows with intervals."""

from probes.evidence.answers import Behaviour, behaviour, formula, read_formula
from probes.evidence.shifts import ShiftTransfer, shift_transfer

__all__ = ["Behaviour", "ShiftTransfer", "behaviour", "formula", "read_formula", "shift_transfer"]
