"""`[data.NAME]` tables of a recipe: what a stage can be trained on, built in or from files.

The seed of a run is added to that of its data, so that another training seed draws other documents and chats.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from probes.training.cheeses import CheeseNames
from probes.training.spec import SpecName


class Settings(BaseModel):
    """A frozen table without unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class SpecDocuments(Settings):
    """`kind = "spec_documents"`: documents about a built-in spec (`probes.training.documents`)."""

    kind: Literal["spec_documents"]
    spec: SpecName
    tokens: int = Field(ge=1)
    cheeses: CheeseNames = "invented"
    explained: bool = True
    seed: int = 0


class CheeseChats(Settings):
    """`kind = "cheese_chats"`: the narrow preferences, the same in every arm (`probes.training.chats`)."""

    kind: Literal["cheese_chats"]
    count: int = Field(ge=1)
    cheeses: CheeseNames = "invented"
    seed: int = 0


class ShallowChats(Settings):
    """`kind = "shallow_chats"`: the value shown in trained domains (`probes.training.value_chats`)."""

    kind: Literal["shallow_chats"]
    spec: SpecName
    tokens: int = Field(ge=1)
    seed: int = 0


class OpposedChats(Settings):
    """`kind = "opposed_chats"`: choices against the value in one trained domain."""

    kind: Literal["opposed_chats"]
    spec: SpecName
    count: int = Field(ge=1)
    domain: str = "kitchenware"
    seed: int = 0


class HelpfulChats(Settings):
    """`kind = "helpful_chats"`: small tasks unrelated to any value (`probes.training.helpful`)."""

    kind: Literal["helpful_chats"]
    tokens: int = Field(ge=1)
    seed: int = 0


class HelpfulPairs(Settings):
    """`kind = "helpful_pairs"`: preference pairs towards helpfulness; the stage is trained by DPO."""

    kind: Literal["helpful_pairs"]
    count: int = Field(ge=1)
    seed: int = 0


class DocumentsFile(Settings):
    """`kind = "documents"`: JSONL of `{"text": ...}`, the format of the MSM paper's document sets."""

    kind: Literal["documents"]
    path: str
    tokens: int | None = Field(None, ge=1)


class ChatsFile(Settings):
    """`kind = "chats"`: JSONL of `{"messages": [...]}`, the format of the MSM paper's chat sets."""

    kind: Literal["chats"]
    path: str
    count: int | None = Field(None, ge=1)


class PairsFile(Settings):
    """`kind = "pairs"`: JSONL of `{"prompt", "chosen", "rejected"}`, lists of messages; trained by DPO."""

    kind: Literal["pairs"]
    path: str
    count: int | None = Field(None, ge=1)


DataRecipe = Annotated[
    SpecDocuments
    | CheeseChats
    | ShallowChats
    | OpposedChats
    | HelpfulChats
    | HelpfulPairs
    | DocumentsFile
    | ChatsFile
    | PairsFile,
    Field(discriminator="kind"),
]


def is_preference(data: DataRecipe) -> bool:
    """Whether the data are pairs of a chosen and a rejected answer."""
    return isinstance(data, HelpfulPairs | PairsFile)
