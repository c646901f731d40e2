"""From a stage's entry in the manifest to files on this machine: folders, the hub, wheels and GGUF files."""

from __future__ import annotations

from pathlib import Path

from probes.errors import CheckpointError
from probes.lineage.entries import Entry
from probes.lineage.gguf import converted_folder
from probes.lineage.hub import HubPart, Need, hub_folder
from probes.lineage.manifest import resolve_path
from probes.lineage.records import (
    AdapterCheckpoint,
    FolderCheckpoint,
    GgufCheckpoint,
    HubCheckpoint,
    PackageCheckpoint,
)
from probes.lineage.wheels import wheel_file


def weights_source(entry: Entry, *, allow_pickle: bool = False, trust_remote_code: bool = False) -> Path:
    """The local folder of a stage with full weights, or its GGUF file.

    Parameters
    ----------
    entry : a stage whose checkpoint is not an adapter.
    allow_pickle, trust_remote_code : what else to download from the hub, see `hub_folder`.

    Raises
    ------
    CheckpointError
        The folder or file does not exist, or it is something else.
    OfflineError
        It would have to be downloaded and cannot be.

    Example
    -------
    >>> weights_source(lineage["base"].entry).name
    'base'
    """
    match entry.checkpoint:
        case HubCheckpoint(hub=repo, revision=revision, subfolder=subfolder):
            folder = hub_folder(
                repo,
                revision,
                subfolder,
                "weights",
                allow_pickle=allow_pickle,
                trust_remote_code=trust_remote_code,
            )
            return _model_folder(entry, folder, repo)
        case FolderCheckpoint(path=path):
            return _model_folder(entry, _existing_folder(entry, resolve_path(path, entry.folder)), path)
        case GgufCheckpoint(gguf=path):
            file = resolve_path(path, entry.folder)
            if not file.is_file():
                raise CheckpointError(f"stage {entry.name}: {file}: no such file ({entry.file.name})")
            return file
        case PackageCheckpoint(package=package, gguf=inside):
            return wheel_file(package, inside)
    raise TypeError(f"stage {entry.name} holds an adapter, not weights: {entry.checkpoint}")


def weights_folder(entry: Entry, *, allow_pickle: bool = False, trust_remote_code: bool = False) -> Path:
    """`weights_source`, but a GGUF file is converted and the folder with the result is returned."""
    source = weights_source(entry, allow_pickle=allow_pickle, trust_remote_code=trust_remote_code)
    return converted_folder(source) if source.is_file() else source


def adapter_folder(entry: Entry, *, allow_pickle: bool = False) -> Path:
    """The local folder with the files of an adapter stage. Raises as `weights_source` does."""
    checkpoint = entry.checkpoint
    if not isinstance(checkpoint, AdapterCheckpoint):
        raise TypeError(f"stage {entry.name} holds weights, not an adapter: {checkpoint}")
    folder = folder_or_hub(
        entry,
        checkpoint.adapter,
        checkpoint.revision,
        checkpoint.subfolder,
        "adapter",
        allow_pickle=allow_pickle,
    )
    if not (folder / "adapter_config.json").is_file():
        raise CheckpointError(
            f"stage {entry.name}: {folder} has no adapter_config.json: expected a PEFT adapter folder"
        )
    return folder


def folder_or_hub(
    entry: Entry,
    text: str,
    revision: str | None,
    subfolder: str | None,
    need: Need,
    *,
    allow_pickle: bool = False,
) -> Path:
    """The folder that `text` names, if `is_local` says that it means one; otherwise `hub_folder`."""
    if is_local(entry, text, revision):
        return _existing_folder(entry, resolve_path(text, entry.folder) / (subfolder or ""))
    return hub_folder(text, revision, subfolder, need, allow_pickle=allow_pickle)


def is_local(entry: Entry, text: str, revision: str | None) -> bool:
    """Whether the text of an adapter or tokenizer means a folder and not a repository on the hub.

    It does if the folder exists, if its first part does, or if the text does not look like org/name. With a
    revision it always means the hub.
    """
    if text.count("/") != 1 or text.startswith((".", "~", "/")):
        return True
    return revision is None and (
        resolve_path(text, entry.folder).is_dir() or (entry.folder / Path(text).parts[0]).exists()
    )


def hub_parts(entry: Entry) -> list[HubPart]:
    """All that loading a stage takes from the hub: the weights under it, adapters, a tokenizer of its own.

    Example
    -------
    >>> hub_parts(lineage["mid"].entry)  # everything lies in folders
    []
    """
    base, adapters = entry.adapter_chain()
    parts = []
    for link in (base, *adapters):
        match link.checkpoint:
            case HubCheckpoint(hub=repo, revision=revision, subfolder=subfolder):
                parts.append(HubPart(repo, revision, subfolder, "weights"))
            case AdapterCheckpoint(adapter=repo, revision=revision, subfolder=subfolder):
                if not is_local(link, repo, revision):
                    parts.append(HubPart(repo, revision, subfolder, "adapter"))
    reader = entry
    while reader.record.tokenizer == "parent" and (parent := reader.parent) is not None:
        reader = parent
    wish = reader.record.tokenizer
    if wish is not None and wish not in ("own", "parent") and not is_local(reader, wish, None):
        parts.append(HubPart(wish, None, None, "tokenizer"))
    elif reader is not entry and isinstance(reader.checkpoint, HubCheckpoint):
        source = reader.checkpoint
        parts.append(HubPart(source.hub, source.revision, source.subfolder, "tokenizer"))
    return parts


def _model_folder(entry: Entry, folder: Path, written: str) -> Path:
    """`folder`, unless it holds an adapter: transformers would then download the base model that it names."""
    if (folder / "adapter_config.json").is_file():
        raise CheckpointError(
            f"stage {entry.name}: {folder} is a PEFT adapter; write "
            f'checkpoint = {{ adapter = "{written}", onto = "STAGE" }}'
        )
    if not (folder / "config.json").is_file():
        raise CheckpointError(
            f"stage {entry.name}: {folder} has no config.json: expected a Hugging Face model folder"
        )
    return folder


def _existing_folder(entry: Entry, path: Path) -> Path:
    if not path.is_dir():
        raise CheckpointError(f"stage {entry.name}: {path}: no such folder ({entry.file.name})")
    return path
