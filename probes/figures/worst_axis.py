"""Worst axis: how well each stage's probe generalises, in one row a stage, for lineages of many stages."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from probes.figures.dots import Dot, DotList
from probes.figures.figure import Figure
from probes.figures.presets import Preset, get_preset
from probes.figures.rows import (
    Row,
    Table,
    at_stages,
    concepts_of,
    need,
    one_setting,
    pick,
    sizes,
    stage_order,
    table_of,
    unique,
)
from probes.figures.steadiness import CANONICAL, HOW_TO_READ
from probes.figures.style import stage_styles

KEYS = ["stage", "concept", "measure"]


def worst_axis(
    table: Table,
    *,
    stages: Sequence[str] | None = None,
    order: Sequence[str] | None = None,
    title: str | None = None,
    preset: str | Preset | None = None,
) -> Figure:
    """Draw the AUROC of canonical probes on the shift axis where it is lowest.

    There is one panel a concept and one row a stage. Filled points are the worst axis, which is named at the
    left; hollow ones are canonical test pairs. Bars are 95% intervals, and the line is chance.

    Parameters
    ----------
    table : polars.DataFrame or Result
        A tidy table with rows of measure `steadiness`.
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
    >>> from probes.tables.schema import tidy
    >>> row = {"stage": "base", "concept": "prices", "measure": "steadiness", "shift": "language"}
    >>> figure = worst_axis(tidy([row | {"estimate": 0.6, "n_pairs": 40}]))
    >>> figure.plotly.data[0].name, figure.plotly.layout.annotations[-1].text
    ('base language', 'language')
    """
    table = table_of(table)
    lowest = need(pick(table, "steadiness"), "a worst-axis figure", "measure 'steadiness'")
    canonical = pick(table, "auroc", ["probe"], pl.col("selected"), pl.col("shift").is_null())
    rows = unique(one_setting(lowest + canonical, KEYS), KEYS)
    names, _ = at_stages(table, lowest, stages, order, "a worst-axis figure")
    rows = [row for row in rows if row["stage"] in names]

    def dot(row: Row) -> Dot:
        if row["measure"] == "steadiness":
            return Dot(row["stage"], 0.16, filled=True, variant=row["shift"], note=row["shift"])
        return Dot(row["stage"], -0.16, filled=False, variant=CANONICAL)

    dots = DotList(
        rows,
        names,
        dot,
        stage_styles(stage_order(table, order)),
        axis="AUROC",
        height=1.25 * len(names) + 0.6,
        foot="filled: the worst axis, named at the left; hollow: canonical pairs",
        title=title,
    )
    return Figure(
        dots.paint,
        kind="worst_axis",
        caption=(
            "AUROC of the probe that was fitted on canonical pairs, on canonical test pairs (hollow) and on"
            " the shift axis where it is lowest (filled). Bars are 95% intervals; the line is chance."
            f" {sizes(rows)}."
        ),
        how_to_read=HOW_TO_READ,
        caveat="The lowest of several axes is low by chance too: compare stages, not a stage with .5.",
        alt=f"AUROC on the worst shift axis of {', '.join(names)} on {', '.join(concepts_of(rows))}.",
        preset=get_preset(preset),
    )
