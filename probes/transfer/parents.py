"""One stage's probe at a later stage: unchanged, fitted anew, and moved there by an alignment."""

from __future__ import annotations

import numpy as np
import polars as pl

from probes.errors import InputError
from probes.measure import StageMeasurement
from probes.measure.decodability import units_of
from probes.probing import split_rows
from probes.probing.frozen_scores import margin_kept
from probes.stats.alignment import procrustes
from probes.stats.contrasts import beyond
from probes.stats.jackknife import Tested, auroc_contrast, mean_contrast
from probes.tables.comparisons import COMPARISONS, Comparison


def compare_with(later: StageMeasurement, earlier: StageMeasurement) -> Comparison:
    """Compare a concept at a stage with the same concept at an earlier stage.

    All AUROCs are on the same test pairs, and differences are taken pair by pair. For the quantity
    `realigned`, the earlier stage's probe keeps its weights and gets the later stage's activations after they
    were rotated into the earlier stage's space (orthogonal Procrustes, Schönemann 1966,
    doi:10.1007/BF02289451).

    Parameters
    ----------
    later, earlier : measurements of one concept at the two stages. For an alignment both must hold the
        neutral activations at the layer that was chosen at the earlier stage (see `sources` of
        `probes.measure.measure_stage`). Without an alignment, a direction whose frozen probe fails cannot be
        called rotated or lost.

    Raises
    ------
    InputError : the two stages were not measured on the same pairs, or have another width or depth.

    Example
    -------
    >>> from probes.measure import Plan, measure_stage
    >>> plan = Plan(items=0, baselines=False, tests=False, alignment_texts=())
    >>> mid, copy = (
    ...     measure_stage(lineage[name], [concept], plan, progress=False)["prices"]
    ...     for name in ("mid", "copy")
    ... )
    >>> comparison = compare_with(copy, mid)  # the same weights: the probe keeps its whole margin
    >>> round(comparison.kept.value, 3), comparison.realigned
    (1.0, None)
    """
    before, after = earlier.activations, later.activations
    if not np.array_equal(before.groups, after.groups) or not np.array_equal(before.labels, after.labels):
        raise InputError(
            f"{earlier.stage} and {later.stage} were measured on different pairs of {later.concept!r}: "
            "measure both on the same pairs"
        )
    if earlier.space != later.space:
        raise InputError(
            f"{earlier.stage} and {later.stage} differ in width or depth, {earlier.space} and {later.space}: "
            "expected two stages of one shape"
        )
    layer = earlier.layer
    test = split_rows(before, earlier.seed).test
    labels = np.asarray(before.labels).astype(int)[test]
    units = units_of(before, earlier.facts["groups"])[test]
    probe, own = earlier.sweep.probes[layer], later.sweep.probes[layer]
    values = after.values[after.layers.index(layer)][test].astype(np.float64)
    source = probe.decision_function(before.values[before.layers.index(layer)][test].astype(np.float64))
    refit, frozen = own.decision_function(values), probe.decision_function(values)

    def contrast(*rows: np.ndarray) -> Tested:
        """The AUROC of one row of scores, or of one minus another."""
        return auroc_contrast(rows, [1, -1][: len(rows)], labels, units, null=0.5 if len(rows) == 1 else 0.0)

    realigned = turned = None
    site = earlier.sweep.best.direction.site
    if site in earlier.neutral and site in later.neutral:
        back = procrustes(later.neutral[site], earlier.neutral[site])
        vector = np.asarray(earlier.sweep.best.direction.vector, dtype=np.float64)
        turned = float(vector @ back.directions(vector))
        realigned = margin_kept(probe.decision_function(back.activations(values)), source, labels, units)
    changes = {
        name: mean_contrast([later.by_item[name], earlier.by_item[name]], [1, -1], later.item_ids[name])
        for name in later.by_item
        if later.item_ids[name] == earlier.item_ids.get(name)
    }
    return Comparison(
        source=contrast(source),
        refit=contrast(refit),
        refit_drop=contrast(source, refit),
        frozen=contrast(frozen),
        frozen_gap=contrast(refit, frozen),
        kept=margin_kept(frozen, source, labels, units),
        realigned=realigned,
        turned=turned,
        change_decodable=beyond(later.scores[test], earlier.scores[test], labels, units),
        change_used=changes.get("used"),
        change_principled=changes.get("principled"),
        change_string=changes.get("string"),
    )


def comparison_table(pairs: list[tuple[StageMeasurement, StageMeasurement]]) -> pl.DataFrame:
    """The comparisons of several stages with earlier ones, in one table.

    Parameters
    ----------
    pairs : (later, earlier) measurements, each pair of one concept. Pairs of stages with another width or
        depth are left out.

    Returns
    -------
    A table in the columns `COMPARISONS`: one row for each quantity of each comparison.

    Raises
    ------
    As `compare_with` does.

    Example
    -------
    >>> from probes.measure import Plan, measure_stage
    >>> plan = Plan(items=0, baselines=False, tests=False, alignment_texts=())
    >>> base, mid = (
    ...     measure_stage(lineage[name], [concept], plan, progress=False)["prices"]
    ...     for name in ("base", "mid")
    ... )
    >>> comparison_table([(mid, base)])["quantity"].to_list()
    ['source', 'refit', 'refit_drop', 'frozen', 'frozen_gap', 'kept', 'change_decodable']
    """
    rows = []
    for later, earlier in pairs:
        if later.space != earlier.space:
            continue
        names = {
            "lineage": later.activations.lineage,
            "stage": later.stage,
            "source_stage": earlier.stage,
            "concept": later.concept,
        }
        rows += compare_with(later, earlier).rows(**names)
    return pl.DataFrame(rows, schema=COMPARISONS)
