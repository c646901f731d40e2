"""What happens inside a running forward: an intervention is applied at the tokens that it is meant for, and
what is read is pooled and kept.

Shared by the backends, whose own work is to be called at the right place of the model.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor, nn

from probes.errors import InputError
from probes.models.batching import TokenBatch
from probes.models.protocol import Intervention, Pool, PositionMask


class RunningForward:
    """The attention mask and the width of the forward that is running on `model`."""

    def __init__(self, model: nn.Module):
        self.model = model
        self.mask: Tensor | None = None  # [batch, total]; total also counts the tokens in the cache
        self.seq = 0  # tokens of each row in this forward

    def watch(self) -> Any:
        """A hook, which the caller removes, that notes both from what `model` is called with.

        A mask that is not `[batch, total]` belongs to packed rows, in which every token is real.
        """

        def note(_module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            ids = kwargs.get("input_ids", args[0] if args else None)
            shaped = kwargs["inputs_embeds"][..., 0] if ids is None else ids
            mask = kwargs.get("attention_mask")
            if not isinstance(mask, Tensor) or mask.ndim != 2:
                mask = torch.ones(shaped.shape, dtype=torch.long, device=shaped.device)
            self.mask, self.seq = mask, shaped.shape[1]

        return self.model.register_forward_pre_hook(note, with_kwargs=True)

    def shaped(self, values: Tensor) -> Tensor:
        """Activations as `[batch, seq, width]`, also those of modules that flatten batch and sequence into
        one dimension or split the heads."""
        assert self.mask is not None
        return values.reshape(self.mask.shape[0], self.seq, -1)

    def apply(self, intervention: Intervention, output: Tensor, residual: Tensor | None = None) -> Tensor:
        """`output` changed by the intervention at the positions it is meant for.

        With `residual`, `output` is what a module adds to it, and the intervention acts on their sum.
        """
        assert self.mask is not None
        values = self.shaped(output)
        chosen = selection(intervention.positions, self.mask, self.seq).to(values.device)[..., None]
        if residual is None:
            changed = intervention.apply(values)
        else:
            changed = intervention.apply(residual + values) - residual
        return torch.where(chosen, changed.to(values.dtype), values).reshape(output.shape)


def selection(positions: Literal["all", "last"] | PositionMask, mask: Tensor, seq: int) -> Tensor:
    """The tokens of the running forward that an intervention is meant for.

    Parameters
    ----------
    positions : the intervention's own.
    mask : `[batch, total]`, 1 for a real token. While a text is generated, `total` counts the tokens in the
        cache too, and `seq` is 1.
    seq : the tokens of each row in this forward, which are the last ones of `mask`.

    Returns
    -------
    bool `[batch, seq]`.

    Raises
    ------
    InputError
        `positions` is not "all", "last" or a function of the attention mask that keeps its shape.

    Example
    -------
    >>> import torch
    >>> mask = torch.tensor([[1, 1, 1], [1, 1, 0]])
    >>> selection("last", mask, seq=3).tolist()
    [[False, False, True], [False, True, False]]
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
    """Interventions in the order given, but those at `resid_mid` last: they act on the attention's output,
    after those at `attn_out`."""
    return sorted(interventions, key=lambda intervention: intervention.site.kind == "resid_mid")


def keep(values: Tensor, batch: TokenBatch, pool: Pool | None) -> Tensor:
    """What is kept of `[batch, seq, width]`: pooled on the device where the values are, then in float32 on
    the CPU, and never a view, which would hold the whole activation in memory."""
    kept = values
    if pool is not None:
        local = TokenBatch(batch.input_ids.to(values.device), batch.attention_mask.to(values.device))
        kept = pool(values, local)
    if (
        kept.dtype == torch.float32
        and kept.untyped_storage().data_ptr() == values.untyped_storage().data_ptr()
    ):
        kept = kept.clone()
    return kept.to("cpu", torch.float32)
