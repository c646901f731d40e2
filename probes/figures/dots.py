"""Estimates as points with their intervals, level with their names: what figures that list things share."""

from __future__ import annotations

from collections.abc import Sequence

from probes.figures.dose import error_bars
from probes.figures.panels import Grid
from probes.figures.rows import Row
from probes.figures.style import StageStyle, interval, label


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
