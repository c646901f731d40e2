"""Growth: time and memory as something doubles, each axis against its own smallest size, log on log."""

from __future__ import annotations

import math

import plotly.graph_objects as go
import polars as pl

from probes.errors import InputError
from probes.figures.figure import Figure
from probes.figures.panels import Grid, columns_that_fit
from probes.figures.presets import Preset, get_preset
from probes.figures.style import GREY, dashes, label, stage_styles

PANELS = {"seconds": "time", "peak_mb": "peak memory"}


def growth(points: pl.DataFrame, *, title: str | None = None, preset: str | Preset | None = None) -> Figure:
    """One panel for time and one for memory, a line for each axis of growth.

    Parameters
    ----------
    points : columns axis, size, seconds and peak_mb, all positive, one row a measurement.

    Both scales are logarithmic and relative to the smallest size of an axis, so that a straight line of slope
    1 (dashed) is linear growth and a level one none. Raises InputError for no points, or some not positive.
    """
    numbers = points.select("size", *PANELS)
    if points.is_empty() or not numbers.select(pl.all_horizontal(pl.all() > 0).all()).item():
        raise InputError("growth is drawn on log scales: expected points, with sizes and costs above zero")
    lines = {str(axis): rows.sort("size") for (axis,), rows in points.group_by("axis", maintain_order=True)}
    styles = stage_styles(list(lines))
    spans = [rows["size"].to_list() for rows in lines.values()]
    widest = max(float(sizes[-1]) / float(sizes[0]) for sizes in spans)

    def paint(preset: Preset) -> go.Figure:
        cols = columns_that_fit(preset, len(PANELS), 12, 5.5, 4.5)
        frame = Grid(
            preset,
            len(PANELS),
            cols,
            13,
            left=4.5,
            right=1.0,
            gap=(4.5, 5.0),
            below=3.9,
            key=styles,
            foot="dashed: linear growth",
            title=title,
        )
        for index, (measure, name) in enumerate(PANELS.items()):
            highest = widest
            for axis, rows in lines.items():
                sizes, costs = (
                    [float(one) / float(rows[column][0]) for one in rows[column]]
                    for column in ("size", measure)
                )
                highest = max(highest, *costs)
                frame.add(
                    index,
                    "scatter",
                    x=sizes,
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
            frame.add(
                index,
                "scatter",
                x=[1, widest],
                y=[1, widest],
                mode="lines",
                name="linear",
                hoverinfo="skip",
                line={"color": GREY, "width": 0.6 * preset.stroke, "dash": dashes(preset)},
            )
            frame.head(index, name)
            frame.xaxis(index, title="times the smallest size", type="log", **_powers(0.9, 1.15 * widest))
            frame.yaxis(index, title=f"times its {name}", type="log", **_powers(0.7, 1.3 * highest))
        return frame.finish()

    return Figure(
        paint,
        kind="growth",
        caption=(
            "Time and peak memory as one thing grows and the rest stays, each relative to its smallest size,"
            f" on log scales (n={len(points)} measurements)."
        ),
        reading="A line along the dashed one grows linearly, a level one not at all; steeper is worse.",
        caveat="Fixed costs flatten a line at its lower end, so judge growth by the upper one.",
        alt=f"Growth of time and memory with {', '.join(lines)}.",
        preset=get_preset(preset),
    )


def _powers(low: float, high: float) -> dict:
    """Range and ticks of a logarithmic axis: powers of two."""
    ticks = [2.0**k for k in range(math.ceil(math.log2(low)), math.floor(math.log2(high)) + 1)]
    return {
        "range": [math.log10(low), math.log10(high)],
        "tickmode": "array",
        "tickvals": ticks,
        "ticktext": [f"{tick:g}" for tick in ticks],
    }
