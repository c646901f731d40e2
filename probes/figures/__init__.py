"""Figures from the tidy table and nothing else, sized for papers, slides and notebooks."""

from probes.figures.choices import choice_rates
from probes.figures.curves import survival_curves
from probes.figures.dose import dose_response
from probes.figures.draw import draw, draw_all, kinds
from probes.figures.export import export_all, find_browser
from probes.figures.figure import Figure
from probes.figures.layers import layer_profile
from probes.figures.matrix import transfer_matrix
from probes.figures.presets import PRESETS, Preset

__all__ = [
    "PRESETS",
    "Figure",
    "Preset",
    "choice_rates",
    "dose_response",
    "draw",
    "draw_all",
    "export_all",
    "find_browser",
    "kinds",
    "layer_profile",
    "survival_curves",
    "transfer_matrix",
]
