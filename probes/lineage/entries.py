"""One stage as its manifest describes it: what it takes to find, identify and load the stage's files.

It is separate from `Stage` so that the modules which handle files need not know `Stage`, whose methods call
them. A subset of a lineage changes who is whose parent in `Stage`; an entry always speaks of the whole
manifest.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from probes.lineage.records import AdapterCheckpoint, Checkpoint, Manifest, StageRecord


@dataclass(frozen=True, eq=False)
class Entry:
    """The stage `name` of a manifest."""

    name: str
    manifest: Manifest
    file: Path
    """The `lineage.toml`; relative paths in it start at its folder."""

    @property
    def record(self) -> StageRecord:
        """The stage's table."""
        return self.manifest.stages[self.name]

    @property
    def checkpoint(self) -> Checkpoint:
        """Where the stage's weights come from."""
        return self.record.checkpoint

    @property
    def folder(self) -> Path:
        """The manifest's folder."""
        return self.file.parent

    @property
    def parent(self) -> Entry | None:
        """The entry of the stage that this one was trained from; None for a root."""
        return None if self.record.parent is None else self.of(self.record.parent)

    @property
    def onto(self) -> Entry | None:
        """The entry of the stage that an adapter goes onto; None for full weights."""
        checkpoint = self.checkpoint
        return self.of(checkpoint.onto) if isinstance(checkpoint, AdapterCheckpoint) else None

    def of(self, name: str) -> Entry:
        """Another stage of the same manifest."""
        return Entry(name, self.manifest, self.file)

    def adapter_chain(self) -> tuple[Entry, list[Entry]]:
        """The stage with the full weights at the bottom, and the adapter stages to apply to it, in order."""
        entry, adapters = self, []
        while (below := entry.onto) is not None:
            adapters.insert(0, entry)
            entry = below
        return entry, adapters
