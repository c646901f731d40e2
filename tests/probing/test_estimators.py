"""Probes against scikit-learn and against their own formulas."""

import warnings

import numpy as np
import pytest
from sklearn.covariance import ledoit_wolf
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import make_scorer, roc_auc_score
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

from probes.concepts.folds import grouped_folds
from probes.models.sites import Site
from probes.probing import (
    Eraser,
    LDAProbe,
    LogisticProbe,
    MassMeanProbe,
    RidgeProbe,
    make_probe,
)
from probes.probing.estimators import STRENGTHS
from tests.probing.makers import cloud, simulate


@pytest.mark.parametrize("estimator", [LogisticProbe(), MassMeanProbe(), LDAProbe(), RidgeProbe(), Eraser()])
def test_scikit_learn_accepts_the_estimator(estimator):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        check_estimator(estimator, on_skip=None)


@pytest.mark.parametrize("shape", [(40, 150), (200, 12)])
@pytest.mark.parametrize("C", [1e-3, 0.1, 10.0])
def test_logistic_reaches_the_optimum_of_scikit_learn_in_the_full_space(shape, C):
    X, y = cloud(*shape)
    ours = LogisticProbe(C=C).fit(X, y)
    theirs = make_pipeline(StandardScaler(), LogisticRegression(C=C, tol=1e-10, max_iter=100_000)).fit(X, y)
    np.testing.assert_allclose(ours.decision_function(X), theirs.decision_function(X), rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), atol=1e-4)
    raw = theirs[-1].coef_[0] / theirs[0].scale_
    np.testing.assert_allclose(ours.coef_[0], raw, atol=1e-4 * np.abs(raw).max())
    np.testing.assert_allclose(ours.direction_, ours.coef_[0] / np.linalg.norm(ours.coef_), atol=1e-12)
    np.testing.assert_allclose(X @ ours.coef_[0] + ours.intercept_[0], ours.decision_function(X), atol=1e-9)


def test_logistic_is_the_same_above_the_newton_limit(monkeypatch):
    X, y = cloud(60, 40)
    newton = LogisticProbe(C=0.01).fit(X, y)
    monkeypatch.setattr("probes.probing.solver.NEWTON_LIMIT", 10)
    np.testing.assert_allclose(LogisticProbe(C=0.01).fit(X, y).coef_, newton.coef_, atol=1e-5)


@pytest.mark.parametrize("shape", [(40, 150), (200, 12)])
def test_ridge_is_that_of_scikit_learn(shape):
    X, y = cloud(*shape)
    ours = RidgeProbe(alpha=30.0).fit(X, y)
    theirs = make_pipeline(StandardScaler(), Ridge(alpha=30.0)).fit(X, 2 * y - 1)
    np.testing.assert_allclose(ours.decision_function(X), theirs.predict(X), atol=1e-8)


@pytest.mark.parametrize("shape", [(40, 100), (200, 12)])
def test_lda_is_the_shrunk_inverse_covariance_times_the_mean_difference(shape):
    X, y = cloud(*shape)
    scaled = StandardScaler().fit_transform(X)
    means = np.stack([scaled[y == k].mean(0) for k in (0, 1)])
    covariance = ledoit_wolf(scaled - means[y], assume_centered=True)[0]
    weights = np.linalg.solve(covariance, means[1] - means[0])
    expected = (scaled - means.mean(0)) @ weights
    probe = LDAProbe().fit(X, y)
    np.testing.assert_allclose(probe.decision_function(X), expected, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(probe.predict_proba(X)[:, 1], 1 / (1 + np.exp(-expected)), atol=1e-6)


def test_mass_mean_is_the_difference_of_means_with_the_threshold_between():
    X, y = cloud(60, 8)
    probe = MassMeanProbe(site=Site("resid_post", 3)).fit(X, np.where(y, "yes", "no"))
    difference = X[y == 1].mean(0) - X[y == 0].mean(0)
    np.testing.assert_allclose(probe.direction_, difference / np.linalg.norm(difference), atol=1e-12)
    middle = (X[y == 1].mean(0) + X[y == 0].mean(0)) / 2
    assert probe.decision_function(middle[None])[0] == pytest.approx(0, abs=1e-8)
    assert set(probe.predict(X)) == {"no", "yes"}
    assert probe.site == Site("resid_post", 3)


@pytest.mark.parametrize("name", ["logistic", "ridge"])
def test_strength_is_the_one_a_grouped_grid_search_finds(name):
    _, acts = simulate(n_pairs=30, width=50, strengths=(1.5,))
    X, y, groups = acts.values[0].astype(float), acts.labels, acts.groups
    folds, scoring = grouped_folds(y, groups), "roc_auc"
    if name == "logistic":
        probe = LogisticProbe(C=None).fit(X, y, groups=groups)
        model, chosen = LogisticRegression(tol=1e-8, max_iter=10_000), probe.C_
        grid = {"logisticregression__C": STRENGTHS}
    else:
        probe = RidgeProbe(alpha=None).fit(X, y, groups=groups)
        model, chosen, scoring = Ridge(), probe.alpha_, make_scorer(roc_auc_score)
        grid = {"ridge__alpha": [1 / C for C in STRENGTHS]}
    search = GridSearchCV(make_pipeline(StandardScaler(), model), grid, cv=folds, scoring=scoring).fit(X, y)
    assert chosen == next(iter(search.best_params_.values()))


def test_constant_features_give_a_zero_direction_and_one_feature_may_be_constant():
    X, y = cloud(40, 6)
    X[:, 2] = 7.0
    for name in ("logistic", "lda", "ridge", "mass_mean"):
        probe = make_probe(name)
        options = {"groups": np.arange(40) // 2} if name in ("logistic", "ridge") else {}
        assert abs(probe.fit(X, y, **options).coef_[0, 2]) < 1e-12
        assert not probe.fit(np.ones((40, 6)), y, **options).direction_.any()


@pytest.mark.parametrize(
    ("fit", "message"),
    [
        (lambda X, y: LogisticProbe(C=None).fit(X, y), "C=None without groups"),
        (lambda X, y: LogisticProbe(C=-1).fit(X, y), "expected a positive number"),
        (lambda X, y: MassMeanProbe().fit(X, np.zeros(len(y))), "one class"),
        (lambda X, y: MassMeanProbe().fit(X, np.arange(len(y)) % 3), "Only binary"),
        (lambda X, y: LDAProbe().fit(np.where(X > 0, np.nan, X), y), "NaN"),
        (lambda X, y: LogisticProbe(C=None).fit(X, y, groups=np.zeros(len(y))), "at least 2"),
        (lambda X, y: RidgeProbe(alpha=None).fit(X, y, groups=y), "each class in at least 2 groups"),
        (lambda X, y: make_probe("svm"), "expected one of logistic"),
    ],
)
def test_estimators_refuse_what_they_cannot_use(fit, message):
    with pytest.raises(ValueError, match=message):
        fit(*cloud(20, 4))
