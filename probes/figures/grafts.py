"""Grafts: what the modules of a stage do, and how choices change with the dose of its change of weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import plotly.graph_objects as go

from probes.figures.figure import Figure
from probes.figures.mixtures import (
    LOGITS,
    SCORES,
    lines_with_bands,
    of_pair,
    pair_grid,
    pair_title,
    pairs_of,
    set_axes,
    y_range,
)
from probes.figures.panels import Grid
from probes.figures.presets import Preset, get_preset
from probes.figures.rows import Row, Table, at_stages, need, pick, sizes, table_of
from probes.figures.style import GREY, PALETTE
from probes.figures.text import interval

MODULES = {
    "embeddings": "embeddings",
    "attn": "attention",
    "mlp": "MLP",
    "head": "head",
}
GRAFTS = {
    "graft_put_in": "put in alone",
    "graft_taken_out": "taken out alone",
    "graft_from_below": "put in with all below",
    "graft_from_above": "put in with all above",
}


def graft_bars(
    table: Table,
    *,
    stages: Sequence[str] | None = None,
    order: Sequence[str] | None = None,
    title: str | None = None,
    preset: str | Preset | None = None,
) -> Figure:
    """Draw what every module of a stage does when it is put into its parent, or taken out.

    Parameters
    ----------
    table : polars.DataFrame or Result
        A tidy table with rows of measure `graft_put_in`, as `probes.graft` gives it.
    stages, order, title, preset : optional
        Which stages to draw, in which order, with which title and at which size, as in `probes.draw`.

    Returns
    -------
    Figure

    Raises
    ------
    InputError
        The table has no such rows.

    Examples
    --------
    >>> found = probes.graft(lineage["mid"], lineage["base"], concept.choices, n_random=0, progress=False)
    >>> [trace.name for trace in graft_bars(found).plotly.data][:2]
    ['attention', 'MLP']
    """
    table = table_of(table)
    what = "a graft"
    rows = need(pick(table, "graft_put_in"), what, "measure 'graft_put_in'")
    names, rows = at_stages(table, rows, stages, order, what)
    every = [row for measure in GRAFTS for row in pick(table, measure) if row["stage"] in names]
    scores = [score for score in SCORES if any(row["variant"] == score for row in every)]
    shown = [score for score in scores if score != "reversed"]
    panels = [
        (pair, score, measure)
        for pair in pairs_of(rows, names)
        for score in shown
        for measure in GRAFTS
        if of_pair(every, pair, variant=score, measure=measure)
    ]
    high = y_range(every)
    layers = sorted({row["layer"] for row in every if row["layer"] is not None})

    def place(row: Row) -> float:
        if row["layer"] is None:
            return -2.0 if row["site"] == "embeddings" else (layers[-1] if layers else 0) + 2.0
        return row["layer"] + (0.18 if row["site"] == "mlp" else -0.18)

    def paint(preset: Preset) -> go.Figure:
        grid = pair_grid(preset, len(panels), title, columns=4)
        for index, (pair, score, measure) in enumerate(panels):
            here = of_pair(every, pair, variant=score, measure=measure)
            set_axes(grid, index, [place(row) for row in here], high, "layer", LOGITS)
            grid.rule(index, y=0)
            for number, (site, name) in enumerate(MODULES.items()):
                of_site = [row for row in here if row["site"] == site]
                if of_site:
                    _bars(grid, index, of_site, name, PALETTE[1 + number], place)
                    step = 1.3 * preset.small / grid.panel_height * (high[1] - high[0])
                    grid.text(index, name, -0.5, high[1] - number * step, PALETTE[1 + number], "left")
            heading = f"{pair_title(pair)}, {SCORES[score]}: {GRAFTS[measure]}"
            grid.head(index, heading, size=grid.preset.small)
        return grid.finish()

    return Figure(
        paint,
        kind="graft_bars",
        caption=(
            "What the weights of single modules of a training stage do to choices: put alone into the parent,"
            " taken alone out of the child, and put into the parent together with all below or all above."
            f" {sizes(rows)}; bars are 95% intervals. Orange: attention; green: MLP."
        ),
        how_to_read=(
            "A module that moves the choice when it is put in is enough by itself; one that moves it when it"
            " is taken out is needed."
        ),
        caveat="Modules work together, so single effects need not add up to the whole change.",
        alt=f"Grafts of {', '.join(pair_title(pair) for pair in pairs_of(rows, names))} by layer and module.",
        preset=get_preset(preset),
    )


def graft_dose(
    table: Table,
    *,
    stages: Sequence[str] | None = None,
    order: Sequence[str] | None = None,
    title: str | None = None,
    preset: str | Preset | None = None,
) -> Figure:
    """Draw how choices change with the dose of a stage's whole change of weights.

    Parameters
    ----------
    table : polars.DataFrame or Result
        A tidy table with rows of measure `graft_dose`, as `probes.graft` gives it.
    stages, order, title, preset : optional
        Which stages to draw, in which order, with which title and at which size, as in `probes.draw`.

    Returns
    -------
    Figure

    Raises
    ------
    InputError
        The table has no such rows.

    Examples
    --------
    >>> found = probes.graft(lineage["mid"], lineage["base"], concept.choices, n_random=0, progress=False)
    >>> [trace.name for trace in graft_dose(found).plotly.data if trace.name]
    ['asked']
    """
    table = table_of(table)
    what = "a dose curve"
    rows = need(pick(table, "graft_dose"), what, "measure 'graft_dose'")
    names, rows = at_stages(table, rows, stages, order, what)
    panels = pairs_of(rows, names)
    high = y_range(rows)

    def paint(preset: Preset) -> go.Figure:
        grid = pair_grid(preset, len(panels), title)
        for index, pair in enumerate(panels):
            here = of_pair(rows, pair)
            lines = {
                shown: sorted((row for row in here if row["variant"] == score), key=lambda row: row["alpha"])
                for score, shown in SCORES.items()
            }
            set_axes(
                grid, index, [row["alpha"] for row in here], high, "dose of the change of weights", LOGITS
            )
            grid.rule(index, x=1.0)
            lines_with_bands(grid, index, lines, lambda row: row["alpha"], "dose")
            grid.head(index, pair_title(pair))
        return grid.finish()

    return Figure(
        paint,
        kind="graft_dose",
        caption=(
            "The change of choices when a multiple of a stage's change of weights is added to its parent: 0"
            f" is the parent and 1 (grey line) is the stage itself. {sizes(rows)}; bands are 95% intervals."
        ),
        how_to_read="A straight line says that the change adds up; a step, that it needs all of the dose.",
        caveat="Above 1 the model is one that was never trained.",
        alt=f"Dose curve of {', '.join(pair_title(pair) for pair in panels)}.",
        preset=get_preset(preset),
    )


def _bars(
    grid: Grid, index: int, rows: Sequence[Row], name: str, color: str, at: Callable[[Row], float]
) -> None:
    preset = grid.preset
    grid.add(
        index,
        "bar",
        x=[at(row) for row in rows],
        y=[row["estimate"] for row in rows],
        width=0.34,
        name=name,
        marker={"color": color, "line": {"width": 0}},
        error_y={
            "type": "data",
            "symmetric": False,
            "array": [row["ci_high"] - row["estimate"] for row in rows],
            "arrayminus": [row["estimate"] - row["ci_low"] for row in rows],
            "thickness": 0.5 * preset.stroke,
            "width": 0,
            "color": GREY,
        },
        customdata=[interval(row) for row in rows],
        hovertemplate=f"layer %{{x:.0f}}, {name}: %{{customdata}}<extra></extra>",
    )
