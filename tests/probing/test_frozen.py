"""A frozen probe tells a drifted threshold from a lost concept."""

import dataclasses

import pytest

from probes.errors import InputError
from probes.probing import (
    MassMeanProbe,
    frozen_auroc,
    probe_layers,
)
from tests.probing.makers import simulate


def test_frozen_probe_tells_a_drifted_threshold_from_a_lost_concept():
    _, acts = simulate(n_pairs=80, strengths=(0.0, 4.0))
    sweep = probe_layers(acts, baselines=False, n_shuffles=0)
    here = frozen_auroc(sweep.best, acts)
    assert here.auroc.value == pytest.approx(sweep.best.auroc)
    assert (here.auroc.low, here.auroc.high) == pytest.approx((sweep.best.ci_low, sweep.best.ci_high))
    vector = sweep.best.direction.vector
    later = dataclasses.replace(acts, values=acts.values + 30 * vector, stage="sft")
    there = frozen_auroc(sweep.best, later)
    assert there.auroc.value == pytest.approx(here.auroc.value, abs=0.01)
    assert there.accuracy.value == pytest.approx(0.5)
    assert there.accuracy_recentred.value > 0.9
    by_direction = frozen_auroc(sweep.best.direction, later)
    assert by_direction.accuracy is None
    assert by_direction.auroc.value == pytest.approx(there.auroc.value)
    lost = dataclasses.replace(acts, values=acts.values[::-1])
    assert frozen_auroc(sweep.best.probe, lost).auroc.value < 0.75
    assert frozen_auroc(sweep.best.probe, lost, layer=0, split="train").auroc.value > 0.95


def test_frozen_probe_refuses_another_site_width_or_split():
    _, acts = simulate(n_pairs=40, strengths=(2.0, 2.0))
    best = probe_layers(acts, baselines=False, n_shuffles=0).best
    with pytest.raises(InputError, match="the activations are from attn_out"):
        frozen_auroc(best, dataclasses.replace(acts, site="attn_out"))
    with pytest.raises(InputError, match="width 16, the activations 9"):
        frozen_auroc(best, dataclasses.replace(acts, values=acts.values[..., :9]))
    with pytest.raises(InputError, match="was not extracted"):
        frozen_auroc(best, dataclasses.replace(acts, layers=[7, 8]))
    with pytest.raises(InputError, match="expected train, select or test"):
        frozen_auroc(best, acts, split="dev")
    with pytest.raises(InputError, match="pass layer="):
        frozen_auroc(MassMeanProbe().fit(acts.values[0], acts.labels), acts)
