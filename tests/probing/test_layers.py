"""The sweep over layers against planted answers, and against everything that could fool it."""

import dataclasses

import numpy as np
import polars as pl
import pytest
from scipy.stats import norm
from sklearn.metrics import roc_auc_score

from probes.errors import InputError
from probes.models.sites import Site
from probes.probing import (
    probe_layers,
    split_rows,
)
from probes.tables.schema import SCHEMA
from tests.probing.makers import simulate


@pytest.mark.parametrize("estimator", ["logistic", "mass_mean", "lda", "ridge"])
def test_sweep_finds_the_planted_layer_direction_and_auroc(estimator):
    planted, acts = simulate(n_pairs=400, controls=True)
    sweep = probe_layers(acts, estimator)
    assert sweep.best.layer == 2
    assert sweep.best.ci_low <= norm.cdf(2 / np.sqrt(2)) <= sweep.best.ci_high
    direction = sweep.best.direction
    assert direction.vector @ planted[2] > 0.95
    assert direction.scale == pytest.approx(1, abs=0.1)
    assert direction.gap == pytest.approx(1, abs=0.12)
    assert (direction.site, direction.estimator, direction.digest) == (
        Site("resid_post", 2),
        estimator,
        "abc",
    )
    assert sweep.probes[2].site == Site("resid_post", 2)

    table = sweep.table
    assert table.columns == list(SCHEMA)
    auroc = table.filter(measure="auroc")
    counts = dict(auroc.group_by("variant").len().iter_rows())
    surface = {"word_ngrams": 1, "char_ngrams": 1, "length": 1, "embedding": 1}
    assert counts == {"probe": 3, "random_init": 3, "shuffled_labels": 3} | surface
    at_zero = auroc.filter(variant="probe", layer=0).row(0, named=True)
    assert at_zero["ci_low"] <= 0.5 <= at_zero["ci_high"]
    assert table.filter(pl.col("selected") & (pl.col("variant") == "probe"))["layer"].unique().to_list() == [
        2
    ]
    assert table["n_pairs"].unique().to_list() == [100]
    chance = auroc.filter(variant="shuffled_labels")
    assert ((chance["estimate"] - 0.5).abs() < 0.12).all()
    assert (chance["ci_low"] <= chance["estimate"]).all()
    gap = table.filter(measure="auroc_gap").row(0, named=True)
    assert gap["ci_low"] > 0.1
    assert gap["variant"] == "probe_minus_best_surface"
    test = split_rows(acts).test
    scores = sweep.best.probe.decision_function(acts.values[2, test])
    assert sweep.best.auroc == pytest.approx(roc_auc_score(acts.labels[test], scores))
    accuracy = table.filter(measure="accuracy", layer=2).row(0, named=True)
    assert accuracy["estimate"] == pytest.approx(
        sweep.best.probe.score(acts.values[2, test], acts.labels[test])
    )


def test_huge_dimensions_break_mass_mean_and_not_the_others():
    _, acts = simulate(n_pairs=200, strengths=(3.0,), huge=2)
    aurocs = {e: probe_layers(acts, e, baselines=False, n_shuffles=0).best.auroc for e in ("logistic", "lda")}
    assert min(aurocs.values()) > 0.95
    assert probe_layers(acts, "mass_mean", baselines=False, n_shuffles=0).best.auroc < 0.75


def test_a_concept_in_the_words_alone_is_not_beyond_the_surface():
    _, acts = simulate(strengths=(0.0, 0.0), cue=True, controls=True)
    sweep = probe_layers(acts)
    gap = sweep.table.filter(measure="auroc_gap").row(0, named=True)
    assert gap["ci_high"] < 0
    assert sweep.best_surface in ("word_ngrams", "char_ngrams")
    also_inside = simulate(strengths=(0.0, 6.0), cue=True)[1]
    equal = probe_layers(also_inside).table.filter(measure="auroc_gap").row(0, named=True)
    assert equal["estimate"] <= 0


def test_test_data_chooses_nothing():
    _, acts = simulate(n_pairs=60, strengths=(1.0, 1.0, 1.0, 1.0))
    test = split_rows(acts).test
    values, labels = acts.values.copy(), acts.labels.copy()
    values[:, test] = 50 * np.random.default_rng(9).normal(size=values[:, test].shape)
    labels[test] = 1 - labels[test]
    options = {"baselines": False, "n_shuffles": 0}
    before = probe_layers(acts, **options)
    after = probe_layers(dataclasses.replace(acts, values=values, labels=labels), **options)
    assert after.best.layer == before.best.layer
    for layer in acts.layers:
        np.testing.assert_array_equal(after.directions[layer].vector, before.directions[layer].vector)
        assert after.directions[layer].scale == before.directions[layer].scale


def test_equal_layers_are_decided_by_margin_then_by_depth():
    _, acts = simulate(n_pairs=60, strengths=(20.0, 40.0, 20.0))
    assert probe_layers(acts, baselines=False, n_shuffles=0).best.layer == 1
    same = dataclasses.replace(acts, values=np.repeat(acts.values[:1], 3, axis=0))
    assert probe_layers(same, baselines=False, n_shuffles=0).best.layer == 0


def test_sweep_is_the_same_for_the_same_seed_and_resamples_templates_when_asked():
    _, acts = simulate(n_pairs=60, strengths=(1.0,))
    bare = dataclasses.replace(
        acts,
        splits=np.array([None] * 120, dtype=object),
        templates=np.repeat(np.array([f"t{i}" for i in range(20)], dtype=object), 6),
    )
    tables = [probe_layers(bare, seed=s).table for s in (3, 3, 4)]
    assert tables[0].equals(tables[1])
    assert not tables[0].equals(tables[2])
    by_template = probe_layers(bare, seed=3, groups="template").table
    assert by_template["n_pairs"].unique().to_list() == [12]
    assert not by_template.equals(tables[0])


def test_embeddings_have_no_layer_in_their_site():
    _, acts = simulate(n_pairs=40, strengths=(2.0,))
    sweep = probe_layers(dataclasses.replace(acts, site="embed"), baselines=False, n_shuffles=0)
    assert sweep.best.direction.site == Site("embed")


def broken(**changes):
    acts = simulate(n_pairs=40)[1]
    return dataclasses.replace(
        acts, **{name: change(getattr(acts, name).copy()) for name, change in changes.items()}
    )


def put(where, what):
    def change(array):
        array[where] = what
        return array

    return change


@pytest.mark.parametrize(
    ("changes", "options", "message"),
    [
        ({"values": put((1, 3, 2), np.nan)}, {}, "layer 1: activations hold NaN"),
        ({"values": put(0, 1.0)}, {}, "layer 0: activations at position 'last' are the same for every text"),
        (
            {"splits": put(slice(66, None), None)},
            {},
            "3 pairs in the test split, expected 4 or more",
        ),
        ({"splits": put(slice(46, 60), None)}, {}, "3 pairs in the select split, expected 4 or more"),
        (
            {"splits": put(slice(60, None), None)},
            {},
            "splits are select, train; expected train, select and test",
        ),
        ({"splits": put(0, "test")}, {}, "pair 'p000' is in the train and the test split"),
        ({"labels": put(slice(40, 60), 1)}, {}, "the select split holds one class only, label 1"),
        ({"labels": put(0, 2)}, {}, "expected 0 and 1"),
        ({}, {"groups": "template"}, "not every example has a template"),
        ({}, {"groups": "text"}, 'expected "pair" or "template"'),
        ({}, {"estimator": "svm"}, "expected one of logistic"),
    ],
)
def test_sweep_refuses_what_it_cannot_use(changes, options, message):
    with pytest.raises(InputError, match=message):
        probe_layers(broken(**changes), **options)
