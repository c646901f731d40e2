"""Growth: time and memory as something doubles, each axis against its own smallest size, log on log."""

from __future__ import annotations

import math
from typing import Any

import plotly.graph_objects as go
import polars as pl

from probes.errors import InputError
from probes.figures.figure import Figure
from probes.figures.fitting import columns_that_fit
from probes.figures.panels import Grid, Spacing
from probes.figures.presets import Preset, get_preset
from probes.figures.style import GREY, dashes, stage_styles
from probes.figures.text import label

PANELS = {"seconds": "time", "peak_mb": "peak memory"}


def growth(points: pl.DataFrame, *, title: str | None = None, preset: str | Preset | None = None) -> Figure:
    """Draw how time and memory grow with size: one panel for each, one line for each axis of growth.

    Both scales are logarithmic and relative to the smallest size of an axis, so that a straight line of slope
    1 (dashed) is linear growth and a level one is none.

    Parameters
    ----------
    points : polars.DataFrame
        Columns `axis`, `size`, `seconds` and `peak_mb`, all positive, one row a measurement.
    title, preset : optional
        With which title and at which size to draw, as in `probes.draw`.

    Returns
    -------
    Figure

    Raises
    ------
    InputError
        There are no points, or some are not positive.

    Examples
    --------
    >>> import polars as pl
    >>> points = {"axis": "texts", "size": [10, 20], "seconds": [3.0, 6.0], "peak_mb": [5.0, 5.0]}
    >>> [(trace.name, trace.y) for trace in growth(pl.DataFrame(points)).plotly.data]
    [('texts', (1.0, 2.0)), ('linear', (1, 2.0)), ('texts', (1.0, 1.0)), ('linear', (1, 2.0))]
    """
    numbers = points.select("size", *PANELS)
    if points.is_empty() or not numbers.select(pl.all_horizontal(pl.all() > 0).all()).item():
        raise InputError("growth is drawn on log scales: expected points, with sizes and costs above zero")
    lines = {str(axis): rows.sort("size") for (axis,), rows in points.group_by("axis", maintain_order=True)}
    styles = stage_styles(list(lines))
    widest = max(max(_relative(rows["size"])) for rows in lines.values())

    def paint(preset: Preset) -> go.Figure:
        grid = Grid(
            preset,
            len(PANELS),
            columns_that_fit(preset, len(PANELS), 12, 5.5, 4.5),
            13,
            Spacing(left=4.5, right=1.0, across=4.5, down=5.0, below=3.9),
            key=styles,
            foot="dashed: linear growth",
            title=title,
        )
        for index, (measure, name) in enumerate(PANELS.items()):
            highest = widest
            for axis, rows in lines.items():
                costs = _relative(rows[measure])
                highest = max(highest, *costs)
                grid.add(
                    index,
                    "scatter",
                    x=_relative(rows["size"]),
                    y=costs,
                    mode="lines+markers",
                    name=label(axis),
                    line={
                        "color": styles[axis].color,
                        "dash": styles[axis].dash,
                        "width": preset.stroke,
                    },
                    marker={"size": 0.45 * preset.em, "symbol": styles[axis].symbol},
                    customdata=rows.select("size", measure).rows(),
                    hovertemplate=f"{label(axis)} %{{customdata[0]}}: %{{customdata[1]:.3g}}<extra></extra>",
                )
            grid.add(
                index,
                "scatter",
                x=[1, widest],
                y=[1, widest],
                mode="lines",
                name="linear",
                hoverinfo="skip",
                line={"color": GREY, "width": 0.6 * preset.stroke, "dash": dashes(preset)},
            )
            grid.head(index, name)
            grid.xaxis(index, title="times the smallest size", type="log", **_powers(0.9, 1.15 * widest))
            grid.yaxis(index, title=f"times its {name}", type="log", **_powers(0.7, 1.3 * highest))
        return grid.finish()

    return Figure(
        paint,
        kind="growth",
        caption=(
            "Time and peak memory as one thing grows and the rest stays the same, each relative to its value"
            f" at the smallest size, on log scales (n={len(points)} measurements)."
        ),
        how_to_read=(
            "A line along the dashed one grows linearly, a level line does not grow at all, and a steeper"
            " line is worse than linear."
        ),
        caveat="Fixed costs flatten a line at its lower end, so judge growth by the upper end.",
        alt=f"Growth of time and memory with {', '.join(lines)}.",
        preset=get_preset(preset),
    )


def _relative(values: pl.Series) -> list[float]:
    """Values as multiples of the first."""
    return [float(value) / float(values[0]) for value in values]


def _powers(low: float, high: float) -> dict[str, Any]:
    """Range and ticks of a logarithmic axis: powers of two."""
    ticks = [2.0**k for k in range(math.ceil(math.log2(low)), math.floor(math.log2(high)) + 1)]
    return {
        "range": [math.log10(low), math.log10(high)],
        "tickmode": "array",
        "tickvals": ticks,
        "ticktext": [f"{tick:g}" for tick in ticks],
    }
