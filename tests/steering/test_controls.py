"""Random directions and the rank of an effect among theirs; items spaced evenly."""

import numpy as np
import pytest

from probes.errors import InputError
from probes.steering import random_directions
from probes.steering.controls import p_among_random, spaced


def test_random_directions_are_unit_and_cover_the_sphere():
    vectors = random_directions(400, 32, seed=0)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0)
    assert np.abs(vectors.mean(0)).max() < 0.05
    assert not np.allclose(vectors, random_directions(400, 32, seed=1))


def test_p_counts_effects_as_large_on_either_side_and_the_direction_itself():
    random = np.array([-3.0, -1.0, 0.5, 2.0])
    assert p_among_random(2.0, random) == (1 + 2) / 5
    assert p_among_random(-2.5, random) == (1 + 1) / 5
    assert p_among_random(9.0, random) == 1 / 5
    assert p_among_random(0.0, random) == 1


def test_control_items_are_spaced_evenly():
    assert spaced(10, 4) == [0, 2, 5, 7]
    assert spaced(3, 8) == spaced(3, None) == [0, 1, 2]
    with pytest.raises(InputError, match="control_items=0: expected at least 1"):
        spaced(10, 0)
