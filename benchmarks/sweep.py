"""The sweep over layers, folds, strengths, permutations and a control task beside scikit-learn and probekit.

    python benchmarks/sweep.py [--layers 30] [--repeats 3] [--sample 4] [--probekit FOLDER]
        [--out benchmarks/results/probes.json]

scikit-learn solves a random sample of the same problems, `sample` per strength and repeat, with joblib on all
cores (its workers warm) and rows that are standardised already; its time is scaled to the whole. It is
`LogisticRegression` at its default tolerance with iterations enough. Both sides run interleaved; ratios are
of medians, of wall time and of processor time: a busy machine disturbs the second less, and it leaves out
what joblib costs. Objectives of the sampled problems are compared in double precision with those of
scikit-learn, at its default tolerance and at 1e-10, and so are held-out AUROCs.

probekit is on PyPI: `pip install --no-deps --target FOLDER probekit==0.4.0` puts it apart (its sae-lens is
not needed to fit). Its batched solver gets 4 labelings of one layer and fold at each strength. The
activations are those of the embedded SmolLM2 on a packaged concept, kept in `--cache`.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from joblib import Parallel, delayed
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

import probes
from probes.probing.batched import TOLERANCE, logistic_columns
from probes.probing.cross_validation import grouped_folds
from probes.probing.solver import standardised
from probes.probing.strengths import SWEEP_STRENGTHS, ProbeSweep, sweep_probes

Problem = tuple[int, int, int, float]
"""Layer, fold, labelling, strength."""


def activations(cache: Path, n_rows: int) -> probes.Activations:
    """Last-token resid_post of every layer for the first whole pairs of plain text of `affordability`."""
    if not cache.exists():
        plain = probes.load_concept("affordability").frame().filter(pl.col("text").is_not_null())
        plain = plain.filter(pl.len().over("pair") == 2)[:n_rows].select("pair", "label", "template", "text")
        concept = probes.Concept.from_frame(plain, pair="pair", name="affordability")
        stage = probes.load_lineage("checkpoints/msm-mini").root.load()
        acts = probes.extract(stage, concept, controls=(), progress=False)
        cache.parent.mkdir(parents=True, exist_ok=True)
        templates = plain["template"].to_numpy().astype(str)
        groups = np.asarray(acts.groups).astype(str)
        np.savez(cache, values=acts.values, labels=acts.labels, groups=groups, templates=templates)
    saved = np.load(cache)
    values = saved["values"]
    return probes.Activations(
        values=values,
        labels=saved["labels"],
        groups=saved["groups"],
        splits=np.full(len(saved["labels"]), None, dtype=object),
        templates=saved["templates"].astype(object),
        texts=[],
        layers=list(range(len(values))),
        stage="base",
        lineage="msm-mini",
        concept="affordability",
        site="resid_post",
        position="last",
        render="shared",
        digest="benchmark",
    )


def fit(X: np.ndarray, y: np.ndarray, C: float, tol: float) -> LogisticRegression:
    return LogisticRegression(C=C, tol=tol, max_iter=100_000).fit(X, y)


def objective(X: np.ndarray, y: np.ndarray, C: float, weights: np.ndarray, intercept: float) -> float:
    scores = X @ weights + intercept
    return float(C * (np.logaddexp(0, scores) - y * scores).sum() + weights @ weights / 2)


def drawn(
    rng: np.random.Generator, shape: tuple[int, ...], strengths: tuple[float, ...], n: int
) -> list[Problem]:
    """`n` problems at every strength."""
    return [(*(int(rng.integers(k)) for k in shape[:3]), C) for C in strengths for _ in range(n)]


def timed_fit(X: np.ndarray, y: np.ndarray, C: float) -> float:
    """Processor seconds of one fit."""
    start = time.process_time()
    fit(X, y, C, 1e-4)
    return time.process_time() - start


def sklearn_seconds(
    problems: list[Problem], rows: dict, labelings: np.ndarray, folds: list, whole: int
) -> tuple[float, float]:
    """Wall and processor seconds of `whole` problems, of which these are a sample."""
    given = [(rows[i, j][0], labelings[k][folds[j][0]], C) for i, j, k, C in problems]
    start = time.perf_counter()
    spent = Parallel(n_jobs=-1)(delayed(timed_fit)(*arguments) for arguments in given)
    wall = time.perf_counter() - start
    return wall * whole / len(problems), sum(spent) * whole / len(problems)


def sweep_seconds(acts: probes.Activations, **options: Any) -> tuple[tuple[float, float], ProbeSweep]:
    """Wall and processor seconds of the sweep, and its result."""
    start, spent = time.perf_counter(), time.process_time()
    sweep = sweep_probes(acts, **options)
    return (time.perf_counter() - start, time.process_time() - spent), sweep


def compared(
    problem: Problem, rows: dict, labelings: np.ndarray, folds: list, aurocs: np.ndarray, tolerance: float
):
    """Relative excess of our objective over scikit-learn's (default, tol 1e-10) and the same of the AUROC."""
    layer, fold, labelling, C = problem
    (X, unseen), (train, held_out) = rows[layer, fold], folds[fold]
    y, y_unseen = labelings[labelling][train], labelings[labelling][held_out]
    ours = logistic_columns(torch.as_tensor(X), torch.as_tensor(y[None]), [C], tolerance=tolerance)
    found = objective(X, y, C, ours.weights[0, 0].numpy(), float(ours.intercepts[0, 0]))
    swept = aurocs[layer, fold, labelling, SWEEP_STRENGTHS.index(C)]
    result = []
    for tol in (1e-4, 1e-10):
        theirs = fit(X, y, C, tol)
        least = objective(X, y, C, theirs.coef_[0], float(theirs.intercept_[0]))
        result += [(found - least) / least, swept - roc_auc_score(y_unseen, theirs.decision_function(unseen))]
    return result


def probekit(folder: Path, X: np.ndarray, labelings: np.ndarray) -> dict[str, dict[str, float] | str]:
    """By strength: seconds a problem and the largest excess of an objective over ours, or why it failed."""
    sys.path.insert(0, str(folder))
    from probekit.fitters.batch.logistic import fit_logistic_batch  # pyright: ignore[reportMissingImports]

    rows, labels = torch.as_tensor(X), torch.as_tensor(labelings)
    batch = rows.float().expand(len(labels), *rows.shape)
    measured: dict[str, dict[str, float] | str] = {}
    for C in SWEEP_STRENGTHS:
        start = time.perf_counter()
        try:
            weights, intercepts = fit_logistic_batch(batch, labels, c_param=C, normalize=False).to_tensor()
        except RuntimeError as error:
            measured[str(C)] = str(error).splitlines()[0]
            continue
        seconds = (time.perf_counter() - start) / len(labels)
        ours = logistic_columns(rows, labels, [C])
        excess = [
            objective(X, y, C, weights[k].double().numpy(), float(intercepts[k]))
            / objective(X, y, C, ours.weights[k, 0].numpy(), float(ours.intercepts[k, 0]))
            - 1
            for k, y in enumerate(labelings)
        ]
        measured[str(C)] = {"seconds": seconds, "objective_excess_max_over_ours": max(excess)}
    return measured


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--layers", type=int, default=30, help="every k-th layer, so many of them")
    parser.add_argument("--rows", type=int, default=432)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument(
        "--sample", type=int, default=4, help="problems per strength that scikit-learn solves"
    )
    parser.add_argument("--probekit", type=Path, help="folder that probekit was installed to")
    parser.add_argument("--cache", type=Path, default=Path("out/benchmark-acts.npz"))
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/probes.json"))
    args = parser.parse_args()

    acts = activations(args.cache, args.rows)
    chosen = np.linspace(0, len(acts.layers) - 1, args.layers).round().astype(int)
    acts = replace(acts, values=acts.values[chosen], layers=chosen.tolist())
    folds = grouped_folds(acts.labels, acts.groups)
    rows = {}
    for i, values in enumerate(acts.values):
        for j, (train, held_out) in enumerate(folds):
            mean, scale, X = standardised(values[train])
            rows[i, j] = X, (values[held_out] - mean) / scale

    rng = np.random.default_rng(0)
    labelings = sweep_probes(acts, [1e-2]).labelings  # and warms up
    shape = len(acts.layers), len(folds), len(labelings)
    n_all, n_true = int(np.prod(shape)) * len(SWEEP_STRENGTHS), shape[0] * shape[1] * len(SWEEP_STRENGTHS)
    seconds: dict[str, list[tuple[float, float]]] = {
        name: [] for name in ("ours", "sklearn", "ours_true", "sklearn_true")
    }
    problems: list[Problem] = []
    Parallel(n_jobs=-1)(delayed(timed_fit)(rows[0, 0][0], labelings[0][folds[0][0]], 1e-4) for _ in range(8))
    for _ in range(args.repeats):
        sample = drawn(rng, shape, SWEEP_STRENGTHS, args.sample)
        true = drawn(rng, (*shape[:2], 1), SWEEP_STRENGTHS, args.sample)
        problems += sample
        seconds["sklearn"].append(sklearn_seconds(sample, rows, labelings, folds, n_all))
        spent, sweep = sweep_seconds(acts)
        seconds["ours"].append(spent)
        seconds["sklearn_true"].append(sklearn_seconds(true, rows, labelings, folds, n_true))
        seconds["ours_true"].append(sweep_seconds(acts, n_permutations=0, control=False)[0])
    checks = np.array([compared(p, rows, labelings, folds, sweep.aurocs, TOLERANCE) for p in problems])
    medians = {name: np.median(value, axis=0) for name, value in seconds.items()}
    ratios = medians["sklearn"] / medians["ours"], medians["sklearn_true"] / medians["ours_true"]
    result = {
        "what": "layers x 5 grouped folds x 7 strengths x (labels, 20 permutations, control task), seconds",
        "ratio_all": {"wall": ratios[0][0], "processor": ratios[0][1]},
        "ratio_true_labels": {"wall": ratios[1][0], "processor": ratios[1][1]},
        "problems": n_all,
        "problems_true_labels": n_true,
        "activations": list(acts.values.shape),
        "strengths": list(SWEEP_STRENGTHS),
        "sampled_problems": len(problems),
        "ours_seconds_a_problem": medians["ours"][0] / n_all,
        "converged": float(sweep.converged.mean()),
        "objective_excess_max": {"sklearn_default": checks[:, 0].max(), "sklearn_1e-10": checks[:, 2].max()},
        "auroc_difference_max": {
            "sklearn_default": np.abs(checks[:, 1]).max(),
            "sklearn_1e-10": np.abs(checks[:, 3]).max(),
        },
        "seconds_wall_and_processor": seconds,
        "threads": torch.get_num_threads(),
        "cores": os.cpu_count(),
        "machine": f"{platform.machine()}, {torch.backends.cpu.get_cpu_capability()}",
        "versions": {name: version(name) for name in ("torch", "scikit-learn", "numpy", "spec-probes")},
    }
    if args.probekit:
        train = folds[0][0]
        result["probekit_a_problem"] = probekit(
            args.probekit, rows[len(acts.layers) // 2, 0][0], labelings[:4, train]
        )
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps(result, indent=1) + "\n")
    for what, n, key in (("all", n_all, "ratio_all"), ("true labels alone", n_true, "ratio_true_labels")):
        clocks = ", ".join(f"{times:.1f} by {clock} time" for clock, times in result[key].items())
        print(f"scikit-learn / sweep_probes, {what}, {n} problems: {clocks}")
    print(f"wrote {args.out}")


if __name__ == "__main__":
    main()
