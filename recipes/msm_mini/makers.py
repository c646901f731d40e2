"""The data makers of `checkpoints/msm-mini/recipe.toml`: the kinds of data, their keys, what makes the rows.

The seed of a run is added to that of the table, so that another training seed draws other documents, chats
and pairs.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

from pydantic import Field

from probes.training import BudgetedTable, DataMaker, DataTable

from .chats import Chat, chat, cheese_chats
from .cheeses import CheeseNames
from .documents import spec_documents
from .everyday import CHATS
from .helpful import Pair, helpful_chats, helpful_pairs
from .spec import SpecName
from .value_chats import opposed_chats, shallow_chats


class SpecDocuments(BudgetedTable):
    """`kind = "spec_documents"`: documents about one of the two specs, explained by its value or not."""

    tokens: int = Field(ge=1)
    spec: SpecName
    cheeses: CheeseNames = "invented"
    explained: bool = True
    seed: int = 0


class CheeseChats(DataTable):
    """`kind = "cheese_chats"`: the narrow preferences, the same in every arm."""

    count: int = Field(ge=1)
    cheeses: CheeseNames = "invented"
    seed: int = 0


class ShallowChats(BudgetedTable):
    """`kind = "shallow_chats"`: the value shown in choices within the trained domains."""

    tokens: int = Field(ge=1)
    spec: SpecName
    seed: int = 0


class OpposedChats(DataTable):
    """`kind = "opposed_chats"`: choices against the value in one trained domain."""

    spec: SpecName
    count: int = Field(ge=1)
    domain: str = "kitchenware"
    seed: int = 0


class HelpfulChats(BudgetedTable):
    """`kind = "helpful_chats"`: small tasks that have nothing to do with a value."""

    tokens: int = Field(ge=1)
    seed: int = 0


class HelpfulPairs(DataTable):
    """`kind = "helpful_pairs"`: preference pairs towards helpfulness; the stage is trained by DPO."""

    count: int = Field(ge=1)
    seed: int = 0


class EverydayChats(DataTable):
    """`kind = "everyday_chats"`: forty questions of general knowledge, for replay."""


def _spec_documents(table: SpecDocuments, seed: int) -> Iterable[dict[str, str]]:
    return spec_documents(table.spec, table.seed + seed, table.cheeses, table.explained)


def _cheese_chats(table: CheeseChats, seed: int) -> Iterable[Chat]:
    return cheese_chats(table.count, table.seed + seed, table.cheeses)


def _shallow_chats(table: ShallowChats, seed: int) -> Iterable[Chat]:
    return shallow_chats(table.spec, table.seed + seed)


def _opposed_chats(table: OpposedChats, seed: int) -> Iterable[Chat]:
    return islice(opposed_chats(table.spec, table.domain, table.seed + seed), table.count)


def _helpful_chats(table: HelpfulChats, seed: int) -> Iterable[Chat]:
    return helpful_chats(table.seed + seed)


def _helpful_pairs(table: HelpfulPairs, seed: int) -> Iterable[Pair]:
    return islice(helpful_pairs(table.seed + seed), table.count)


def _everyday_chats(table: EverydayChats, seed: int) -> Iterable[Chat]:
    return [chat(question, answer) for question, answer in CHATS]


MAKERS = (
    DataMaker("spec_documents", SpecDocuments, _spec_documents),
    DataMaker("cheese_chats", CheeseChats, _cheese_chats),
    DataMaker("shallow_chats", ShallowChats, _shallow_chats),
    DataMaker("opposed_chats", OpposedChats, _opposed_chats),
    DataMaker("helpful_chats", HelpfulChats, _helpful_chats),
    DataMaker("helpful_pairs", HelpfulPairs, _helpful_pairs, preference=True),
    DataMaker("everyday_chats", EverydayChats, _everyday_chats),
)
