"""The sweep over layers, folds, strengths and labelings against scikit-learn, fold by fold."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import probes
from probes.activations import Activations
from probes.errors import InputError
from probes.probing import grouped_folds
from probes.tables.schema import SCHEMA

STRENGTHS = (1e-3, 10.0)


def activations(n_pairs=40, width=60, seed=0, **changes):
    """Three layers; a concept along one direction of the last; 8 templates, each with a place of its own."""
    rng = np.random.default_rng(seed)
    labels, pairs = np.tile([0, 1], n_pairs), np.repeat(np.arange(n_pairs), 2)
    template = pairs % 8
    values = rng.normal(size=(3, 2 * n_pairs, width)) + 0.5 * rng.normal(size=(8, width))[template]
    values[2] += 4.0 * labels[:, None] * np.eye(width)[0]
    facts = {
        "values": values.astype(np.float32),
        "labels": labels,
        "groups": np.array([f"p{i:03d}" for i in pairs]),
        "templates": np.array([f"t{i}" for i in template], dtype=object),
        "layers": [4, 5, 6],
        "stage": "base",
        "lineage": "toy",
        "concept": "affordability",
        "site": "resid_post",
        "position": "last",
        "render": "shared",
        "digest": "abc",
    }
    unread = {"splits": np.full(2 * n_pairs, None, dtype=object), "texts": []}
    return Activations(**{**facts, **unread, **changes})


@pytest.mark.slow
def test_aurocs_are_those_of_scikit_learn_fold_by_fold():
    acts = activations()
    acts = replace(acts, values=acts.values[1:], layers=acts.layers[1:])
    sweep = probes.sweep_probes(acts, STRENGTHS, n_permutations=1)
    folds = grouped_folds(acts.labels, acts.groups)
    assert sweep.aurocs.shape == (2, len(folds), 3, 2)
    assert sweep.converged.all()
    for layer, fold, labelling, strength in np.ndindex(sweep.aurocs.shape):
        train, held_out = folds[fold]
        y, X = sweep.labelings[labelling], acts.values[layer].astype(float)
        solver = LogisticRegression(C=STRENGTHS[strength], tol=1e-10, max_iter=100_000)
        scores = (
            make_pipeline(StandardScaler(), solver).fit(X[train], y[train]).decision_function(X[held_out])
        )
        expected = roc_auc_score(y[held_out], scores)
        assert sweep.aurocs[layer, fold, labelling, strength] == pytest.approx(expected, abs=1e-3)


def test_table_tells_the_concept_from_chance_and_from_what_can_be_memorised():
    acts = activations(n_pairs=160)
    sweep = probes.sweep_probes(acts, STRENGTHS, n_permutations=4)
    table = sweep.table
    assert table.columns == [*SCHEMA, "strength", "labelling", "fold", "converged"]
    assert table.height == sweep.aurocs.size
    means = table.group_by("layer", "variant").agg(pl.col("estimate").mean())
    mean_auroc = {(layer, variant): value for layer, variant, value in means.iter_rows()}
    assert mean_auroc[6, "probe"] > 0.75
    assert mean_auroc[4, "probe"] == pytest.approx(0.5, abs=0.1)
    assert mean_auroc[6, "shuffled_labels"] == pytest.approx(0.5, abs=0.05)
    assert min(mean_auroc[layer, "control_task"] for layer in acts.layers) > 0.75
    one = table.filter(layer=5, fold=1, labelling=3, strength=10.0).row(0, named=True)
    assert one["estimate"] == sweep.aurocs[1, 1, 3, 1]
    assert (one["variant"], one["stage"], one["n_pairs"]) == ("shuffled_labels", "base", 160)


def test_sweep_is_the_same_for_the_same_seed_and_leaves_the_threads_of_torch_alone(monkeypatch):
    acts, threads = activations(), torch.get_num_threads()
    monkeypatch.setattr(torch, "set_num_threads", lambda n: pytest.fail("breaks batched LU on MKL"))
    first = probes.sweep_probes(acts, STRENGTHS, n_permutations=1, seed=3)
    assert torch.get_num_threads() == threads
    again = probes.sweep_probes(acts, STRENGTHS, n_permutations=1, seed=3)
    assert first.table.equals(again.table)
    other = probes.sweep_probes(acts, STRENGTHS, n_permutations=1)
    assert not np.array_equal(first.labelings, other.labelings)


def test_a_fold_with_one_class_is_null_and_not_converged():
    acts = activations(n_pairs=20)
    pure = np.where(acts.templates == "t0", "one", "other").astype(object)
    sweep = probes.sweep_probes(changed(acts, templates=pure), [1.0], groups="template")
    control = sweep.table.filter(variant="control_task")
    assert control["estimate"].is_null().all()
    assert not control["converged"].any()
    assert sweep.table.filter(variant="probe")["converged"].all()


def changed(acts, **changes):
    return replace(acts, **changes)


@pytest.mark.parametrize(
    ("changes", "options", "message"),
    [
        ({"values": np.full((3, 80, 60), np.nan, np.float32)}, {}, "layer 4: activations hold NaN"),
        ({"templates": np.array([None] * 80)}, {}, "pass control=False"),
        ({"templates": np.array([None] * 80)}, {"groups": "template"}, "not every example has a template"),
        ({}, {"strengths": [0.0]}, "expected positive numbers"),
        ({}, {"tolerance": -1.0}, "between 0 and 1"),
    ],
)
def test_sweep_refuses_what_it_cannot_use(changes, options, message):
    with pytest.raises(InputError, match=message):
        probes.sweep_probes(activations(**changes), **options)
