"""Distributed alignment search: the subspace whose exchange makes a model answer as the other prompt says.

Geiger et al. 2023 (arXiv 2303.02536) learn a rotation by gradient descent; what is learned here is the basis
of the subspace alone, which is the part of the rotation that the exchange uses.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import softplus

from probes.locating.aligning import Exchange, Role
from probes.locating.patching import Chunk, Patcher
from probes.locating.subspaces import Within, orthonormal

STEPS = 24
CHECK_EVERY = 5
PATIENCE = 3
"""Checks on the selection items without a gain, after which the search stops."""
RATE = 0.05


def first_guess(states: np.ndarray, differences: np.ndarray, signs: np.ndarray, k: int) -> Tensor:
    """A basis `[k, d]` to start from: the difference of the class means, then the main directions in which
    the states of corresponding tokens differ."""
    mean = states[signs > 0].mean(0) - states[signs < 0].mean(0)
    rest = differences - np.outer(differences @ mean, mean) / max(float(mean @ mean), 1e-12)
    _, _, main = np.linalg.svd(rest, full_matrices=False)
    return orthonormal(np.stack([mean, *main[: k - 1]]))


def distributed_alignment(
    patcher: Patcher,
    selection: Patcher,
    layer: int,
    role: Role,
    start: Tensor,
    *,
    steps: int = STEPS,
    targets: dict[str, int] | None = None,
) -> Tensor:
    """Learn the basis of a subspace `[k, d]` whose exchange turns the answers round.

    Parameters
    ----------
    patcher, selection : the exchanges that it is fitted on, and those that say when to stop.
    layer, role : where states are exchanged.
    start : `[k, d]`, the basis to start from.
    steps : the most steps of Adam, each on one batch of exchanges.
    targets : item -> 1 to learn that the exchange turns its answer round, -1 to learn that it does not; by
        default 1 for all. Drawn at random they make the control task of a search that can only memorise.

    Returns
    -------
    `[k, d]`, orthonormal rows.
    """
    weights = torch.nn.Parameter(start.clone().T)
    optimiser = torch.optim.Adam([weights], lr=RATE)
    chunks = _pieces(patcher, layer)
    checks = selection.at_layer(layer)
    best, basis, stale = -np.inf, start, 0
    for step in range(steps):
        chunk = chunks[step % len(chunks)]
        q, _ = torch.linalg.qr(weights)
        optimiser.zero_grad()
        logits = patcher.patched(chunk, layer, role, Within(q.T))
        _counterfactual_loss(logits, chunk.intact, chunk.exchanges, targets).backward()
        optimiser.step()
        if (step + 1) % CHECK_EVERY and step + 1 < steps:
            continue
        with torch.no_grad():
            q, _ = torch.linalg.qr(weights)
            losses = [
                _counterfactual_loss(
                    selection.patched(check, layer, role, Within(q.T)),
                    check.intact,
                    check.exchanges,
                    targets,
                )
                for check in checks
            ]
        gain = -float(torch.stack(losses).mean())
        if gain > best + 1e-4:
            best, basis, stale = gain, q.T.detach().clone(), 0
        else:
            stale += 1
            if stale >= PATIENCE:
                break
    return basis


def _pieces(patcher: Patcher, layer: int) -> list[Chunk]:
    """The exchanges in small batches, so that there are several steps to one pass over them."""
    size = 16
    pieces = []
    for start in range(0, len(patcher.exchanges), size):
        pieces += list(Patcher(patcher.context, patcher.exchanges[start : start + size]).chunks([layer]))
    return pieces


def _counterfactual_loss(
    patched: Tensor, intact: Tensor, exchanges: Sequence[Exchange], targets: dict[str, int] | None
) -> Tensor:
    """The cross-entropy of the answer that the other side's prompt gives."""
    wanted = torch.sign(intact.flip(-1) - intact)
    if targets is not None:
        wanted = wanted * torch.tensor([targets.get(one.id, 1) for one in exchanges])[:, None]
    return softplus(-wanted * patched).mean()
