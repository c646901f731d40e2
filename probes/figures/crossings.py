"""Crossing: how much of a stage's change its states carry, layer by layer."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go

from probes.figures.figure import Figure
from probes.figures.mixtures import (
    LOGITS,
    SCORES,
    lines_with_bands,
    of_pair,
    pair_grid,
    pair_of,
    pair_title,
    pairs_of,
    set_axes,
    y_range,
)
from probes.figures.panels import Grid
from probes.figures.presets import Preset, get_preset
from probes.figures.rows import Row, Table, at_stages, need, pick, sizes, table_of
from probes.figures.style import GREY, dashes
from probes.figures.text import interval

ROLES = {
    "all": "all tokens",
    "options": "options",
    "evidence": "evidence",
    "other": "other tokens",
    "last": "last token",
    "answer": "answer",
}


def crossing_map(
    table: Table,
    *,
    stages: Sequence[str] | None = None,
    order: Sequence[str] | None = None,
    title: str | None = None,
    preset: str | Preset | None = None,
) -> Figure:
    """Draw how much of a stage's change its states carry at every layer, for every role of tokens.

    Parameters
    ----------
    table : polars.DataFrame or Result
        A tidy table with rows of measure `crossing_below`, as `probes.cross` gives it.
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
    >>> found = probes.cross(lineage["mid"], lineage["base"], concept.choices, progress=False)
    >>> [trace.name for trace in crossing_map(found).plotly.data if trace.name]
    ['all tokens', 'options', 'last token']
    """
    table = table_of(table)
    what = "a crossing"
    rows = need(pick(table, "crossing_below"), what, "measure 'crossing_below'")
    names, rows = at_stages(table, rows, stages, order, what)
    totals = {(pair_of(row), row["variant"]): row for row in pick(table, "crossing_total")}
    panels = [
        (pair, score)
        for pair in pairs_of(rows, names)
        for score in SCORES
        if of_pair(rows, pair, variant=score)
    ]
    high = y_range([*rows, *totals.values()])

    def paint(preset: Preset) -> go.Figure:
        grid = pair_grid(preset, len(panels), title)
        for index, (pair, score) in enumerate(panels):
            here = of_pair(rows, pair, variant=score)
            lines = {
                shown: sorted((row for row in here if row["position"] == role), key=lambda row: row["layer"])
                for role, shown in ROLES.items()
            }
            set_axes(grid, index, [row["layer"] for row in here], high, "layer", LOGITS)
            total = totals.get((pair, score))
            if total:
                _level(grid, index, total, [row["layer"] for row in here])
            lines_with_bands(grid, index, lines, lambda row: row["layer"], "layer")
            grid.head(index, f"{pair_title(pair)}: {SCORES[score]}")
        return grid.finish()

    return Figure(
        paint,
        kind="crossing_map",
        caption=(
            "The change of choices that a training stage's states carry at each layer, averaged over whose"
            " blocks come after: the states of all tokens, or of some only. The dashed line is the whole"
            " change; what lies between it and a curve is carried by the stage's blocks from there on."
            f" {sizes(rows)}; bands are 95% intervals."
        ),
        how_to_read=(
            "A curve of all tokens that rises early says that the lower blocks carry the change, so that the"
            " prompt is read in another way; one that rises at the end, that the upper blocks do, so that the"
            " answer is given in another way."
        ),
        caveat="Curves of single roles need not add up to that of all tokens.",
        alt=f"Crossing of {', '.join(pair_title(pair) for pair in pairs_of(rows, names))} by layer.",
        preset=get_preset(preset),
    )


def _level(grid: Grid, index: int, row: Row, xs: Sequence[float]) -> None:
    """The whole change, as a dashed line."""
    preset = grid.preset
    grid.add(
        index,
        "scatter",
        x=[min(xs), max(xs)],
        y=[row["estimate"]] * 2,
        mode="lines",
        showlegend=False,
        line={"color": GREY, "width": 0.8 * preset.stroke, "dash": dashes(preset)},
        hovertemplate=f"whole change: {interval(row)}<extra></extra>",
    )
