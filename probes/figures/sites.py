"""Site search: at which layer and tokens the choice can be moved by exchanging states, as a heat map."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go

from probes.figures.figure import Figure
from probes.figures.fitting import columns_that_fit
from probes.figures.panels import Grid, Spacing
from probes.figures.presets import Preset, get_preset
from probes.figures.rows import Row, Table, at_stages, concepts_of, need, pick, sizes, table_of
from probes.figures.style import BLUES, INK
from probes.figures.text import interval, label

VARIANTS = {"whole_state": "whole states", "class_mean": "class means"}
"""Variant -> what was exchanged, in the order of the panels."""
Panel = tuple[str, str, str]
"""Concept, stage and variant."""


def site_search(
    table: Table,
    *,
    stages: Sequence[str] | None = None,
    order: Sequence[str] | None = None,
    title: str | None = None,
    preset: str | Preset | None = None,
) -> Figure:
    """Draw how far the choice follows an exchange of states at every layer and for every role of tokens.

    For each stage and concept there are two panels: whole states, and their component along the difference of
    the class means. The cross marks the site that was chosen.

    Parameters
    ----------
    table : polars.DataFrame or Result
        A tidy table with rows of measure `site_search`, as `probes.locate` gives it.
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
    >>> items = [item.model_copy(update={"split": None}) for item in concept.choices]
    >>> found = probes.locate(stage, items, dimensions=(), n_random=2, progress=False)
    >>> [trace.name for trace in site_search(found).plotly.data]
    ['mid whole states', 'chosen', 'mid class means', 'chosen']
    """
    table = table_of(table)
    rows = need(pick(table, "site_search", list(VARIANTS)), "a site search", "measure 'site_search'")
    names, rows = at_stages(table, rows, stages, order, "a site search")
    panels = [
        (concept, name, variant)
        for concept in concepts_of(rows)
        for name in names
        for variant in VARIANTS
        if any(_panel(row) == (concept, name, variant) for row in rows)
    ]
    roles = list(dict.fromkeys(row["position"] for row in rows))
    layers = sorted({row["layer"] for row in rows})

    def paint(preset: Preset) -> go.Figure:
        columns = columns_that_fit(preset, len(panels), 9, 4.5, 1.6)
        spacing = Spacing(left=4.0, right=5.0, across=1.6, down=4.0, below=3.4)
        height = min(24.0, max(9.0, 0.8 * len(layers)))
        grid = Grid(preset, len(panels), columns - columns % 2 or 1, height, spacing, title=title)
        for index, panel in enumerate(panels):
            _heat_map(grid, index, panel, [row for row in rows if _panel(row) == panel], roles, layers)
        return grid.finish()

    return Figure(
        paint,
        kind="site_search",
        caption=(
            "The share of the text's own effect on the choice that an exchange of states between the two"
            " prompts of an item has, at every layer and for every role of tokens: whole states (left) and"
            " their component along the difference of the class means (right). Measured on the selection"
            f" items; the cross marks the chosen site. {sizes(rows)}."
        ),
        how_to_read=(
            "Dark on the left: the answer is read from these tokens' states there. Dark on the right as well:"
            " one direction carries it."
        ),
        caveat=(
            "Exchanging the first states of the evidence is the same as exchanging the text, and near the top"
            " the last token holds the answer itself; what lies between them says more."
        ),
        alt=f"Site search of {', '.join(names)} on {', '.join(map(label, concepts_of(rows)))}.",
        preset=get_preset(preset),
    )


def _panel(row: Row) -> Panel:
    return row["concept"], row["stage"], row["variant"]


def _heat_map(
    grid: Grid, index: int, panel: Panel, rows: Sequence[Row], roles: Sequence[str], layers: Sequence[int]
) -> None:
    concept, stage, variant = panel
    cells = {(row["layer"], row["position"]): row for row in rows}
    lines = [[cells.get((layer, role)) for role in roles] for layer in layers]
    shown, heights = [label(role) for role in roles], [str(layer) for layer in layers]
    preset = grid.preset
    grid.add(
        index,
        "heatmap",
        x=shown,
        y=heights,
        z=[[row and row["estimate"] for row in line] for line in lines],
        zmin=0,
        zmax=1,
        colorscale=BLUES,
        xgap=1,
        ygap=1,
        showscale=index == 0,
        hoverongaps=False,
        name=f"{label(stage)} {VARIANTS[variant]}",
        customdata=[[interval(row) if row else "" for row in line] for line in lines],
        hovertemplate="layer %{y}, %{x}: %{customdata}<extra></extra>",
        colorbar={
            "title": {"text": "share of the text's effect", "side": "right", "font": {"size": preset.em}},
            "tickfont": {"size": preset.small},
            "thickness": 0.8 * preset.em,
            "outlinewidth": 0,
            "x": 1,
            "xanchor": "left",
            "xpad": 0.8 * preset.em,
            "len": 1,
            "ypad": 0,
            "nticks": 6,
        },
    )
    chosen = [row for row in rows if row["selected"]]
    grid.add(
        index,
        "scatter",
        x=[label(row["position"]) for row in chosen],
        y=[str(row["layer"]) for row in chosen],
        mode="markers",
        name="chosen",
        showlegend=False,
        hoverinfo="skip",
        marker={
            "symbol": "x-thin",
            "size": 0.8 * preset.em,
            "line": {"color": INK, "width": 0.2 * preset.em},
        },
    )
    of = f"{label(concept)}, " if concept else ""
    grid.head(index, f"{of}{label(stage)}: {VARIANTS[variant]}")
    look = {"ticks": "", "showline": False, "showgrid": False, "type": "category"}
    grid.xaxis(index, range=[-0.5, len(roles) - 0.5], **look)
    every = max(1, len(layers) // 10)
    grid.yaxis(
        index,
        title="layer" if grid.first(index) else None,
        showticklabels=grid.first(index),
        range=[-0.5, len(layers) - 0.5],
        tickvals=heights[::every],
        ticktext=heights[::every],
        **look,
    )
