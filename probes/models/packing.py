"""Many sequences in few rows: those that share a beginning become one row, a trie.

The tokens of a trie lie in depth-first order. Each has its depth as its position and sees exactly its
ancestors and itself, so that every sequence gets the states that it would get alone. This is tree attention,
as in SpecInfer (Miao et al. 2023, arXiv 2305.09781).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

import torch
from torch import Tensor

from probes.models.batching import TokenBatch, batches_by_length
from probes.models.protocol import Continuation
from probes.models.scoring import check_scorable, token_logprobs
from probes.models.sites import Site

ROW_WIDTH = 128
"""Up to so many tokens, any sequences with a common beginning share a row. A longer row, of up to twice the
length of its sequences, is only for those that have most of it in common, because the cost of attention grows
with the square of a row's length."""

JOINED_WIDTH = 512
"""The width of a row in which several groups of continuations are scored together. Sharing a chat template's
beginning among so many saves a third of the tokens; in wider rows attention costs what it saves."""


@dataclass(frozen=True)
class Trie:
    """Token sequences packed in one row.

    Example
    -------
    >>> trie = Trie.of([[1, 2, 3], [1, 6]])
    >>> trie.ids, trie.parents, trie.paths
    ([1, 2, 3, 6], [-1, 0, 1, 0], [[0, 1, 2], [0, 3]])
    """

    ids: list[int]
    parents: list[int]
    """For each token the index of the one before it; -1 for a first token."""
    paths: list[list[int]]
    """For each sequence the indices of its tokens."""

    @classmethod
    def of(cls, sequences: Sequence[Sequence[int]]) -> Trie:
        """The trie of some sequences, which merges their common beginnings."""
        ids: list[int] = []
        parents: list[int] = []
        children: dict[tuple[int, int], int] = {}
        paths = []
        for sequence in sequences:
            node, path = -1, []
            for token in sequence:
                key = (node, int(token))
                if key not in children:
                    children[key] = len(ids)
                    ids.append(int(token))
                    parents.append(node)
                node = children[key]
                path.append(node)
            paths.append(path)
        return cls(ids, parents, paths)


def shared_rows(sequences: Sequence[tuple[int, ...]]) -> list[list[tuple[int, ...]]]:
    """Distinct sequences in groups that are worth a row each: sequences that begin alike come together.

    Example
    -------
    >>> shared_rows([(1, 2, 3), (7, 8), (1, 2, 4)])
    [[(1, 2, 3), (1, 2, 4)], [(7, 8)]]
    """
    rows: list[list[tuple[int, ...]]] = []
    width, last = 0, ()
    for sequence in sorted(sequences):
        common = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(last, sequence, strict=False)))
        wider = width + len(sequence) - common
        mostly = 2 * common >= len(sequence) and wider <= 2 * len(sequence)
        if common and (wider <= ROW_WIDTH or mostly):
            rows[-1].append(sequence)
            width = wider
        else:
            rows.append([sequence])
            width = len(sequence)
        last = sequence
    return rows


def joined_groups(groups: Sequence[Sequence[Continuation]], width: int) -> list[list[int]]:
    """Which groups share a row of up to `width` tokens: those that begin alike, such as questions in one chat
    template.

    Returns
    -------
    The numbers of the groups of each row. A group that is wider by itself has a row of its own.

    Example
    -------
    >>> groups = [[([1, 2, 3], [4, 0])], [([7, 8], [9])], [([1, 2, 3], [5, 0])]]
    >>> joined_groups(groups, width=5)
    [[0, 2], [1]]
    """
    rows: list[list[int]] = []
    nodes: set[tuple[int, ...]] = set()
    for i in sorted(range(len(groups)), key=lambda i: [list(map(int, prompt)) for prompt, _ in groups[i]]):
        tokens = [tuple(map(int, sequence)) for sequence in scored_tokens(groups[i])]
        own = {sequence[: end + 1] for sequence in tokens for end in range(len(sequence))}
        begins = {sequence[:1] for sequence in tokens}
        if rows and begins & nodes and len(nodes | own) <= width:
            rows[-1].append(i)
            nodes |= own
        else:
            rows.append([i])
            nodes = own
    return rows


def scored_tokens(group: Sequence[Continuation]) -> list[list[int]]:
    """The tokens of each continuation that the model has to run: all but the last, which predicts nothing."""
    return [[*prompt, *option][:-1] for prompt, option in group]


@dataclass(frozen=True)
class Pack:
    """Some groups of continuations as the rows of one batch, and where their options are read out."""

    groups: tuple[int, ...]
    """The numbers of the groups."""
    ids: Tensor
    """`[batch, width]`, as `layout` gives it."""
    depth: Tensor
    visible: Tensor
    shared: bool
    """Whether rows hold several sequences. Otherwise each is a row of its own, padded on the right."""
    places: tuple[tuple[tuple[int, tuple[int, ...]], ...], ...]
    """Group -> continuation -> its row, and the indices there of the tokens that the model runs."""
    at: Tensor
    """`[k, 2]`: the (row, token) after which something is read out."""
    which: Tensor
    """For each token of each option the row of `at` that predicts it."""
    targets: Tensor
    """The tokens of the options."""
    lengths: tuple[int, ...]
    """The number of tokens of each option."""

    def scores(self, logits: Tensor) -> list[list[Tensor]]:
        """From the logits at `at`, `[..., k, vocab]`, the log-probabilities of each option's tokens, by group
        and continuation."""
        parts = iter(token_logprobs(logits, self.which, self.targets).split(self.lengths, -1))
        return [[next(parts) for _ in of_group] for of_group in self.places]

    def read(self, model: Any, sites: Sequence[Site]) -> dict[Site, Tensor]:
        """The activations at sites, `[batch, width, d]` each."""
        if self.shared:
            return model.read_packed(self.ids, self.depth, self.visible, sites)
        return model.read(self._batch, sites)

    def logits(self, model: Any) -> Tensor:
        """The logits at `at`."""
        if self.shared:
            return model.packed_logits(self.ids, self.depth, self.visible, self.at)
        return model.logits(self._batch, self.at)

    def logits_from(self, model: Any, layer: int, states: Tensor) -> Tensor:
        """The logits at `at` with `states` `[batch, width, d]` as the output of block `layer`."""
        if self.shared:
            return model.packed_logits_from(layer, states, self.ids, self.depth, self.visible, self.at)
        return model.logits_from(layer, states, self._batch, self.at)

    @property
    def _batch(self) -> TokenBatch:
        # A padding token sees itself alone and so has depth 0, which else only the first token of a row has.
        mask = (self.depth > 0).long()
        mask[:, 0] = 1
        return TokenBatch(self.ids, mask)


def packs_of(
    groups: Sequence[Sequence[Continuation]], token_budget: int, join: bool = False, share: bool = True
) -> Iterator[Pack]:
    """Groups of continuations in batches of up to `token_budget` tokens.

    Parameters
    ----------
    join : whether groups that begin alike share a row.
    share : whether the continuations of a group do; otherwise every continuation is a row of its own.

    Raises
    ------
    InputError : an empty prompt or option.

    Example
    -------
    >>> [pack] = packs_of([[([1, 2], [3, 4]), ([1, 2], [6])]], token_budget=100)
    >>> pack.ids.tolist(), pack.places, pack.at.tolist()
    ([[1, 2, 3]], (((0, (0, 1, 2)), (0, (0, 1))),), [[0, 1], [0, 2]])
    """
    for group in groups:
        check_scorable(group)
    one_each = [[i] for i in range(len(groups))]
    joined = joined_groups(groups, min(token_budget, JOINED_WIDTH)) if join and share else one_each
    rows = [[Trie.of(_scored(groups, numbers))] if share else _alone(groups, numbers) for numbers in joined]
    sizes = [len(tries) * max(len(trie.ids) for trie in tries) for tries in rows]
    for chosen in batches_by_length(sizes, token_budget):
        numbers = [i for row in chosen for i in joined[row]]
        tries = [trie for row in chosen for trie in rows[row]]
        yield _pack(groups, numbers, tries, share)


def _scored(groups: Sequence[Sequence[Continuation]], numbers: Sequence[int]) -> list[list[int]]:
    return [tokens for i in numbers for tokens in scored_tokens(groups[i])]


def _alone(groups: Sequence[Sequence[Continuation]], numbers: Sequence[int]) -> list[Trie]:
    """Each continuation of some groups by itself."""
    return [Trie.of([tokens]) for tokens in _scored(groups, numbers)]


def _pack(
    groups: Sequence[Sequence[Continuation]], numbers: Sequence[int], tries: Sequence[Trie], share: bool
) -> Pack:
    """Groups as one batch, with the tries that hold their continuations in order."""
    paths = [(row, tuple(path)) for row, trie in enumerate(tries) for path in trie.paths]
    found = iter(paths)
    places = tuple(tuple(next(found) for _ in groups[i]) for i in numbers)
    ids, depth, visible = layout(tries)
    read: dict[tuple[int, int], int] = {}
    which: list[int] = []
    targets: list[int] = []
    lengths: list[int] = []
    for i, of_group in zip(numbers, places, strict=True):
        for (prompt, option), (row, path) in zip(groups[i], of_group, strict=True):
            which += [read.setdefault((row, node), len(read)) for node in path[len(prompt) - 1 :]]
            targets += [int(token) for token in option]
            lengths.append(len(option))
    return Pack(
        groups=tuple(numbers),
        ids=ids,
        depth=depth,
        visible=visible,
        shared=share,
        places=places,
        at=torch.tensor(list(read)),
        which=torch.tensor(which),
        targets=torch.tensor(targets),
        lengths=tuple(lengths),
    )


def packed_logprobs(
    model: Any, groups: Sequence[Sequence[Continuation]], token_budget: int, join: bool = False
) -> list[list[Tensor]]:
    """`PackedModel.trie_logprobs` with each group as one packed row, or with `join` several of them.

    `model` has `packed_logits(ids, depth, visible, at)`. The head runs once for each token that predicts,
    however many sequences share it. Raises InputError for an empty prompt or option.
    """
    results: dict[int, list[Tensor]] = {}
    for pack in packs_of(groups, token_budget, join):
        results.update(zip(pack.groups, pack.scores(pack.logits(model)), strict=True))
    return [results[i] for i in range(len(groups))]


def packing_is_exact(model: Any, alone: Callable[..., list[list[Tensor]]]) -> bool:
    """Whether the scores of a small group are the same packed and `alone`, one sequence a row.

    They are not for families whose attention depends on more than position ids and the mask (ALiBi, recurrent
    layers).
    """
    # These are ordinary tokens. Special ones, the first of a vocabulary, can enlarge rounding errors a lot.
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


def layout(tries: Sequence[Trie]) -> tuple[Tensor, Tensor, Tensor]:
    """Tries as the rows of one batch.

    Returns
    -------
    `ids` and `depth` (a token's position in its sequence), `[batch, width]` int64, and `visible`, bool
    `[batch, width, width]`, True where the token of the row sees that of the column. Padding sees itself.

    Example
    -------
    >>> ids, depth, visible = layout([Trie.of([[1, 2, 3], [1, 6]])])
    >>> ids.tolist(), depth.tolist()
    ([[1, 2, 3, 6]], [[0, 1, 2, 1]])
    """
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
