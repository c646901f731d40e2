"""States of one prompt put into another: choice logits with the states of some tokens changed at one layer.

The states of every layer are read once. A change at a layer runs only the blocks above it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor

from probes.activations import RunContext
from probes.locating.aligning import Exchange, Role
from probes.models import Site, TokenBatch
from probes.models.scoring import token_logprobs

BATCH_TOKENS = 2048


class Edit(Protocol):
    """A change of states: from those of the tokens that are changed, `[token, d]`, those of the tokens which
    they correspond to, and the sign of the concept at each (1 or -1), to new states `[token, d]`."""

    def __call__(self, here: Tensor, there: Tensor, sign: Tensor) -> Tensor: ...


def whole(here: Tensor, there: Tensor, sign: Tensor) -> Tensor:
    """The edit that puts the other prompt's states in."""
    return there


@dataclass(frozen=True)
class _Row:
    """A prompt with what both options begin with, or with one option after it."""

    exchange: int
    side: int
    option: int | None
    ids: tuple[int, ...]
    at: tuple[int, ...]
    targets: tuple[int, ...]
    signs: tuple[float, ...]


@dataclass
class Chunk:
    """Some exchanges as one batch, with their states at every layer that was asked for."""

    exchanges: Sequence[Exchange]
    rows: Sequence[_Row]
    batch: TokenBatch
    states: dict[int, Tensor]
    """Layer -> `[row, token, d]`."""
    intact: Tensor = field(default_factory=lambda: torch.empty(0))
    """`[exchange, side]`: the choice logits of the model as it is."""

    def __post_init__(self) -> None:
        targets = [
            ((number, at), target, sign, 2 * row.exchange + row.side)
            for number, row in enumerate(self.rows)
            for at, target, sign in zip(row.at, row.targets, row.signs, strict=True)
        ]
        at = list(dict.fromkeys(where for where, *_ in targets))
        numbers = {where: number for number, where in enumerate(at)}
        self.at = torch.tensor(at)
        """`[k, 2]`: the (row, token) after which something is read out."""
        self._which = torch.tensor([numbers[where] for where, *_ in targets])
        self._targets = torch.tensor([target for _, target, _, _ in targets])
        self._signs = torch.tensor([sign for *_, sign, _ in targets])
        self._sides = torch.tensor([side for *_, side in targets])

    def read_out(self, logits: Tensor) -> Tensor:
        """The choice logits `[exchange, side]`, from the logits at `at`."""
        scores = token_logprobs(logits, self._which, self._targets).cpu() * self._signs
        total = torch.zeros(2 * len(self.exchanges)).index_add(0, self._sides, scores)
        return total.unflatten(0, (-1, 2))

    def places(self, role: Role) -> tuple[Tensor, Tensor, Tensor]:
        """For every token of a role in every row: (row, token), (row, token) of the one it corresponds to,
        and the sign of the concept there; `[n, 2]`, `[n, 2]` and `[n]`."""
        first = {
            (row.exchange, row.side, row.option): number
            for number, row in reversed(list(enumerate(self.rows)))
        }
        here, there, signs = [], [], []
        for number, row in enumerate(self.rows):
            other = next(
                first[key]
                for key in ((row.exchange, 1 - row.side, option) for option in (row.option, None, 0))
                if key in first
            )
            for tokens in self.exchanges[row.exchange].roles.get(role, ()):
                here.append((number, tokens[row.side]))
                there.append((other, tokens[1 - row.side]))
                signs.append(tokens[2] if row.side == 0 else -tokens[2])
        return torch.tensor(here), torch.tensor(there), torch.tensor(signs, dtype=torch.float32)


class Patcher:
    """Exchanges through a model.

    A choice logit here is that of an exchange's side: the log-probability of its option 0 minus that of its
    option 1, at the first token in which the two differ.
    """

    def __init__(self, context: RunContext, exchanges: Sequence[Exchange]):
        self.context = context
        self.exchanges = tuple(exchanges)
        self._kept: tuple[int, list[Chunk]] | None = None

    def at_layer(self, layer: int) -> list[Chunk]:
        """The exchanges in batches, with their states at one layer; they are kept until another is wanted."""
        if self._kept is None or self._kept[0] != layer:
            self._kept = layer, list(self.chunks([layer]))
        return self._kept[1]

    def chunks(self, layers: Sequence[int]) -> Iterator[Chunk]:
        """The exchanges in batches, with their states at `layers`."""
        budget = self.context.tokens(BATCH_TOKENS)
        some: list[Exchange] = []
        size = 0
        for exchange in sorted(self.exchanges, key=lambda one: len(one.prompts[0])):
            length = max(len(row.ids) for row in _rows(0, exchange))
            n = len(_rows(0, exchange))
            if some and (size + n) * length > budget:
                yield self._chunk(some, layers)
                some, size = [], 0
            some.append(exchange)
            size += n
        if some:
            yield self._chunk(some, layers)

    def _chunk(self, exchanges: list[Exchange], layers: Sequence[int]) -> Chunk:
        rows = [row for number, exchange in enumerate(exchanges) for row in _rows(number, exchange)]
        batch = TokenBatch.pad([row.ids for row in rows], self.context.pad_id)
        sites = [Site("resid_post", layer) for layer in layers]
        with torch.no_grad():
            states = self.context.model.read(batch, sites) if sites else {}
        made = Chunk(exchanges, rows, batch, {site.layer or 0: states[site] for site in sites})
        with torch.no_grad():
            made.intact = made.read_out(self.context.model.logits(batch, made.at))
        return made

    def patched(self, chunk: Chunk, layer: int, role: Role, edit: Edit) -> Tensor:
        """The choice logits `[exchange, side]` with the states of a role's tokens edited at a layer.

        They can be differentiated with respect to what the edit uses.
        """
        here, there, signs = chunk.places(role)
        states = chunk.states[layer]
        if len(here):
            old = states[here[:, 0], here[:, 1]]
            new = edit(old, states[there[:, 0], there[:, 1]], signs)
            states = states.index_put((here[:, 0], here[:, 1]), new.to(states))
        return chunk.read_out(self.context.model.logits_from(layer, states, chunk.batch, chunk.at))


def _rows(number: int, exchange: Exchange) -> list[_Row]:
    """One row a side, up to the first token at which the options differ. Where one option only goes on where
    the other ends, one row for each option with all its tokens."""
    rows = []
    for side in (0, 1):
        prompt, (first, second) = exchange.prompts[side], exchange.options[side]
        shared = next((i for i, (x, y) in enumerate(zip(first, second, strict=False)) if x != y), None)
        if shared is not None:
            ids = (*prompt, *first[:shared])
            end = len(ids) - 1
            rows.append(
                _Row(number, side, None, ids, (end, end), (first[shared], second[shared]), (1.0, -1.0))
            )
            continue
        for which, option, sign in ((0, first, 1.0), (1, second, -1.0)):
            at = tuple(len(prompt) + k - 1 for k in range(len(option)))
            rows.append(_Row(number, side, which, (*prompt, *option), at, option, (sign,) * len(option)))
    return rows
