"""Where a training stage's change lives: crossing of two stages, grafts of modules, doses of the change."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import plotly.graph_objects as go

from probes.figures.figure import Figure
from probes.figures.fitting import columns_that_fit
from probes.figures.panels import Grid, Spacing
from probes.figures.presets import Preset, get_preset
from probes.figures.rows import Row, Table, at_stages, need, pick, sizes, table_of
from probes.figures.style import GREY, PALETTE, dashes, translucent
from probes.figures.text import interval, label

SCORES = {
    "asked": "asked",
    "reversed": "asked the other way round",
    "principled": "principled score",
    "string": "string score",
}
"""Score -> how a figure calls it, in the order of the panels."""
ROLES = {
    "all": "all tokens",
    "options": "options",
    "evidence": "evidence",
    "other": "other tokens",
    "last": "last token",
    "answer": "answer",
}
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
LOGITS = "change of the choice logit"

Pair = tuple[str | None, str, str]
"""Concept, child and parent."""


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
    totals = {(_pair(row), row["variant"]): row for row in pick(table, "crossing_total")}
    panels = [
        (pair, score) for pair in _pairs(rows, names) for score in SCORES if _of(rows, pair, variant=score)
    ]
    high = _highest([*rows, *totals.values()])

    def paint(preset: Preset) -> go.Figure:
        grid = _grid(preset, len(panels), title)
        for index, (pair, score) in enumerate(panels):
            here = _of(rows, pair, variant=score)
            lines = {
                shown: sorted((row for row in here if row["position"] == role), key=lambda row: row["layer"])
                for role, shown in ROLES.items()
            }
            _axes(grid, index, [row["layer"] for row in here], high, "layer", LOGITS)
            total = totals.get((pair, score))
            if total:
                _level(grid, index, total, [row["layer"] for row in here])
            _lines(grid, index, lines, lambda row: row["layer"], "layer")
            grid.head(index, f"{_names(pair)}: {SCORES[score]}")
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
        alt=f"Crossing of {', '.join(_names(pair) for pair in _pairs(rows, names))} by layer.",
        preset=get_preset(preset),
    )


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
        for pair in _pairs(rows, names)
        for score in shown
        for measure in GRAFTS
        if _of(every, pair, variant=score, measure=measure)
    ]
    high = _highest(every)
    layers = sorted({row["layer"] for row in every if row["layer"] is not None})

    def place(row: Row) -> float:
        if row["layer"] is None:
            return -2.0 if row["site"] == "embeddings" else (layers[-1] if layers else 0) + 2.0
        return row["layer"] + (0.18 if row["site"] == "mlp" else -0.18)

    def paint(preset: Preset) -> go.Figure:
        grid = _grid(preset, len(panels), title, columns=4)
        for index, (pair, score, measure) in enumerate(panels):
            here = _of(every, pair, variant=score, measure=measure)
            _axes(grid, index, [place(row) for row in here], high, "layer", LOGITS)
            grid.rule(index, y=0)
            for number, (site, name) in enumerate(MODULES.items()):
                of_site = [row for row in here if row["site"] == site]
                if of_site:
                    _bars(grid, index, of_site, name, PALETTE[1 + number], place)
                    step = 1.3 * preset.small / grid.panel_height * (high[1] - high[0])
                    grid.text(index, name, -0.5, high[1] - number * step, PALETTE[1 + number], "left")
            heading = f"{_names(pair)}, {SCORES[score]}: {GRAFTS[measure]}"
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
        alt=f"Grafts of {', '.join(_names(pair) for pair in _pairs(rows, names))} by layer and module.",
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
    panels = _pairs(rows, names)
    high = _highest(rows)

    def paint(preset: Preset) -> go.Figure:
        grid = _grid(preset, len(panels), title)
        for index, pair in enumerate(panels):
            here = _of(rows, pair)
            lines = {
                shown: sorted((row for row in here if row["variant"] == score), key=lambda row: row["alpha"])
                for score, shown in SCORES.items()
            }
            _axes(grid, index, [row["alpha"] for row in here], high, "dose of the change of weights", LOGITS)
            grid.rule(index, x=1.0)
            _lines(grid, index, lines, lambda row: row["alpha"], "dose")
            grid.head(index, _names(pair))
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
        alt=f"Dose curve of {', '.join(_names(pair) for pair in panels)}.",
        preset=get_preset(preset),
    )


def _pair(row: Row) -> Pair:
    return row["concept"], row["stage"], row["source_stage"]


def _pairs(rows: Sequence[Row], names: Sequence[str]) -> list[Pair]:
    """The pairs of stages, in the order of the children."""
    found = dict.fromkeys(_pair(row) for row in rows)
    return sorted(found, key=lambda pair: names.index(pair[1]))


def _names(pair: Pair) -> str:
    concept, child, parent = pair
    of = f"{label(concept)}, " if concept else ""
    return f"{of}{label(child)} on {label(parent)}"


def _of(rows: Sequence[Row], pair: Pair, **columns: str) -> list[Row]:
    return [
        row
        for row in rows
        if _pair(row) == pair and all(row[name] == value for name, value in columns.items())
    ]


def _highest(rows: Sequence[Row]) -> tuple[float, float]:
    """The range that holds every interval and 0, with a little room."""
    ends = [0.0, *(row[end] for row in rows for end in ("ci_low", "ci_high") if row[end] is not None)]
    room = 0.05 * (max(ends) - min(ends) or 1.0)
    return min(ends) - room, max(ends) + room


def _grid(preset: Preset, count: int, title: str | None, columns: int = 2) -> Grid:
    fitting = min(columns, columns_that_fit(preset, count, 14, 5.0, 5.5))
    spacing = Spacing(left=5.0, right=6.5, across=6.5, down=5.0, below=3.9)
    return Grid(preset, count, max(1, fitting), 13, spacing, title=title)


def _axes(grid: Grid, index: int, xs: Sequence[float], range_: tuple[float, float], x: str, y: str) -> None:
    room = 0.03 * (max(xs) - min(xs) or 1.0)
    grid.xaxis(index, title=x if grid.lowest(index) else None, range=[min(xs) - room, max(xs) + room])
    grid.yaxis(index, title=y if grid.first(index) else None, range=list(range_))


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


def _lines(
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
