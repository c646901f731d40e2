"""From a row a training seed to a row a family of stages: what figures of a many-seeded lineage show."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import polars as pl
from scipy import stats

from probes.lineage import Stage
from probes.tables.schema import tidy

_OF = ("stage", "source_stage")
_FREE = ("layer", "estimate", "ci_low", "ci_high", "n_pairs", "n_seeds", "selected", "digest")
_RATES, _COSINES = ("auroc", "accuracy", "choice_rate"), ("cosine", "cosine_whitened")
_BOUNDS = dict.fromkeys(_RATES, (0.0, 1.0)) | dict.fromkeys(_COSINES, (-1.0, 1.0))
Row = dict[str, Any]


def related(one: Stage, other: Stage) -> bool:
    """Whether comparing the two says something: stages of one training run, or one stage in two runs."""
    return None in (one.seed, other.seed) or one.seed == other.seed or one.family == other.family


def family_parents(parents: Mapping[str, str | None], families: Mapping[str, str]) -> dict[str, str | None]:
    """Family -> its parent's family (None at the root), in the order of `parents` (stage -> parent)."""
    found: dict[str, str | None] = {}
    for stage, parent in parents.items():
        found.setdefault(families[stage], families[parent] if parent else None)
    return found


def pooled(table: pl.DataFrame, families: Mapping[str, str], seeds: Mapping[str, int | None]) -> pl.DataFrame:
    """The tidy table with one row for each family of stages that differ in their training seed alone.

    `families` and `seeds` say of each stage what it is called without its training seed, and that seed.

    An estimate is the mean over seeds. Its 95% interval joins two errors in quadrature: that of the pairs or
    items, which are the same at every seed and so does not shrink with their number (the seeds' root mean
    square half-width, each side apart), and that of the seeds (Student's t over them). Rows of families
    trained with one seed pass unchanged. Rows from one run to another, and rows without an
    estimate, are left out.

    Where a stage tells one row of a kind (a probe carried over, at the layer its own run chose) the rows of
    its seeds are pooled whatever their layers, and `layer` is null; where it tells one a layer, layer by
    layer, and `selected` marks the layer that most seeds chose, the lower of two.
    """
    groups: dict[tuple, list[tuple[Row, int | None]]] = {}
    for row in table.to_dicts():
        runs = {seeds.get(row[name]) for name in _OF} - {None}
        if len(runs) > 1 or row["estimate"] is None:
            continue
        pooled_row = row | {name: families.get(row[name], row[name]) for name in _OF}
        key = tuple(pooled_row[c] for c in table.columns if c not in _FREE)
        groups.setdefault(key, []).append((pooled_row, runs.pop() if runs else None))
    return tidy(row for rows in groups.values() for row in _of_family(rows))


def _of_family(rows: list[tuple[Row, int | None]]) -> list[Row]:
    """One kind of row of one family, over its runs."""
    runs = [run for _, run in rows]
    if len(set(runs)) == 1:
        return [row for row, _ in rows]
    if len(set(runs)) == len(runs):
        return [_mean([row for row, _ in rows])]
    layers: dict[int | None, list[Row]] = {}
    for row, _ in rows:
        layers.setdefault(row["layer"], []).append(row)
    votes = {layer: sum(bool(row["selected"]) for row in some) for layer, some in layers.items()}
    chosen = max(votes, key=lambda layer: (votes[layer], -(layer or 0)))
    return [
        _mean(some) | {"selected": None if some[0]["selected"] is None else layer == chosen}
        for layer, some in layers.items()
    ]


def _mean(rows: list[Row]) -> Row:
    """One row from one of each seed."""
    values = np.array([row["estimate"] for row in rows], float)
    mean, n = float(values.mean()), len(rows)
    spread = float(stats.t.ppf(0.975, n - 1) * stats.sem(values)) if n > 1 else 0.0
    mean_row: Row = {"estimate": mean, "n_seeds": n, "n_pairs": _least(row["n_pairs"] for row in rows)}
    least, most = _BOUNDS.get(rows[0]["measure"], (-np.inf, np.inf))
    for end, sign in (("ci_low", -1), ("ci_high", 1)):
        sides = np.array([row[end] for row in rows], float) - values  # NaN where a row has no interval
        bound = np.clip(mean + sign * np.hypot(np.sqrt(np.mean(sides**2)), spread), least, most)
        mean_row[end] = None if np.isnan(bound) else float(bound)
    layers = {row["layer"] for row in rows}
    mean_row["layer"] = layers.pop() if len(layers) == 1 else None
    mean_row["selected"] = None if rows[0]["selected"] is None else all(row["selected"] for row in rows)
    return rows[0] | mean_row | {"digest": None}


def _least(counts: Iterable[int | None]) -> int | None:
    return min((n for n in counts if n is not None), default=None)
