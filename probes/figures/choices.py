"""Choice rates: which option each stage prefers, by stage and concept."""

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
    keyed,
    need,
    one_setting,
    pick,
    sizes,
    stage_order,
    table_of,
    unique,
)
from probes.figures.style import stage_styles

KEYS = ["stage", "concept", "variant"]
FOOT = "filled: summed log-probability; hollow: mean per token"


def choice_rates(
    table: Table,
    *,
    stages: Sequence[str] | None = None,
    order: Sequence[str] | None = None,
    title: str | None = None,
    preset: str | Preset | None = None,
) -> Figure:
    """Draw the share of choice items on which each stage prefers the option that fits the concept.

    There is one panel a concept. Filled points compare the summed log-probability of the two options, hollow
    ones the mean per token. Bars are 95% intervals, and the line at .5 means no preference.

    Parameters
    ----------
    table : polars.DataFrame or Result
        A tidy table with rows of measure `choice_rate`.
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
    >>> figure = choice_rates(table, order=["base", "mid"])
    >>> [trace.name for trace in figure.plotly.data]
    ['base summed', 'mid summed', 'base per_token', 'mid per_token']
    """
    table = table_of(table)
    canonical = pl.col("alpha").is_null() & pl.col("shift").is_null()
    rows = need(
        pick(table, "choice_rate", ["summed", "per_token"], canonical),
        "a choice-rate figure",
        "measure 'choice_rate' and no alpha",
    )
    rows = unique(one_setting(rows, KEYS), KEYS)
    names, rows = at_stages(table, rows, stages, order, "a choice-rate figure")
    both = len(keyed(rows, ["variant"])) > 1

    def dot(row: Row) -> Dot:
        summed = row["variant"] == "summed"
        below = (-0.16 if summed else 0.16) if both else 0.0
        return Dot(row["stage"], below, filled=summed, variant=row["variant"])

    dots = DotList(
        sorted(rows, key=lambda row: row["variant"] != "summed"),
        names,
        dot,
        stage_styles(stage_order(table, order)),
        axis="choice rate",
        height=1.7 * len(names) + 0.6,
        foot=FOOT if both else None,
        title=title,
    )
    hollow = (
        " Filled points compare the summed log-probability of the two options, hollow points the mean"
        " log-probability per token."
    )
    return Figure(
        dots.paint,
        kind="choice_rates",
        caption=(
            "The share of choice items on which the model finds the option that fits the concept more likely,"
            f" averaged over both orders of presentation.{hollow if both else ''} Bars are 95% intervals; the"
            f" line at .5 means no preference. {sizes(rows)}."
        ),
        how_to_read="Compare a stage with its parent and with the control arm, never with .5 alone.",
        caveat=(
            "The length of an option and its position can move these rates, so look whether both scorings"
            " agree. Behaviour alone does not say that the concept is represented: a memorised phrase can"
            " move it as well."
        ),
        alt=f"Choice rates of {', '.join(names)} on {', '.join(concepts_of(rows))}.",
        preset=get_preset(preset),
    )
