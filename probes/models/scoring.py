"""Log-probabilities of options after prompts, from the logits of a model."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from probes.errors import InputError
from probes.models.batching import TokenBatch, batches_by_length
from probes.models.protocol import Continuation


def check_scorable(continuations: Sequence[Continuation]) -> None:
    """Raise InputError when a prompt or an option has no tokens."""
    for prompt, option in continuations:
        if not len(prompt) or not len(option):
            what = "prompt" if not len(prompt) else "option"
            raise InputError(f"an empty {what}: expected at least one token (a BOS token will do as prompt)")


def token_logprobs(logits: Tensor, which: Sequence[int] | Tensor, targets: Sequence[int] | Tensor) -> Tensor:
    """The log-probability of token `targets[n]` under row `which[n]` of the logits.

    Parameters
    ----------
    logits : `[..., k, vocab]`.
    which : `[n]` rows, from 0 to k - 1.
    targets : `[n]` token ids.

    Returns
    -------
    `[..., n]`.

    Example
    -------
    >>> import torch
    >>> token_logprobs(torch.zeros(1, 4), [0], [2]).exp()
    tensor([0.2500])
    """
    rows = torch.as_tensor(which, device=logits.device)
    columns = torch.as_tensor(targets, device=logits.device)
    return logits[..., rows, columns] - logits.logsumexp(-1)[..., rows]


def logprobs_of_each(
    logits: Callable[[TokenBatch, Tensor], Tensor],
    groups: Sequence[Sequence[Continuation]],
    token_budget: int,
) -> list[list[Tensor]]:
    """`PackedModel.trie_logprobs` by running every prompt with its option as a row of its own.

    `logits(batch, at)` gives `[..., k, vocab]`, as `HookedModel.logits` does.
    """
    rows = [row for group in groups for row in group]
    check_scorable(rows)
    results: list[Tensor | None] = [None] * len(rows)
    lengths = [len(prompt) + len(option) for prompt, option in rows]
    for chosen in batches_by_length(lengths, token_budget):
        batch = TokenBatch.pad([[*rows[i][0], *rows[i][1]] for i in chosen])
        at = [(k, len(rows[i][0]) + j - 1) for k, i in enumerate(chosen) for j in range(len(rows[i][1]))]
        targets = torch.tensor([token for i in chosen for token in rows[i][1]])
        scores = token_logprobs(logits(batch, torch.tensor(at)), torch.arange(len(targets)), targets)
        for i, part in zip(chosen, scores.split([len(rows[i][1]) for i in chosen], -1), strict=True):
            results[i] = part
    flat = iter(results)
    return [[next(flat) for _ in group] for group in groups]  # pyright: ignore[reportReturnType]
