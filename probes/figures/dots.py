"""Estimates as points with their intervals, level with their names: what figures that list things share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from probes.figures.dose import error_bars
from probes.figures.panels import Grid, columns_that_fit
from probes.figures.presets import Preset
from probes.figures.rows import Row
from probes.figures.style import StageStyle, interval, label, text_width


def list_frame(
    preset: Preset, count: int, names: Sequence[str], height: float, below: float = 3.0, **options: Any
) -> Grid:
    """`count` panels of `height` ems beside `names`; `options` go to `Grid`."""
    side = max(text_width(name) for name in names) * 0.9 + 1.0
    cols = columns_that_fit(preset, count, 11, side + 1.0, 1.6)
    return Grid(preset, count, cols, height, left=side, right=1.0, gap=(1.6, 3.6), below=below, **options)


def dot(frame: Grid, index: int, row: Row, y: float, style: StageStyle, *, filled: bool, name: str) -> None:
    """Draw the row's estimate and interval at height `y` of panel `index`, filled or hollow."""
    em = frame.preset.em
    frame.add(
        index,
        "scatter",
        x=[row["estimate"]],
        y=[y],
        mode="markers",
        name=name,
        showlegend=False,
        cliponaxis=False,  # a point at 1 is drawn whole
        error_x=error_bars([row], style.color, frame.preset),
        marker={
            "size": 0.55 * em,
            "color": style.color if filled else "white",
            "symbol": style.symbol,
            "line": {"color": style.color, "width": 0.12 * em},
        },
        customdata=[interval(row)],
        hovertemplate="%{customdata}<extra></extra>",
    )


def list_axes(frame: Grid, index: int, concept: str, names: Sequence[str], title: str) -> None:
    """Head and axes of panel `index`: shares from 0 to 1 across, `names` down, a rule at one half."""
    frame.head(index, label(concept))
    frame.xaxis(
        index,
        range=[0, 1],
        tickvals=[0, 0.25, 0.5, 0.75, 1],
        ticktext=["0", ".25", ".5", ".75", "1"],
        title=title if frame.lowest(index) else None,
    )
    frame.yaxis(
        index,
        range=[len(names) - 0.4, -0.6],
        tickvals=list(range(len(names))),
        showticklabels=frame.first(index),
        ticks="",
        ticktext=[label(name) for name in names],
        showline=False,
    )
    frame.rule(index, x=0.5)
