"""What every backend promises: activations are read and changed at sites, and the model predicts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any, Literal, Protocol, TypedDict, Unpack, runtime_checkable

import torch
from torch import Tensor

from probes.models.batching import TOKEN_BUDGET, TokenBatch
from probes.models.sites import Site

PositionMask = Callable[[Tensor], Tensor]
"""A function from the attention mask `[batch, seq]` (1 for a real token) to a bool `[batch, seq]`: the tokens
that are meant."""

Continuation = tuple[Sequence[int], Sequence[int]]
"""A prompt and an option that is scored after it, both as token ids."""


class GenerateOptions(TypedDict, total=False):
    """Options of transformers' `generate`. Others than these are handed on, too.

    Of the checkpoint's own generation_config only the special tokens count, so that stages which ship
    different ones decode alike; with `do_sample=True` all of it does.
    """

    do_sample: bool
    temperature: float
    top_k: int
    top_p: float
    repetition_penalty: float
    eos_token_id: int | list[int]
    pad_token_id: int
    stopping_criteria: Any


class Pool(Protocol):
    """A function from the activations at one site, `[batch, seq, width]`, to what is kept of them.

    They come in the model's own precision: a pool that sums them should do so in float32.
    """

    def __call__(self, values: Tensor, batch: TokenBatch) -> Tensor: ...


@runtime_checkable
class Intervention(Protocol):
    """A change of the activations at one site. `probes.steering` has ready ones, such as `Add`."""

    site: Site
    positions: Literal["all", "last"] | PositionMask

    def apply(self, values: Tensor) -> Tensor:
        """From the activations `[batch, seq, width]` to new ones of the same shape. The backend keeps the
        result only at `positions`."""
        ...


@runtime_checkable
class HookedModel(Protocol):
    """A decoder whose activations can be read and changed at any `Site`.

    Parameters of the model never require gradients. Nothing here disables autograd: a caller may
    differentiate outputs with respect to an intervention's own tensors, or wrap calls in
    `torch.inference_mode()`.

    Example
    -------
    >>> from probes.models import TokenBatch
    >>> model = probes.hooked(stage)
    >>> batch = TokenBatch.pad([[5, 6, 7], [8, 9]])
    >>> site = probes.Site("resid_post", 1)
    >>> tuple(model.read(batch, [site])[site].shape)
    (2, 3, 32)
    >>> with model.intervene(probes.Add(site, np.ones(32), alpha=2.0)):
    ...     tuple(model.logits(batch).shape)
    (2, 3, 400)
    """

    native: Any
    """The object of the library behind the backend."""
    n_layers: int
    d_model: int
    n_heads: int
    d_head: int
    max_positions: int | None
    """The context window in tokens; None when it is unlimited."""
    device: torch.device
    """Where inputs go."""

    def read(self, batch: TokenBatch, sites: Sequence[Site], pool: Pool | None = None) -> dict[Site, Tensor]:
        """The activations at `sites`, in float32 on the CPU.

        Each is `[batch, seq, width]`, or what `pool` makes of that inside the hook. No block deeper than
        needed is run, and the language-model head never is. Raises SiteError for a site that the model does
        not have.
        """
        ...

    def logits(self, batch: TokenBatch, at: Tensor | None = None) -> Tensor:
        """The logits of the next token, `[batch, seq, vocab]`, in float32.

        With `at`, `[k, 2]` int64 with rows of (example, position), only those are computed: `[k, vocab]`.
        """
        ...

    def intervene(self, *interventions: Intervention) -> AbstractContextManager[None]:
        """Apply interventions, in order, to every forward inside the `with`. Nothing is left behind after it,
        also when an exception leaves it."""
        ...

    def choice_logprobs(
        self, prompts: Sequence[Sequence[int]], options: Sequence[Sequence[Sequence[int]]]
    ) -> list[list[Tensor]]:
        """The log-probability of each token of each option after its prompt: `result[i][j]` is
        `[len(option)]` for option j of prompt i."""
        ...

    def generate(
        self, batch: TokenBatch, max_new_tokens: int, **options: Unpack[GenerateOptions]
    ) -> list[list[int]]:
        """The new token ids of each row, up to and without the first end token. Decoding is greedy unless
        `do_sample=True`."""
        ...


@runtime_checkable
class PackedModel(HookedModel, Protocol):
    """A `HookedModel` that runs many sequences or interventions together; `probes.hooked` always gives one.

    The backend "transformers" does it in few forwards. The other backends give the same answers the plain
    way, one after the other (`probes.models.plain`).

    Example
    -------
    >>> import torch
    >>> model = probes.hooked(stage)
    >>> groups = [[([5, 6], [7, 8]), ([5, 6], [9])]]  # two options after one prompt
    >>> [tuple(option.shape) for option in model.trie_logprobs(groups)[0]]
    [(2,), (1,)]
    >>> with model.fan_out(probes.Site("resid_post", 1), torch.eye(32)[:4]):
    ...     [tuple(option.shape) for option in model.trie_logprobs(groups)[0]]
    [(4, 2), (4, 1)]
    """

    def can_pack(self, length: int) -> bool:
        """Whether several sequences of up to `length` tokens can share a row without changing the result, so
        that packing saves work."""
        ...

    def read_packed(
        self, ids: Tensor, depth: Tensor, visible: Tensor, sites: Sequence[Site], pool: Pool | None = None
    ) -> dict[Site, Tensor]:
        """`read` of rows that hold several sequences each, as `probes.models.packing.layout` makes them.

        `ids` and `depth` (a token's position in its sequence) are `[batch, width]`; `visible` is bool
        `[batch, width, width]`, True where the token of the row sees the token of the column.
        """
        ...

    def trie_logprobs(
        self, groups: Sequence[Sequence[Continuation]], token_budget: int = TOKEN_BUDGET, join: bool = False
    ) -> list[list[Tensor]]:
        """The log-probability of each token of each option after its prompt: `result[g][j]` is
        `[len(option)]` for continuation j of group g, in float32 and differentiable.

        A group is what shares a beginning, for example both orders and both options of one choice; where it
        `can_pack`, the shared tokens run once. With `join` groups that begin alike share tokens as well;
        without it no activation belongs to two groups, which gradients need. Raises InputError for an empty
        prompt or option.
        """
        ...

    def logits_from(self, layer: int, states: Tensor, batch: TokenBatch, at: Tensor) -> Tensor:
        """The logits at `at`, `[k, vocab]`, with `states` `[batch, seq, d_model]` as the output of block
        `layer`.

        They are what `logits` gives under an intervention that puts `states` at "resid_post" of that block,
        and can be differentiated with respect to `states`. The backend "transformers" runs only the blocks
        above. Raises InputError where interventions are in force, and SiteError for a block that does not
        exist.
        """
        ...

    def fan_out(self, site: Site, vectors: Tensor) -> AbstractContextManager[None]:
        """Ask for several interventions at once: each row of `vectors` `[variant, width]` is one variant of
        the model, with that row added at every token of `site`.

        Inside the `with`, `logits` and `trie_logprobs` answer with the variants as a new first dimension.
        Memory grows with their number as it does with the batch. Raises SiteError for a site that the model
        does not have and, at the forward, for vectors of another width; InputError inside another `fan_out`.
        """
        ...
