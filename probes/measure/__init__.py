"""Everything that is measured of a concept at a stage. No room to the right of this one runs a model."""

from probes.measure.battery import UNDISPUTED, Battery, battery
from probes.measure.behaviour import Behaviour, behaviour
from probes.measure.formulas import formula, read_formula
from probes.measure.measurement import StageMeasurement, load_measurement
from probes.measure.plan import SAVINGS, Plan, Saving
from probes.measure.shifts import ShiftTransfer, shift_transfer
from probes.measure.stage import measure_stage

__all__ = [
    "SAVINGS",
    "UNDISPUTED",
    "Battery",
    "Behaviour",
    "Plan",
    "Saving",
    "ShiftTransfer",
    "StageMeasurement",
    "battery",
    "behaviour",
    "formula",
    "load_measurement",
    "measure_stage",
    "read_formula",
    "shift_transfer",
]
