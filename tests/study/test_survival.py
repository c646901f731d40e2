"""Stage against stage, where the right answer is known: the same weights, and other weights."""

import numpy as np
import polars as pl
import pytest

import probes
from probes.errors import InputError
from probes.tables.schema import SCHEMA
from tests.makers import price_concept


@pytest.fixture(scope="module")
def life(tiny_lineage_dir):
    lineage = probes.load_lineage(tiny_lineage_dir)
    return probes.survival(lineage, price_concept(), position="mean", progress=False)


def value(life, measure, variant, source, stage):
    rows = life.table.filter(
        (pl.col("measure") == measure)
        & (pl.col("variant") == variant)
        & (pl.col("source_stage") == source)
        & (pl.col("stage") == stage)
    )
    layer = life.measurements[source].sweep.best.layer
    return rows.filter(pl.col("layer") == layer)["estimate"].item()


def test_every_pair_of_stages_has_every_measure(life):
    stages = ["base", "mid", "copy", "control"]
    assert list(life.table.columns) == list(SCHEMA)
    wanted = [("auroc", "frozen"), ("auroc", "refit")]
    wanted += [("cosine", "direction"), ("steering_slope", "direction")]
    for measure, variant in wanted:
        matrix = life.matrix(measure, variant)
        assert matrix["source_stage"].to_list() == stages
        assert matrix.columns[1:] == stages
        assert matrix.null_count().sum_horizontal().item() == 0
    bounded = life.table.filter(pl.col("ci_low").is_not_null())
    assert (bounded["ci_low"] <= bounded["estimate"] + 1e-9).all()
    assert (bounded["estimate"] <= bounded["ci_high"] + 1e-9).all()
    assert (life.table["n_pairs"] > 0).all()


def test_the_same_weights_keep_everything(life):
    for measure in ("cosine", "cosine_whitened"):
        assert value(life, measure, "direction", "mid", "copy") == pytest.approx(1, abs=1e-5)
        assert abs(value(life, measure, "direction", "mid", "control")) < 0.999
    for measure, variant in (("auroc", "frozen"), ("steering_slope", "direction")):
        here = value(life, measure, variant, "mid", "mid")
        assert value(life, measure, variant, "mid", "copy") == pytest.approx(here, rel=1e-4)


def test_frozen_auroc_is_that_of_the_sources_direction(life):
    source, target = life.measurements["mid"], life.measurements["control"]
    layer = source.sweep.best.layer
    acts = target.activations
    test = acts.splits == "test"
    scores = acts.values[acts.layers.index(layer)][test] @ source.sweep.directions[layer].vector
    positive, negative = scores[acts.labels[test] == 1], scores[acts.labels[test] == 0]
    wins = (positive[:, None] > negative).mean() + 0.5 * (positive[:, None] == negative).mean()
    assert value(life, "auroc", "frozen", "mid", "control") == pytest.approx(wins)


def test_slope_is_the_targets_gradient_along_the_sources_direction(life):
    source, target = life.measurements["mid"], life.measurements["control"]
    direction = source.sweep.best.direction
    acts = target.activations
    train = acts.splits == "train"
    projections = acts.values[acts.layers.index(direction.site.layer)][train] @ direction.vector
    labels = acts.labels[train]
    residuals = projections - np.where(
        labels == 1, projections[labels == 1].mean(), projections[labels == 0].mean()
    )
    scale = np.sqrt((residuals**2).sum() / (len(labels) - 2))
    slope = scale * (target.gradients.at(direction.site) @ direction.vector).mean()
    assert value(life, "steering_slope", "direction", "mid", "control") == pytest.approx(slope, rel=1e-4)


def test_noise_floor_is_below_one_and_inside_its_range(life):
    floor = life.table.filter((pl.col("measure") == "cosine") & (pl.col("variant") == "noise_floor"))
    assert floor.height == 4
    assert (floor["estimate"] < 1).all()
    assert (floor["ci_low"] < floor["ci_high"]).all()


def test_one_stage_is_refused(tiny_lineage_dir):
    lineage = probes.load_lineage(tiny_lineage_dir).subset(["base"])
    with pytest.raises(InputError, match="has 1: give at least 2"):
        probes.survival(lineage, price_concept(), progress=False)


def test_unknown_measure_names_those_there_are(life):
    with pytest.raises(InputError, match=r"no rows 'auroc' 'melted' here: expected one of .*auroc frozen"):
        life.matrix("auroc", "melted")
