"""What every backend promises: read activations at sites, push on them, and see what the model then says."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Literal, Protocol, runtime_checkable

import torch
from torch import Tensor

from probes.models.sites import Site

PositionMask = Callable[[Tensor], Tensor]
"""attention_mask `[batch, seq]` (1 = real token) -> bool `[batch, seq]`, the tokens that are meant."""


@dataclass(frozen=True)
class TokenBatch:
    """Token ids padded to one length; which side the padding is on is read from the mask."""

    input_ids: Tensor  # [batch, seq] int64
    attention_mask: Tensor  # [batch, seq] int64, 1 = real token, 0 = padding

    @classmethod
    def pad(
        cls, rows: Sequence[Sequence[int]], pad_id: int = 0, side: Literal["left", "right"] = "right"
    ) -> TokenBatch:
        """Pad ragged rows of token ids on `side`."""
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
        """`[batch, seq]`: real tokens count from 0 whichever side is padded."""
        return (self.attention_mask.cumsum(-1) - 1).clamp(min=0)


class Pool(Protocol):
    """Turns `[batch, seq, width]` activations at one site into what is kept of them (any leading batch).

    They come in the model's own precision: a pool that sums them does so in float32.
    """

    def __call__(self, values: Tensor, batch: TokenBatch) -> Tensor: ...


@runtime_checkable
class Intervention(Protocol):
    """A change to the activations at one site. The built-in ones live in `probes.steering`."""

    site: Site
    positions: Literal["all", "last"] | PositionMask

    def apply(self, values: Tensor) -> Tensor:
        """`[batch, seq, width]` -> same shape; the backend keeps the result only at `positions`."""
        ...


@runtime_checkable
class HookedModel(Protocol):
    """A decoder whose sites can be read and pushed. Parameters never require grad; nothing here disables
    autograd, so a caller may differentiate outputs with respect to an intervention's own tensors, or wrap
    calls in `torch.inference_mode()`."""

    native: Any  # the object of the library behind
    n_layers: int
    d_model: int
    n_heads: int
    d_head: int
    max_positions: int | None  # context window, None when unlimited
    device: torch.device  # where inputs go

    def read(self, batch: TokenBatch, sites: Sequence[Site], pool: Pool | None = None) -> dict[Site, Tensor]:
        """Activations at `sites`, `[batch, seq, width]` or what `pool` makes of them, pooled inside the hook,
        in float32 on the CPU. Runs no block deeper than needed and never the language-model head.
        Raises SiteError for a site this model does not have."""
        ...

    def logits(self, batch: TokenBatch, at: Tensor | None = None) -> Tensor:
        """Next-token logits `[batch, seq, vocab]` in float32; with `at` (`[k, 2]` int64, rows of
        (example, position)) only those, `[k, vocab]`, the head computed nowhere else."""
        ...

    def intervene(self, *interventions: Intervention) -> AbstractContextManager[None]:
        """Apply interventions to every forward inside the `with`, in order; nothing is left behind after it,
        also when an exception leaves it."""
        ...

    def choice_logprobs(
        self, prompts: Sequence[Sequence[int]], options: Sequence[Sequence[Sequence[int]]]
    ) -> list[list[Tensor]]:
        """Log-probability of each option token after its prompt: `result[i][j]` is `[len(option)]`."""
        ...

    def generate(self, batch: TokenBatch, max_new_tokens: int, **options: Any) -> list[list[int]]:
        """New token ids of each row (greedy unless `do_sample=True`), stopped at an end token.
        `options` are those of transformers' `generate`."""
        ...
