"""Tests of what a direction or a stage is worth as evidence, each from readings to rows with intervals."""

from probes.evidence.answers import Behaviour, behaviour, formula, read_formula
from probes.evidence.criteria import CRITERIA, Criteria
from probes.evidence.fate import Fate, judge_fate
from probes.evidence.exchange import Mediation, mediation
from probes.evidence.roles import ValuationTransfer, valuation_transfer
from probes.evidence.shifts import ShiftTransfer, shift_transfer
from probes.evidence.verdict import Finding, Verdict, correct, judge, weigh

__all__ = [
    "CRITERIA",
    "Behaviour",
    "Criteria",
    "Fate",
    "Finding",
    "Mediation",
    "ShiftTransfer",
    "ValuationTransfer",
    "Verdict",
    "behaviour",
    "correct",
    "formula",
    "judge",
    "judge_fate",
    "mediation",
    "read_formula",
    "shift_transfer",
    "valuation_transfer",
    "weigh",
]
