"""Pooling over training seeds: one row for each family of stages that differ in nothing but their seed.

Figures of a lineage with several training seeds show such rows.
"""

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
    """Whether a comparison of two stages means something.

    It does for stages of one training run (the same seed, or trained without one), and for the same stage in
    two runs.

    Example
    -------
    >>> related(lineage["mid"], lineage["copy"]), related(lineage["mid"], lineage["control"])
    (True, False)
    """
    return None in (one.seed, other.seed) or one.seed == other.seed or one.family == other.family


def family_parents(parents: Mapping[str, str | None], families: Mapping[str, str]) -> dict[str, str | None]:
    """The tree of families of stages.

    Parameters
    ----------
    parents : stage -> its parent, None at the root.
    families : stage -> its family, which is its name without the training seed.

    Returns
    -------
    Family -> its parent's family, None at the root, in the order of `parents`.

    Example
    -------
    >>> parents = {"base": None, "aft": "base", "aft-s1": "base"}
    >>> family_parents(parents, {"base": "base", "aft": "aft", "aft-s1": "aft"})
    {'base': None, 'aft': 'base'}
    """
    tree: dict[str, str | None] = {}
    for stage, parent in parents.items():
        tree.setdefault(families[stage], families[parent] if parent else None)
    return tree


def pooled(table: pl.DataFrame, families: Mapping[str, str], seeds: Mapping[str, int | None]) -> pl.DataFrame:
    """Pool a table over training seeds.

    An estimate becomes the mean over seeds. Its 95% interval adds two errors in quadrature. One is the error
    of the pairs or items: they are the same at every seed, so it does not shrink with the number of seeds,
    and is the root mean square of the seeds' half-widths, for each side by itself. The other is the error of
    the seeds: Student's t over them.

    Where a stage has one row of a kind (such as a frozen probe, at the layer that its own run chose), the
    rows of its seeds are pooled whatever their layers, and `layer` is null. Where it has one row for each
    layer, they are pooled layer by layer, and `selected` marks the layer that most seeds chose (the lowest,
    where several were chosen equally often).

    Parameters
    ----------
    table : a table in the columns of `probes.tables.schema.SCHEMA`.
    families : stage -> its family, which is its name without the training seed.
    seeds : stage -> its training seed, None for a stage that was trained once.

    Returns
    -------
    The table with one row for each family. Rows of families with one seed are unchanged. Rows that compare
    two different runs, and rows without an estimate, are left out.

    Example
    -------
    >>> row = {"concept": "c", "measure": "auroc", "variant": "probe", "n_pairs": 40}
    >>> table = tidy([
    ...     row | {"stage": "aft", "estimate": 0.7, "ci_low": 0.6, "ci_high": 0.8},
    ...     row | {"stage": "aft-s1", "estimate": 0.9, "ci_low": 0.8, "ci_high": 1.0},
    ... ])
    >>> rows = pooled(table, {"aft": "aft", "aft-s1": "aft"}, {"aft": 0, "aft-s1": 1})
    >>> rows.select("stage", "estimate", "n_seeds").rows()
    [('aft', 0.8, 2)]
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
    """Pool one kind of row of one family; each row comes with the training seed of its run."""
    runs = [run for _, run in rows]
    if len(set(runs)) == 1:
        return [row for row, _ in rows]
    if len(set(runs)) == len(runs):
        return [_mean([row for row, _ in rows])]
    layers: dict[int | None, list[Row]] = {}
    for row, _ in rows:
        layers.setdefault(row["layer"], []).append(row)
    votes = {layer: sum(bool(row["selected"]) for row in at_layer) for layer, at_layer in layers.items()}
    chosen = max(votes, key=lambda layer: (votes[layer], -(layer or 0)))
    return [
        _mean(at_layer) | {"selected": None if at_layer[0]["selected"] is None else layer == chosen}
        for layer, at_layer in layers.items()
    ]


def _mean(rows: list[Row]) -> Row:
    """One row from the rows of the seeds, one of each."""
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
    """The smallest of the counts that are known."""
    return min((n for n in counts if n is not None), default=None)
