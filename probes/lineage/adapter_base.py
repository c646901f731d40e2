"""Whether an adapter says itself that it was trained on other weights than the manifest's `onto`."""

from __future__ import annotations

from pathlib import Path

from probes.errors import ProbesError
from probes.lineage.adapters import adapter_config
from probes.lineage.entries import Entry
from probes.lineage.equality import equal_folders
from probes.lineage.manifest import resolve_path
from probes.lineage.records import (
    AdapterCheckpoint,
    FolderCheckpoint,
    GgufCheckpoint,
    HubCheckpoint,
    PackageCheckpoint,
)
from probes.lineage.sources import adapter_folder


def other_base(entry: Entry) -> str | None:
    """How the base in an adapter's config differs from the stage it goes onto; None if it does not.

    The config may name the stage itself or any stage below it, by the hub, by a folder (also one that holds
    equal weights) or by the last part of its name. A config without a name says nothing.

    Example
    -------
    >>> other_base(lineage["mid"].entry) is None
    True
    """
    onto = entry.onto
    if onto is None:
        return None
    config = adapter_config(adapter_folder(entry, allow_pickle=True), f"stage {entry.name}")
    name = str(config.base_model_name_or_path or "").rstrip("/")
    if not name:
        return None
    base, adapters = onto.adapter_chain()
    below = [base, *adapters]
    called = [link for link in below if _is_called(link, name)]
    if called:
        revision = getattr(config, "revision", None)
        own = getattr(called[0].checkpoint, "revision", None)
        if not revision or not own or revision == own:
            return None
        return (
            f"adapter_config.json says that it was trained on revision {revision} of {name}, but it goes "
            f"onto stage {onto.name}, which is revision {own}"
        )
    others = [other for stage in entry.manifest.stages if _is_called(other := entry.of(stage), name)]
    where = f" (stage {others[0].name})" if others and others[0].name != entry.name else ""
    return (
        f"adapter_config.json says that it was trained on {name}{where}, but it goes onto stage {onto.name} "
        f"({onto.checkpoint}): set onto to the stage that it was trained on"
    )


def _is_called(entry: Entry, name: str) -> bool:
    """Whether `name`, a path or an id on the hub, means the weights of a stage."""
    last = name.replace("\\", "/").rsplit("/", 1)[-1].lower()
    match entry.checkpoint:
        case FolderCheckpoint(path=path):
            own = resolve_path(path, entry.folder)
            return _same_folder(own, name, last)
        case AdapterCheckpoint(adapter=path):
            return resolve_path(path, entry.folder).name.lower() == last
        case HubCheckpoint(hub=repo):
            return repo.lower() == name.lower() or repo.rsplit("/", 1)[-1].lower() == last
        case GgufCheckpoint(gguf=file) | PackageCheckpoint(gguf=file):
            return Path(file).name.lower().startswith(last.removesuffix(".gguf"))
    return False


def _same_folder(own: Path, name: str, last: str) -> bool:
    given = Path(name).expanduser()
    if not (given.is_absolute() and given.is_dir()):
        return own.name.lower() == last
    if given.resolve() == own.resolve():
        return True
    try:
        return equal_folders(own, given)
    except (ProbesError, OSError):
        return False
