"""Several interventions at one site in a single forward: the blocks below the site run once for all of them.

It is separate from the backend because it only rearranges what goes through the blocks. At the block that
holds the site every row is repeated, variant after variant, and so is what later blocks are given per row.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, Literal

from torch import Tensor, nn

from probes.errors import SiteError
from probes.models.architecture import first_tensor
from probes.models.forward import RunningForward
from probes.models.protocol import PositionMask
from probes.models.sites import Site


@dataclass(eq=False)
class AddEach:
    """Adds `vectors[v]` `[variant, width]` to every token of the rows of variant v; rows lie variant after
    variant.

    Raises SiteError, at the forward, for vectors of another width than the site's.
    """

    site: Site
    vectors: Tensor
    positions: Literal["all", "last"] | PositionMask = "all"

    def apply(self, values: Tensor) -> Tensor:
        if self.vectors.shape[-1] != values.shape[-1]:
            raise SiteError(
                f"vectors of width {self.vectors.shape[-1]} cannot act at {self.site}: "
                f"the activations there are {values.shape[-1]} wide"
            )
        rows = self.vectors.to(values).repeat_interleave(len(values) // len(self.vectors), 0)
        return values + rows[:, None]


@dataclass(eq=False)
class Put:
    """Puts `states` `[batch, seq, width]` in the place of the activations of a site."""

    site: Site
    states: Tensor
    positions: Literal["all", "last"] | PositionMask = "all"

    def apply(self, values: Tensor) -> Tensor:
        return self.states.to(values)


@contextmanager
def repeated_from(
    blocks: Sequence[nn.Module], layer: int, n_variants: int, running: RunningForward
) -> Iterator[None]:
    """Inside, a forward of `[batch, ...]` is `[variant * batch, ...]` from block `layer` on."""

    def repeat_all(_module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        assert running.mask is not None
        batch = len(running.mask)
        running.mask = running.mask.repeat(n_variants, 1)
        return _repeat(args, batch, n_variants), _repeat(kwargs, batch, n_variants)

    def repeat_others(_module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        assert running.mask is not None
        batch, hidden = len(running.mask) // n_variants, first_tensor(args, kwargs)

        def repeat(value: Any) -> Any:
            # What is given per row is recognised by its length, so the hidden states, which are repeated
            # already, must not be taken for a batch once more.
            return value if value is hidden else _repeat(value, batch, n_variants)

        return tuple(map(repeat, args)), {key: repeat(value) for key, value in kwargs.items()}

    with ExitStack() as hooks:
        for index, block in enumerate(blocks[layer:]):
            hook = repeat_others if index else repeat_all
            hooks.callback(block.register_forward_pre_hook(hook, with_kwargs=True).remove)
        yield


def _repeat(value: Any, batch: int, n_variants: int) -> Any:
    """`value` with its tensors `[batch, ...]` repeated; a tensor of one dimension is not given per row."""
    if isinstance(value, Tensor):
        per_row = value.dim() > 1 and len(value) == batch
        return value.repeat(n_variants, *[1] * (value.dim() - 1)) if per_row else value
    if isinstance(value, dict):
        return {key: _repeat(part, batch, n_variants) for key, part in value.items()}
    if type(value) in (tuple, list):
        return type(value)(_repeat(part, batch, n_variants) for part in value)
    return value
