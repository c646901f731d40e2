"""The rows a stage is trained on: its data, encoded, cut to size, with neutral replay mixed in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from probes.training.chats import cheese_chats
from probes.training.data import (
    ChatsFile,
    CheeseChats,
    DataRecipe,
    DocumentsFile,
    HelpfulChats,
    HelpfulPairs,
    OpposedChats,
    PairsFile,
    ShallowChats,
    SpecDocuments,
)
from probes.training.documents import spec_documents
from probes.training.encode import encode
from probes.training.helpful import helpful_chats, helpful_pairs
from probes.training.readers import read_chats, read_documents, read_pairs
from probes.training.recipe import Recipe, Run
from probes.training.replay import neutral_replay
from probes.training.value_chats import opposed_chats, shallow_chats

Encoded = list[dict[str, list[int]]]


def source_rows(data: DataRecipe, folder: Path, seed: int = 0) -> Iterable[Mapping[str, Any]]:
    """The rows of one `[data.NAME]` table as the run with `seed` draws them; endless where only `tokens` end
    them. Paths start at `folder`."""
    drawn = seed + getattr(data, "seed", 0)
    match data:
        case SpecDocuments():
            return spec_documents(data.spec, drawn, data.cheeses, data.explained)
        case CheeseChats():
            return cheese_chats(data.count, drawn, data.cheeses)
        case ShallowChats():
            return shallow_chats(data.spec, drawn)
        case OpposedChats():
            return islice(opposed_chats(data.spec, data.domain, drawn), data.count)
        case HelpfulChats():
            return helpful_chats(drawn)
        case HelpfulPairs():
            return islice(helpful_pairs(drawn), data.count)
        case DocumentsFile():
            return read_documents(folder / data.path)
        case ChatsFile():
            return islice(read_chats(folder / data.path), data.count)
        case PairsFile():
            return islice(read_pairs(folder / data.path), data.count)


def encoded_rows(recipe: Recipe, run: Run, tokenizer: Any, folder: Path) -> Encoded:
    """Encoded rows of a run: its data up to the token budget, then replay up to its share of all tokens."""
    stage = recipe.stages[run.stage]
    data = recipe.data[stage.data]
    source = source_rows(data, folder, run.seed)
    rows, tokens = _upto(source, getattr(data, "tokens", None), tokenizer, stage.max_length)
    if share := replay_share(recipe, run):
        assert recipe.replay is not None
        wanted = int(tokens * share / (1 - share))
        neutral = neutral_replay(recipe.replay.seed + run.seed, chat_share=recipe.replay.chat_share)
        rows += _upto(neutral, wanted, tokenizer, stage.max_length)[0]
    return rows


def replay_share(recipe: Recipe, run: Run) -> float:
    """The share of neutral replay in a run's tokens."""
    if recipe.replay is None:
        return 0.0
    own = recipe.stages[run.stage].replay_share
    return recipe.replay.share if own is None else own


def _upto(
    source: Iterable[Mapping[str, Any]], budget: int | None, tokenizer: Any, max_length: int
) -> tuple[Encoded, int]:
    """Encoded rows from `source` until `budget` tokens are reached (None: all), and their tokens."""
    rows: Encoded = []
    tokens = 0
    for row in source:
        if budget is not None and tokens >= budget:
            break
        rows += encode(tokenizer, [row], max_length)
        tokens += len(rows[-1]["input_ids"])
    return rows, tokens
