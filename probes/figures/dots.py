"""Figures that list things: one panel a concept, names down its side, and level with each its estimates."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import plotly.graph_objects as go

from probes.figures.fitting import columns_that_fit
from probes.figures.marks import error_bars
from probes.figures.panels import Grid, Spacing
from probes.figures.presets import Preset
from probes.figures.rows import Row, concepts_of
from probes.figures.style import GREY, StageStyle
from probes.figures.text import interval, label, text_width

NOTE_AT = 0.02
"""Where across a panel a note stands: rates and AUROCs so far below chance do not occur."""


class Dot(NamedTuple):
    """How a row is drawn: beside which name, how far below it, filled or hollow, and with what note."""

    beside: str
    below: float
    filled: bool
    variant: str
    """What the row is, after the name of its stage."""
    note: str = ""
    """Small type at the left edge of the panel, level with the name."""
    symbol: str | None = None
    """The marker, where it is not that of the stage."""


@dataclass(frozen=True)
class DotList:
    """A figure of estimates between 0 and 1 beside names, with a rule at one half.

    Parameters
    ----------
    rows : sequence of dict
        Rows of the tidy table; each becomes one dot in the panel of its concept.
    names : sequence of str
        What stands down the side of a panel, from the top.
    dot : callable
        Says of a row how it is drawn.
    styles : mapping of str to StageStyle
        A dot has the colour and the marker of the stage of its row.
    axis : str
        Title of the x axis.
    height : float
        Height of a panel, in ems.
    below : float
        Room for the labels of the x axis, in ems.
    key, foot, title
        As in `Grid`.
    joined : bool
        Whether a line joins the filled dots beside a name with the hollow ones.
    """

    rows: Sequence[Row]
    names: Sequence[str]
    dot: Callable[[Row], Dot]
    styles: Mapping[str, StageStyle]
    axis: str
    height: float
    below: float = 3.0
    key: Mapping[str, StageStyle] | None = None
    foot: str | None = None
    title: str | None = None
    joined: bool = False

    def paint(self, preset: Preset) -> go.Figure:
        """Draw the figure for a preset."""
        concepts = concepts_of(self.rows)
        side = max(text_width(name) for name in self.names) * 0.9 + 1.0
        grid = Grid(
            preset,
            len(concepts),
            columns_that_fit(preset, len(concepts), 11, side + 1.0, 1.6),
            self.height,
            Spacing(left=side, right=1.0, across=1.6, down=3.6, below=self.below),
            key=self.key,
            foot=self.foot,
            title=self.title,
        )
        for index, concept in enumerate(concepts):
            self._axes(grid, index, concept)
            here = [row for row in self.rows if row["concept"] == concept]
            if self.joined:
                self._join(grid, index, here)
            for row in here:
                self._draw(grid, index, row)
        return grid.finish()

    def _axes(self, grid: Grid, index: int, concept: str) -> None:
        grid.head(index, label(concept))
        grid.xaxis(
            index,
            range=[0, 1],
            tickvals=[0, 0.25, 0.5, 0.75, 1],
            ticktext=["0", ".25", ".5", ".75", "1"],
            title=self.axis if grid.lowest(index) else None,
        )
        grid.yaxis(
            index,
            range=[len(self.names) - 0.4, -0.6],
            tickvals=list(range(len(self.names))),
            showticklabels=grid.first(index),
            ticks="",
            ticktext=[label(name) for name in self.names],
            showline=False,
        )
        grid.rule(index, x=0.5)

    def _join(self, grid: Grid, index: int, rows: Sequence[Row]) -> None:
        for name in self.names:
            beside = [row for row in rows if self.dot(row).beside == name and not self.dot(row).symbol]
            for filled in (row for row in beside if self.dot(row).filled):
                for hollow in (row for row in beside if not self.dot(row).filled):
                    grid.add(
                        index,
                        "scatter",
                        x=[filled["estimate"], hollow["estimate"]],
                        y=[self.names.index(name) + self.dot(row).below for row in (filled, hollow)],
                        mode="lines",
                        name=f"{label(name)} joined",
                        showlegend=False,
                        hoverinfo="skip",
                        line={"color": self.styles[filled["stage"]].color, "width": 0.12 * grid.preset.em},
                    )

    def _draw(self, grid: Grid, index: int, row: Row) -> None:
        em, style, dot = grid.preset.em, self.styles[row["stage"]], self.dot(row)
        level = self.names.index(dot.beside)
        grid.add(
            index,
            "scatter",
            x=[row["estimate"]],
            y=[level + dot.below],
            mode="markers",
            name=f"{label(row['stage'])} {dot.variant}",
            showlegend=False,
            cliponaxis=False,  # a point at 1 is drawn whole
            error_x=error_bars([row], style.color, grid.preset),
            marker={
                "size": 0.55 * em,
                "color": style.color if dot.filled else "white",
                "symbol": dot.symbol or style.symbol,
                "line": {"color": style.color, "width": 0.12 * em},
            },
            customdata=[interval(row)],
            hovertemplate="%{customdata}<extra></extra>",
        )
        if dot.note:
            grid.text(index, label(dot.note), NOTE_AT, level, GREY, xanchor="left")
