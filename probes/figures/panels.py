"""The frame of a figure: a grid of panels at a preset's size, with its axes and titles.

Layout is collected as plain dicts and handed to plotly once: adding a hundred annotations one by one takes
plotly seconds.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go

from probes.figures.footer import Footer
from probes.figures.presets import Preset
from probes.figures.style import FAINT, FONT, GREY, INK, StageStyle
from probes.figures.text import label


@dataclass(frozen=True)
class Spacing:
    """Distances around and between the panels, in ems of the preset.

    `left` and `right` are margins, `below` is the room for the labels of the lowest x axes and `head` that
    for titles over the first row; `across` and `down` lie between panels.
    """

    left: float
    right: float
    across: float
    down: float
    below: float = 3.2
    head: float = 1.6


class Grid:
    """Panels of a figure, counted from 0, row by row.

    Parameters
    ----------
    preset : Preset
    count, cols : int
        How many panels there are, and how many stand side by side.
    height : float
        Height of a panel, in ems.
    spacing : Spacing
    shares : sequence of float, optional
        Relative widths of the columns; the same for all by default.
    key : mapping of str to StageStyle, optional
        Stages to be named under the panels.
    foot : str, optional
        A line of small type at the very bottom.
    title : str, optional

    Examples
    --------
    >>> from probes.figures.presets import PRESETS
    >>> grid = Grid(PRESETS["icml"], count=2, cols=2, height=10, spacing=Spacing(4, 1, across=1, down=1))
    >>> grid.add(0, "scatter", x=[0, 1], y=[0.5, 0.9])
    >>> grid.finish().layout.width
    312
    """

    def __init__(
        self,
        preset: Preset,
        count: int,
        cols: int,
        height: float,
        spacing: Spacing,
        *,
        shares: Sequence[float] | None = None,
        key: Mapping[str, StageStyle] | None = None,
        foot: str | None = None,
        title: str | None = None,
    ) -> None:
        em = preset.em
        left, right = spacing.left * em, spacing.right * em
        rows = math.ceil(count / cols)
        self.preset, self.cols, self.count = preset, cols, count
        self.panel_height = height * em
        width = preset.width_px - (spacing.left + spacing.right) * em
        self._plot = (width, (rows * height + (rows - 1) * spacing.down) * em)
        self._traces: list[dict[str, Any]] = []
        self._axes: dict[str, dict[str, Any]] = {}
        footer = Footer(preset, left, spacing.below * em, key, foot)
        self._annotations, self._shapes = footer.annotations, footer.shapes
        top = spacing.head * em + (2.0 * em if title else 0.3 * em)
        self._layout: dict[str, Any] = {
            "template": "none",
            "width": preset.width_px,
            "height": round(self._plot[1] + top + footer.end),
            "margin": {"l": left, "r": right, "t": top, "b": footer.end, "pad": 0, "autoexpand": False},
            "font": {"family": FONT, "size": em, "color": INK},
            "paper_bgcolor": "white",
            "plot_bgcolor": "white",
            "showlegend": False,
            "hoverlabel": {"font": {"family": FONT, "size": em}},
        }
        if title:
            self._layout["title"] = {
                "text": label(title),
                "x": 0.01,
                "xref": "container",
                "xanchor": "left",
                "y": 1,
                "yref": "container",
                "yanchor": "top",
                "pad": {"t": 0.5 * em},
                "font": {"size": 1.15 * em},
            }
        self._place(shares or [1.0] * cols, spacing.across * em, spacing.down * em)

    def _place(self, shares: Sequence[float], across: float, down: float) -> None:
        """Set the domains of the panels, and the look that all their axes share."""
        em = self.preset.em
        across, down, tall = (
            across / self._plot[0],
            down / self._plot[1],
            self.panel_height / self._plot[1],
        )
        free = 1 - across * (self.cols - 1)
        widths = [free * share / sum(shares) for share in shares]
        look = {
            "showline": True,
            "linecolor": GREY,
            "linewidth": 0.07 * em,
            "ticks": "outside",
            "ticklen": 0.3 * em,
            "tickcolor": GREY,
            "tickwidth": 0.07 * em,
            "zeroline": False,
            "tickfont": {"size": self.preset.small},
            "gridcolor": FAINT,
            "gridwidth": 0.07 * em,
        }
        for index in range(self.count):
            row, col = divmod(index, self.cols)
            start = sum(widths[:col]) + across * col
            ceiling = 1 - row * (tall + down)
            x, y = self._names(index)
            self._axes["xaxis" + x[1:]] = {
                **look,
                "showgrid": False,
                "anchor": y,
                "domain": [start, min(start + widths[col], 1.0)],
            }
            self._axes["yaxis" + y[1:]] = {
                **look,
                "showgrid": True,
                "anchor": x,
                "domain": [max(ceiling - tall, 0.0), ceiling],
            }

    def _names(self, index: int) -> tuple[str, str]:
        return (f"x{index + 1}", f"y{index + 1}") if index else ("x", "y")

    def _axis(self, name: str, title: str | None, settings: dict[str, Any]) -> None:
        self._axes[name].update(settings)
        if title:
            em = self.preset.em
            self._axes[name]["title"] = {"text": title, "font": {"size": em}, "standoff": 0.5 * em}

    def lowest(self, index: int) -> bool:
        """Whether no panel stands under this one."""
        return index + self.cols >= self.count

    def first(self, index: int) -> bool:
        """Whether the panel stands at the left edge."""
        return index % self.cols == 0

    def xaxis(self, index: int, title: str | None = None, **settings: Any) -> None:
        """Set the title (plotly text) and other plotly settings of the x axis of a panel."""
        self._axis("xaxis" + self._names(index)[0][1:], title, settings)

    def yaxis(self, index: int, title: str | None = None, **settings: Any) -> None:
        """Set the title (plotly text) and other plotly settings of the y axis of a panel."""
        self._axis("yaxis" + self._names(index)[1][1:], title, settings)

    def range_of(self, index: int) -> tuple[float, float]:
        """The range of the y axis of a panel, which must have been set."""
        low, high = self._axes["yaxis" + self._names(index)[1][1:]]["range"]
        return low, high

    def hide(self, index: int) -> None:
        """Leave the place of a panel empty."""
        self.xaxis(index, visible=False)
        self.yaxis(index, visible=False)

    def add(self, index: int, kind: str, **trace: Any) -> None:
        """Add a plotly trace of that kind to a panel; `trace` is what plotly calls its attributes."""
        x, y = self._names(index)
        self._traces.append({"type": kind, "xaxis": x, "yaxis": y, **trace})

    def rule(self, index: int, *, x: float | None = None, y: float | None = None) -> None:
        """Draw a thin grey line between grid and data, at an x or at a y; the axes must have ranges."""
        across, up = self._names(index)
        left, right = self._axes["xaxis" + across[1:]]["range"] if x is None else (x, x)
        floor, ceiling = self._axes["yaxis" + up[1:]]["range"] if y is None else (y, y)
        self._shapes.append(
            {
                "type": "line",
                "layer": "between",  # plotly draws this layer only for shapes in data coordinates
                "line": {"color": GREY, "width": 0.6 * self.preset.stroke},
                "xref": across,
                "x0": left,
                "x1": right,
                "yref": up,
                "y0": floor,
                "y1": ceiling,
            }
        )

    def head(self, index: int, text: str, color: str = INK, size: float | None = None) -> None:
        """Write the title of a panel above its left corner; `text` is plotly text (see `text.label`)."""
        x, y = self._names(index)
        self._annotations.append(
            {
                "text": f"<b>{text}</b>",
                "xref": f"{x} domain",
                "yref": f"{y} domain",
                "x": 0,
                "y": 1,
                "xanchor": "left",
                "yanchor": "bottom",
                "align": "left",
                "showarrow": False,
                "borderpad": 0,
                "xshift": -2,
                "font": {"size": size or self.preset.em, "color": color},
            }
        )

    def text(self, index: int, text: str, x: Any, y: Any, color: str, xanchor: str = "center") -> None:
        """Write small type at (x, y) of a panel, centred there unless `xanchor` says otherwise."""
        self._note(index, text, x, y, color, showarrow=False, xanchor=xanchor)

    def label(self, index: int, text: str, x: float, y: float, down: float) -> None:
        """Name a line that ends at (x, y), to its right and `down` pixels lower, and tie the name to it."""
        self._note(
            index,
            text,
            x,
            y,
            GREY,
            showarrow=True,
            arrowhead=0,
            arrowwidth=0.4 * self.preset.stroke,
            arrowcolor=GREY,
            ax=1.3 * self.preset.em,
            ay=down,
            xanchor="left",
            yanchor="middle",
            borderpad=0,
        )

    def _note(self, index: int, text: str, x: Any, y: Any, color: str, **more: Any) -> None:
        across, up = self._names(index)
        font = {"size": self.preset.small, "color": color}
        self._annotations.append(
            {"text": text, "xref": across, "yref": up, "x": x, "y": y, "font": font, **more}
        )

    def finish(self) -> go.Figure:
        """Make the plotly figure."""
        layout = {**self._layout, **self._axes, "annotations": self._annotations, "shapes": self._shapes}
        return go.Figure(data=self._traces, layout=layout)
