"""A strength chosen among ten on held-out rows and a probe refitted at it, as each library does it.

    python benchmarks/peers/fitting.py LIBRARY FOLDER OUT [--repeats 3]

The yardstick is the same with scikit-learn, one fit after the other: ten strengths from 1e5 to 1e-5, the last
fifth of the training rows (100 at most) to choose by AUROC, then all training rows. Rows are standardised.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from task import Task, measured

STRENGTHS = np.logspace(5, -5, 10)
TRAIN = 0.8


def problems(task: Task) -> list[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]:
    """Training rows and labels, test rows and labels, of each layer."""
    y, n = task.arrays["y"], int(TRAIN * len(task.arrays["y"]))
    found = []
    for X in task.arrays["X"]:
        mean, scale = X[:n].mean(0), X[:n].std(0)
        X = (X - mean) / np.where(scale > 0, scale, 1)
        found.append((X[:n], y[:n], X[n:], y[n:]))
    return found


def n_fit(n: int) -> int:
    """How many of the training rows the strength is not chosen by."""
    return n - min(int(0.2 * n), 100)


def scikit_learn(task: Task) -> Callable[[], np.ndarray]:
    given = problems(task)

    def fit(X: np.ndarray, y: np.ndarray, C: float) -> Any:
        return LogisticRegression(C=C, max_iter=1000).fit(X, y)

    def run() -> np.ndarray:
        unseen_aurocs = []
        for X, y, unseen, truth in given:
            k = n_fit(len(X))
            aurocs = [roc_auc_score(y[k:], fit(X[:k], y[:k], C).decision_function(X[k:])) for C in STRENGTHS]
            best = fit(X, y, STRENGTHS[int(np.argmax(aurocs))])
            unseen_aurocs.append(roc_auc_score(truth, best.decision_function(unseen)))
        return np.array(unseen_aurocs)

    return run


def ours(task: Task) -> Callable[[], np.ndarray]:
    from probes.probing.batched import logistic_columns

    given = problems(task)

    def scores(X: np.ndarray, y: np.ndarray, unseen: np.ndarray, Cs: np.ndarray) -> np.ndarray:
        found = logistic_columns(torch.as_tensor(X), torch.as_tensor(y[None]), Cs.tolist())
        return found.weights[0].numpy() @ unseen.T + found.intercepts[0].numpy()[:, None]

    def run() -> np.ndarray:
        unseen_aurocs = []
        for X, y, unseen, truth in given:
            k = n_fit(len(X))
            aurocs = [roc_auc_score(y[k:], s) for s in scores(X[:k], y[:k], X[k:], STRENGTHS)]
            best = STRENGTHS[[int(np.argmax(aurocs))]]
            unseen_aurocs.append(roc_auc_score(truth, scores(X, y, unseen, best)[0]))
        return np.array(unseen_aurocs)

    return run


def sae_probes(task: Task) -> Callable[[], np.ndarray]:
    from sae_probes.utils_training import find_best_reg  # pyright: ignore[reportMissingImports]

    given = problems(task)
    return lambda: np.array(
        [find_best_reg(X, y, unseen, truth).metrics.test_auc for X, y, unseen, truth in given]
    )


def compare(task: Task, aurocs: np.ndarray) -> dict[str, Any]:
    X = task.arrays["X"]
    return {"test_aurocs": aurocs.tolist(), "layers": len(X), "rows": int(TRAIN * X.shape[1])}


if __name__ == "__main__":
    measured(
        {"ours": ours, "sae_probes": sae_probes},
        scikit_learn,
        compare,
        {"ours": "spec-probes", "sae_probes": "sae-probes"},
    )
