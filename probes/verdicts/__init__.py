"""From tables of measurements to verdicts. No model is run, so anyone can judge again under other
criteria."""

from probes.verdicts.criteria import CRITERIA, LADDER, OPTIONAL, REPORTED, TESTS, Criteria
from probes.verdicts.folder import judge_folder
from probes.verdicts.origin import Change, Origin, change_label, judge_change, judge_origin
from probes.verdicts.summary import COLUMNS, Judged, judge_all, verdict_table
from probes.verdicts.survival import DirectionSurvival, judge_survival
from probes.verdicts.verdict import Finding, Verdict, correct, judge

__all__ = [
    "COLUMNS",
    "CRITERIA",
    "LADDER",
    "OPTIONAL",
    "REPORTED",
    "TESTS",
    "Change",
    "Criteria",
    "DirectionSurvival",
    "Finding",
    "Judged",
    "Origin",
    "Verdict",
    "change_label",
    "correct",
    "judge",
    "judge_all",
    "judge_change",
    "judge_folder",
    "judge_origin",
    "judge_survival",
    "verdict_table",
]
