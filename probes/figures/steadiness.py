"""Steadiness: how well each stage's probe works along every shift axis, by concept."""

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
from probes.figures.style import stage_styles

CANONICAL = "canonical"
HOW_TO_READ = (
    "Steadiness is the AUROC on the worst axis and not the mean over axes: a probe that fails on one axis"
    " does not generalise."
)


def steadiness(
    table: Table,
    *,
    stages: Sequence[str] | None = None,
    order: Sequence[str] | None = None,
    title: str | None = None,
    preset: str | Preset | None = None,
) -> Figure:
    """Draw the AUROC of probes fitted on canonical pairs, on the pairs of each shift axis.

    There is one panel a concept and one point a stage and axis. The worst axis of each stage is filled, the
    others are hollow. Bars are 95% intervals, and the line is chance.

    Parameters
    ----------
    table : polars.DataFrame or Result
        A tidy table with rows of measure `auroc` and variant `shift_transfer`.
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
    >>> where = {"stage": "base", "concept": "prices", "layer": 2, "n_pairs": 40}
    >>> shifted = tidy(
    ...     [where | {"measure": "auroc", "variant": "shift_transfer", "shift": axis, "estimate": value}
    ...      for axis, value in {"wording": 0.9, "language": 0.6}.items()]
    ...     + [where | {"measure": "steadiness", "shift": "language", "estimate": 0.6}]
    ... )
    >>> figure = steadiness(shifted)
    >>> [(trace.name, trace.marker.color) for trace in figure.plotly.data]
    [('base wording', 'white'), ('base language', '#000000')]
    """
    table = table_of(table)
    rows = need(
        pick(table, "auroc", ["shift_transfer"], pl.col("shift_value").is_null()),
        "a steadiness figure",
        "measure 'auroc', variant 'shift_transfer'",
    )
    rows += pick(table, "auroc", ["probe"], pl.col("selected"), pl.col("shift").is_null())
    rows = unique(one_setting(rows, ["stage", "concept", "shift"]), ["stage", "concept", "shift", "layer"])
    names, rows = at_stages(table, rows, stages, order, "a steadiness figure")
    shifted = concepts_of(row for row in rows if row["shift"])
    rows = [row for row in rows if row["concept"] in shifted]
    axes = [CANONICAL, *dict.fromkeys(row["shift"] for row in rows if row["shift"])]
    worst = {(row["stage"], row["concept"], row["shift"]) for row in pick(table, "steadiness")}
    styles = stage_styles(stage_order(table, order))

    def dot(row: Row) -> Dot:
        axis = row["shift"] or CANONICAL
        below = (names.index(row["stage"]) - (len(names) - 1) / 2) * 0.7 / len(names)
        return Dot(axis, below, (row["stage"], row["concept"], row["shift"]) in worst, variant=axis)

    dots = DotList(
        rows,
        axes,
        dot,
        styles,
        axis="AUROC",
        height=(0.8 + 0.55 * len(names)) * len(axes),
        below=3.6,
        key={name: styles[name] for name in names},
        foot="filled: the worst axis of a stage",
        title=title,
    )
    return Figure(
        dots.paint,
        kind="steadiness",
        caption=(
            "AUROC of the probe that was fitted on canonical pairs, on the pairs of each shift axis; one"
            " point a stage. The worst axis of a stage is filled. Bars are 95% intervals; the line is chance."
            f" {sizes(rows)}."
        ),
        how_to_read=HOW_TO_READ,
        caveat=(
            "A probe can fail on an axis because the model represents the concept differently there, not"
            " because the concept is gone: see the rows of variant `shift_refit` in the table."
        ),
        alt=f"AUROC by shift axis of {', '.join(names)} on {', '.join(shifted)}.",
        preset=get_preset(preset),
    )
