"""One door to every figure of a tidy table: which figures a table holds the rows for, and drawing them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import polars as pl

from probes.errors import InputError
from probes.figures.battery import battery_rates
from probes.figures.choices import choice_rates
from probes.figures.crossings import crossing_map
from probes.figures.curves import survival_curves
from probes.figures.dose import dose_response
from probes.figures.figure import Figure
from probes.figures.grafts import graft_bars, graft_dose
from probes.figures.layers import layer_profile
from probes.figures.matrix import transfer_matrix
from probes.figures.presets import Preset
from probes.figures.rows import Table, table_of
from probes.figures.sites import site_search
from probes.figures.steadiness import steadiness
from probes.figures.worst_axis import worst_axis


class _Kind(NamedTuple):
    """A drawing function, the measure that makes it this figure, and the rows it cannot do without."""

    function: Callable[..., Figure]
    rows: pl.Expr
    measure: str | None = None


def _rows(measure: str, *variants: str) -> pl.Expr:
    of = pl.col("measure") == measure
    return of & pl.col("variant").is_in(variants) if variants else of


_ACROSS = pl.col("source_stage").is_not_null() & (pl.col("source_stage") != pl.col("stage"))
_BY_LAYER = pl.col("layer").is_not_null() & ~_ACROSS.fill_null(False)
_UNDOSED = pl.col("alpha").is_null() & pl.col("shift").is_null()

# In the order in which the figures are the most telling ones of a table that holds the rows for several.
KINDS: dict[str, _Kind] = {
    "site_search": _Kind(site_search, _rows("site_search")),
    "crossing_map": _Kind(crossing_map, _rows("crossing_below")),
    "graft_bars": _Kind(graft_bars, _rows("graft_put_in")),
    "graft_dose": _Kind(graft_dose, _rows("graft_dose")),
    "battery": _Kind(battery_rates, _rows("battery_rate", "asked", "reversed")),
    "steadiness": _Kind(steadiness, _rows("auroc", "shift_transfer")),
    "worst_axis": _Kind(worst_axis, _rows("steadiness")),
    "transfer_auroc": _Kind(transfer_matrix, _rows("auroc", "frozen") & _ACROSS, "auroc"),
    "transfer_cosine": _Kind(transfer_matrix, _rows("cosine", "direction") & _ACROSS, "cosine"),
    "transfer_cosine_whitened": _Kind(
        transfer_matrix, _rows("cosine_whitened", "direction") & _ACROSS, "cosine_whitened"
    ),
    "transfer_steering": _Kind(
        transfer_matrix, _rows("steering_slope", "direction") & _ACROSS, "steering_slope"
    ),
    "survival_curves": _Kind(survival_curves, _rows("auroc", "frozen") & _ACROSS),
    "dose_response": _Kind(dose_response, _rows("choice_logit", "direction") & pl.col("alpha").is_not_null()),
    "layer_profile": _Kind(layer_profile, _rows("auroc", "probe") & _BY_LAYER, "auroc"),
    "steering_profile": _Kind(
        layer_profile, _rows("steering_slope", "direction") & _BY_LAYER, "steering_slope"
    ),
    "choice_rates": _Kind(choice_rates, _rows("choice_rate", "summed", "per_token") & _UNDOSED),
}

# In the order in which a reader meets the figures: what a stage knows, what it uses, what it keeps.
_REPORT_ORDER = (
    "layer_profile",
    "choice_rates",
    "battery",
    "site_search",
    "crossing_map",
    "graft_bars",
    "graft_dose",
    "steadiness",
    "worst_axis",
    "steering_profile",
    "dose_response",
    "survival_curves",
    "transfer_auroc",
    "transfer_cosine",
    "transfer_cosine_whitened",
    "transfer_steering",
)


def kinds(result_or_table: Table) -> list[str]:
    """List the figures that a result or table holds the rows for, the most telling first.

    Parameters
    ----------
    result_or_table : polars.DataFrame or Result

    Returns
    -------
    list of str
        Names that `draw` takes as `kind`.

    Raises
    ------
    InputError
        It is no tidy table.

    Examples
    --------
    >>> import polars as pl
    >>> kinds(table.filter(pl.col("measure") == "choice_rate"))
    ['choice_rates']
    """
    table = table_of(result_or_table)
    return [name for name, kind in KINDS.items() if not table.filter(kind.rows).is_empty()]


def draw(
    result_or_table: Table,
    kind: str | None = None,
    *,
    measure: str | None = None,
    stages: Sequence[str] | None = None,
    order: Sequence[str] | None = None,
    parents: Mapping[str, str | None] | None = None,
    max_kl: float | None = None,
    title: str | None = None,
    preset: str | Preset | None = None,
) -> Figure:
    """Draw a result or a tidy table.

    Parameters
    ----------
    result_or_table : polars.DataFrame or Result
    kind : str, optional
        Name of the figure (`probes.figures.kinds` lists those that the table holds the rows for); the most
        telling one by default.
    measure : str, optional
        The measure of a figure that can be drawn of several, such as `dose_response`.
    stages : sequence of str, optional
        The stages to draw; all by default.
    order : sequence of str, optional
        The order of the stages, which also gives each its colour; that of the table by default.
    parents : mapping of str to str or None, optional
        Stage -> its parent, None for the root; for `survival_curves` alone.
    max_kl : float, optional
        Limit on the damage, in nats per token of neutral text; for `dose_response` alone.
    title : str, optional
    preset : str or Preset, optional
        The size: neurips, iclr, icml, icml_wide, slide or notebook (the default), or one of your own.

    Returns
    -------
    Figure

    Raises
    ------
    InputError
        The kind is unknown or does not take one of the options given, or the table lacks the rows for it.

    Examples
    --------
    >>> draw(table)
    Figure(transfer_matrix, preset='notebook', 902 x 164 px)
    >>> draw(
    ...     table, kind="dose_response", measure="choice_rate", stages=["mid"], order=["base", "mid"],
    ...     max_kl=0.1, title="Choices under steering", preset="neurips",
    ... )
    Figure(dose_response, preset='neurips', 528 x 176 px)
    >>> draw(table, kind="survival_curves", parents={"base": None, "mid": "base"})
    Figure(survival_curves, preset='notebook', 902 x 211 px)
    """
    table = table_of(result_or_table)
    if kind is None:
        drawable = kinds(table)
        if not drawable:
            measures = sorted(set(table["measure"].drop_nulls()))
            raise InputError(f"no figure is made of measures {measures} alone; figures: {', '.join(KINDS)}")
        kind = drawable[0]
    if kind not in KINDS:
        raise InputError(f"no figure is named {kind!r}; choose one of {', '.join(KINDS)}")
    options: dict[str, Any] = {
        "measure": measure or KINDS[kind].measure,
        "stages": stages,
        "order": order,
        "parents": parents,
        "max_kl": max_kl,
        "title": title,
        "preset": preset,
    }
    options = {name: value for name, value in options.items() if value is not None}
    takes = list(inspect.signature(KINDS[kind].function).parameters)[1:]
    refused = [name for name in options if name not in takes]
    if refused:
        raise InputError(f"the figure {kind!r} takes no {', '.join(refused)}; it takes {', '.join(takes)}")
    return KINDS[kind].function(table, **options)


def draw_all(
    result_or_table: Table,
    *,
    order: Sequence[str] | None = None,
    parents: Mapping[str, str | None] | None = None,
    preset: str | Preset | None = None,
) -> dict[str, Figure]:
    """Draw every figure that a table holds the rows for, with one stage order and one set of colours.

    Parameters
    ----------
    result_or_table : polars.DataFrame or Result
    order : sequence of str, optional
        The order of the stages, which also gives each its colour; that of the table by default.
    parents : mapping of str to str or None, optional
        Stage -> its parent, None for the root; it makes the arms of `survival_curves`.
    preset : str or Preset, optional
        The size; the notebook's by default.

    Returns
    -------
    dict of str to Figure
        Name -> figure, in the order of a report.

    Raises
    ------
    InputError
        It is no tidy table.

    Examples
    --------
    >>> list(draw_all(table, order=["base", "mid"]))[:3]
    ['layer_profile', 'choice_rates', 'steering_profile']
    """
    drawn = {}
    for name in sorted(kinds(result_or_table), key=_REPORT_ORDER.index):
        arms = parents if name == "survival_curves" else None
        drawn[name] = draw(result_or_table, name, order=order, parents=arms, preset=preset)
    return drawn
