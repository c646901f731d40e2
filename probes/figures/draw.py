"""One door to every figure: which drawings a table holds the rows for, and drawing them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from probes.errors import InputError
from probes.figures.choices import choice_rates
from probes.figures.curves import survival_curves
from probes.figures.dose import dose_response
from probes.figures.figure import Figure
from probes.figures.layers import layer_profile
from probes.figures.matrix import transfer_matrix
from probes.figures.presets import Preset
from probes.figures.rows import table_of
from probes.figures.steadiness import steadiness
from probes.figures.worst_axis import worst_axis

_ACROSS = pl.col("source_stage").is_not_null() & (pl.col("source_stage") != pl.col("stage"))


@dataclass(frozen=True)
class _Kind:
    """A drawing function, the options that make it this figure, and the rows it cannot do without."""

    function: Callable[..., Figure]
    options: dict[str, Any]
    rows: pl.Expr


def _matrix(measure: str, variant: str) -> _Kind:
    rows = (pl.col("measure") == measure) & (pl.col("variant") == variant) & _ACROSS
    return _Kind(transfer_matrix, {"measure": measure}, rows)


def _profile(measure: str, variant: str) -> _Kind:
    rows = (
        (pl.col("measure") == measure)
        & (pl.col("variant") == variant)
        & pl.col("layer").is_not_null()
        & ~_ACROSS
    )
    return _Kind(layer_profile, {"measure": measure}, rows.fill_null(False))


KINDS: dict[str, _Kind] = {
    "steadiness": _Kind(
        steadiness, {}, (pl.col("measure") == "auroc") & (pl.col("variant") == "shift_transfer")
    ),
    "worst_axis": _Kind(worst_axis, {}, pl.col("measure") == "steadiness"),
    "transfer_auroc": _matrix("auroc", "frozen"),
    "transfer_cosine": _matrix("cosine", "direction"),
    "transfer_cosine_whitened": _matrix("cosine_whitened", "direction"),
    "transfer_steering": _matrix("steering_slope", "direction"),
    "survival_curves": _Kind(
        survival_curves, {}, (pl.col("measure") == "auroc") & (pl.col("variant") == "frozen") & _ACROSS
    ),
    "dose_response": _Kind(
        dose_response,
        {},
        (pl.col("measure") == "choice_logit")
        & (pl.col("variant") == "direction")
        & pl.col("alpha").is_not_null(),
    ),
    "layer_profile": _profile("auroc", "probe"),
    "steering_profile": _profile("steering_slope", "direction"),
    "choice_rates": _Kind(
        choice_rates,
        {},
        (pl.col("measure") == "choice_rate")
        & pl.col("variant").is_in(["summed", "per_token"])
        & pl.col("alpha").is_null()
        & pl.col("shift").is_null(),
    ),
}


def kinds(result_or_table: Any) -> list[str]:
    """Names of the figures that a result or table holds the rows for, the most telling first."""
    table = table_of(result_or_table)
    return [name for name, kind in KINDS.items() if not table.filter(kind.rows).is_empty()]


def draw(result_or_table: Any, kind: str | None = None, **options: Any) -> Figure:
    """Draw a result or tidy table: the figure named `kind`, or the most telling one it has rows for.

    `options` go to the drawing function (`stages`, `order`, `title`, `preset`, ...). Raises InputError for an
    unknown kind and for a table no figure can be made of.
    """
    table = table_of(result_or_table)
    if kind is None:
        found = kinds(table)
        if not found:
            measures = sorted(set(table["measure"].drop_nulls()))
            raise InputError(f"no figure is made of measures {measures} alone; figures: {', '.join(KINDS)}")
        kind = found[0]
    if kind not in KINDS:
        raise InputError(f"no figure is named {kind!r}; choose one of {', '.join(KINDS)}")
    return KINDS[kind].function(table, **{**KINDS[kind].options, **options})


def draw_all(
    result_or_table: Any,
    *,
    order: Sequence[str] | None = None,
    parents: Mapping[str, str | None] | None = None,
    preset: str | Preset | None = None,
) -> dict[str, Figure]:
    """Every figure the table holds the rows for, by name, with one stage order and one set of colours."""
    drawn = {}
    for name in sorted(kinds(result_or_table), key=_TELLING.index):
        more = {"parents": parents} if KINDS[name].function is survival_curves else {}
        drawn[name] = draw(result_or_table, name, order=order, preset=preset, **more)
    return drawn


_TELLING = [
    "layer_profile",
    "choice_rates",
    "steadiness",
    "worst_axis",
    "steering_profile",
    "dose_response",
    "survival_curves",
    "transfer_auroc",
    "transfer_cosine",
    "transfer_cosine_whitened",
    "transfer_steering",
]
