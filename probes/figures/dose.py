"""Dose-response: what adding a direction does to choices, beside random directions and the damage it does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import plotly.graph_objects as go
import polars as pl

from probes.figures.figure import Figure
from probes.figures.fitting import columns_that_fit, limits
from probes.figures.marks import error_bars, interval_band
from probes.figures.panels import Grid, Spacing
from probes.figures.presets import Preset, get_preset
from probes.figures.rows import (
    Row,
    Table,
    at_stages,
    chosen_layers,
    concepts_of,
    keyed,
    need,
    one_setting,
    own,
    pick,
    sizes,
    stage_order,
    table_of,
    unique,
)
from probes.figures.style import CHANCE, StageStyle, axis_title, stage_styles
from probes.figures.text import interval, label, number, wrapped

KEYS = ["stage", "concept", "variant"]
EDGES = 6.0  # ems of margin left and right
Damage = Mapping[tuple[str, str, float], tuple[bool, float | None]]
"""(stage, concept, alpha) -> whether the dose does too much damage, and its KL where that was measured."""


class _Layout(NamedTuple):
    """The grid, the panels in use (concept by concept), and the names over some of them."""

    grid: Grid
    cells: list[int]
    heads: dict[int, str]


def dose_response(
    table: Table,
    *,
    measure: str = "choice_logit",
    stages: Sequence[str] | None = None,
    order: Sequence[str] | None = None,
    max_kl: float | None = None,
    title: str | None = None,
    preset: str | Preset | None = None,
) -> Figure:
    """Draw choices against the dose of a stage's own direction, one panel a stage and concept.

    The grey band is the range over random directions of the same length. A point is hollow where its dose
    does damage to text that has nothing to do with the concept: where `within_damage_limit` is 0 in the
    table or, with `max_kl`, where KL is over that limit.

    Parameters
    ----------
    table : polars.DataFrame or Result
        A tidy table with rows of the measure that have an `alpha`, which is the dose in natural units
        (standard deviations of the projections on the direction).
    measure : str
        `choice_logit` (nats) or `choice_rate`.
    max_kl : float, optional
        Limit on KL to the unsteered model on neutral text, in nats per token.
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
    >>> figure = dose_response(table, stages=["mid"], max_kl=0.1)
    >>> line = figure.plotly.data[1]
    >>> [(dose, "hollow" if color == "white" else "filled") for dose, color in zip(line.x, line.marker.color)]
    [(-8.0, 'hollow'), (-4.0, 'filled'), ..., (4.0, 'filled'), (8.0, 'hollow')]
    """
    table = table_of(table)
    dosed = pl.col("alpha").is_not_null()
    rows = need(
        [row for row in pick(table, measure, ["direction", "random_direction"], dosed) if own(row)],
        "a dose-response figure",
        f"measure {measure!r}, variants 'direction' and 'random_direction', and an alpha",
    )
    chosen = chosen_layers(table)
    rows = unique(_one_layer(one_setting(rows, KEYS), chosen), [*KEYS, "alpha"])
    damage = _damage(table, chosen, max_kl)
    names, _ = at_stages(table, rows, stages, order, "a dose-response figure")
    concepts = concepts_of(rows)
    styles = stage_styles(stage_order(table, order))
    places = [(concept, name) for concept in concepts for name in names]

    over = "damage over the limit" if max_kl is None else f"KL over {number(max_kl)} nats per token"
    random = any(row["variant"] == "random_direction" for row in rows)
    foot = "; ".join(["grey: random directions"] * random + [f"hollow: {over}"] * bool(damage))

    def paint(preset: Preset) -> go.Figure:
        cols = columns_that_fit(preset, len(names), 6.0, EDGES, 1.0)
        grid, cells, heads = _layout(preset, concepts, names, cols, title, foot)
        low, high = limits(measure, rows)
        doses = [row["alpha"] for row in rows]
        side = 0.06 * (max(doses) - min(doses) or 1.0)
        for (concept, name), index in zip(places, cells, strict=True):
            here = [row for row in rows if (row["concept"], row["stage"]) == (concept, name)]
            _curve(grid, index, here, styles[name], damage)
            if index in heads:
                grid.head(index, heads[index], styles[name].color, preset.small)
            first, last = grid.first(index), index + cols not in cells
            grid.xaxis(
                index,
                range=[min(doses) - side, max(doses) + side],
                title="dose (sd)" if last else None,
                showticklabels=last,
                nticks=5,
            )
            grid.yaxis(
                index,
                range=[low, high],
                showticklabels=first,
                nticks=6,
                title=f"{label(concept)}<br>{axis_title(measure)}" if first else None,
            )
            grid.rule(index, y=CHANCE[measure])
        return grid.finish()

    hollow = f"Hollow points: {over}." if damage else "Damage was not measured."
    return Figure(
        paint,
        kind="dose_response",
        caption=(
            f"{axis_title(measure).capitalize()} against the dose of the stage's own direction. A dose is"
            " measured in standard deviations of the projections on the direction. Bars are 95% intervals;"
            " the grey band runs from the 2.5th to the 97.5th percentile of random directions of the same"
            " length."
            f" {hollow} {sizes(row for row in rows if row['variant'] == 'direction')}."
        ),
        how_to_read=(
            "A slope that leaves the grey band says that adding the direction is enough to change choices."
            " Compare panels of the same concept: the first stage shows what pretraining gave."
        ),
        caveat=(
            "Hollow points do not count: at those doses the model's text itself is breaking. Addition shows"
            " that a direction is sufficient and not that the model needs it; only ablation shows that."
        ),
        alt=f"Dose-response of {axis_title(measure)} for {', '.join(names)}; concepts {', '.join(concepts)}.",
        preset=get_preset(preset),
    )


def _damage(table: pl.DataFrame, chosen: dict, max_kl: float | None) -> Damage:
    """The damage of every dose of which it was measured, under `max_kl` or the limit of the table."""

    def by_dose(measure: str) -> dict[tuple[str, str, float], float]:
        rows = pick(table, measure, ["direction"], pl.col("alpha").is_not_null())
        rows = _one_layer(one_setting([row for row in rows if own(row)], KEYS), chosen)
        return {(row["stage"], row["concept"], row["alpha"]): row["estimate"] for row in rows}

    kl = by_dose("kl")
    if max_kl is not None:
        return {place: (value > max_kl, value) for place, value in kl.items()}
    return {place: (not kept, kl.get(place)) for place, kept in by_dose("within_damage_limit").items()}


def _one_layer(rows: list[Row], chosen: dict) -> list[Row]:
    """Where a curve was measured at several layers, the one at the layer chosen for that stage."""
    kept = []
    for (stage, concept, _), group in keyed(rows, KEYS).items():
        layers = {row["layer"] for row in group}
        home = chosen.get((stage, concept))
        if len(layers) > 1 and home is not None and home["layer"] in layers:
            group = [row for row in group if row["layer"] == home["layer"]]
        kept += group
    return kept


def _layout(
    preset: Preset, concepts: list, names: list, cols: int, title: str | None, foot: str | None
) -> _Layout:
    """Panels of a concept start on a row of their own; stages are named once where they fit in one row."""
    rows_each = -(-len(names) // cols)
    cells = [c * rows_each * cols + s for c in range(len(concepts)) for s in range(len(names))]
    panel = (preset.width_px - (EDGES + (cols - 1) * 1.0) * preset.em) / cols
    heads = [wrapped(name, panel / (0.57 * preset.small)) for name in names]
    lines = max(head.count("<br>") for head in heads) + 1
    spacing = Spacing(
        left=5.2,
        right=EDGES - 5.2,
        across=1.0,
        down=1.2 if rows_each == 1 else 1.2 * lines + 0.9,
        head=1.2 * lines + 0.2,
    )
    grid = Grid(preset, cells[-1] + 1, cols, 8, spacing, title=title, foot=foot)
    for index in set(range(cells[-1] + 1)) - set(cells):
        grid.hide(index)
    headed = cells[: len(names)] if rows_each == 1 else cells
    return _Layout(grid, cells, dict(zip(headed, heads * len(concepts), strict=False)))


def _curve(grid: Grid, index: int, rows: list[Row], style: StageStyle, damage: Damage) -> None:
    """The dose-response of one stage and concept, and the range of random directions behind it."""
    preset = grid.preset
    by_variant = {
        variant: sorted(group, key=lambda row: row["alpha"])
        for (variant,), group in keyed(rows, ["variant"]).items()
    }
    random = by_variant.get("random_direction", [])
    doses = [row["alpha"] for row in random]
    interval_band(grid, index, doses, random, "rgba(120,120,120,0.25)", name="random directions")
    line = by_variant.get("direction", [])
    if not line:
        return
    done = [damage.get((row["stage"], row["concept"], row["alpha"]), (False, None)) for row in line]
    grid.add(
        index,
        "scatter",
        x=[row["alpha"] for row in line],
        y=[row["estimate"] for row in line],
        mode="lines+markers",
        name=label(line[0]["stage"]),
        showlegend=False,
        line={"color": style.color, "width": preset.stroke},
        error_y=error_bars(line, style.color, preset),
        marker={
            "size": 0.42 * preset.em,
            "line": {"color": style.color, "width": 0.12 * preset.em},
            "color": ["white" if over else style.color for over, _ in done],
        },
        customdata=[[interval(row), number(kl, 3)] for row, (_, kl) in zip(line, done, strict=True)],
        hovertemplate="dose %{x}: %{customdata[0]}<br>KL %{customdata[1]}<extra></extra>",
    )
