"""Whole lineages: measure every stage, compare the stages, judge, and write it all into a folder."""

from probes.study.record import Survey, export_figures, load_survey, rebuild_report
from probes.study.survey import survey
from probes.study.survival import Survival, survival

__all__ = [
    "Survey",
    "Survival",
    "export_figures",
    "load_survey",
    "rebuild_report",
    "survey",
    "survival",
]
