"""Subspaces: angles against scipy and a rotation of known angle, and what is saved is what is read."""

import numpy as np
import pytest
from scipy.linalg import subspace_angles
from scipy.stats import ortho_group

import probes
from probes.errors import InputError
from probes.probing import Subspace
from probes.probing.direction import natural_unit
from probes.stats.alignment import procrustes

RNG = np.random.default_rng(0)
FACTS = {
    "site": probes.Site("resid_post", 3),
    "position": "evidence",
    "stage": "mid",
    "concept": "prices",
    "method": "das_2",
    "digest": "d",
}


def subspace(basis, **facts):
    k = len(basis)
    return Subspace(basis, gaps=np.ones(k), covariance=np.eye(k), **(FACTS | facts))


def test_angles_are_those_of_scipy_and_of_a_known_turn():
    one, two = ortho_group.rvs(8, random_state=1)[:3], ortho_group.rvs(8, random_state=2)[:2]
    expected = np.sort(np.rad2deg(subspace_angles(one.T, two.T)))
    np.testing.assert_allclose(subspace(one).angles(subspace(two)), expected, atol=1e-3)
    turned = [[np.cos(0.3), 0, np.sin(0.3), 0], [0, 1, 0, 0]]
    np.testing.assert_allclose(
        subspace(np.eye(4)[:2]).angles(subspace(turned)), [0, np.rad2deg(0.3)], atol=1e-3
    )
    with pytest.raises(InputError, match="subspaces of width 8 and 4"):
        subspace(one).angles(subspace(turned))


def test_an_alignment_brings_a_rotated_subspace_back():
    rotation = ortho_group.rvs(6, random_state=3)
    neutral = RNG.normal(size=(40, 6))
    there = subspace(np.eye(6)[:2])
    here = subspace(there.basis @ rotation)
    assert there.angles(here).max() > 20
    back = here.aligned(procrustes(neutral @ rotation, neutral))
    np.testing.assert_allclose(there.angles(back), 0, atol=0.1)


def test_the_direction_is_the_class_gap_within_the_subspace():
    labels = np.repeat([0, 1], 30)
    states = RNG.normal(size=(60, 5)) * [1, 2, 1, 1, 1] + labels[:, None] * [3, 4, 9, 0, 0]
    found = Subspace.of_states(np.eye(5)[:2], states, labels, **FACTS)
    direction = found.direction
    scale, gap = natural_unit(states, labels, direction.vector)
    assert (direction.scale, direction.gap) == (pytest.approx(scale), pytest.approx(gap))
    means = states[labels == 1].mean(0) - states[labels == 0].mean(0)
    inside = means * [1, 1, 0, 0, 0]
    np.testing.assert_allclose(direction.vector, inside / np.linalg.norm(inside), atol=1e-6)


def test_what_is_saved_is_what_is_read(tmp_path):
    made = subspace(ortho_group.rvs(8, random_state=4)[:3])
    made.save(tmp_path / "s.safetensors")
    again = Subspace.load(tmp_path / "s.safetensors")
    np.testing.assert_array_equal(again.basis, made.basis)
    assert (again.site, again.position, again.method, again.k) == (made.site, "evidence", "das_2", 3)
    with pytest.raises(ValueError, match="read-only"):
        again.basis[0, 0] = 1
    (tmp_path / "x.safetensors").write_bytes(b"no")
    with pytest.raises(InputError, match=r"expected a subspace written by Subspace\.save"):
        Subspace.load(tmp_path / "x.safetensors")


@pytest.mark.parametrize("basis", [np.ones((2, 4)), np.zeros((0, 4)), np.ones(4)])
def test_rows_that_are_not_orthonormal_are_refused(basis):
    with pytest.raises(InputError, match="expected orthonormal rows"):
        Subspace(basis, gaps=np.ones(2), covariance=np.eye(2), **FACTS)
    with pytest.raises(InputError, match=r"expected \(2,\) and \(2, 2\)"):
        Subspace(np.eye(4)[:2], gaps=np.ones(3), covariance=np.eye(2), **FACTS)
