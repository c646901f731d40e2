"""Probes against scikit-learn and planted answers; the sweep against everything that could fool it."""

import dataclasses
import warnings

import numpy as np
import polars as pl
import pytest
import scipy.linalg
from scipy.stats import norm
from sklearn.covariance import ledoit_wolf
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import make_scorer, roc_auc_score
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

from probes.activations import Activations
from probes.errors import InputError, OutputError
from probes.models.sites import Site
from probes.probing import (
    Direction,
    Eraser,
    LDAProbe,
    LogisticProbe,
    MassMeanProbe,
    RidgeProbe,
    class_gap,
    cosine,
    frozen_auroc,
    grouped_folds,
    make_probe,
    out_of_fold_scores,
    pooled_covariance,
    probe_layers,
    shuffled_direction,
    split_rows,
    whiten,
)
from probes.concepts.surface import TEXT_STRENGTHS, text_scores
from probes.probing.estimators import STRENGTHS, fit_probe
from probes.probing.labelings import permuted_labels
from probes.probing.refitting import at_same_strength, refit
from probes.probing.memory import remembered
from probes.tables.schema import SCHEMA

WORDS = [f"w{i}" for i in range(60)]


def simulate(n_pairs=100, width=16, strengths=(0.0, 1.0, 2.0), seed=0, huge=0, cue=False, controls=False):
    """A concept planted along one known direction a layer, `strengths` standard deviations apart.

    `huge` dimensions get a standard deviation of 100; `cue` puts a word in the text that tells the label.
    """
    rng = np.random.default_rng(seed)
    labels, n = np.tile([0, 1], n_pairs), 2 * n_pairs
    planted = rng.normal(size=(len(strengths), width))
    planted[:, :huge] = 0
    planted /= np.linalg.norm(planted, axis=1, keepdims=True)
    noise = rng.normal(size=(len(strengths), n, width))
    noise[..., :huge] *= 100
    values = noise + np.array(strengths)[:, None, None] * (labels - 0.5)[None, :, None] * planted[:, None]
    part = np.repeat(
        np.array(["train", "select", "test"], dtype=object), [n_pairs // 2, n_pairs // 4, n_pairs // 4]
    )
    texts = [
        " ".join(rng.choice(WORDS, size=12)) + (f" {'cheap' if y else 'dear'}" if cue else "") for y in labels
    ]
    extra = {
        "embedding": rng.normal(size=(n, width)).astype(np.float32),
        "random_init": rng.normal(size=values.shape).astype(np.float32),
    }
    return planted, Activations(
        site="resid_post",
        position="last",
        stage="msm",
        lineage="toy",
        concept="affordability",
        render="shared",
        digest="abc",
        values=values.astype(np.float32),
        labels=labels,
        groups=np.repeat([f"p{i:03d}" for i in range(n_pairs)], 2),
        splits=np.repeat(part, 2),
        templates=np.array([None] * n, dtype=object),
        texts=texts,
        layers=list(range(len(strengths))),
        controls=extra if controls else {},
    )


def cloud(n, width, seed=0, shift=1.0):
    """Correlated activations with unequal scales, far from the origin."""
    rng = np.random.default_rng(seed)
    labels = np.tile([0, 1], n // 2)
    X = rng.normal(size=(n, width)) @ rng.normal(size=(width, width)) * np.logspace(-1, 2, width) + 5
    return X + shift * labels[:, None] * rng.normal(size=width), labels


# Estimators


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


# Cross-validation


def test_folds_keep_groups_whole_and_classes_balanced():
    labels = np.r_[np.tile([0, 1], 20), np.zeros(10, int), np.ones(10, int)]
    groups = np.r_[np.repeat(np.arange(20), 2), 100 + np.arange(20)]
    folds = grouped_folds(labels, groups)
    assert sorted(np.concatenate([held_out for _, held_out in folds])) == list(range(60))
    for train, held_out in folds:
        assert not set(groups[train]) & set(groups[held_out])
        assert labels[held_out].mean() == pytest.approx(0.5, abs=0.01)


def test_held_out_scores_know_nothing_of_a_group_but_plain_folds_do():
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(40), 4)
    labels = np.repeat(np.tile([0, 1], 20), 4)
    grouped, leaky = [], []
    for _ in range(20):
        X = np.repeat(rng.normal(size=(40, 60)), 4, axis=0) + 0.1 * rng.normal(size=(160, 60))
        grouped.append(roc_auc_score(labels, out_of_fold_scores(LogisticProbe(), X, labels, groups)))
        leaky.append(roc_auc_score(labels, out_of_fold_scores(LogisticProbe(), X, labels, np.arange(160))))
    assert np.mean(grouped) == pytest.approx(0.5, abs=0.07)
    assert min(leaky) > 0.95


def test_wild_values_in_one_held_out_group_change_no_other_score_of_its_fold():
    _, acts = simulate(n_pairs=20, strengths=(1.0,))
    X, y, groups = acts.values[0].astype(float), acts.labels, acts.groups
    before = out_of_fold_scores(LogisticProbe(C=None), X, y, groups)
    _, held_out = grouped_folds(y, groups)[0]
    wild = X.copy()
    wild[held_out[:2]] *= 1e4
    after = out_of_fold_scores(LogisticProbe(C=None), wild, y, groups)
    np.testing.assert_array_equal(after[held_out[2:]], before[held_out[2:]])


# Erasure


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


# Directions


def direction(vector, estimator="mass_mean", **changes):
    vector = np.asarray(vector, dtype=float)
    facts = {"position": "last", "stage": "msm", "concept": "care", "scale": 1.5, "gap": 0.7, "digest": "d"}
    unit = vector / (np.linalg.norm(vector) or 1)
    return Direction(vector=unit, site=Site("resid_post", 4), estimator=estimator, **{**facts, **changes})


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


# Splits and baselines


def test_splits_are_the_concept_s_own_or_drawn_by_template_or_pair():
    _, acts = simulate(n_pairs=60)
    own = split_rows(acts)
    assert (acts.splits[own.select] == "select").all()
    bare = dataclasses.replace(acts, splits=np.array([None] * 120, dtype=object))
    drawn = split_rows(bare, seed=1)
    assert [len(part) for part in dataclasses.astuple(drawn)] == [72, 24, 24]
    assert len(np.unique(np.concatenate(dataclasses.astuple(drawn)))) == 120
    assert not np.array_equal(drawn.test, split_rows(bare, seed=2).test)
    templates = np.repeat(np.array([f"t{i}" for i in range(12)], dtype=object), 10)
    by_template = split_rows(dataclasses.replace(bare, templates=templates), seed=1)
    assert not set(templates[by_template.train]) & set(templates[by_template.test])
    partly = acts.splits.copy()
    partly[:4] = None
    assert set(split_rows(dataclasses.replace(acts, splits=partly)).train) == set(own.train) - {0, 1, 2, 3}


def test_ngram_scores_are_those_of_a_vectoriser_that_saw_the_training_texts_alone():
    _, acts = simulate(n_pairs=30, cue=True)
    rng = np.random.default_rng(0)
    texts = [
        t if rng.random() < 0.5 else t.replace("cheap", "odd").replace("dear", "odd") for t in acts.texts
    ]
    train = split_rows(acts).train
    scores = text_scores(texts, acts.labels, acts.groups, train)
    known = [texts[i] for i in train]
    for name, vectoriser in (
        ("word_ngrams", TfidfVectorizer(ngram_range=(1, 2), token_pattern=r"(?u)\w+|[^\w\s]")),
        ("char_ngrams", TfidfVectorizer(ngram_range=(2, 5), analyzer="char")),
    ):
        search = GridSearchCV(
            make_pipeline(vectoriser, LogisticRegression(solver="liblinear")),
            {"logisticregression__C": TEXT_STRENGTHS},
            cv=grouped_folds(acts.labels[train], acts.groups[train]),
            scoring="roc_auc",
        ).fit(known, acts.labels[train])
        np.testing.assert_allclose(scores[name], search.decision_function(texts), atol=1e-6)


def test_permuted_labels_stay_balanced_in_every_pair():
    _, acts = simulate(n_pairs=50)
    fake = permuted_labels(acts.labels, acts.groups, np.random.default_rng(0))
    assert (fake.reshape(-1, 2).sum(1) == 1).all()
    assert 0.3 < (fake == acts.labels).mean() < 0.7
    single = permuted_labels(np.repeat([0, 1], 20), np.arange(40), np.random.default_rng(0))
    assert single.sum() == 20
    assert 0 < single[:20].sum() < 20


# The sweep over layers


@pytest.mark.parametrize("estimator", ["logistic", "mass_mean", "lda", "ridge"])
def test_sweep_finds_the_planted_layer_direction_and_auroc(estimator):
    planted, acts = simulate(n_pairs=400, controls=True)
    sweep = probe_layers(acts, estimator)
    assert sweep.best.layer == 2
    assert sweep.best.ci_low <= norm.cdf(2 / np.sqrt(2)) <= sweep.best.ci_high
    found = sweep.best.direction
    assert found.vector @ planted[2] > 0.95
    assert found.scale == pytest.approx(1, abs=0.1)
    assert found.gap == pytest.approx(1, abs=0.12)
    assert (found.site, found.estimator, found.digest) == (Site("resid_post", 2), estimator, "abc")
    assert sweep.probes[2].site == Site("resid_post", 2)

    table = sweep.table
    assert table.columns == list(SCHEMA)
    auroc = table.filter(measure="auroc")
    counts = dict(auroc.group_by("variant").len().iter_rows())
    surface = {"word_ngrams": 1, "char_ngrams": 1, "length": 1, "embedding": 1}
    assert counts == {"probe": 3, "random_init": 3, "shuffled_labels": 3} | surface
    at_zero = auroc.filter(variant="probe", layer=0).row(0, named=True)
    assert at_zero["ci_low"] <= 0.5 <= at_zero["ci_high"]
    assert table.filter(pl.col("selected") & (pl.col("variant") == "probe"))["layer"].unique().to_list() == [
        2
    ]
    assert table["n_pairs"].unique().to_list() == [100]
    chance = auroc.filter(variant="shuffled_labels")
    assert ((chance["estimate"] - 0.5).abs() < 0.12).all()
    assert (chance["ci_low"] <= chance["estimate"]).all()
    gap = table.filter(measure="auroc_gap").row(0, named=True)
    assert gap["ci_low"] > 0.1
    assert gap["variant"] == "probe_minus_best_surface"
    test = split_rows(acts).test
    scores = sweep.best.probe.decision_function(acts.values[2, test])
    assert sweep.best.auroc == pytest.approx(roc_auc_score(acts.labels[test], scores))
    accuracy = table.filter(measure="accuracy", layer=2).row(0, named=True)
    assert accuracy["estimate"] == pytest.approx(
        sweep.best.probe.score(acts.values[2, test], acts.labels[test])
    )


def test_huge_dimensions_break_mass_mean_and_not_the_others():
    _, acts = simulate(n_pairs=200, strengths=(3.0,), huge=2)
    found = {e: probe_layers(acts, e, baselines=False, n_shuffles=0).best.auroc for e in ("logistic", "lda")}
    assert min(found.values()) > 0.95
    assert probe_layers(acts, "mass_mean", baselines=False, n_shuffles=0).best.auroc < 0.75


def test_a_concept_in_the_words_alone_is_not_beyond_the_surface():
    _, acts = simulate(strengths=(0.0, 0.0), cue=True, controls=True)
    sweep = probe_layers(acts)
    gap = sweep.table.filter(measure="auroc_gap").row(0, named=True)
    assert gap["ci_high"] < 0
    assert sweep.best_surface in ("word_ngrams", "char_ngrams")
    also_inside = simulate(strengths=(0.0, 6.0), cue=True)[1]
    equal = probe_layers(also_inside).table.filter(measure="auroc_gap").row(0, named=True)
    assert equal["estimate"] <= 0


def test_test_data_chooses_nothing():
    _, acts = simulate(n_pairs=60, strengths=(1.0, 1.0, 1.0, 1.0))
    test = split_rows(acts).test
    values, labels = acts.values.copy(), acts.labels.copy()
    values[:, test] = 50 * np.random.default_rng(9).normal(size=values[:, test].shape)
    labels[test] = 1 - labels[test]
    options = {"baselines": False, "n_shuffles": 0}
    before = probe_layers(acts, **options)
    after = probe_layers(dataclasses.replace(acts, values=values, labels=labels), **options)
    assert after.best.layer == before.best.layer
    for layer in acts.layers:
        np.testing.assert_array_equal(after.directions[layer].vector, before.directions[layer].vector)
        assert after.directions[layer].scale == before.directions[layer].scale


def test_equal_layers_are_decided_by_margin_then_by_depth():
    _, acts = simulate(n_pairs=60, strengths=(20.0, 40.0, 20.0))
    assert probe_layers(acts, baselines=False, n_shuffles=0).best.layer == 1
    same = dataclasses.replace(acts, values=np.repeat(acts.values[:1], 3, axis=0))
    assert probe_layers(same, baselines=False, n_shuffles=0).best.layer == 0


def test_sweep_is_the_same_for_the_same_seed_and_resamples_templates_when_asked():
    _, acts = simulate(n_pairs=60, strengths=(1.0,))
    bare = dataclasses.replace(
        acts,
        splits=np.array([None] * 120, dtype=object),
        templates=np.repeat(np.array([f"t{i}" for i in range(20)], dtype=object), 6),
    )
    tables = [probe_layers(bare, seed=s).table for s in (3, 3, 4)]
    assert tables[0].equals(tables[1])
    assert not tables[0].equals(tables[2])
    by_template = probe_layers(bare, seed=3, groups="template").table
    assert by_template["n_pairs"].unique().to_list() == [12]
    assert not by_template.equals(tables[0])


def test_embeddings_have_no_layer_in_their_site():
    _, acts = simulate(n_pairs=40, strengths=(2.0,))
    sweep = probe_layers(dataclasses.replace(acts, site="embed"), baselines=False, n_shuffles=0)
    assert sweep.best.direction.site == Site("embed")


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


def test_shuffled_direction_carries_no_concept():
    planted, acts = simulate(n_pairs=400, strengths=(3.0,))
    sweep = probe_layers(acts, baselines=False, n_shuffles=0)
    shuffled = [shuffled_direction(sweep, acts, 0, seed) for seed in range(8)]
    assert (
        np.mean([abs(d.vector @ planted[0]) for d in shuffled])
        < 0.5
        < sweep.best.direction.vector @ planted[0]
    )
    assert not np.array_equal(shuffled[0].vector, shuffled[1].vector)
    assert shuffled[0].site == sweep.best.direction.site


def test_class_gap_is_the_difference_of_training_means_at_its_own_layer():
    _, acts = simulate(seed=4)
    told = class_gap(acts, 2)
    train = split_rows(acts).train
    values, labels = acts.values[2][train].astype(float), acts.labels[train]
    gap = values[labels == 1].mean(0) - values[labels == 0].mean(0)
    np.testing.assert_allclose(told.vector, gap / np.linalg.norm(gap), atol=1e-6)
    assert (told.site, told.estimator) == (Site(acts.site, 2), "mass_mean")
    assert told.gap == pytest.approx(np.linalg.norm(gap) / 2)
    with pytest.raises(InputError, match="layer 9 was not extracted"):
        class_gap(acts, 9)


def broken(**changes):
    acts = simulate(n_pairs=40)[1]
    return dataclasses.replace(
        acts, **{name: change(getattr(acts, name).copy()) for name, change in changes.items()}
    )


def put(where, what):
    def change(array):
        array[where] = what
        return array

    return change


@pytest.mark.parametrize(
    ("changes", "options", "message"),
    [
        ({"values": put((1, 3, 2), np.nan)}, {}, "layer 1: activations hold NaN"),
        ({"values": put(0, 1.0)}, {}, "layer 0: activations at position 'last' are the same for every text"),
        (
            {"splits": put(slice(66, None), None)},
            {},
            "3 pairs in the test split, expected 4 or more",
        ),
        ({"splits": put(slice(46, 60), None)}, {}, "3 pairs in the select split, expected 4 or more"),
        (
            {"splits": put(slice(60, None), None)},
            {},
            "splits are select, train; expected train, select and test",
        ),
        ({"splits": put(0, "test")}, {}, "pair 'p000' is in the train and the test split"),
        ({"labels": put(slice(40, 60), 1)}, {}, "the select split holds one class only, label 1"),
        ({"labels": put(0, 2)}, {}, "expected 0 and 1"),
        ({}, {"groups": "template"}, "not every example has a template"),
        ({}, {"groups": "text"}, 'expected "pair" or "template"'),
        ({}, {"estimator": "svm"}, "expected one of logistic"),
    ],
)
def test_sweep_refuses_what_it_cannot_use(changes, options, message):
    with pytest.raises(InputError, match=message):
        probe_layers(broken(**changes), **options)


# Frozen probes


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


@pytest.mark.parametrize("estimator", ["logistic", "mass_mean", "lda", "ridge"])
def test_refits_of_many_labelings_are_those_of_one_at_a_time(estimator):
    rng = np.random.default_rng(0)
    X, y, groups = rng.standard_normal((40, 60)), np.tile([0, 1], 20), np.repeat(np.arange(20), 2)
    probe = fit_probe(make_probe(estimator), X + y[:, None], y, groups)
    labelings = [rng.permutation(y) for _ in range(3)]
    for one, labels in zip(refit(probe, X, labelings), labelings, strict=True):
        alone = at_same_strength(probe).fit(X, labels)
        np.testing.assert_allclose(one.decision_function(X), alone.decision_function(X), atol=1e-8)
        assert one.get_params() == alone.get_params()


def test_what_was_remembered_is_found_by_content_and_forgotten_in_order():
    calls = []

    @remembered(kept=2)
    def double(values, name):
        calls.append(name)
        return 2 * values

    one = np.arange(3.0)
    assert double(one, "a") is double(one.copy(), "a")
    np.testing.assert_array_equal(double(one + 1, "a"), 2 * (one + 1))
    assert double(one.astype(np.float32), "a").dtype == np.float32
    double(one, "a")
    assert len(calls) == 4
