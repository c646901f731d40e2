"""What all figures share: one colour per stage, names and units of measures, and how numbers are written."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass

from probes.figures.presets import Preset

FONT = "Arial, Helvetica, Liberation Sans, sans-serif"
INK, GREY, FAINT = "#222222", "#6b6b6b", "#e8e8e8"

# Okabe & Ito's colour-blind-safe set without its yellow, which is too faint for lines on white.
PALETTE = ("#000000", "#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#7F7F7F")
DASHES = ("solid", "dash", "dot", "dashdot")
SYMBOLS = ("circle", "square", "diamond", "triangle-up")

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
CHANCE = {"auroc": 0.5, "accuracy": 0.5, "choice_rate": 0.5, "choice_logit": 0.0, "steering_slope": 0.0}
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


@dataclass(frozen=True)
class StageStyle:
    """How one stage is drawn in every figure of a lineage."""

    color: str
    dash: str
    symbol: str


def stage_styles(order: list[str]) -> dict[str, StageStyle]:
    """Colour by place in the order; after eight stages the dash and the marker change as well."""
    styles = {}
    for index, stage in enumerate(order):
        lap, place = divmod(index, len(PALETTE))
        styles[stage] = StageStyle(PALETTE[place], DASHES[lap % 4], SYMBOLS[lap % 4])
    return styles


def axis_title(measure: str) -> str:
    """Name and unit of a measure, for an axis."""
    return AXIS.get(measure, label(measure.replace("_", " ")))


def label(name: str) -> str:
    """A stage or concept name as plain text: plotly would otherwise read tags in it."""
    return html.escape(str(name), quote=False)


def wrapped(name: str, width: float) -> str:
    """A name broken into lines of about `width` characters, after underscores, hyphens and spaces."""
    lines = [""]
    for piece in re.findall(r"[^_\- ]*[_\- ]*", str(name)):
        if lines[-1] and len(lines[-1]) + len(piece.rstrip("_- ")) > width:
            lines.append("")
        lines[-1] += piece
    return "<br>".join(label(line) for line in lines)


def text_width(text: str) -> float:
    """Estimated width of a text in ems (Arial averages a little over half an em a character)."""
    return 0.56 * len(text)


def dashes(preset: Preset, length: float = 0.7) -> str:
    """A dash pattern in the preset's own size: plotly's named ones grow with the line width."""
    return f"{0.55 * length * preset.em:.1f}px,{0.4 * length * preset.em:.1f}px"


def translucent(color: str, alpha: float) -> str:
    """A hex colour as rgba."""
    red, green, blue = (int(color[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},{alpha})"


def number(value: float | None, digits: int = 2) -> str:
    """Two decimals, no leading zero, a true minus sign; a dash where there is no value."""
    if value is None or value != value:
        return "–"
    text = f"{value:.{digits}f}"
    if float(text) == 0:
        text = text.lstrip("-")
    sign, digits_only = ("−", text[1:]) if text.startswith("-") else ("", text)
    return sign + (digits_only[1:] if digits_only.startswith("0.") else digits_only)


def interval(row: dict) -> str:
    """`.83 [.79, .87]`, or the estimate alone where the row has no interval."""
    if row["ci_low"] is None or row["ci_high"] is None:
        return number(row["estimate"])
    return f"{number(row['estimate'])} [{number(row['ci_low'])}, {number(row['ci_high'])}]"
