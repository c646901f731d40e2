"""From tables of measurements to verdicts; pure, so that anyone can judge again under other criteria."""

from probes.verdicts.criteria import CRITERIA, Criteria
from probes.verdicts.summary import Judged, judge_all, verdict_table
from probes.verdicts.survival import Fate, judge_fate
from probes.verdicts.verdict import Finding, Verdict, correct, judge, weigh

__all__ = [
    "CRITERIA",
    "Criteria",
    "Fate",
    "Finding",
    "Judged",
    "Verdict",
    "correct",
    "judge",
    "judge_all",
    "judge_fate",
    "verdict_table",
    "weigh",
]
