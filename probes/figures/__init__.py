"""Figures, made from the tidy table and nothing else, at the sizes of papers, slides and notebooks.

A file imports only from files left of it: presets, text, style; browser, figure; rows, fitting; footer,
panels, marks, dots, arms, mixtures; then one file a figure or two (steadiness before worst_axis); then
gallery for them all.
"""

from probes.figures.battery import battery_rates
from probes.figures.browser import find_browser
from probes.figures.choices import choice_rates
from probes.figures.crossings import crossing_map
from probes.figures.curves import survival_curves
from probes.figures.dose import dose_response
from probes.figures.figure import Figure, export_all
from probes.figures.gallery import draw, draw_all, kinds
from probes.figures.grafts import graft_bars, graft_dose
from probes.figures.layers import layer_profile
from probes.figures.matrix import transfer_matrix
from probes.figures.presets import PRESETS, Preset
from probes.figures.sites import site_search

__all__ = [
    "PRESETS",
    "Figure",
    "Preset",
    "battery_rates",
    "choice_rates",
    "crossing_map",
    "dose_response",
    "draw",
    "draw_all",
    "export_all",
    "find_browser",
    "graft_bars",
    "graft_dose",
    "kinds",
    "layer_profile",
    "site_search",
    "survival_curves",
    "transfer_matrix",
]
