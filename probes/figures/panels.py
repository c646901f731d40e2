"""The frame of a figure: a grid of panels at a preset's size, with its axes, titles, key and foot line.

Layout is collected as plain dicts and handed to plotly once: adding a hundred annotations one by one takes
plotly seconds.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from probes.figures.presets import Preset
from probes.figures.style import FAINT, FONT, GREY, INK, StageStyle, label, text_width


def columns_that_fit(preset: Preset, count: int, narrowest: float, edges: float, gap: float) -> int:
    """How many panels of at least `narrowest` ems stand side by side between `edges` ems of margin."""
    room = preset.width_px / preset.em - edges
    return max(1, min(count, int((room + gap) // (narrowest + gap))))


class Grid:
    """Panels of a figure, counted from 0, row by row.

    Parameters are in ems of the preset: `height` of a panel; margins `left`, `right`, `below` (axis labels)
    and `head` (over each first row); `gap` across and down. `shares` are the relative widths of the columns,
    `key` the stages named under the panels, `foot` a line of small type at the very bottom.
    """

    def __init__(
        self,
        preset: Preset,
        count: int,
        cols: int,
        height: float,
        *,
        left: float,
        right: float,
        gap: tuple[float, float],
        below: float = 3.2,
        head: float = 1.6,
        shares: Sequence[float] | None = None,
        key: Mapping[str, StageStyle] | None = None,
        foot: str | None = None,
        title: str | None = None,
    ) -> None:
        em = preset.em
        self.preset, self.cols, self.count = preset, cols, count
        self.rows = math.ceil(count / cols)
        self.panel_height = height * em
        width = preset.width_px - (left + right) * em
        self._plot = (width, (self.rows * height + (self.rows - 1) * gap[1]) * em)
        self._margins = (left * em, below * em)
        self._annotations: list[dict[str, Any]] = []
        self._shapes: list[dict[str, Any]] = []
        self._traces: list[dict[str, Any]] = []
        self._axes: dict[str, dict[str, Any]] = {}
        top = head * em + (2.0 * em if title else 0.3 * em)
        bottom = below * em
        bottom += self._key(key or {}, bottom)
        bottom += self._foot(foot, bottom) + 0.2 * em
        self._layout: dict[str, Any] = {
            "template": "none",
            "width": preset.width_px,
            "height": round(self._plot[1] + top + bottom),
            "margin": {"l": left * em, "r": right * em, "t": top, "b": bottom, "pad": 0, "autoexpand": False},
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
        self._place(shares or [1.0] * cols, gap)

    def _under(self, text: str, across: float, down: float, color: str) -> None:
        """Small type at a distance from the left edge of the figure and from the bottom of the panels."""
        self._annotations.append(
            {
                "text": text,
                "xref": "paper",
                "x": 0,
                "xanchor": "left",
                "xshift": across - self._margins[0],
                "yref": "paper",
                "y": 0,
                "yanchor": "top",
                "yshift": -down,
                "align": "left",
                "borderpad": 0,
                "showarrow": False,
                "font": {"size": self.preset.small, "color": color},
            }
        )

    def _key(self, key: Mapping[str, StageStyle], down: float) -> float:
        """A line and a name for each stage, in rows under the panels; returns the height."""
        if not key:
            return 0.0
        em, sample = self.preset.em, 1.8 * self.preset.em
        entry = max(text_width(name) for name in key) * self.preset.small + sample + 1.6 * em
        per_row = max(1, int((self.preset.width_px - em) // entry))
        for place, (name, style) in enumerate(key.items()):
            row, col = divmod(place, per_row)
            across, at = 0.6 * em + col * entry, down + row * 1.35 * em
            self._under(label(name), across + sample + 0.4 * em, at, INK)
            self._shapes.append(
                {
                    "type": "line",
                    "xref": "paper",
                    "yref": "paper",
                    "xsizemode": "pixel",
                    "ysizemode": "pixel",
                    "xanchor": 0,
                    "yanchor": 0,
                    "x0": across - self._margins[0],
                    "x1": across - self._margins[0] + sample,
                    "y0": -at - 0.65 * self.preset.small,
                    "y1": -at - 0.65 * self.preset.small,
                    "line": {"color": style.color, "width": 1.3 * self.preset.stroke, "dash": style.dash},
                }
            )
        return (math.ceil(len(key) / per_row) * 1.35 + 0.3) * em

    def _foot(self, foot: str | None, down: float) -> float:
        """A line of small type at the bottom, broken at semicolons where it is too long."""
        if not foot:
            return 0.0
        narrow = text_width(foot) * 0.9 * self.preset.small > self.preset.width_px - self.preset.em
        lines = foot.split("; ") if narrow else [foot]
        self._under("<br>".join(lines), 0.6 * self.preset.em, down + 0.3 * self.preset.em, GREY)
        return (1.4 * len(lines) + 0.3) * self.preset.em

    def _place(self, shares: Sequence[float], gap: tuple[float, float]) -> None:
        """Domains of the panels, and the axes they all share the look of."""
        em = self.preset.em
        across, down = gap[0] * em / self._plot[0], gap[1] * em / self._plot[1]
        free = 1 - across * (self.cols - 1)
        widths = [free * share / sum(shares) for share in shares]
        self.panel_width = min(widths) * self._plot[0]
        tall = self.panel_height / self._plot[1]
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
        """Title (plotly text) and settings of the x axis of a panel."""
        self._axis("xaxis" + self._names(index)[0][1:], title, settings)

    def yaxis(self, index: int, title: str | None = None, **settings: Any) -> None:
        """Title (plotly text) and settings of the y axis of a panel."""
        self._axis("yaxis" + self._names(index)[1][1:], title, settings)

    def hide(self, index: int) -> None:
        """Leave the place of a panel empty."""
        self.xaxis(index, visible=False)
        self.yaxis(index, visible=False)

    def add(self, index: int, kind: str, **trace: Any) -> None:
        """A plotly trace of that kind in a panel."""
        x, y = self._names(index)
        self._traces.append({"type": kind, "xaxis": x, "yaxis": y, **trace})

    def band(
        self, index: int, xs: Sequence, lows: Sequence, highs: Sequence, color: str, **trace: Any
    ) -> None:
        """A filled band between two curves."""
        self.add(
            index,
            "scatter",
            x=[*xs, *reversed(xs)],
            y=[*highs, *reversed(lows)],
            fill="toself",
            fillcolor=color,
            line={"width": 0},
            mode="lines",
            hoverinfo="skip",
            showlegend=False,
            **trace,
        )

    def rule(self, index: int, *, x: float | None = None, y: float | None = None) -> None:
        """A thin grey line between grid and data, at an x or at a y; the axes must have ranges."""
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
        """Title of a panel, above its left corner; `text` is plotly text (see `style.label`)."""
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
        """Small type at (x, y) of a panel, centred there unless `xanchor` says otherwise."""
        self._note(index, text, x, y, color, showarrow=False, xanchor=xanchor)

    def label(self, index: int, text: str, x: float, y: float, down: float) -> None:
        """The name of a line that ends at (x, y), to its right and `down` pixels lower, tied to it."""
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
        """The plotly figure."""
        layout = {**self._layout, **self._axes, "annotations": self._annotations, "shapes": self._shapes}
        return go.Figure(data=self._traces, layout=layout)
