"""What `PackedModel` adds to `HookedModel`, the plain way: one sequence or intervention after the other.

It serves the backends that cannot pack, and any `HookedModel` that somebody else wrote. It is also what the
fast way is compared with.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from itertools import groupby
from typing import Unpack

import torch
from torch import Tensor

from probes.errors import InputError
from probes.models.batching import TOKEN_BUDGET, TokenBatch
from probes.models.fanning import AddEach, Put
from probes.models.protocol import Continuation, GenerateOptions, HookedModel, Intervention, Pool
from probes.models.scoring import check_scorable, logprobs_of_each
from probes.models.sites import Site

NESTED = "fan_out inside fan_out: give all vectors to one of them"


class PlainPacking(ABC):
    """The methods of `PackedModel` for a class that has those of `HookedModel`.

    The class must compute its `logits` through `for_each_variant`.
    """

    _fan: tuple[Site, Tensor] | None = None

    @abstractmethod
    def read(
        self, batch: TokenBatch, sites: Sequence[Site], pool: Pool | None = None
    ) -> dict[Site, Tensor]: ...

    @abstractmethod
    def logits(self, batch: TokenBatch, at: Tensor | None = None) -> Tensor: ...

    @abstractmethod
    def intervene(self, *interventions: Intervention) -> AbstractContextManager[None]: ...

    def can_pack(self, length: int) -> bool:
        """Never: packing saves nothing here."""
        return False

    def read_packed(
        self, ids: Tensor, depth: Tensor, visible: Tensor, sites: Sequence[Site], pool: Pool | None = None
    ) -> dict[Site, Tensor]:
        """As `PackedModel` says, by reading every sequence in the rows as a row of its own."""
        sequences: list[list[int]] = []
        where = torch.full((*ids.shape, 2), -1)  # of each packed token: its sequence, its position there
        for row in range(len(ids)):
            for token in depth[row].argsort(descending=True).tolist():
                if where[row, token, 0] >= 0:
                    continue
                path = visible[row, token].nonzero()[:, 0]
                path = path[depth[row, path].argsort()]
                where[row, path, 0] = len(sequences)
                where[row, path, 1] = torch.arange(len(path))
                sequences.append(ids[row, path].tolist())
        values = self.read(TokenBatch.pad(sequences), sites)
        packed = {site: values[site][where[..., 0], where[..., 1]] for site in values}
        if pool is None:
            return packed
        batch = TokenBatch(ids, torch.ones_like(ids))
        return {site: pool(rows, batch).float() for site, rows in packed.items()}

    def trie_logprobs(
        self, groups: Sequence[Sequence[Continuation]], token_budget: int = TOKEN_BUDGET, join: bool = False
    ) -> list[list[Tensor]]:
        """As `PackedModel` says, by running every continuation of a group as a row of its own."""
        return logprobs_of_each(self.logits, groups, token_budget)

    def logits_from(self, layer: int, states: Tensor, batch: TokenBatch, at: Tensor) -> Tensor:
        """As `PackedModel` says, by running the whole model and putting the states in."""
        with self.intervene(Put(Site("resid_post", layer), states)):
            return self.logits(batch, at)

    @contextmanager
    def fan_out(self, site: Site, vectors: Tensor) -> Iterator[None]:
        """As `PackedModel` says, by running every variant on its own."""
        if self._fan is not None:
            raise InputError(NESTED)
        with self.intervene(AddEach(site, vectors[:1])):
            pass  # raises SiteError for a site that the model does not have
        self._fan = site, vectors
        try:
            yield
        finally:
            self._fan = None

    def for_each_variant(self, run: Callable[[], Tensor]) -> Tensor:
        """What `run` returns; inside `fan_out`, what it returns for each variant, with the variants first."""
        if self._fan is None:
            return run()
        site, vectors = self._fan
        results = []
        for vector in vectors:
            with self.intervene(AddEach(site, vector[None])):
                results.append(run())
        return torch.stack(results)


class PlainModel(PlainPacking):
    """A `PackedModel` around a `HookedModel` that offers no more than that protocol.

    `probes.hooked` makes it. Options are scored by the model's own `choice_logprobs`.

    Example
    -------
    >>> import torch
    >>> from probes.models import Site
    >>> model = PlainModel(probes.hooked(stage))
    >>> with model.fan_out(Site("resid_post", 1), torch.eye(32)[:4]):
    ...     [tuple(option.shape) for option in model.trie_logprobs([[([5, 6], [7, 8]), ([5, 6], [9])]])[0]]
    [(4, 2), (4, 1)]
    """

    def __init__(self, model: HookedModel):
        self.inner = model
        self.tokenizer = getattr(model, "tokenizer", None)
        self.native = model.native
        self.n_layers = model.n_layers
        self.d_model = model.d_model
        self.n_heads = model.n_heads
        self.d_head = model.d_head
        self.max_positions = model.max_positions
        self.device = model.device

    def read(self, batch: TokenBatch, sites: Sequence[Site], pool: Pool | None = None) -> dict[Site, Tensor]:
        return self.inner.read(batch, sites, pool)

    def logits(self, batch: TokenBatch, at: Tensor | None = None) -> Tensor:
        return self.for_each_variant(lambda: self.inner.logits(batch, at))

    def intervene(self, *interventions: Intervention) -> AbstractContextManager[None]:
        return self.inner.intervene(*interventions)

    def generate(
        self, batch: TokenBatch, max_new_tokens: int, **options: Unpack[GenerateOptions]
    ) -> list[list[int]]:
        return self.inner.generate(batch, max_new_tokens, **options)

    def choice_logprobs(
        self, prompts: Sequence[Sequence[int]], options: Sequence[Sequence[Sequence[int]]]
    ) -> list[list[Tensor]]:
        return self.inner.choice_logprobs(prompts, options)

    def trie_logprobs(
        self, groups: Sequence[Sequence[Continuation]], token_budget: int = TOKEN_BUDGET, join: bool = False
    ) -> list[list[Tensor]]:
        """As `PackedModel` says; the budget is the wrapped model's own affair."""
        return [self._group_logprobs(group) for group in groups]

    def _group_logprobs(self, group: Sequence[Continuation]) -> list[Tensor]:
        check_scorable(group)
        prompts, options = [], []
        for prompt, continuations in groupby(group, key=lambda pair: list(pair[0])):
            prompts.append(prompt)
            options.append([option for _, option in continuations])
        lengths: list[int] = []

        def run() -> Tensor:
            scored = [one for some in self.inner.choice_logprobs(prompts, options) for one in some]
            lengths[:] = map(len, scored)
            return torch.cat(scored)

        return list(self.for_each_variant(run).split(lengths, -1))
