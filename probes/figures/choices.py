"""Choice rates: which option each stage prefers, by stage and concept."""

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
    keyed,
    need,
    one_setting,
    pick,
    sizes,
    stage_order,
    table_of,
    unique,
)
from probes.figures.style import label, stage_styles

FOOT = "filled: summed log-probability; hollow: mean per token"


def choice_rates(
    table: Any,
    *,
    stages: Sequence[str] | None = None,
    order: Sequence[str] | None = None,
    title: str | None = None,
    preset: str | Preset | None = None,
) -> Figure:
    """Share of items where the positive option wins, by stage, one panel per concept, with intervals.

    Filled points score the summed log-probability of the options, hollow ones the mean per token. The line
    at .5 is indifference. Raises InputError where the table has no such rows.
    """
    table = table_of(table)
    canonical = pl.col("alpha").is_null() & pl.col("shift").is_null()
    rows = pick(table, "choice_rate", ["summed", "per_token"], canonical)
    keys = ["stage", "concept", "variant"]
    rows = unique(
        one_setting(need(rows, "a choice-rate figure", "measure 'choice_rate' and no alpha"), keys), keys
    )
    names = drawn_stages(table, rows, stages, order)
    rows = need([row for row in rows if row["stage"] in names], "a choice-rate figure", f"stages {stages}")
    concepts = concepts_of(rows)
    styles = stage_styles(stage_order(table, order))
    both = len(keyed(rows, ["variant"])) > 1

    def paint(preset: Preset) -> go.Figure:
        frame = list_frame(
            preset, len(concepts), names, 1.7 * len(names) + 0.6, title=title, foot=FOOT if both else None
        )
        for index, concept in enumerate(concepts):
            for variant in ("summed", "per_token"):
                group = [row for row in rows if (row["concept"], row["variant"]) == (concept, variant)]
                _dots(frame, index, group, names, styles, 0.16 if both else 0.0)
            list_axes(frame, index, concept, names, "choice rate")
        return frame.finish()

    hollow = " Filled: summed log-probability; hollow: mean per token." if both else ""
    return Figure(
        paint,
        kind="choice_rates",
        caption=(
            "Share of choice items where the option that fits the concept is the likelier answer, both orders"
            f" of presentation averaged.{hollow} Bars: 95% intervals; line: indifference. {sizes(rows)}."
        ),
        reading="Compare a stage with its parent and with the control arm, never with .5 alone.",
        caveat=(
            "Option length and position move these rates: the two scorings should agree. Behaviour alone does"
            " not say whether the concept is represented: a memorised phrase can move it as well."
        ),
        alt=f"Choice rates of {', '.join(names)} on {', '.join(concepts)}.",
        preset=get_preset(preset),
    )


def _dots(frame: Grid, index: int, rows: list[Row], names: list, styles: dict, offset: float) -> None:
    for row in rows:
        hollow = row["variant"] == "per_token"
        y = names.index(row["stage"]) + (offset if hollow else -offset)
        told = f"{label(row['stage'])} {row['variant']}"
        dot(frame, index, row, y, styles[row["stage"]], filled=not hollow, name=told)
