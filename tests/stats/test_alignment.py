"""Offsets and rotations against scipy and planted answers."""

import numpy as np
import pytest
import scipy.linalg
from scipy import stats

from probes.errors import InputError
from probes.stats.alignment import neutral_offset, offset_removed, procrustes


class TestAlignment:
    def test_with_enough_texts_it_is_scipys_and_finds_the_rotation(self):
        rng = np.random.default_rng(0)
        rotation = stats.ortho_group.rvs(6, random_state=0)
        source = rng.normal(size=(40, 6)) * np.r_[30.0, np.ones(5)] + 3
        target = (source - 3) @ rotation + 5
        alignment = procrustes(source, target)
        np.testing.assert_allclose(alignment.rotation, rotation, atol=1e-10)
        np.testing.assert_allclose(alignment.activations(source), target, atol=1e-10)
        assert alignment.unexplained == pytest.approx(0, abs=1e-12)
        np.testing.assert_allclose(alignment.outside(rng.normal(size=(3, 6))), 0, atol=1e-12)
        noisy = target + rng.normal(size=target.shape)
        a, b = source - source.mean(0), noisy - noisy.mean(0)
        np.testing.assert_allclose(
            procrustes(source, noisy).rotation, scipy.linalg.orthogonal_procrustes(a, b)[0], atol=1e-10
        )

    def test_with_few_texts_the_span_is_turned_and_the_rest_hardly(self):
        rng = np.random.default_rng(1)
        source = rng.normal(size=(4, 10))
        same = procrustes(source, source + 2)
        np.testing.assert_allclose(same.rotation, np.eye(10), atol=1e-10)
        rotation = stats.ortho_group.rvs(10, random_state=1)
        alignment = procrustes(source, source @ rotation)
        np.testing.assert_allclose(alignment.rotation @ alignment.rotation.T, np.eye(10), atol=1e-10)
        np.testing.assert_allclose(alignment.activations(source), source @ rotation, atol=1e-10)
        inside = source[0] - source.mean(0)
        across = np.linalg.svd(source - source.mean(0))[2][-1]
        assert alignment.outside(inside) == pytest.approx(0, abs=1e-12)
        assert alignment.outside(across) == pytest.approx(1)
        assert alignment.outside(across + inside / np.linalg.norm(inside)) == pytest.approx(0.5)

    def test_an_offset_is_found_its_size_is_not_chance_and_it_goes(self):
        rng = np.random.default_rng(2)
        parent = rng.normal(size=(50, 8)) * np.r_[100.0, np.ones(7)]
        stage = parent + 0.3 * rng.normal(size=parent.shape)
        assert neutral_offset(stage, parent).size < 0.05
        stage[:, 3] += 4
        offset = neutral_offset(stage, parent)
        assert offset.size == pytest.approx(4 / parent[:, 3].std(ddof=1) / np.sqrt(8), rel=0.1)
        np.testing.assert_allclose(offset_removed(stage, offset).mean(0), parent.mean(0))
        np.testing.assert_allclose(offset_removed(stage, offset, "project") @ offset.vector, 0, atol=1e-9)

    def test_bad_input_is_refused(self):
        with pytest.raises(InputError, match="the same texts"):
            procrustes(np.zeros((4, 3)), np.zeros((5, 3)))
        with pytest.raises(InputError, match="NaN"):
            neutral_offset(np.full((4, 3), np.nan), np.zeros((4, 3)))
        offset = neutral_offset(np.ones((4, 3)), np.zeros((4, 3)))
        with pytest.raises(InputError, match="width of the offset, 3"):
            offset_removed(np.zeros((2, 4)), offset)
        with pytest.raises(InputError, match='expected "shift" or "project"'):
            offset_removed(np.zeros((2, 3)), offset, "erase")
