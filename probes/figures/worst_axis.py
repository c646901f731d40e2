"""Worst axis: how far each stage's reading travels, in one row a stage, for lineages of many stages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go
import polars as pl

from probes.figures.dots import dot, list_axes, list_frame
from probes.figures.figure import Figure
from probes.figures.presets import Preset, get_preset
from probes.figures.rows import (
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
from probes.figures.style import GREY, label, stage_styles

AXIS_AT = 0.02
"""Where across a panel the worst axis is named: no reading falls that far below chance."""


def worst_axis(
    table: Any,
    *,
    stages: Sequence[str] | None = None,
    order: Sequence[str] | None = None,
    title: str | None = None,
    preset: str | Preset | None = None,
) -> Figure:
    """AUROC of canonical probes on the worst shift axis, one panel per concept, a row a stage.

    Filled: the worst axis, which is named at the left; hollow: canonical test pairs. Raises InputError
    without rows of measure `steadiness`.
    """
    table = table_of(table)
    keys = ["stage", "concept", "measure"]
    found = need(pick(table, "steadiness"), "a worst-axis figure", "measure 'steadiness'")
    canonical = pick(table, "auroc", ["probe"], pl.col("selected"), pl.col("shift").is_null())
    rows = unique(one_setting(found + canonical, keys), keys)
    names = drawn_stages(table, found, stages, order)
    rows = need([row for row in rows if row["stage"] in names], "a worst-axis figure", f"stages {stages}")
    concepts = concepts_of(rows)
    styles = stage_styles(stage_order(table, order))

    def paint(preset: Preset) -> go.Figure:
        frame = list_frame(
            preset,
            len(concepts),
            names,
            1.25 * len(names) + 0.6,
            title=title,
            foot="filled: the worst axis, named at the left; hollow: canonical pairs",
        )
        for index, concept in enumerate(concepts):
            list_axes(frame, index, concept, names, "AUROC")
            for row in (row for row in rows if row["concept"] == concept):
                worst = row["measure"] == "steadiness"
                y = names.index(row["stage"]) + (0.16 if worst else -0.16)
                told = f"{label(row['stage'])} {row['shift'] or 'canonical'}"
                dot(frame, index, row, y, styles[row["stage"]], filled=worst, name=told)
                if worst:
                    place = names.index(row["stage"])
                    frame.text(index, label(row["shift"]), AXIS_AT, place, GREY, xanchor="left")
        return frame.finish()

    return Figure(
        paint,
        kind="worst_axis",
        caption=(
            "AUROC of the probe fitted on canonical pairs, on canonical test pairs (hollow) and on the shift"
            f" axis where it is lowest (filled). Bars: 95% intervals; line: chance. {sizes(rows)}."
        ),
        reading="Steadiness is the worst axis, not the mean: a reading that fails on one does not travel.",
        caveat="The lowest of several axes is low by chance too: compare stages, not a stage with .5.",
        alt=f"AUROC on the worst shift axis of {', '.join(names)} on {', '.join(concepts)}.",
        preset=get_preset(preset),
    )
