"""Cosines, plain and whitened."""

import dataclasses

import numpy as np
import pytest
import scipy.linalg

from probes.errors import InputError
from probes.probing import (
    LDAProbe,
    MassMeanProbe,
    cosine,
    pooled_covariance,
    whiten,
)
from tests.probing.makers import cloud, direction, simulate


def test_whitened_cosine_takes_displacements_and_weights_to_one_space():
    X, y = cloud(200, 6)
    covariance = pooled_covariance(X, y)
    root = scipy.linalg.sqrtm(covariance).real
    rng = np.random.default_rng(0)
    move, other, weights = (direction(rng.normal(size=6)) for _ in range(3))
    weights = dataclasses.replace(weights, estimator="logistic")

    def angle(u, v):
        return u @ v / np.linalg.norm(u) / np.linalg.norm(v)

    taken = [np.linalg.solve(root, move.vector), np.linalg.solve(root, other.vector), root @ weights.vector]
    assert cosine(move, other) == pytest.approx(angle(move.vector, other.vector), abs=1e-6)
    assert cosine(move, other, covariance) == pytest.approx(angle(taken[0], taken[1]), abs=1e-6)
    assert cosine(move, weights, covariance) == pytest.approx(angle(taken[0], taken[2]), abs=1e-6)
    assert cosine(weights, weights, covariance) == pytest.approx(1)
    stacked = whiten(np.stack([move.vector, other.vector, np.zeros(6)]), covariance)
    assert stacked[0] @ stacked[1] == pytest.approx(cosine(move, other, covariance))
    assert np.isnan(stacked[2]).all()


def test_mass_mean_and_lda_agree_only_when_whitened():
    _, acts = simulate(n_pairs=400, strengths=(3.0,), huge=2)
    X, y = acts.values[0].astype(float), acts.labels
    mass_mean = direction(MassMeanProbe().fit(X, y).direction_)
    lda = direction(LDAProbe().fit(X, y).direction_, "lda")
    assert abs(cosine(mass_mean, lda)) < 0.7
    residuals = X - np.stack([X[y == k].mean(0) for k in (0, 1)])[y]
    assert cosine(mass_mean, lda, np.cov(residuals.T)) > 0.97


def test_cosine_of_nothing_is_nan_and_bad_shapes_are_refused():
    zero = direction(np.zeros(3))
    assert np.isnan(cosine(zero, [1.0, 0, 0]))
    assert np.isnan(cosine(zero, zero, np.eye(3)))
    with pytest.raises(InputError, match="two vectors of one width"):
        cosine(zero, np.ones(4))
    with pytest.raises(InputError, match="not positive definite"):
        cosine([1.0, 0, 0], [1.0, 0, 0], np.zeros((3, 3)))
    with pytest.raises(InputError, match=r"expected \(3, 3\)"):
        cosine([1.0, 0, 0], [1.0, 0, 0], np.eye(2))
