"""How estimates with their intervals are drawn: bars at points, and a band along a curve."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from probes.figures.panels import Grid
from probes.figures.presets import Preset
from probes.figures.rows import Row
from probes.figures.style import translucent


def error_bars(rows: Sequence[Row], color: str, preset: Preset) -> dict[str, Any]:
    """Make plotly error bars from the interval columns; a row without an interval has none.

    Examples
    --------
    >>> from probes.figures.presets import PRESETS
    >>> rows = [{"estimate": 0.5, "ci_low": 0.25, "ci_high": 1.0}]
    >>> bars = error_bars(rows, "#000000", PRESETS["icml"])
    >>> bars["array"], bars["arrayminus"]
    ([0.5], [0.25])
    """

    def length(row: Row, end: str) -> float:
        return 0.0 if row[end] is None else abs(row[end] - row["estimate"])

    return {
        "type": "data",
        "symmetric": False,
        "array": [length(row, "ci_high") for row in rows],
        "arrayminus": [length(row, "ci_low") for row in rows],
        "color": translucent(color, 0.75),
        "thickness": 0.7 * preset.stroke,
        "width": 0,
    }


def interval_band(
    grid: Grid, index: int, xs: Sequence[float], rows: Sequence[Row], color: str, **trace: Any
) -> None:
    """Fill the intervals of the rows at `xs` with a colour (rgba); rows without an interval are left out."""
    bounds = [(x, row["ci_low"], row["ci_high"]) for x, row in zip(xs, rows, strict=True)]
    bounds = [bound for bound in bounds if None not in bound]
    if not bounds:
        return
    grid.add(
        index,
        "scatter",
        x=[x for x, _, _ in bounds] + [x for x, _, _ in reversed(bounds)],
        y=[high for _, _, high in bounds] + [low for _, low, _ in reversed(bounds)],
        fill="toself",
        fillcolor=color,
        line={"width": 0},
        mode="lines",
        hoverinfo="skip",
        showlegend=False,
        **trace,
    )
