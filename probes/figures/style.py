"""How things look in every figure: one colour a stage, and the names, units and chance levels of measures."""

from __future__ import annotations

from dataclasses import dataclass

from probes.figures.presets import Preset
from probes.figures.text import label

FONT = "Arial, Helvetica, Liberation Sans, sans-serif"
INK, GREY, FAINT = "#222222", "#6b6b6b", "#e8e8e8"

# Okabe & Ito's colour-blind-safe set without its yellow, which is too faint for lines on white.
PALETTE = ("#000000", "#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#7F7F7F")
DASHES = ("solid", "dash", "dot", "dashdot")
SYMBOLS = ("circle", "square", "diamond", "triangle-up")

# Colour scales of heat maps.
BLUES = [[0, "#f7fbff"], [0.35, "#c6dbef"], [0.7, "#4292c6"], [1, "#08306b"]]
RED_BLUE = [[0, "#b2182b"], [0.25, "#f4a582"], [0.5, "#f7f7f7"], [0.75, "#92c5de"], [1, "#2166ac"]]

AXIS = {
    "auroc": "AUROC",
    "accuracy": "accuracy",
    "cosine": "cosine",
    "cosine_whitened": "whitened cosine",
    "steering_slope": "slope (nats per sd)",
    "choice_logit": "choice logit (nats)",
    "choice_rate": "choice rate",
    "kl": "KL (nats per token)",
    "perplexity_ratio": "perplexity ratio",
}
"""The name and unit of a measure, as an axis bears it."""

CHANCE = {"auroc": 0.5, "accuracy": 0.5, "choice_rate": 0.5, "choice_logit": 0.0, "steering_slope": 0.0}
"""The value of a measure where nothing was learnt or changed."""

BASELINES = {
    "word_ngrams": "words",
    "char_ngrams": "characters",
    "length": "length",
    "embedding": "embedding",
    "random_init": "random init",
    "shuffled_labels": "shuffled labels",
    "random_direction": "random directions",
    "other_concept": "other concept",
}
"""The name of a baseline or control, as a figure or table bears it."""


@dataclass(frozen=True)
class StageStyle:
    """How one stage is drawn in every figure of a lineage."""

    color: str
    dash: str
    symbol: str


def stage_styles(order: list[str]) -> dict[str, StageStyle]:
    """Give each stage a colour by its place in the order; after eight stages dash and marker change as well.

    Examples
    --------
    >>> stage_styles(["base", "mid"])["mid"]
    StageStyle(color='#0072B2', dash='solid', symbol='circle')
    """
    styles = {}
    for index, stage in enumerate(order):
        lap, place = divmod(index, len(PALETTE))
        styles[stage] = StageStyle(PALETTE[place], DASHES[lap % 4], SYMBOLS[lap % 4])
    return styles


def axis_title(measure: str) -> str:
    """Say the name and unit of a measure for an axis.

    Examples
    --------
    >>> axis_title("kl"), axis_title("position_bias")
    ('KL (nats per token)', 'position bias')
    """
    return AXIS.get(measure, label(measure.replace("_", " ")))


def dashes(preset: Preset, length: float = 0.7) -> str:
    """Make a dash pattern in the preset's own size: plotly's named ones grow with the line width."""
    return f"{0.55 * length * preset.em:.1f}px,{0.4 * length * preset.em:.1f}px"


def translucent(color: str, alpha: float) -> str:
    """Write a hex colour as rgba."""
    red, green, blue = (int(color[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},{alpha})"
