"""What the figures of mixtures of two stages share: pairs of stages, scores, axes and lines with bands."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from probes.figures.fitting import columns_that_fit
from probes.figures.panels import Grid, Spacing
from probes.figures.presets import Preset
from probes.figures.rows import Row
from probes.figures.style import PALETTE, translucent
from probes.figures.text import interval, label

SCORES = {
    "asked": "asked",
    "reversed": "asked the other way round",
    "principled": "principled score",
    "string": "string score",
}
"""Score -> how a figure calls it, in the order of the panels."""
LOGITS = "change of the choice logit"

Pair = tuple[str | None, str, str]
"""Concept, child and parent."""


def pair_of(row: Row) -> Pair:
    return row["concept"], row["stage"], row["source_stage"]


def pairs_of(rows: Sequence[Row], names: Sequence[str]) -> list[Pair]:
    """The pairs of stages, in the order of the children."""
    found = dict.fromkeys(pair_of(row) for row in rows)
    return sorted(found, key=lambda pair: names.index(pair[1]))


def pair_title(pair: Pair) -> str:
    concept, child, parent = pair
    of = f"{label(concept)}, " if concept else ""
    return f"{of}{label(child)} on {label(parent)}"


def of_pair(rows: Sequence[Row], pair: Pair, **columns: str) -> list[Row]:
    return [
        row
        for row in rows
        if pair_of(row) == pair and all(row[name] == value for name, value in columns.items())
    ]


def y_range(rows: Sequence[Row]) -> tuple[float, float]:
    """The range that holds every interval and 0, with a little room."""
    ends = [0.0, *(row[end] for row in rows for end in ("ci_low", "ci_high") if row[end] is not None)]
    room = 0.05 * (max(ends) - min(ends) or 1.0)
    return min(ends) - room, max(ends) + room


def pair_grid(preset: Preset, count: int, title: str | None, columns: int = 2) -> Grid:
    fitting = min(columns, columns_that_fit(preset, count, 14, 5.0, 5.5))
    spacing = Spacing(left=5.0, right=6.5, across=6.5, down=5.0, below=3.9)
    return Grid(preset, count, max(1, fitting), 13, spacing, title=title)


def set_axes(
    grid: Grid, index: int, xs: Sequence[float], heights: tuple[float, float], x: str, y: str
) -> None:
    """Set the axes of a panel, with their titles where it stands at an edge of the figure."""
    room = 0.03 * (max(xs) - min(xs) or 1.0)
    grid.xaxis(index, title=x if grid.lowest(index) else None, range=[min(xs) - room, max(xs) + room])
    grid.yaxis(index, title=y if grid.first(index) else None, range=list(heights))


def lines_with_bands(
    grid: Grid, index: int, lines: Mapping[str, Sequence[Row]], at: Callable[[Row], float], unit: str
) -> None:
    """One line with its band for each name, named at its end."""
    preset = grid.preset
    ends: list[tuple[float, float, str, str]] = []
    for number, (name, rows) in enumerate(lines.items()):
        if not rows:
            continue
        color = PALETTE[number]
        xs = [at(row) for row in rows]
        lows, highs = ([row[end] for row in rows] for end in ("ci_low", "ci_high"))
        grid.add(
            index,
            "scatter",
            x=[*xs, *reversed(xs)],
            y=[*highs, *reversed(lows)],
            fill="toself",
            fillcolor=translucent(color, 0.15),
            line={"width": 0},
            mode="lines",
            hoverinfo="skip",
        )
        grid.add(
            index,
            "scatter",
            x=xs,
            y=[row["estimate"] for row in rows],
            mode="lines+markers",
            name=name,
            line={"color": color, "width": preset.stroke},
            marker={"size": 0.3 * preset.em},
            customdata=[interval(row) for row in rows],
            hovertemplate=f"{unit} %{{x}}, {name}: %{{customdata}}<extra></extra>",
        )
        ends.append((rows[-1]["estimate"], xs[-1], name, color))
    low, high = grid.range_of(index)
    step = 1.25 * preset.small / grid.panel_height * (high - low)
    y = float("inf")
    for value, x, name, color in sorted(ends, reverse=True):
        y = min(value, y - step)
        grid.text(index, f" {name}", x, y, color, xanchor="left")
