"""What it takes to push during a forward: which tokens are real, which are meant, and the arithmetic."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor, nn

from probes.errors import InputError
from probes.models.protocol import Intervention, PositionMask


class RunningBatch:
    """The attention mask and the width of the forward that is running on `model`."""

    def __init__(self, model: nn.Module):
        self.model = model
        self.mask: Tensor | None = None  # [batch, total], total counts the tokens in the cache too
        self.seq = 0  # tokens of each row in this forward

    def set(self, mask: Tensor, seq: int) -> None:
        """State them by hand, where the forward cannot be watched."""
        self.mask, self.seq = mask, seq

    def watch(self) -> Any:
        """A hook (to be removed by the caller) that takes both from what `model` is called with. A mask that
        is not `[batch, total]` belongs to packed rows, in which every token is real."""

        def note(_module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            ids = kwargs.get("input_ids", args[0] if args else None)
            shaped = kwargs["inputs_embeds"][..., 0] if ids is None else ids
            mask = kwargs.get("attention_mask")
            if not isinstance(mask, Tensor) or mask.ndim != 2:
                mask = torch.ones(shaped.shape, dtype=torch.long, device=shaped.device)
            self.set(mask, shaped.shape[1])

        return self.model.register_forward_pre_hook(note, with_kwargs=True)

    def shaped(self, values: Tensor) -> Tensor:
        """`[batch, seq, width]`, also for modules that flatten batch and sequence or split the heads."""
        assert self.mask is not None
        return values.reshape(self.mask.shape[0], self.seq, -1)

    def push(self, intervention: Intervention, output: Tensor, residual: Tensor | None = None) -> Tensor:
        """`output` pushed at the positions that are meant. With `residual`, `output` is what is added to it
        and the sum is what is pushed."""
        assert self.mask is not None
        values = self.shaped(output)
        chosen = selection(intervention.positions, self.mask, self.seq).to(values.device)[..., None]
        if residual is None:
            pushed = intervention.apply(values)
        else:
            pushed = intervention.apply(residual + values) - residual
        return torch.where(chosen, pushed.to(values.dtype), values).reshape(output.shape)


def selection(positions: Literal["all", "last"] | PositionMask, mask: Tensor, seq: int) -> Tensor:
    """Which of the last `seq` tokens an intervention means, bool `[batch, seq]`.

    `mask` is `[batch, total]`; while generating, `total` counts the tokens in the cache and `seq` is 1.
    Raises InputError for positions that are not "all", "last" or a function of the attention mask.
    """
    if callable(positions):
        chosen = positions(mask)
        if chosen.shape != mask.shape:
            raise InputError(f"positions gave a mask of {list(chosen.shape)}: expected {list(mask.shape)}")
        chosen = chosen.bool() & mask.bool()
    elif positions == "all":
        chosen = mask.bool()
    elif positions == "last":
        index = torch.arange(mask.shape[-1], device=mask.device)
        chosen = index == (mask * index).argmax(-1, keepdim=True)
    else:
        raise InputError(
            f'positions {positions!r}: expected "all", "last" or a function of the attention mask'
        )
    return chosen[:, -seq:]


def in_order(interventions: list[Intervention]) -> list[Intervention]:
    """As given, but `resid_mid` last: it acts on the attention output, after those on `attn_out`."""
    return sorted(interventions, key=lambda intervention: intervention.site.kind == "resid_mid")
