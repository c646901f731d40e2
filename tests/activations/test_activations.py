"""Activations saved and read back, and what is not a file of activations."""

from dataclasses import replace

import numpy as np
import pytest

import probes
from probes.activations import Activations
from probes.errors import InputError
from tests.makers import price_concept


def test_save_and_load(loaded, tmp_path):
    acts = probes.extract(loaded, price_concept(), progress=False)
    acts.save(tmp_path / "acts.safetensors")
    back = Activations.load(tmp_path / "acts.safetensors")
    np.testing.assert_array_equal(acts.values, back.values)
    assert back.texts == acts.texts
    assert back.digest == acts.digest
    for name in ("labels", "groups", "splits", "templates"):
        assert getattr(back, name).tolist() == getattr(acts, name).tolist()
    for name in ("embedding", "random_init"):
        np.testing.assert_array_equal(back.controls[name], acts.controls[name])
    assert back.columns == acts.columns
    (tmp_path / "x.safetensors").write_text("nothing")
    with pytest.raises(InputError, match="not a file of activations"):
        Activations.load(tmp_path / "x.safetensors")


def test_one_head_of_z_acts_on_that_head_alone(loaded, tmp_path):
    """The probe's direction of a head is what a probe on the head's slice alone finds."""
    concept = price_concept()
    n_heads = probes.hooked(loaded).n_heads
    acts = probes.extract(loaded, concept, sites="z", progress=False)
    width = acts.values.shape[2] // n_heads
    one = acts.of_head(-1, n_heads)
    assert (one.head, one.columns["site"]) == (n_heads - 1, f"z head {n_heads - 1}")
    np.testing.assert_array_equal(one.values[..., -width:], acts.values[..., -width:])
    assert not one.values[..., :-width].any()
    assert one.digest != acts.digest
    best = probes.probe_layers(one, baselines=False).best
    sliced = replace(acts, values=acts.values[..., -width:], controls={})
    alone = probes.probe_layers(sliced, baselines=False)
    assert best.layer == alone.best.layer
    np.testing.assert_allclose(best.direction.vector[-width:], alone.best.direction.vector, atol=1e-6)
    assert np.abs(best.direction.vector[:-width]).max() < 1e-15
    addition = probes.Add.along(best.direction, 5.0)
    changed = probes.score_choices(loaded, concept.choices, [addition], progress=False)
    assert not np.allclose(
        changed.summed, probes.score_choices(loaded, concept.choices, progress=False).summed
    )
    one.save(tmp_path / "head.safetensors")
    assert probes.Activations.load(tmp_path / "head.safetensors").head == n_heads - 1


def test_a_head_that_is_not_there_is_refused(loaded, concept):
    acts = probes.extract(loaded, concept, sites="z", controls=(), progress=False)
    with pytest.raises(InputError, match="head 4 of 4: expected one from 0 to 3"):
        acts.of_head(4, 4)
    with pytest.raises(InputError, match="has no heads: extract with sites='z'"):
        probes.extract(loaded, concept, controls=(), progress=False).of_head(0, 4)
