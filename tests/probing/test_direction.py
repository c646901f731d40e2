"""A direction is saved, read, and measured at another stage."""

import dataclasses

import numpy as np
import pytest

from probes.errors import InputError, OutputError
from probes.probing import (
    Direction,
    probe_layers,
)
from tests.probing.makers import direction, simulate


def test_direction_survives_a_round_trip_and_refuses_other_files(tmp_path):
    made = direction([3.0, 4.0, 0.0])
    made.save(tmp_path / "deep" / "care.safetensors")
    read = Direction.load(tmp_path / "deep" / "care.safetensors")
    for f in dataclasses.fields(Direction):
        np.testing.assert_array_equal(getattr(read, f.name), getattr(made, f.name))
    assert read.vector.dtype == np.float32
    assert "resid_post.4" in made._repr_html_()
    (tmp_path / "other.safetensors").write_bytes(b"not this")
    for name in ("other.safetensors", "missing.safetensors"):
        with pytest.raises(InputError, match=r"expected a direction written by Direction\.save"):
            Direction.load(tmp_path / name)
    with pytest.raises(OutputError):
        made.save(tmp_path / "other.safetensors" / "care.safetensors")
    with pytest.raises(InputError, match="expected a unit vector"):
        dataclasses.replace(made, vector=np.array([1.0, 1.0, 0.0]))
    with pytest.raises(InputError, match="expected a unit vector"):
        dataclasses.replace(made, vector=np.array([np.nan, 1.0, 0.0]))
    with pytest.raises(ValueError, match="read-only"):
        made.vector[0] = 1


def test_direction_at_another_stage_is_in_that_stage_s_unit():
    _, acts = simulate(n_pairs=60, strengths=(0.0, 3.0))
    made = probe_layers(acts, baselines=False, n_shuffles=0).best.direction
    later = dataclasses.replace(acts, values=5 * acts.values + 7, stage="sft")
    there = made.at(later)
    assert there.scale == pytest.approx(5 * made.scale, rel=1e-4)
    assert there.gap == pytest.approx(5 * made.gap, rel=1e-4)
    assert (there.stage, there.digest) == ("msm", "abc")
    with pytest.raises(InputError, match="the activations are from z"):
        made.at(dataclasses.replace(acts, site="z"))
