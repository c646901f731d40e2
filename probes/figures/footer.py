"""What stands under the panels of a figure: the key that names the stages, and a line of small type."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from probes.figures.presets import Preset
from probes.figures.style import GREY, INK, StageStyle
from probes.figures.text import label, text_width


class Footer:
    """Plotly annotations and shapes of the key and the foot line.

    `left` is the margin left of the panels, `down` is how far below the panels the footer begins and `end`
    how far below them it ends, all in CSS pixels.
    """

    def __init__(
        self,
        preset: Preset,
        left: float,
        down: float,
        key: Mapping[str, StageStyle] | None,
        foot: str | None,
    ) -> None:
        self._preset, self._left = preset, left
        self.annotations: list[dict[str, Any]] = []
        self.shapes: list[dict[str, Any]] = []
        self.end = down + self._key(key or {}, down)
        self.end += self._foot(foot, self.end) + 0.2 * preset.em

    def _small_type(self, text: str, across: float, down: float, color: str) -> None:
        """Place a text at a distance from the left edge of the figure and from the bottom of the panels."""
        self.annotations.append(
            {
                "text": text,
                "xref": "paper",
                "x": 0,
                "xanchor": "left",
                "xshift": across - self._left,
                "yref": "paper",
                "y": 0,
                "yanchor": "top",
                "yshift": -down,
                "align": "left",
                "borderpad": 0,
                "showarrow": False,
                "font": {"size": self._preset.small, "color": color},
            }
        )

    def _key(self, key: Mapping[str, StageStyle], down: float) -> float:
        """Draw a line and a name for each stage, in rows; returns the height."""
        if not key:
            return 0.0
        preset, em, sample = self._preset, self._preset.em, 1.8 * self._preset.em
        entry = max(text_width(name) for name in key) * preset.small + sample + 1.6 * em
        per_row = max(1, int((preset.width_px - em) // entry))
        for place, (name, style) in enumerate(key.items()):
            row, col = divmod(place, per_row)
            across, at = 0.6 * em + col * entry, down + row * 1.35 * em
            self._small_type(label(name), across + sample + 0.4 * em, at, INK)
            self.shapes.append(
                {
                    "type": "line",
                    "xref": "paper",
                    "yref": "paper",
                    "xsizemode": "pixel",
                    "ysizemode": "pixel",
                    "xanchor": 0,
                    "yanchor": 0,
                    "x0": across - self._left,
                    "x1": across - self._left + sample,
                    "y0": -at - 0.65 * preset.small,
                    "y1": -at - 0.65 * preset.small,
                    "line": {"color": style.color, "width": 1.3 * preset.stroke, "dash": style.dash},
                }
            )
        return (math.ceil(len(key) / per_row) * 1.35 + 0.3) * em

    def _foot(self, foot: str | None, down: float) -> float:
        """Write the foot line, broken at semicolons where it is too long; returns the height."""
        if not foot:
            return 0.0
        preset = self._preset
        narrow = text_width(foot) * 0.9 * preset.small > preset.width_px - preset.em
        lines = foot.split("; ") if narrow else [foot]
        self._small_type("<br>".join(lines), 0.6 * preset.em, down + 0.3 * preset.em, GREY)
        return (1.4 * len(lines) + 0.3) * preset.em
