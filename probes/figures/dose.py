"""Dose-response: what adding a direction does to choices, beside random directions and the damage done."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import plotly.graph_objects as go
import polars as pl

from probes.figures.figure import Figure
from probes.figures.panels import Grid, columns_that_fit
from probes.figures.presets import Preset, get_preset
from probes.figures.rows import (
    Row,
    chosen_layers,
    concepts_of,
    drawn_stages,
    keyed,
    limits,
    need,
    one_setting,
    own,
    pick,
    sizes,
    stage_order,
    table_of,
    unique,
)
from probes.figures.style import (
    CHANCE,
    StageStyle,
    axis_title,
    interval,
    label,
    number,
    stage_styles,
    translucent,
    wrapped,
)

KEYS = ["stage", "concept", "variant"]
EDGES = 6.0  # ems of margin left and right


class _Layout(NamedTuple):
    """The grid, the panels in use (concept by concept), and the names over some of them."""

    frame: Grid
    cells: list[int]
    heads: dict[int, str]


def dose_response(
    table: Any,
    *,
    measure: str = "choice_logit",
    stages: Sequence[str] | None = None,
    order: Sequence[str] | None = None,
    max_kl: float | None = None,
    title: str | None = None,
    preset: str | Preset | None = None,
) -> Figure:
    """Choices against the dose of a stage's own direction, one panel per stage and concept.

    `measure` is choice_logit (nats) or choice_rate. The grey band is the range over random directions of the
    same length. Points are hollow where the dose does damage: where `within_damage_limit` is 0 in the table,
    or, with `max_kl`, where KL to the unsteered model on neutral text is over that many nats per token.
    Raises InputError where the table has no such rows.
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
    harm = _harm(table, chosen, max_kl)
    names = drawn_stages(table, rows, stages, order)
    concepts = concepts_of(rows)
    styles = stage_styles(stage_order(table, order))
    places = [(concept, name) for concept in concepts for name in names]
    need([row for row in rows if row["stage"] in names], "a dose-response figure", f"stages {stages}")

    own_doses = [row for row in rows if row["variant"] == "direction"]
    over = "damage over the limit" if max_kl is None else f"KL over {number(max_kl)} nats per token"
    random = any(row["variant"] == "random_direction" for row in rows)
    told = ["grey: random directions"] * random + [f"hollow: {over}"] * bool(harm)
    foot = "; ".join(told)

    def paint(preset: Preset) -> go.Figure:
        cols = columns_that_fit(preset, len(names), 6.0, EDGES, 1.0)
        frame, cells, heads = _frame(preset, concepts, names, cols, title, foot)
        low, high = limits(measure, rows)
        doses = [row["alpha"] for row in rows]
        side = 0.06 * (max(doses) - min(doses) or 1.0)
        for (concept, name), index in zip(places, cells, strict=True):
            here = [row for row in rows if (row["concept"], row["stage"]) == (concept, name)]
            _panel(frame, index, here, styles[name], harm)
            if index in heads:
                frame.head(index, heads[index], styles[name].color, preset.small)
            first, last = frame.first(index), index + cols not in cells
            frame.xaxis(
                index,
                range=[min(doses) - side, max(doses) + side],
                title="dose (sd)" if last else None,
                showticklabels=last,
                nticks=5,
            )
            frame.yaxis(
                index,
                range=[low, high],
                showticklabels=first,
                nticks=6,
                title=f"{label(concept)}<br>{axis_title(measure)}" if first else None,
            )
            frame.rule(index, y=CHANCE[measure])
        return frame.finish()

    damage = f"Hollow: {over}." if harm else "Damage was not measured."
    return Figure(
        paint,
        kind="dose_response",
        caption=(
            f"{axis_title(measure).capitalize()} against the dose of the stage's own direction, in natural"
            f" units (standard deviations of projections). Bars: 95% intervals; grey: 2.5 to 97.5% of random"
            f" directions of the same length. {damage} {sizes(own_doses)}."
        ),
        reading=(
            "A slope that leaves the grey band says the direction is enough to move choices. Compare panels"
            " of the same concept: the first stage shows what pretraining gave."
        ),
        caveat=(
            "Hollow points do not count: there the text itself is breaking. Addition shows that a direction"
            " is sufficient, not that the model needs it; only ablation does."
        ),
        alt=f"Dose-response of {axis_title(measure)} for {', '.join(names)}; concepts {', '.join(concepts)}.",
        preset=get_preset(preset),
    )


def _harm(table: pl.DataFrame, chosen: dict, max_kl: float | None) -> dict[tuple, tuple[bool, float | None]]:
    """(stage, concept, alpha) -> whether the dose does too much damage, and its KL where it was measured."""

    def by_dose(measure: str) -> dict[tuple, float]:
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


def _frame(
    preset: Preset, concepts: list, names: list, cols: int, title: str | None, foot: str | None
) -> _Layout:
    """Panels of a concept start on a row of their own; stages are named once where they fit in one row."""
    rows_each = -(-len(names) // cols)
    cells = [c * rows_each * cols + s for c in range(len(concepts)) for s in range(len(names))]
    panel = (preset.width_px - (EDGES + (cols - 1) * 1.0) * preset.em) / cols
    heads = [wrapped(name, panel / (0.57 * preset.small)) for name in names]
    lines = max(head.count("<br>") for head in heads) + 1
    frame = Grid(
        preset,
        cells[-1] + 1,
        cols,
        8,
        left=5.2,
        right=EDGES - 5.2,
        head=1.2 * lines + 0.2,
        gap=(1.0, 1.2 if rows_each == 1 else 1.2 * lines + 0.9),
        title=title,
        foot=foot,
    )
    for index in set(range(cells[-1] + 1)) - set(cells):
        frame.hide(index)
    headed = cells[: len(names)] if rows_each == 1 else cells
    return _Layout(frame, cells, dict(zip(headed, heads * len(concepts), strict=False)))


def _panel(frame: Grid, index: int, rows: list[Row], style: StageStyle, harm: dict) -> None:
    preset = frame.preset
    by_variant = {
        variant: sorted(group, key=lambda row: row["alpha"])
        for (variant,), group in keyed(rows, ["variant"]).items()
    }
    random = by_variant.get("random_direction", [])
    banded = [row for row in random if row["ci_low"] is not None and row["ci_high"] is not None]
    if banded:
        frame.band(
            index,
            [row["alpha"] for row in banded],
            [row["ci_low"] for row in banded],
            [row["ci_high"] for row in banded],
            "rgba(120,120,120,0.25)",
            name="random directions",
        )
    line = by_variant.get("direction", [])
    if not line:
        return
    damage = [harm.get((row["stage"], row["concept"], row["alpha"]), (False, None)) for row in line]
    frame.add(
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
            "color": ["white" if over else style.color for over, _ in damage],
        },
        customdata=[[interval(row), number(kl, 3)] for row, (_, kl) in zip(line, damage, strict=True)],
        hovertemplate="dose %{x}: %{customdata[0]}<br>KL %{customdata[1]}<extra></extra>",
    )


def error_bars(rows: list[Row], color: str, preset: Preset) -> dict[str, Any]:
    """Plotly error bars from the interval columns; none where a row has no interval."""

    def arm(row: Row, end: str) -> float:
        return 0.0 if row[end] is None else abs(row[end] - row["estimate"])

    return {
        "type": "data",
        "symmetric": False,
        "array": [arm(row, "ci_high") for row in rows],
        "arrayminus": [arm(row, "ci_low") for row in rows],
        "color": translucent(color, 0.75),
        "thickness": 0.7 * preset.stroke,
        "width": 0,
    }
