"""Erasure against the theorem and the formula of the paper."""

import numpy as np
import pytest
import scipy.linalg
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from probes.probing import (
    Eraser,
    MassMeanProbe,
)
from tests.probing.makers import cloud


@pytest.mark.parametrize("shape", [(300, 20), (40, 100)])
def test_after_erasure_no_linear_classifier_beats_the_majority(shape):
    X, y = cloud(*shape)
    y = y.copy()
    y[: shape[0] // 10] = 1
    erased = Eraser().fit_transform(X, y)
    spread = X.std(0).max()
    np.testing.assert_allclose(erased[y == 1].mean(0), erased[y == 0].mean(0), atol=1e-9 * spread)
    classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=10_000, tol=1e-8)).fit(erased, y)
    assert classifier.score(erased, y) == pytest.approx(y.mean())
    assert not MassMeanProbe().fit(erased, y).direction_ @ (erased.T @ (y - y.mean())) > 1e-6 * spread


def test_erasure_moves_activations_less_than_any_projection_that_does_the_job():
    X, y = cloud(300, 10, seed=2)
    moved = ((Eraser().fit_transform(X, y) - X) ** 2).mean()
    difference = X[y == 1].mean(0) - X[y == 0].mean(0)
    unit = difference / np.linalg.norm(difference)
    projected = X - np.outer((X - X.mean(0)) @ unit, unit)
    np.testing.assert_allclose(projected[y == 1].mean(0), projected[y == 0].mean(0), atol=1e-8)
    assert moved < ((projected - X) ** 2).mean()
    rng = np.random.default_rng(0)
    for _ in range(50):
        reader = rng.normal(size=10)
        oblique = X - np.outer((X - X.mean(0)) @ reader, difference / (reader @ difference))
        assert moved <= ((oblique - X) ** 2).mean()


def test_erasure_is_the_formula_of_the_paper_and_keeps_its_rank():
    X, _ = cloud(400, 8, seed=3)
    y = np.arange(400) % 3
    X[np.arange(400), y] += 4 * X.std(0)[y]
    mean, one_hot = X.mean(0), np.eye(3)[y]
    covariance = (X - mean).T @ (X - mean) / len(X)
    whiten = np.linalg.inv(scipy.linalg.sqrtm(covariance).real)
    target = whiten @ ((X - mean).T @ (one_hot - one_hot.mean(0)) / len(X))
    P = target @ np.linalg.pinv(target, rcond=1e-8)
    expected = X - (X - mean) @ (np.linalg.inv(whiten) @ P @ whiten).T
    eraser = Eraser().fit(X, y)
    np.testing.assert_allclose(eraser.transform(X), expected, atol=1e-6 * X.std())
    assert eraser.erasure_.write.shape == (8, 2)
    np.testing.assert_allclose(eraser.erasure_(X[None])[0], eraser.transform(X))
