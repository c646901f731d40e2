"""Token sequences in batches: padded to one length, and grouped so that little of a batch is padding."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

TOKEN_BUDGET = 2048
"""Tokens of one forward, padding included, unless a caller wants another number."""


@dataclass(frozen=True)
class TokenBatch:
    """Token ids padded to one length. The mask says on which side the padding is.

    Parameters
    ----------
    input_ids : `[batch, seq]` int64.
    attention_mask : `[batch, seq]` int64, 1 for a real token and 0 for padding.

    Example
    -------
    >>> from probes.models import TokenBatch
    >>> batch = TokenBatch.pad([[5, 6, 7], [8]], side="left")
    >>> batch.input_ids.tolist(), batch.position_ids.tolist()
    ([[5, 6, 7], [0, 0, 8]], [[0, 1, 2], [0, 0, 0]])
    """

    input_ids: Tensor
    attention_mask: Tensor

    @classmethod
    def pad(
        cls, rows: Sequence[Sequence[int]], pad_id: int = 0, side: Literal["left", "right"] = "right"
    ) -> TokenBatch:
        """A batch of rows of token ids that have different lengths, padded with `pad_id` on one side."""
        width = max(len(row) for row in rows)
        ids = torch.full((len(rows), width), pad_id, dtype=torch.long)
        mask = torch.zeros((len(rows), width), dtype=torch.long)
        for i, row in enumerate(rows):
            where = slice(0, len(row)) if side == "right" else slice(width - len(row), width)
            ids[i, where] = torch.as_tensor(row, dtype=torch.long)
            mask[i, where] = 1
        return cls(ids, mask)

    @property
    def position_ids(self) -> Tensor:
        """`[batch, seq]`: real tokens count from 0, whichever side is padded."""
        return (self.attention_mask.cumsum(-1) - 1).clamp(min=0)


def left_padded(batch: TokenBatch, pad_id: int) -> TokenBatch:
    """The same rows with the padding on the left, which is where generation needs it."""
    rows = [
        ids[mask.bool()].tolist() for ids, mask in zip(batch.input_ids, batch.attention_mask, strict=True)
    ]
    return TokenBatch.pad(rows, pad_id, side="left")


def batches_by_length(lengths: Sequence[int], token_budget: int) -> Iterator[list[int]]:
    """Group sequences of similar length into batches, the longest first.

    Parameters
    ----------
    lengths : the number of tokens of each sequence.
    token_budget : how many tokens a padded batch may have. A single sequence may exceed it.

    Returns
    -------
    The indices of the sequences of one batch after the other.

    Example
    -------
    >>> list(batches_by_length([3, 9, 4], token_budget=10))
    [[1], [2, 0]]
    """
    chosen: list[int] = []
    for index in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        if chosen and lengths[chosen[0]] * (len(chosen) + 1) > token_budget:
            yield chosen
            chosen = []
        chosen.append(index)
    if chosen:
        yield chosen
