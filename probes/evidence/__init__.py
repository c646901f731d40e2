"""Tests of what a direction or a stage is worth as evidence, each from readings to rows with intervals."""

from probes.evidence.answers import Behaviour, behaviour, formula, read_formula
from probes.evidence.assess import Assessment, assess, assess_reading
from probes.evidence.criteria import CRITERIA, Criteria
from probes.evidence.exchange import Mediation, mediation
from probes.evidence.fate import Fate, judge_fate
from probes.evidence.following import follow, neutral_states
from probes.evidence.roles import ValuationTransfer, valuation_transfer
from probes.evidence.shifts import ShiftTransfer, shift_transfer
from probes.evidence.summary import Judged, judge_all, verdict_table
from probes.evidence.verdict import Finding, Verdict, correct, judge, weigh

__all__ = [
    "CRITERIA",
    "Assessment",
    "Behaviour",
    "Criteria",
    "Fate",
    "Finding",
    "Judged",
    "Mediation",
    "ShiftTransfer",
    "ValuationTransfer",
    "Verdict",
    "assess",
    "assess_reading",
    "behaviour",
    "correct",
    "follow",
    "formula",
    "judge",
    "judge_all",
    "judge_fate",
    "mediation",
    "neutral_states",
    "read_formula",
    "shift_transfer",
    "valuation_transfer",
    "verdict_table",
    "weigh",
]
