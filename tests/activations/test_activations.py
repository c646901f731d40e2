"""Activations saved and read back, and what is not a file of activations."""

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
