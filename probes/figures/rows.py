"""Chooses rows of the tidy table for a figure. Rows are never combined: a figure computes nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import polars as pl

from probes.errors import InputError
from probes.tables.result import Result
from probes.tables.schema import SCHEMA

Row = dict[str, Any]
Table = pl.DataFrame | Result
SETTINGS = ("lineage", "estimator", "site", "position", "render")


def table_of(result_or_table: Table) -> pl.DataFrame:
    """Take the tidy table of a result object, or the table itself.

    Raises
    ------
    InputError
        It is neither, or columns of `probes.tables.schema.SCHEMA` are missing.

    Examples
    --------
    >>> table_of(table.drop("estimate"))
    Traceback (most recent call last):
    probes.errors.InputError: the table lacks the columns ['estimate']; make tables with ...
    """
    table = result_or_table.table if isinstance(result_or_table, Result) else result_or_table
    if not isinstance(table, pl.DataFrame):
        raise InputError(
            f"a figure needs a polars table or a result with a .table, not {type(result_or_table).__name__}"
        )
    missing = [column for column in SCHEMA if column not in table.columns]
    if missing:
        raise InputError(f"the table lacks the columns {missing}; make tables with probes.tables.schema.tidy")
    return table


def stage_order(table: pl.DataFrame, order: Sequence[str] | None = None) -> list[str]:
    """List the stages of a table: those of `order` first, then the others as they first appear.

    Examples
    --------
    >>> stage_order(table), stage_order(table, ["mid"])
    (['base', 'mid'], ['mid', 'base'])
    """
    present = set(table["stage"]) | set(table["source_stage"])
    names = [*(order or []), *table["stage"].to_list(), *table["source_stage"].to_list()]
    return [stage for stage in dict.fromkeys(names) if stage is not None and stage in present]


def concepts_of(rows: Iterable[Row]) -> list[str]:
    """List the concepts in order of first appearance."""
    return list(dict.fromkeys(row["concept"] for row in rows))


def pick(
    table: pl.DataFrame, measure: str, variants: Sequence[str] | None = None, *where: pl.Expr
) -> list[Row]:
    """Pick the rows of one measure that have an estimate, in table order.

    Parameters
    ----------
    table : polars.DataFrame
        A tidy table.
    measure : str
    variants : sequence of str, optional
        Only rows of these variants; None takes them all.
    *where : polars.Expr
        Further conditions.

    Returns
    -------
    list of dict

    Examples
    --------
    >>> rows = pick(table, "auroc", ["probe"], pl.col("selected"))
    >>> [(row["stage"], row["layer"]) for row in rows]
    [('base', 2), ('mid', 3)]
    """
    rows = table.filter(pl.col("measure") == measure, pl.col("estimate").is_not_null(), *where)
    if variants is not None:
        rows = rows.filter(pl.col("variant").is_in(list(variants)))
    return rows.to_dicts()


def need(rows: list[Row], figure: str, what: str) -> list[Row]:
    """Return the rows, or raise an InputError that says which rows the figure is made of."""
    if not rows:
        raise InputError(f"{figure} needs rows with {what}; this table has none")
    return rows


def at_stages(
    table: pl.DataFrame,
    rows: Sequence[Row],
    stages: Sequence[str] | None,
    order: Sequence[str] | None,
    figure: str,
) -> tuple[list[str], list[Row]]:
    """Find the stages to draw, in the order of `stage_order`, and the rows that were measured at them.

    Stages are drawn that have a row and are among `stages` (None: all). Raises InputError where there are
    none; `figure` is what the message calls the figure.
    """
    present = {row["stage"] for row in rows}
    names = [s for s in stage_order(table, order) if s in present and (stages is None or s in stages)]
    return names, need([row for row in rows if row["stage"] in names], figure, f"stages {list(stages or [])}")


def keyed(rows: Iterable[Row], keys: Sequence[str]) -> dict[tuple, list[Row]]:
    """Group rows by the values of some columns, in order of first appearance."""
    groups: dict[tuple, list[Row]] = {}
    for row in rows:
        groups.setdefault(tuple(row[key] for key in keys), []).append(row)
    return groups


def one_setting(
    rows: Iterable[Row], keys: Sequence[str], like: Mapping[tuple, Row] | None = None
) -> list[Row]:
    """Keep one setting for each key, of rows that differ in lineage, estimator, site, position or render.

    The setting nearest to that of `like[stage, concept]` is kept, else the one that holds a `selected` row,
    else the first in the table.
    """
    kept = []
    for group in keyed(rows, keys).values():
        settings = keyed(group, SETTINGS)
        model = (like or {}).get((group[0]["stage"], group[0]["concept"]))

        def rank(setting: tuple, members=settings, model=model) -> tuple[int, bool]:
            agreement = (
                sum(value == model[name] for name, value in zip(SETTINGS, setting, strict=True))
                if model
                else 0
            )
            return agreement, any(row["selected"] for row in members[setting])

        kept += settings[max(settings, key=rank)]
    return kept


def chosen_layers(table: pl.DataFrame) -> dict[tuple[str, str], Row]:
    """Find the probe row of each (stage, concept) at the layer that the selection split chose."""
    rows = pick(table, "auroc", ["probe"], pl.col("selected").fill_null(False))
    return {(row["stage"], row["concept"]): row for row in reversed(rows)}


def at_chosen_layer(rows: Iterable[Row], keys: Sequence[str], chosen: Mapping[tuple, Row]) -> list[Row]:
    """Keep one row for each key: the `selected` one, or the one at the layer chosen at the probe's own stage.

    Raises InputError where several rows are left and nothing says which is meant.
    """
    kept = []
    for group in keyed(rows, keys).values():
        if len(group) > 1:
            home = chosen.get((group[0]["source_stage"] or group[0]["stage"], group[0]["concept"]))
            selected = [row for row in group if row["selected"]]
            same_layer = [row for row in group if home and row["layer"] == home["layer"]]
            group = selected or same_layer or group
        kept += unique(group, keys, "layer")
    return kept


def unique(rows: list[Row], keys: Sequence[str], also: str = "seed") -> list[Row]:
    """Keep the rows once each. Raises InputError where two that differ would be drawn at the same place."""
    kept = []
    for key, group in keyed(rows, keys).items():
        kept.append(group[0])
        if any(row[name] != group[0][name] for row in group for name in ("estimate", "ci_low", "ci_high")):
            place = ", ".join(f"{name} {value}" for name, value in zip(keys, key, strict=True))
            raise InputError(
                f"{len(group)} rows of {group[0]['measure']} / {group[0]['variant']} for {place};"
                f" keep one (they may differ in {also}), for example table.filter(pl.col({also!r}) == ...)"
            )
    return kept


def own(row: Row) -> bool:
    """Whether the probe or direction was fitted at the stage that it was measured at."""
    return row["source_stage"] in (None, row["stage"])


def sizes(rows: Iterable[Row]) -> str:
    """Say how many pairs and training seeds are behind the rows; a range where the rows differ.

    Examples
    --------
    >>> sizes([{"n_pairs": 120, "n_seeds": 3}, {"n_pairs": 80, "n_seeds": 3}])
    'n = 80 to 120 pairs or items, 3 training seeds'
    """
    rows = list(rows)

    def span(column: str, one: str, many: str) -> str | None:
        values = sorted({row[column] for row in rows if row[column] is not None})
        if not values:
            return None
        text = str(values[0]) if len(values) == 1 else f"{values[0]} to {values[-1]}"
        return f"{text} {one if values == [1] else many}"

    parts = [
        span("n_pairs", "pair or item", "pairs or items"),
        span("n_seeds", "training seed", "training seeds"),
    ]
    return "n = " + ", ".join(part for part in parts if part) if any(parts) else "n not recorded"
