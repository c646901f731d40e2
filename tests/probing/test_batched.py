"""The batched solver against scikit-learn's optimum, one problem at a time, on what makes solvers fail."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from probes.errors import InputError
from probes.probing.batched import TOLERANCE, PrincipalAxes, logistic_columns

STRENGTHS = (1e-4, 1e-2, 1.0, 100.0)


def rows_of(n, width, seed=0):
    """Standardised correlated rows whose spectrum falls over two decades."""
    rng = np.random.default_rng(seed)
    X = (
        rng.normal(size=(n, width))
        * np.logspace(0, -2, width)
        @ np.linalg.qr(rng.normal(size=(width, width)))[0]
    )
    return (X - X.mean(0)) / X.std(0)


def halves(n, seed=0):
    return np.random.default_rng(seed).permutation(np.arange(n) % 2)


def objective(X, y, C, weights, intercept):
    scores = X @ weights + intercept
    return C * (np.logaddexp(0, scores) - y * scores).sum() + weights @ weights / 2


def solve(X, labelings, strengths, **options):
    solution = logistic_columns(
        torch.as_tensor(X), torch.as_tensor(np.array(labelings)), strengths, **options
    )
    return solution.weights.numpy(), solution.intercepts.numpy(), solution.converged.numpy()


def near_constant():
    X = rows_of(60, 100)
    X[:, :5] = 3.0 + 1e-9 * X[:, :5]
    X[:, 5] = 0.0
    return X


def wide_separable():
    X = rows_of(80, 200)
    return X, [(X[:, 0] > 0).astype(int)], (1e-4, 1.0, 100.0, 1e4)


def tall_separable():
    X = rows_of(80, 5)
    return X, [(X[:, 0] > 0).astype(int)], (1e-4, 1.0, 100.0, 1e4)


CASES = {
    "fewer rows than dimensions": lambda: (rows_of(60, 150), [halves(60, s) for s in range(3)], STRENGTHS),
    "more rows than dimensions": lambda: (rows_of(200, 20), [halves(200, s) for s in range(3)], STRENGTHS),
    "as many": lambda: (rows_of(80, 80), [halves(80)], STRENGTHS),
    "separable and wide": wide_separable,
    "separable and tall": tall_separable,
    "unbalanced": lambda: (rows_of(80, 120), [np.arange(80) < 2, np.arange(80) > 2], STRENGTHS),
    "near-constant features": lambda: (near_constant(), [halves(60)], STRENGTHS),
    "huge and far from the origin": lambda: (300 * rows_of(60, 10) + 1000, [halves(60)], (1e-8, 1e-5)),
    "one feature": lambda: (rows_of(40, 1), [halves(40)], STRENGTHS),
}


@pytest.mark.parametrize("case", CASES)
def test_objective_is_no_worse_than_that_of_scikit_learn(case):
    X, labelings, strengths = CASES[case]()
    weights, intercepts, converged = solve(X, labelings, strengths)
    assert converged.all()
    for i, y in enumerate(labelings):
        for j, C in enumerate(strengths):
            theirs = LogisticRegression(C=C, tol=1e-10, max_iter=100_000).fit(X, y)
            best = objective(X, y, C, theirs.coef_[0], theirs.intercept_[0])
            assert objective(X, y, C, weights[i, j], intercepts[i, j]) <= best * (1 + 1e-6)


@pytest.mark.parametrize("case", ["fewer rows than dimensions", "more rows than dimensions", "unbalanced"])
def test_a_strict_tolerance_finds_the_weights_of_a_newton_solver(case):
    X, labelings, strengths = CASES[case]()
    weights, intercepts, converged = solve(X, labelings, strengths, tolerance=1e-18)
    assert converged.all()
    for i, y in enumerate(labelings):
        for j, C in enumerate(strengths):
            odds = 1 / (1 + np.exp(-(X @ weights[i, j] + intercepts[i, j])))
            gradient = C * X.T @ (odds - y) + weights[i, j]
            assert np.abs(gradient).max() < 1e-7 * max(1, C)
            assert abs(C * (odds - y).sum()) < 1e-7 * max(1, C)
            theirs = LogisticRegression(C=C, solver="newton-cholesky", tol=1e-10, max_iter=1000).fit(X, y)
            np.testing.assert_allclose(weights[i, j], theirs.coef_[0], atol=1e-5 * np.abs(theirs.coef_).max())


@pytest.mark.parametrize("shape", [(60, 150), (200, 20)])
def test_columns_do_not_influence_each_other(shape):
    X = rows_of(*shape)
    labelings = [halves(len(X), seed) for seed in range(4)] + [(X[:, 0] > 0).astype(int)]
    together, intercepts, _ = solve(X, labelings, STRENGTHS, tolerance=1e-14)
    for i, y in enumerate(labelings):
        for j, C in enumerate(STRENGTHS):
            alone, intercept, _ = solve(X, [y], [C], tolerance=1e-14)
            scores = X @ alone[0, 0] + intercept[0, 0]
            np.testing.assert_allclose(X @ together[i, j] + intercepts[i, j], scores, rtol=1e-6, atol=1e-6)


def test_flags_and_excess_tell_the_truth(monkeypatch):
    X, y = rows_of(60, 150), halves(60)
    labelings = torch.as_tensor(y[None])
    best = logistic_columns(torch.as_tensor(X), labelings, STRENGTHS, tolerance=1e-18)
    monkeypatch.setattr("probes.probing.batched.FIRST_STEPS", 3)
    monkeypatch.setattr("probes.probing.batched.LATER_STEPS", {torch.float32: 0, torch.float64: 0})
    early = logistic_columns(torch.as_tensor(X), labelings, STRENGTHS)
    assert bool(early.converged[0, 0])
    assert not early.converged[0, -1]
    for j, C in enumerate(STRENGTHS):
        ours, least = (
            objective(X, y, C, s.weights[0, j].numpy(), float(s.intercepts[0, j])) for s in (early, best)
        )
        assert ours - least <= float(early.excess[0, j]) * ours * (1 + 1e-6) + 1e-12
    assert ((early.excess <= TOLERANCE) == early.converged).all()


def test_rows_that_are_all_the_same_leave_the_intercept_alone():
    y = np.arange(12) % 3 == 0
    weights, intercepts, converged = solve(np.full((12, 7), 4.0), [y], [1.0])
    assert converged.all()
    assert not weights.any()
    assert intercepts[0, 0] == pytest.approx(np.log(y.mean() / (1 - y.mean())), abs=1e-3)


def test_axes_are_an_orthonormal_basis_of_the_rows():
    for shape in ((30, 70), (70, 30)):
        X = torch.as_tensor(rows_of(*shape) + 5)
        axes = PrincipalAxes.of(X)
        basis = axes.expand(torch.eye(len(axes.curvature), dtype=X.dtype))
        torch.testing.assert_close(basis @ basis.T, torch.eye(len(basis), dtype=X.dtype))
        torch.testing.assert_close(axes.coordinates(X), axes.rows)
        torch.testing.assert_close(axes.expand(axes.rows) + axes.mean, X)


def test_result_is_on_the_device_of_the_rows_in_double_precision():
    rows = torch.as_tensor(rows_of(20, 8)).float()
    solution = logistic_columns(rows, torch.as_tensor(halves(20)[None]), [1.0])
    for value in (solution.weights, solution.intercepts, solution.excess, solution.converged):
        assert value.device == rows.device
    assert solution.weights.shape == (1, 1, 8)
    assert solution.weights.dtype == torch.float64


@pytest.mark.parametrize(
    ("rows", "labelings", "options", "message"),
    [
        (torch.ones(4), torch.ones(1, 4), {}, r"expected \[n, d\] and \[labelling, n\]"),
        (torch.ones(4, 2), torch.ones(1, 3), {}, r"labelings \(1, 3\)"),
        (torch.full((2, 2), torch.nan), torch.tensor([[0, 1]]), {}, "NaN or infinity"),
        (torch.ones(2, 2), torch.tensor([[1, 2]]), {}, "expected 0 and 1"),
        (torch.ones(2, 2), torch.tensor([[0, 1], [1, 1]]), {}, "labelling 1 holds one class"),
        (torch.ones(2, 2), torch.tensor([[0, 1]]), {"strengths": []}, "expected positive numbers"),
        (torch.ones(2, 2), torch.tensor([[0, 1]]), {"strengths": [1.0, -1.0]}, "expected positive numbers"),
        (torch.ones(2, 2), torch.tensor([[0, 1]]), {"tolerance": 0.0}, "between 0 and 1"),
    ],
)
def test_bad_input_is_refused_in_one_line(rows, labelings, options, message):
    with pytest.raises(InputError, match=message) as refused:
        logistic_columns(rows, labelings, **{"strengths": [1.0], **options})
    assert "\n" not in str(refused.value)
