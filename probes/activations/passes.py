"""The pass over the texts: what is read, in which batches, and where each row of the result goes.

Each piece of work is done once. Identical texts are computed once, and so are common beginnings of texts
where that is exact. Texts of similar length share a batch under a token budget, and tokens are pooled inside
the hook. Rows that a shelf of the store already holds are not computed again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float32
from torch.nn.functional import embedding_bag
from tqdm.auto import tqdm

from probes.activations.rendering import Rendered
from probes.activations.store import Shelf
from probes.models import PackedModel, TokenBatch
from probes.models.batching import TOKEN_BUDGET, batches_by_length
from probes.models.packing import Trie, layout, shared_rows
from probes.models.sites import Site
from probes.tables.digests import json_digest

CPU_TOKENS = 512
"""The tokens of one forward on a CPU, padding included; more do not fit its caches."""

ROWS_PER_SHARD = 2048
"""The rows between two writes to the store, which is the most that an interruption can cost."""

WORTH_SHARING = 0.95
"""Common beginnings are shared where at most this share of the tokens is left; else the attention mask that
sharing needs costs more than it saves."""

Ids = tuple[int, ...]
Values = dict[tuple[str, str], Float32[np.ndarray, "layer row width"]]
"""(kind of site, position) -> `[layer, row, width]` float32."""


@dataclass(frozen=True)
class _Selection:
    """The tokens of one text that are read."""

    key: str
    tokens: tuple[int, ...]
    every: bool
    """Whether each token is a row of its own; otherwise their mean is one row."""


class _Result:
    """The arrays of a result. They are allocated once, and rows are put where they belong as they arrive."""

    def __init__(self, rows: Sequence[Rendered], sites: Mapping[str, list[Site]], positions: Sequence[str]):
        self.sites = sites
        self.values: Values = {}
        self.n_rows: dict[str, int] = {}
        self.places: dict[str, list[tuple[str, int]]] = {}  # row key -> (position, first row)
        self.selections: dict[Ids, dict[str, _Selection]] = {}  # token ids -> key -> selection
        for position in positions:
            count = 0
            for row in rows:
                selection = _selection(row, position)
                self.selections.setdefault(row.ids, {})[selection.key] = selection
                self.places.setdefault(selection.key, []).append((position, count))
                count += len(selection.tokens) if selection.every else 1
            self.n_rows[position] = count

    def put(self, key: str, kind: str, layer: int, array: Float[np.ndarray, "row width"]) -> None:
        """Put the rows of one selection at one site, `array` `[row, width]`, where they belong."""
        for position, start in self.places[key]:
            if (kind, position) not in self.values:
                shape = (len(self.sites[kind]), self.n_rows[position], array.shape[1])
                self.values[kind, position] = np.empty(shape, dtype=np.float32)
            self.values[kind, position][layer, start : start + len(array)] = array

    def rows_of(self, keys: Sequence[str], kind: str, layer: int) -> Float32[np.ndarray, "key width"]:
        """The rows of selections that are one row each, `[key, width]`."""
        return np.stack(
            [self.values[kind, p][layer, start] for p, start in (self.places[k][0] for k in keys)]
        )


def _selection(row: Rendered, position: str) -> _Selection:
    every, tokens = position == "all", row.reads[position]
    return _Selection(json_digest([every, row.ids, tokens]), tokens, every)


def read_rows(
    model: Callable[[], PackedModel],
    rows: Sequence[Rendered],
    sites: Mapping[str, list[Site]],
    positions: Sequence[str],
    *,
    shelf: Shelf | None = None,
    batch_tokens: int | None = None,
    label: str | None = None,
) -> Values:
    """The activations of rendered texts at several sites and positions, in the order of `rows`.

    Parameters
    ----------
    model : a function that returns the model; it is called only when there is something to compute.
    sites : kind of site -> its sites.
    shelf : where rows are looked up and kept; None keeps none.
    batch_tokens : the number of tokens of one forward, padding included.
    label : the name of the work on the progress bar; None shows no bar.
    """
    result = _Result(rows, sites, positions)
    flat = {site: (kind, i) for kind, group in sites.items() for i, site in enumerate(group)}
    single = {r.key for selections in result.selections.values() for r in selections.values() if not r.every}
    stored: list[str] = []
    if shelf is not None:
        stored = sorted(single - shelf.missing(single, list(flat)))
    for site, arrays in shelf.read(stored, list(flat)).items() if shelf is not None and stored else ():
        for key, array in zip(stored, arrays, strict=True):
            result.put(key, *flat[site], array[None])
    stored_keys = set(stored)
    todo = {
        ids: [r for r in selections.values() if r.key not in stored_keys]
        for ids, selections in result.selections.items()
        if any(r.key not in stored_keys for r in selections.values())
    }
    pending: list[str] = []

    def flush() -> None:
        if shelf is not None and pending:
            shelf.write(pending, {site: result.rows_of(pending, *place) for site, place in flat.items()})
        pending.clear()

    with tqdm(
        total=len(todo), desc=label, unit="text", disable=label is None or not todo, leave=False
    ) as bar:
        for rows_of_texts in _batches(model, list(todo), batch_tokens):
            texts = [ids for row in rows_of_texts for ids in row]
            for site, parts in _read_batch(model(), rows_of_texts, todo, list(flat)).items():
                for key, array in parts.items():
                    result.put(key, *flat[site], array)
            pending += [r.key for ids in texts for r in todo[ids] if not r.every]
            bar.update(len(texts))
            if len(pending) >= ROWS_PER_SHARD:
                flush()
    flush()
    return result.values


def _batches(
    model: Callable[[], PackedModel], texts: Sequence[Ids], batch_tokens: int | None
) -> Iterator[list[list[Ids]]]:
    """Batches of rows; a row is one text, or several that begin alike.

    Rows of similar length are put together, as many as fit the budget with their padding. The longest come
    first, so that a lack of memory shows at once and not at the end of a long run.
    """
    if not texts:
        return
    rows = [[ids] for ids in texts]
    shared = shared_rows(texts)
    sizes = [len(Trie.of(row).ids) for row in shared]
    saves = sum(sizes) <= WORTH_SHARING * sum(map(len, texts))
    if saves and model().can_pack(max(map(len, texts))):
        rows = shared
    else:
        sizes = [len(ids) for ids in texts]
    if batch_tokens is None:
        batch_tokens = CPU_TOKENS if model().device.type == "cpu" else TOKEN_BUDGET
    for chosen in batches_by_length(sizes, batch_tokens):
        yield [rows[i] for i in chosen]


def _read_batch(
    model: PackedModel,
    rows: Sequence[Sequence[Ids]],
    todo: Mapping[Ids, list[_Selection]],
    sites: Sequence[Site],
) -> dict[Site, dict[str, np.ndarray]]:
    """The activations of one batch: site -> key of a selection -> `[row, width]`."""
    tries = [Trie.of(row) for row in rows]
    selections = [
        (i, [path[t] for t in r.tokens], r)
        for i, (row, trie) in enumerate(zip(rows, tries, strict=True))
        for ids, path in zip(row, trie.paths, strict=True)
        for r in todo[ids]
    ]
    # Several tokens of a mean go to one row of the pooled result; each token of `every` has its own.
    counts = [len(r.tokens) if r.every else 1 for _, _, r in selections]
    sizes = [n for _, _, r in selections for n in ([1] * len(r.tokens) if r.every else [len(r.tokens)])]
    width = max(len(trie.ids) for trie in tries)
    tokens = torch.tensor([i * width + t for i, path, _ in selections for t in path])
    starts = torch.tensor([0, *np.cumsum(sizes)[:-1]])
    means = max(sizes) > 1

    def pool(values: torch.Tensor, batch: TokenBatch) -> torch.Tensor:
        flat, where = values.flatten(0, 1), tokens.to(values.device)
        if not means:
            return flat.index_select(0, where)
        return embedding_bag(where, flat.float(), starts.to(values.device), mode="mean")

    with torch.inference_mode():
        if all(len(row) == 1 for row in rows):
            read = model.read(TokenBatch.pad([row[0] for row in rows]), sites, pool)
        else:
            read = model.read_packed(*layout(tries), sites, pool)
    return {
        site: {r.key: part.numpy() for (_, _, r), part in zip(selections, values.split(counts), strict=True)}
        for site, values in read.items()
    }
