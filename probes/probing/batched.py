"""Many logistic regressions on the same rows, solved together as columns of one matrix.

This is the solver for many labelings or strengths: permutations, control tasks, sweeps over strengths. The
other logistic solver, `probes.probing.solver`, is for one labelling at a few strengths; both find the same
optimum. The problems share their rows, so the factorisation of the rows is computed once, and a step of all
problems together costs two matrix products (`probes.probing.descent` holds the steps). It is written in plain
torch, so that it runs on the device where the rows are.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor

from probes.errors import InputError
from probes.probing.descent import Columns, descend

TOLERANCE = 1e-8
"""How far above its minimum an objective may be, relative to the minimum. 5e-7 would do for the objective,
but at strong regularisation it changes a held-out AUROC by two swaps of neighbours in 1,849 (0.001); this
value changes it by one swap at most."""
EXACT = 1e-18
"""The strictest tolerance that double precision can meet."""
FIRST_STEPS = 40
"""Steps in the metric that all problems share, before a problem's own metric is worth its factorisation."""
LATER_STEPS = {torch.float32: 24, torch.float64: 90}
"""Steps at most in a problem's own metric. What needs more in single precision is finished in double."""
SINGLE_FLOOR = 1e-9
"""Below this relative excess, rounding in single precision matters."""


@dataclass(frozen=True)
class LogisticColumns:
    """Solutions of every labelling at every strength, on the device of the rows, in double precision.

    Attributes
    ----------
    weights : Tensor `[labelling, strength, d]`
        The weights.
    intercepts : Tensor `[labelling, strength]`
        The intercepts.
    excess : Tensor `[labelling, strength]`
        How far the objective is above its minimum at most, relative to the minimum.
    converged : bool Tensor `[labelling, strength]`
        Whether the excess is within the tolerance.
    """

    weights: Float[Tensor, "labelling strength d"]
    intercepts: Float[Tensor, "labelling strength"]
    excess: Float[Tensor, "labelling strength"]
    converged: Bool[Tensor, "labelling strength"]


@dataclass(frozen=True)
class PrincipalAxes:
    """Centred rows in their principal axes, where a diagonal bounds the Hessian (Boehning 1992).

    Attributes
    ----------
    mean : Tensor `[d]`
        The mean row.
    rows : Tensor `[n, r]`
        The rows along the axes; columns are orthogonal.
    curvature : Tensor `[r]`
        The squared norms of the columns.
    vectors : Tensor `[m, r]`
    span : Tensor `[m, d]` or None
        `vectors.T @ span` is an orthonormal basis `[r, d]` of the rows; None stands for the identity. The two
        are kept apart because, with fewer rows than dimensions, their product costs as much as the axes.
    """

    mean: Float[Tensor, " d"]
    rows: Float[Tensor, "n r"]
    curvature: Float[Tensor, " r"]
    vectors: Float[Tensor, "m r"]
    span: Float[Tensor, "m d"] | None

    @classmethod
    def of(cls, rows: Float[Tensor, "n d"]) -> PrincipalAxes:
        """The axes of `rows [n, d]`, from the eigenvectors of the smaller of its two Gram matrices."""
        mean = rows.mean(0)
        centred = rows - mean
        wide = len(rows) < rows.shape[1]
        values, vectors = torch.linalg.eigh(centred @ centred.T if wide else centred.T @ centred)
        kept = values > values[-1].clamp_min(0) * 1e-13
        values, vectors = values[kept], vectors[:, kept]
        if wide:
            norms = values.sqrt()
            return cls(mean, vectors * norms, values, vectors / norms, centred)
        return cls(mean, centred @ vectors, values, vectors, None)

    def coordinates(self, X: Float[Tensor, "n d"]) -> Float[Tensor, "n r"]:
        """Coordinates `[n, r]` of `X [n, d]` along the axes."""
        centred = X - self.mean
        return (centred if self.span is None else centred @ self.span.T) @ self.vectors

    def expand(self, weights: Float[Tensor, "*row r"]) -> Float[Tensor, "*row d"]:
        """Weights along the axes `[..., r]` as weights on the rows `[..., d]`."""
        mixed = weights @ self.vectors.T
        return mixed if self.span is None else mixed @ self.span


def logistic_columns(
    rows: Tensor, labelings: Tensor, strengths: Sequence[float], *, tolerance: float = TOLERANCE
) -> LogisticColumns:
    """Minimise `C * sum(log loss) + |w|^2 / 2` for every labelling and every C; intercepts are not penalised.

    All problems descend together by L-BFGS (Nocedal 1980, doi:10.1090/S0025-5718-1980-0572855-7) in the
    principal axes of the rows. There Boehning's bound of the Hessian (1992, doi:10.1007/BF00048682), scaled
    by a problem's mean p (1 - p), is a diagonal. Slow problems, which are nearly separable at weak
    regularisation, go on in the metric of their own Hessian, which is factorised through the kernel when
    there are fewer rows than dimensions (Rasmussen & Williams 2006, algorithm 3.1). Products are in single
    precision; a solution is accepted, or finished, in double precision. The objective is strongly convex, so
    it lies above its minimum by at most |gradient|^2 / 2, and this bound is compared with the tolerance.

    Parameters
    ----------
    rows : Tensor `[n, d]`
        Standardised, where the penalty is meant for standardised weights. They lie on the device that is
        computed on, which must know double precision (CPU or CUDA).
    labelings : Tensor `[labelling, n]`
        0 and 1, both in every labelling.
    strengths : sequence of float
        Values of C, inverse strengths of the penalty, positive.
    tolerance : float
        How far above its minimum the objective may be, relative to the objective.

    Returns
    -------
    LogisticColumns

    Raises
    ------
    InputError
        For NaN or infinity, shapes that do not fit, labels other than 0 and 1, a labelling with one class
        only, and strengths or a tolerance that are not positive.

    Example
    -------
    >>> rows, labelings = torch.tensor([[-1.0], [1.0], [2.0]]), torch.tensor([[0, 1, 1], [1, 0, 0]])
    >>> solution = logistic_columns(rows, labelings, strengths=[0.1, 1.0])
    >>> tuple(solution.weights.shape), bool(solution.converged.all())
    ((2, 2, 1), True)
    """
    _check(rows, labelings)
    check_path(strengths, tolerance)
    axes = PrincipalAxes.of(rows.double())
    solution = solve_in_axes(axes, labelings, strengths, tolerance)
    weights = axes.expand(solution.weights)
    return replace(solution, weights=weights, intercepts=solution.intercepts - weights @ axes.mean)


def solve_in_axes(
    axes: PrincipalAxes,
    labelings: Shaped[Tensor, "labelling n"],
    strengths: Sequence[float],
    tolerance: float,
) -> LogisticColumns:
    """`logistic_columns` in given axes of the rows: weights `[labelling, strength, r]` are along the axes."""
    single, double = (_columns(axes, labelings, strengths, t) for t in (torch.float32, torch.float64))
    within = max(tolerance, SINGLE_FLOOR)
    start = torch.zeros_like(single.rows[:1]).repeat(len(single.labels), 1)
    solution = descend(single, start, within / 2, FIRST_STEPS)
    for columns, target in ((single, within), (double, tolerance)):
        solution = solution.to(columns.rows.dtype)
        left = torch.nonzero(~(columns.excess(solution) <= target))[:, 0]
        for chunk in left.split(columns.n_factors) if len(left) else ():
            start, steps = solution[chunk], LATER_STEPS[columns.rows.dtype]
            solution[chunk] = descend(columns.take(chunk), start, target / 2, steps, own_metric=True)
    excess = double.excess(solution)
    shape = len(labelings), len(strengths)
    return LogisticColumns(
        solution[:, :-1].reshape(*shape, -1),
        (solution[:, -1] * double.rows[0, -1]).reshape(shape),
        excess.reshape(shape),
        (excess <= tolerance).reshape(shape),
    )


def _columns(
    axes: PrincipalAxes, labelings: Tensor, strengths: Sequence[float], dtype: torch.dtype
) -> Columns:
    n = len(axes.rows)
    # The constant column is as large as a row is long. The metric of a problem's own Hessian gives every
    # coordinate a penalty of 1, which is then negligible beside the intercept's curvature.
    constant = (axes.curvature.sum() / n).sqrt().clamp_min(1.0)
    rows = torch.cat([axes.rows, constant.expand(n, 1)], dim=1)
    curvature = torch.cat([axes.curvature, n * constant[None] ** 2])
    penalty = torch.ones_like(curvature)
    penalty[-1] = 0.0
    C = torch.tensor(list(strengths), dtype=dtype, device=rows.device).repeat(len(labelings))
    labels = labelings.to(rows.device, dtype).repeat_interleave(len(strengths), dim=0)
    return Columns(rows.to(dtype), curvature.to(dtype), penalty.to(dtype), labels, C[:, None])


def _check(rows: Tensor, labelings: Tensor) -> None:
    if rows.ndim != 2 or labelings.ndim != 2 or labelings.shape[1] != len(rows) or not labelings.numel():
        raise InputError(
            f"rows {tuple(rows.shape)} and labelings {tuple(labelings.shape)}: "
            "expected [n, d] and [labelling, n]"
        )
    if not torch.isfinite(rows).all():
        raise InputError("rows hold NaN or infinity: expected finite numbers; leave those rows out")
    if not ((labelings == 0) | (labelings == 1)).all():
        raise InputError(f"labels are {labelings.unique().tolist()[:5]}: expected 0 and 1 and nothing else")
    single = torch.nonzero(labelings.amin(1) == labelings.amax(1))[:, 0].tolist()
    if single:
        raise InputError(f"labelling {single[0]} holds one class: expected both, leave it out")


def check_path(strengths: Sequence[float], tolerance: float) -> None:
    """Refuse strengths or a tolerance that are not positive with an InputError."""
    if not len(strengths) or not all(math.isfinite(C) and C > 0 for C in strengths):
        raise InputError(f"strengths={list(strengths)}: expected positive numbers, values of C")
    if not 0 < tolerance < 1:
        raise InputError(f"tolerance={tolerance!r}: expected a number between 0 and 1, such as 1e-8")
