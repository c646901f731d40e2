"""Whole lineages: run what is measured stage by stage, judge it, and write a folder."""

from probes.study.survey import Survey, survey
from probes.study.survival import Survival, survival

__all__ = ["Survey", "Survival", "survey", "survival"]
