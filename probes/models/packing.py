"""Scores many continuations in few forwards: sequences that share a beginning become one row, a trie.

Tokens of a trie lie in depth-first order, each at its own depth as position, and see exactly their ancestors
and themselves, so every sequence gets the logits it would get alone (tree attention, SpecInfer 2305.09781).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from probes.models.base import Sequence2, batches_by_length, check_scorable


@dataclass(frozen=True)
class Trie:
    """Sequences of one group packed in a row of `n` tokens."""

    ids: list[int]
    parents: list[int]  # index of the token before, -1 for a first token
    paths: list[list[int]]  # per sequence: for each option token, the index of the token that predicts it

    @classmethod
    def of(cls, group: Sequence[Sequence2]) -> Trie:
        """Merge the common beginnings of the sequences `prompt + option` of `group`."""
        ids: list[int] = []
        parents: list[int] = []
        children: dict[tuple[int, int], int] = {}
        paths = []
        for prompt, option in group:
            node, path = -1, []
            for index, token in enumerate([*prompt, *option]):
                if index >= len(prompt):
                    path.append(node)
                if index == len(prompt) + len(option) - 1:
                    break  # nothing is predicted from the last token, so it is not run
                key = (node, int(token))
                if key not in children:
                    children[key] = len(ids)
                    ids.append(int(token))
                    parents.append(node)
                node = children[key]
            paths.append(path)
        return cls(ids, parents, paths)


def fits_window(group: Sequence[Sequence2], window: int | None) -> bool:
    """Whether every sequence of the group lies within one attention window."""
    return window is None or all(len(prompt) + len(option) <= window for prompt, option in group)


def packed_logprobs(
    model: Any, groups: Sequence[Sequence[Sequence2]], token_budget: int
) -> list[list[Tensor]]:
    """Log-probability of each option token of each sequence, `result[g][j]` `[len(option)]`.

    `model` has `packed_logits(ids, depth, visible, at)`. The head runs once a predicting token, however many
    sequences share it. Raises InputError for an empty prompt or option.
    """
    for group in groups:
        check_scorable(group)
    results: list[list[Tensor]] = [[] for _ in groups]
    tries = [Trie.of(group) for group in groups]
    for chosen in batches_by_length([len(trie.ids) for trie in tries], token_budget):
        ids, depth, visible = _layout([tries[i] for i in chosen])
        rows: dict[tuple[int, int], int] = {}
        which: list[int] = []
        targets: list[int] = []
        for k, i in enumerate(chosen):
            for (_, option), path in zip(groups[i], tries[i].paths, strict=True):
                which += [rows.setdefault((k, node), len(rows)) for node in path]
                targets += [int(token) for token in option]
        logits = model.packed_logits(ids, depth, visible, torch.tensor(list(rows)))
        scores = token_logprobs_at(logits, which, targets)
        lengths = [len(path) for i in chosen for path in tries[i].paths]
        parts = iter(scores.split(lengths))
        for i in chosen:
            results[i] = [next(parts) for _ in tries[i].paths]
    return results


def token_logprobs_at(logits: Tensor, which: Sequence[int], targets: Sequence[int]) -> Tensor:
    """Log-probability of `targets[n]` under row `which[n]` of `[k, vocab]` logits, `[n]`."""
    rows = torch.tensor(which, device=logits.device)
    columns = torch.tensor(targets, device=logits.device)
    return logits[rows, columns] - logits.logsumexp(-1)[rows]


def packing_is_exact(model: Any, alone: Callable[..., list[list[Tensor]]]) -> bool:
    """Whether packed scores of a small group are those of its sequences run alone.

    False for families whose attention does not follow position ids and mask alone (ALiBi, recurrent layers).
    """
    # Ordinary tokens: special ones come first in a vocabulary and can blow rounding up a thousandfold.
    tokens = [(model.n_tokens // 2 + 7 * i) % model.n_tokens for i in range(6)]
    first, second, third = tokens[:2], tokens[2:4], tokens[4:]
    group = [(first, second), (first, third), ([*first, *third], second), (third, first)]
    try:
        with torch.no_grad():
            packed = torch.cat(packed_logprobs(model, [group], 10**6)[0]).cpu()
            plain = torch.cat(alone([group])[0]).cpu()
    except (TypeError, ValueError, RuntimeError, IndexError):
        return False
    exact = next(model.model.parameters()).dtype == torch.float32
    return bool(torch.allclose(packed, plain, atol=5e-4 if exact else 5e-2, rtol=0))


def _layout(tries: Sequence[Trie]) -> tuple[Tensor, Tensor, Tensor]:
    """`ids` and `depth` `[batch, width]`, `visible` bool `[batch, width, width]`; padding sees itself."""
    width = max(len(trie.ids) for trie in tries)
    ids = torch.zeros((len(tries), width), dtype=torch.long)
    visible = torch.eye(width, dtype=torch.bool).repeat(len(tries), 1, 1)
    for row, trie in enumerate(tries):
        ids[row, : len(trie.ids)] = torch.tensor(trie.ids)
        for node, parent in enumerate(trie.parents):
            if parent >= 0:
                visible[row, node] |= visible[row, parent]
    depth = visible.sum(-1) - 1
    return ids, depth, visible
