"""Steadiness: what is left of each stage's probe on every shift axis, by concept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go
import polars as pl

from probes.figures.dots import dot, list_axes, list_frame
from probes.figures.figure import Figure
from probes.figures.panels import Grid
from probes.figures.presets import Preset, get_preset
from probes.figures.rows import (
    Row,
    concepts_of,
    drawn_stages,
    need,
    one_setting,
    pick,
    sizes,
    stage_order,
    table_of,
    unique,
)
from probes.figures.style import label, stage_styles

CANONICAL = "canonical"


def steadiness(
    table: Any,
    *,
    stages: Sequence[str] | None = None,
    order: Sequence[str] | None = None,
    title: str | None = None,
    preset: str | Preset | None = None,
) -> Figure:
    """AUROC of canonical probes on each shift axis, one panel per concept, a point a stage, with intervals.

    The worst axis of each stage is filled, the others hollow. Raises InputError without such rows.
    """
    table = table_of(table)
    whole = pl.col("shift_value").is_null()
    rows = pick(table, "auroc", ["shift_transfer"], whole)
    rows += pick(table, "auroc", ["probe"], pl.col("selected"), pl.col("shift").is_null())
    keys = ["stage", "concept", "shift", "layer"]
    rows = need(rows, "a steadiness figure", "measure 'auroc', variant 'shift_transfer'")
    rows = unique(one_setting(rows, ["stage", "concept", "shift"]), keys)
    names = drawn_stages(table, rows, stages, order)
    rows = need([row for row in rows if row["stage"] in names], "a steadiness figure", f"stages {stages}")
    concepts = concepts_of([row for row in rows if row["shift"]])
    axes = [CANONICAL, *dict.fromkeys(row["shift"] for row in rows if row["shift"])]
    worst = {(row["stage"], row["concept"], row["shift"]) for row in pick(table, "steadiness")}
    styles = stage_styles(stage_order(table, order))

    def paint(preset: Preset) -> go.Figure:
        frame = list_frame(
            preset,
            len(concepts),
            axes,
            (0.8 + 0.55 * len(names)) * len(axes),
            below=3.6,
            title=title,
            key={name: styles[name] for name in names},
            foot="filled: the worst axis of a stage",
        )
        for index, concept in enumerate(concepts):
            _dots(
                frame, index, [row for row in rows if row["concept"] == concept], names, axes, worst, styles
            )
            list_axes(frame, index, concept, axes, "AUROC")
        return frame.finish()

    return Figure(
        paint,
        kind="steadiness",
        caption=(
            "AUROC of the probe fitted on canonical pairs, on the pairs of each shift axis alone; a point a"
            f" stage. Bars: 95% intervals; line: chance; filled: the worst axis of a stage. {sizes(rows)}."
        ),
        reading="Steadiness is the worst axis, not the mean: a reading that fails on one does not travel.",
        caveat=(
            "A probe can fail on an axis because the concept is elsewhere there, not because it is gone: see"
            " the refit rows of the table."
        ),
        alt=f"AUROC by shift axis of {', '.join(names)} on {', '.join(concepts)}.",
        preset=get_preset(preset),
    )


def _dots(
    frame: Grid, index: int, rows: list[Row], names: list[str], axes: list[str], worst: set, styles: dict
) -> None:
    for row in rows:
        axis = row["shift"] or CANONICAL
        offset = (names.index(row["stage"]) - (len(names) - 1) / 2) * 0.7 / len(names)
        filled = (row["stage"], row["concept"], row["shift"]) in worst
        told = f"{label(row['stage'])} {axis}"
        dot(frame, index, row, axes.index(axis) + offset, styles[row["stage"]], filled=filled, name=told)
