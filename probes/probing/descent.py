"""The steps of the batched logistic solver: L-BFGS on many problems together, with two metrics.

`probes.probing.batched` poses the problems and accepts their solutions. A problem is a row of every
`[column, ...]` tensor; the rows of activations that all problems share are stored once.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

MEMORY = 2
"""Pairs of steps and gradient changes that are kept; more cost passes over memory and save few steps."""
REFRESH = 4
"""Number of steps between two factorisations of a problem's own Hessian."""
FACTOR_BYTES = 2**25
"""Bytes of memory for the Hessians that are factorised together."""


@dataclass(frozen=True)
class Columns:
    """Problems in one precision. The intercept is the last coordinate, along a constant column of the rows.

    Attributes
    ----------
    rows : Tensor `[n, q]`
        What all problems share.
    curvature, penalty : Tensor `[q]`
        Of each coordinate.
    labels : Tensor `[column, n]`
        Of each problem.
    strength : Tensor `[column, 1]`
        The value of C of each problem.
    """

    rows: Float[Tensor, "n q"]
    curvature: Float[Tensor, " q"]
    penalty: Float[Tensor, " q"]
    labels: Float[Tensor, "column n"]
    strength: Float[Tensor, "column 1"]

    def take(self, chosen: Tensor) -> Columns:
        """The chosen problems, by index."""
        return replace(self, labels=self.labels[chosen], strength=self.strength[chosen])

    @property
    def n_factors(self) -> int:
        """The number of problems whose Hessians fit into `FACTOR_BYTES`."""
        return max(1, FACTOR_BYTES // (self.rows.element_size() * len(self.rows) * min(self.rows.shape)))

    def gradient(self, solution: Tensor, residual: Tensor) -> Tensor:
        """The gradient of each objective, `[column, q]`."""
        return torch.addmm(solution * self.penalty, residual, self.rows)

    def excess(self, solution: Tensor) -> Tensor:
        """How far each objective is above its minimum at most, relative to the minimum, `[column]`."""
        odds = torch.sigmoid(solution @ self.rows.T)
        residual = self.strength * (odds - self.labels)
        spread = self.strength * (odds - odds * odds)
        return self.bound(solution, self.gradient(solution, residual), residual, spread)

    def bound(self, solution: Tensor, gradient: Tensor, residual: Tensor, spread: Tensor) -> Tensor:
        """`excess` from what a step has computed: |gradient|^2 / 2, as the objective is strongly convex."""
        # The log loss -log(1 - |p - y|) is at least |p - y|: no logarithms.
        norm = torch.linalg.vector_norm
        objective = residual.abs().sum(1) + norm(solution[:, :-1], dim=1).square() / 2
        of_intercept = gradient[:, -1].square() / (spread.sum(1) * self.rows[0, -1] ** 2).clamp_min(1e-30)
        return (norm(gradient[:, :-1], dim=1).square() + of_intercept) / 2 / objective


def descend(
    columns: Columns,
    start: Float[Tensor, "column q"],
    tolerance: float,
    n_steps: int,
    *,
    own_metric: bool = False,
) -> Float[Tensor, "column q"]:
    """L-BFGS on all columns from `start [column, q]`, until each is within the tolerance or steps run out.

    The metric is the diagonal that all problems share, or (`own_metric`) the Hessian of each problem, which
    is factorised afresh every few steps.
    """
    result = start.clone()
    active = torch.arange(len(start), device=start.device)
    solution, scores = start, start @ columns.rows.T
    odds = torch.sigmoid(scores)
    residual = columns.strength * (odds - columns.labels)
    gradient = columns.gradient(solution, residual)
    memory: list[tuple[Tensor, Tensor, Tensor]] = []
    metric = _SharedMetric(columns.curvature, columns.penalty)
    for step in range(n_steps):
        spread = columns.strength * (odds - odds * odds)
        done = columns.bound(solution, gradient, residual, spread) <= tolerance
        n_done = int(done.sum())
        if n_done == len(active):
            break
        refresh = own_metric and step % REFRESH == 0
        # Dropping solved problems copies the state of the others, so it waits until several are solved. The
        # factors take the most memory and are not copied, but computed anew.
        if n_done > len(active) // 8 and own_metric == refresh:
            result[active[done]] = solution[done]
            keep = torch.nonzero(~done)[:, 0]
            active, columns = active[keep], columns.take(keep)
            state = solution, scores, residual, gradient, spread
            solution, scores, residual, gradient, spread = (part[keep] for part in state)
            memory = [(s[keep], y[keep], r[keep]) for s, y, r in memory]
        if refresh:
            metric = _OwnMetric.of(columns, spread)
            memory = []
        direction = -_two_loops(gradient, memory, metric, spread)
        along = direction @ columns.rows.T
        size, scores, odds, residual = _search(columns, direction, along, scores, residual, gradient, spread)
        move = size * direction
        solution = solution + move
        before, gradient = gradient, columns.gradient(solution, residual)
        change = gradient - before
        bend = _dot(move, change)
        memory = [*memory, (move, change, torch.where(bend > 0, 1 / bend, 0.0))][-MEMORY:]
    result[active] = solution
    return result


@dataclass(frozen=True)
class _SharedMetric:
    """Boehning's diagonal, scaled by the mean p (1 - p) of each problem."""

    curvature: Tensor
    penalty: Tensor

    def divide(self, gradient: Tensor, spread: Tensor) -> Tensor:
        mean = spread.mean(1, keepdim=True).clamp_min(1e-12)
        return gradient / torch.addcmul(self.penalty, mean, self.curvature)


@dataclass(frozen=True)
class _OwnMetric:
    """Each problem's Hessian, factorised through the kernel when there are fewer rows than coordinates."""

    rows: Tensor
    factor: Tensor
    wide: bool

    @classmethod
    def of(cls, columns: Columns, spread: Tensor) -> _OwnMetric:
        rows = columns.rows
        wide = len(rows) <= rows.shape[1]
        spread = spread.maximum(spread.amax(1, keepdim=True) * 1e-6)
        if wide:
            hessian = (rows @ rows.T).expand(len(spread), -1, -1).clone()
            hessian.diagonal(dim1=1, dim2=2).add_(1 / spread)
        else:
            hessian = (rows.T * spread[:, None]) @ rows
            hessian.diagonal(dim1=1, dim2=2).add_(1.0)
        return cls(rows, torch.linalg.cholesky_ex(hessian)[0], wide)

    def divide(self, gradient: Tensor, spread: Tensor) -> Tensor:
        value = (gradient @ self.rows.T if self.wide else gradient)[:, :, None]
        half = torch.linalg.solve_triangular(self.factor, value, upper=False)
        solved = torch.linalg.solve_triangular(self.factor.mT, half, upper=True)[:, :, 0]
        result = gradient - solved @ self.rows if self.wide else solved
        # Where single precision has no factor, the problem stays where it is and is finished in double.
        return torch.nan_to_num(result, nan=0.0, posinf=0.0, neginf=0.0)


def _two_loops(
    gradient: Tensor,
    memory: list[tuple[Tensor, Tensor, Tensor]],
    metric: _SharedMetric | _OwnMetric,
    spread: Tensor,
) -> Tensor:
    """The L-BFGS approximation of the inverse Hessian times the gradient (Nocedal 1980)."""
    shares = []
    for move, change, inverse in reversed(memory):
        share = inverse * _dot(move, gradient)
        gradient = torch.addcmul(gradient, share, change, value=-1)
        shares.append(share)
    result = metric.divide(gradient, spread)
    for (move, change, inverse), share in zip(memory, reversed(shares), strict=True):
        result = torch.addcmul(result, share - inverse * _dot(change, result), move)
    return result


def _dot(a: Tensor, b: Tensor) -> Tensor:
    return (a * b).sum(1, keepdim=True)


def _search(
    columns: Columns,
    direction: Tensor,
    along: Tensor,
    scores: Tensor,
    residual: Tensor,
    gradient: Tensor,
    spread: Tensor,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Step sizes, with the scores, odds and residuals that they lead to.

    A step ends where the derivative along its direction is at most half of what it was. Scores are linear in
    the step, so that trials need no matrix product. Only derivatives are compared, so that rounding of the
    objective does not stop the search.
    """
    slope = _dot(gradient, direction)
    linear = slope - _dot(along, residual)
    square = _dot(direction * columns.penalty, direction)
    size = torch.where(slope < 0, -slope / (_dot(along * spread, along) + square), 0.0)
    low, high = torch.zeros_like(size), torch.full_like(size, math.inf)
    for trial in range(10):
        at = torch.addcmul(scores, size, along)
        odds = torch.sigmoid(at)
        residual = columns.strength * (odds - columns.labels)
        here = _dot(along, residual) + linear + size * square
        steep = here.abs() > 0.5 * slope.abs()
        if not steep.any():
            break
        low, high = torch.where(here < 0, size, low), torch.where(here < 0, high, size)
        newton = size - here / (columns.strength * _dot(along * (odds - odds * odds), along) + square)
        half = torch.where(high.isinf(), 2 * size, (low + high) / 2)
        proposal = torch.where((newton > low) & (newton < high), newton, half).minimum(4 * size)
        size = torch.where(steep, low if trial == 8 else proposal, size)
    return size, at, odds, residual
