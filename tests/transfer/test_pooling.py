"""Training seeds pooled for figures: against scipy's t interval, and rows that stay apart."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from probes.tables.schema import tidy
from probes.transfer import family_parents, pooled

SEEDS = {"base": None, "aft": 0, "aft-s1": 1, "aft-s2": 2, "sft": 0}
FAMILIES = {"base": "base", "aft": "aft", "aft-s1": "aft", "aft-s2": "aft", "sft": "sft"}


def row(stage, estimate, half=0.0, **more):
    return (
        {"stage": stage, "concept": "c", "measure": "auroc", "variant": "probe", "n_pairs": 40, "n_seeds": 1}
        | {
            "estimate": estimate,
            "ci_low": estimate - half,
            "ci_high": estimate + half,
        }
        | more
    )


def test_interval_without_pair_error_is_students_t_over_seeds():
    values = [0.71, 0.80, 0.75]
    (family,) = pooled(
        tidy([row(s, v) for s, v in zip(list(SEEDS)[1:4], values, strict=True)]), FAMILIES, SEEDS
    ).to_dicts()
    low, high = stats.t.interval(0.95, 2, loc=np.mean(values), scale=stats.sem(values))
    assert (family["stage"], family["n_seeds"], family["n_pairs"]) == ("aft", 3, 40)
    assert [family["estimate"], family["ci_low"], family["ci_high"]] == pytest.approx(
        [np.mean(values), low, high]
    )


def test_error_of_shared_pairs_does_not_shrink_with_seeds():
    table = tidy([row(stage, 0.8, half=0.1) for stage in list(SEEDS)[1:4]])
    (family,) = pooled(table, FAMILIES, SEEDS).to_dicts()
    assert (family["ci_low"], family["ci_high"]) == pytest.approx((0.7, 0.9))


def test_intervals_stay_within_what_a_measure_can_be_and_missing_ones_stay_missing():
    rows = [row(stage, value) for stage, value in zip(list(SEEDS)[1:4], (0.8, 1.0, 0.9), strict=True)]
    bare = [r | {"variant": "bare", "ci_low": None, "ci_high": None} for r in rows]
    with_interval, without = pooled(tidy(rows + bare), FAMILIES, SEEDS).to_dicts()
    assert with_interval["ci_high"] == 1.0
    assert (without["estimate"], without["ci_low"], without["ci_high"]) == (pytest.approx(0.9), None, None)


def test_one_seed_passes_unchanged_and_runs_are_not_mixed():
    across = [
        row("aft", 0.9, source_stage="base", variant="frozen", layer=3),
        row("aft-s1", 0.7, source_stage="base", variant="frozen", layer=3),
        row("aft-s1", 0.1, source_stage="aft", variant="frozen", layer=5),
    ]
    alone = row("sft", 0.6, half=0.05, layer=4, selected=True)
    table = pooled(tidy([*across, alone]), FAMILIES, SEEDS)
    assert table.filter(table["variant"] == "frozen").to_dicts()[0]["estimate"] == pytest.approx(0.8)
    assert table.filter(table["stage"] == "sft").to_dicts() == tidy([alone]).to_dicts()
    assert table.height == 2


def test_layers_stay_apart_and_most_seeds_choose():
    chosen = {"aft": 4, "aft-s1": 2, "aft-s2": 4}
    rows = [
        row(s, 0.5 + 0.1 * layer, layer=layer, selected=chosen[s] == layer)
        for s in chosen
        for layer in (2, 4)
    ]
    by_layer = {r["layer"]: r for r in pooled(tidy(rows), FAMILIES, SEEDS).to_dicts()}
    assert {layer: r["selected"] for layer, r in by_layer.items()} == {2: False, 4: True}
    assert by_layer[4]["estimate"] == pytest.approx(0.9)


def test_carried_rows_of_different_layers_are_one_row():
    rows = [
        row("aft", 0.8, source_stage="base", variant="frozen", layer=3),
        row("aft-s1", 0.6, source_stage="base", variant="frozen", layer=9),
    ]
    (family,) = pooled(tidy(rows), FAMILIES, SEEDS).to_dicts()
    assert (family["layer"], family["estimate"]) == (None, pytest.approx(0.7))


def test_families_keep_their_tree():
    parents = {"base": None, "aft": "base", "aft-s1": "base", "aft-s2": "base", "sft": "aft"}
    assert family_parents(parents, FAMILIES) == {"base": None, "aft": "base", "sft": "aft"}
