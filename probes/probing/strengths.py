"""Probes of every layer at every strength of regularisation, with permuted labels and a control task.

`probes.probing.layers` chooses one strength and one layer, and reports on a test split. This module shows the
whole landscape instead: tens of thousands of probes on held-out folds, for a few hundred factorisations.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import torch
from jaxtyping import Bool, Float64, Int
from scipy.stats import rankdata
from threadpoolctl import threadpool_limits

from probes.concepts.folds import grouped_folds
from probes.errors import InputError
from probes.probing.baselines import control_labels, permuted_labels
from probes.probing.batched import TOLERANCE, PrincipalAxes, check_path, solve_in_axes
from probes.probing.layer_values import check_finite
from probes.probing.solver import standardised
from probes.probing.splits import units_of
from probes.tables.result import Result
from probes.tables.schema import SCHEMA, tidy

if TYPE_CHECKING:
    from probes.activations import Activations

SWEEP_STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0, 100.0)
"""Values of C, inverse strengths of the penalty on standardised activations."""


@dataclass(frozen=True)
class ProbeSweep(Result):
    """The result of `sweep_probes`.

    Attributes
    ----------
    table : polars.DataFrame
        One row for each probe, in the columns of `probes.tables.schema.SCHEMA` and `strength` (C),
        `labelling`, `fold` and `converged`. The measure is `auroc` on the held-out fold, null where the fold
        holds one class. Variants are `probe`, `shuffled_labels` (one for each permutation) and
        `control_task`.
    aurocs : float array `[layer, fold, labelling, strength]`
        The same AUROCs as an array.
    converged : bool array `[layer, fold, labelling, strength]`
        Whether each probe reached its optimum within the tolerance.
    labelings : int array `[labelling, example]`
        The labels that probes were trained on.
    strengths : tuple of float
        The values of C.

    Example
    -------
    >>> sweep = probes.sweep_probes(probes.extract(stage, concept), [0.01, 1.0], n_permutations=0)
    >>> sweep.table.height == sweep.aurocs.size, bool(sweep.converged.all())
    (True, True)
    """

    table: pl.DataFrame = field(repr=False)
    aurocs: Float64[np.ndarray, "layer fold labelling strength"] = field(repr=False)
    converged: Bool[np.ndarray, "layer fold labelling strength"] = field(repr=False)
    labelings: Int[np.ndarray, "labelling example"] = field(repr=False)
    strengths: tuple[float, ...]


def sweep_probes(
    acts: Activations,
    strengths: Sequence[float] = SWEEP_STRENGTHS,
    *,
    n_permutations: int = 20,
    control: bool = True,
    groups: str = "pair",
    seed: int = 0,
    tolerance: float = TOLERANCE,
    device: str = "auto",
) -> ProbeSweep:
    """Held-out AUROC of logistic probes at every layer, fold and strength, for several labelings.

    The labelings are the concept's labels, permutations of them, and a control task. Every probe is the
    optimum of the L2-penalised log loss on activations that are standardised in its training folds, as
    `LogisticProbe` finds it; `probes.probing.batched` describes the method. The control task gives random
    labels to templates, which a probe can learn by heart where templates come back in other folds (Hewitt &
    Liang 2019, arXiv 1909.03368).

    Parameters
    ----------
    acts : Activations
        `values [layer, example, width]` with labels and groups. All examples are used, whatever their split.
    strengths : sequence of float
        Values of C, inverse strengths of the penalty.
    n_permutations : int
        Number of permutations of the labels, which are shuffled within pairs.
    control : bool
        Whether to add the control task, which needs templates.
    groups : str
        "pair" or "template": what folds hold out together.
    seed : int
        Of the folds, the permutations and the control task.
    tolerance : float
        How far above its minimum an objective may be, relative to the minimum.
    device : str
        A device of torch that knows double precision. "auto" is CUDA where there is one, otherwise the CPU.

    Returns
    -------
    ProbeSweep

    Raises
    ------
    InputError
        For NaN or infinity; examples without templates when there is a control task or folds are by
        template; fewer than 2 groups of a class; strengths or a tolerance that are not positive.

    Example
    -------
    >>> sweep = probes.sweep_probes(
    ...     probes.extract(stage, concept), strengths=[0.01, 1.0], n_permutations=1, control=True,
    ...     groups="pair", seed=0, tolerance=1e-8, device="cpu",
    ... )
    >>> sweep.aurocs.shape  # 3 layers, 5 folds, 3 labelings, 2 strengths
    (3, 5, 3, 2)
    """
    check_path(strengths, tolerance)
    labels, units = np.asarray(acts.labels).astype(int), units_of(acts, groups)
    rng = np.random.default_rng(seed)
    labelings = [
        labels,
        *(permuted_labels(labels, np.asarray(acts.groups), rng) for _ in range(n_permutations)),
    ]
    variants = ["probe"] + ["shuffled_labels"] * n_permutations
    if control:
        if any(template is None for template in acts.templates):
            raise InputError(
                f"concept {acts.concept!r}: a control task needs the template of every example; "
                "give templates, or pass control=False"
            )
        labelings.append(control_labels(np.array([str(t) for t in acts.templates]), rng))
        variants.append("control_task")
    labelings = np.stack(labelings)
    where = torch.device(("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device)
    folds = grouped_folds(labels, units, seed=seed)
    for layer, values in zip(acts.layers, acts.values, strict=True):
        check_finite(values, acts, layer)

    def fit(task: tuple[int, int]) -> None:
        values, (train, held_out) = acts.values[task[0]], folds[task[1]]
        both = np.ptp(labelings[:, train], axis=1) > 0
        mean, scale, rows = standardised(values[train])
        axes = PrincipalAxes.of(torch.as_tensor(rows, device=where))
        problem = torch.as_tensor(labelings[both][:, train], device=where)
        solution = solve_in_axes(axes, problem, strengths, tolerance)
        unseen = torch.as_tensor((values[held_out] - mean) / scale, device=where)
        scores = (solution.weights @ axes.coordinates(unseen).T).cpu().numpy()
        aurocs[task][both] = _aurocs(scores, labelings[both][:, held_out])
        converged[task][both] = solution.converged.cpu().numpy()

    shape = len(acts.layers), len(folds), len(labelings), len(strengths)
    aurocs, converged = np.full(shape, np.nan), np.zeros(shape, dtype=bool)
    # Matrix products this small gain more from one thread for each fold than from threads inside them. The
    # limit is set outside torch: with 2.13 and MKL, batched LU fails after torch.set_num_threads goes up.
    workers = torch.get_num_threads() if where.type == "cpu" else 1
    with (
        threadpool_limits(1),
        ThreadPoolExecutor(workers, initializer=threadpool_limits, initargs=(1,)) as pool,
    ):
        list(pool.map(fit, np.ndindex(shape[:2])))
    table = _table(acts, aurocs, converged, variants, strengths, seed)
    return ProbeSweep(table, aurocs, converged, labelings, tuple(strengths))


def _aurocs(
    scores: Float64[np.ndarray, "labelling strength example"], labelings: Int[np.ndarray, "labelling example"]
) -> Float64[np.ndarray, "labelling strength"]:
    """AUROC `[labelling, strength]` of scores `[labelling, strength, example]`; NaN for a single class."""
    positive = labelings[:, None] == 1
    n_positive = positive.sum(-1)
    n_pairs = n_positive * (~positive).sum(-1)
    wins = (rankdata(scores, axis=-1) * positive).sum(-1) - n_positive * (n_positive + 1) / 2
    return np.where(n_pairs > 0, wins / np.maximum(n_pairs, 1), np.nan)


def _table(
    acts: Activations,
    aurocs: Float64[np.ndarray, "layer fold labelling strength"],
    converged: Bool[np.ndarray, "layer fold labelling strength"],
    variants: Sequence[str],
    strengths: Sequence[float],
    seed: int,
) -> pl.DataFrame:
    common = acts.columns | {
        "measure": "auroc",
        "estimator": "logistic",
        "n_pairs": len(np.unique(acts.groups)),
        "n_seeds": 1,
        "seed": seed,
        "selected": False,
    }
    layer, fold, labelling, strength = (index.ravel() for index in np.indices(aurocs.shape))
    measured = pl.DataFrame(
        {
            "layer": np.asarray(acts.layers, dtype=np.int64)[layer],
            "variant": np.asarray(variants)[labelling].tolist(),
            "estimate": pl.Series(aurocs.ravel()).fill_nan(None),
            "strength": np.asarray(strengths, dtype=np.float64)[strength],
            "labelling": labelling,
            "fold": fold,
            "converged": converged.ravel(),
        }
    )
    more = [name for name in measured.columns if name not in SCHEMA]
    rest = tidy([common]).drop([name for name in measured.columns if name in SCHEMA])
    return rest.join(measured, how="cross").select(*SCHEMA, *more)
