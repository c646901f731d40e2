"""Choosing rows of the tidy table for a figure. Rows are picked, never combined: figures measure nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import polars as pl

from probes.errors import InputError
from probes.figures.style import CHANCE
from probes.tables.schema import SCHEMA

Row = dict[str, Any]
SETTINGS = ("lineage", "estimator", "site", "position", "render")


def table_of(result_or_table: Any) -> pl.DataFrame:
    """The tidy table of a result object, or the table itself. Raises InputError where it is neither."""
    table = getattr(result_or_table, "table", result_or_table)
    if not isinstance(table, pl.DataFrame):
        raise InputError(
            f"a figure needs a polars table or a result with a .table, not {type(result_or_table).__name__}"
        )
    missing = [column for column in SCHEMA if column not in table.columns]
    if missing:
        raise InputError(f"the table lacks the columns {missing}; make tables with probes.results.tidy")
    return table


def stage_order(table: pl.DataFrame, order: Sequence[str] | None = None) -> list[str]:
    """Stages in the order given, then the others as they first appear in the whole table."""
    seen = [*(order or []), *table["stage"].to_list(), *table["source_stage"].to_list()]
    present = set(table["stage"]) | set(table["source_stage"])
    return [stage for stage in dict.fromkeys(seen) if stage is not None and stage in present]


def drawn_stages(
    table: pl.DataFrame, rows: Sequence[Row], stages: Sequence[str] | None, order: Sequence[str] | None
) -> list[str]:
    """Stages that have a row and are among `stages` (None: all), in the order of `stage_order`."""
    present = {row["stage"] for row in rows}
    return [s for s in stage_order(table, order) if s in present and (stages is None or s in stages)]


def concepts_of(rows: Iterable[Row]) -> list[str]:
    """Concepts in order of first appearance."""
    return list(dict.fromkeys(row["concept"] for row in rows))


def pick(
    table: pl.DataFrame, measure: str, variants: Sequence[str] | None = None, *where: pl.Expr
) -> list[Row]:
    """Rows of one measure with an estimate, in table order; `variants` None takes them all."""
    rows = table.filter(pl.col("measure") == measure, pl.col("estimate").is_not_null(), *where)
    if variants is not None:
        rows = rows.filter(pl.col("variant").is_in(list(variants)))
    return rows.to_dicts()


def need(rows: list[Row], figure: str, what: str) -> list[Row]:
    """The rows, or an InputError that says which ones the figure is made of."""
    if not rows:
        raise InputError(f"{figure} needs rows with {what}; this table has none")
    return rows


def keyed(rows: Iterable[Row], keys: Sequence[str]) -> dict[tuple, list[Row]]:
    """Rows grouped by the values of some columns, in order of first appearance."""
    groups: dict[tuple, list[Row]] = {}
    for row in rows:
        groups.setdefault(tuple(row[key] for key in keys), []).append(row)
    return groups


def one_setting(
    rows: Iterable[Row], keys: Sequence[str], like: Mapping[tuple, Row] | None = None
) -> list[Row]:
    """Of rows that differ in lineage, estimator, site, position or render, keep one setting for each key.

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
    """The `selected` probe row of each (stage, concept): the layer chosen on the selection split."""
    rows = pick(table, "auroc", ["probe"], pl.col("selected").fill_null(False))
    return {(row["stage"], row["concept"]): row for row in reversed(rows)}


def at_chosen_layer(rows: Iterable[Row], keys: Sequence[str], chosen: Mapping[tuple, Row]) -> list[Row]:
    """One row per key: the `selected` one, or the one at the layer chosen for the probe's own stage.

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
    """The rows, once each; InputError where two that differ would be drawn at the same place."""
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
    """Whether the probe or direction was fitted at the stage it was measured at."""
    return row["source_stage"] in (None, row["stage"])


def sizes(rows: Iterable[Row]) -> str:
    """`n = 120 pairs, 3 training seeds` for a caption; a range where it differs between rows."""
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


def limits(measure: str, rows: Iterable[Row]) -> tuple[float, float]:
    """Ends of an axis that holds every estimate and interval, and chance, with a little air."""
    values = [row[end] for row in rows for end in ("estimate", "ci_low", "ci_high") if row[end] is not None]
    if measure in CHANCE:
        values.append(CHANCE[measure])
    if measure in ("auroc", "accuracy"):
        values.append(1.0)
    low, high = min(values), max(values)
    air = 0.05 * (high - low or 1.0)
    return low - air, high + air


def spread(positions: list[float], gap: float, low: float, high: float) -> list[float]:
    """Label positions moved as little as possible to be at least `gap` apart, within [low, high]."""
    blocks: list[list[int]] = []
    centers: list[float] = []
    for i in sorted(range(len(positions)), key=lambda i: positions[i]):
        blocks.append([i])
        centers.append(positions[i])
        while len(blocks) > 1 and centers[-1] - centers[-2] < gap * (len(blocks[-1]) + len(blocks[-2])) / 2:
            blocks[-2:] = [blocks[-2] + blocks[-1]]
            reach = gap * (len(blocks[-1]) - 1) / 2
            mean = sum(positions[j] for j in blocks[-1]) / len(blocks[-1])
            centers[-2:] = [min(max(mean, low + reach), high - reach)]
    placed = [0.0] * len(positions)
    for block, center in zip(blocks, centers, strict=True):
        for place, i in enumerate(block):
            placed[i] = center + gap * (place - (len(block) - 1) / 2)
    return placed
