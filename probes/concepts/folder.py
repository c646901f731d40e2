"""A concept as a folder: `concept.toml`, `pairs.jsonl`, `choices.jsonl`; complaints name file and row."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

from probes.concepts.concept import Concept, Meta
from probes.concepts.files import read_jsonl, read_text
from probes.concepts.records import ChoiceItem, Example, Text
from probes.errors import ConceptError, OutputError

HEADER, PAIRS, CHOICES = "concept.toml", "pairs.jsonl", "choices.jsonl"


class Header(Meta):
    """What `concept.toml` may hold."""

    name: Text
    definition: str = ""
    clause: str = ""


def read_folder(path: str | Path) -> Concept:
    """The concept in the folder `path`; `choices.jsonl` may be absent.

    Raises ConceptError: file, row, field, value, what was expected.
    """
    folder = Path(path)
    header = _read_header(folder)
    examples = _read_records(folder / PAIRS, Example)
    choices = _read_records(folder / CHOICES, ChoiceItem) if (folder / CHOICES).exists() else ()
    try:
        return Concept(
            name=header.name,
            definition=header.definition,
            clause=header.clause,
            examples=examples,
            choices=choices,
            meta=Meta(**header.model_dump(include=set(Meta.model_fields))),
        )
    except ConceptError as error:
        raise ConceptError(f"{folder}: {error}") from None


def _read_header(folder: Path) -> Header:
    path = folder / HEADER
    if not path.is_file():
        raise ConceptError(
            f'{folder}: has no {HEADER}: a concept is a folder with {HEADER} (at least: name = "...") and '
            f"{PAIRS}; write one"
        )
    content = read_text(path)
    try:
        return Header(**tomllib.loads(content))
    except tomllib.TOMLDecodeError as error:
        raise ConceptError(f"{path}: not TOML: {error}") from None
    except ConceptError as error:
        raise ConceptError(f"{path}: {error}") from None


def read_choices(path: str | Path) -> tuple[ChoiceItem, ...]:
    """The choice items of a file in the format of `choices.jsonl`.

    Raises ConceptError: file, row, field, value, what was expected; also for no rows or a repeated id.
    """
    items = _read_records(Path(path), ChoiceItem)
    if not items:
        raise ConceptError(f"{path}: holds no choice items: expected one JSON object a line")
    rows: dict[str, int] = {}
    for row, item in enumerate(items, 1):
        if before := rows.get(item.id):
            raise ConceptError(f"{path}, row {row}, field 'id': {item.id!r} is also in row {before}")
        rows[item.id] = row
    return items


def _read_records(path: Path, kind: type[Any]) -> tuple[Any, ...]:
    records = []
    for number, row in enumerate(read_jsonl(path), 1):
        try:
            records.append(kind(**row))
        except ConceptError as error:
            raise ConceptError(f"{path}, row {number}: {error}") from None
    return tuple(records)


def write_folder(concept: Concept, folder: Path) -> Path:
    """What `read_folder` reads back as an equal concept. Raises OutputError instead of overwriting one."""
    if (folder / HEADER).exists():
        raise OutputError(f"{folder}: already holds a concept: choose another folder, or remove it first")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / PAIRS).write_text(_jsonl(concept.examples), encoding="utf-8", newline="\n")
        (folder / CHOICES).write_text(_jsonl(concept.choices), encoding="utf-8", newline="\n")
        (folder / HEADER).write_text(_toml(concept), encoding="utf-8", newline="\n")
    except OSError as error:
        raise OutputError(f"{folder}: cannot be written ({error.strerror}): choose another folder") from error
    return folder


def _jsonl(records: tuple[Any, ...]) -> str:
    return "".join(json.dumps(r.model_dump(exclude_none=True), ensure_ascii=False) + "\n" for r in records)


def _toml(concept: Concept) -> str:
    lines = [f"{key} = {_quoted(getattr(concept, key))}" for key in ("name", "definition", "clause")]
    lines += [f"{key} = {_quoted(getattr(concept.meta, key))}" for key in ("not_about", "licence")]
    lines += [f"{key} = {_quoted_list(getattr(concept.meta, key))}" for key in ("confounds", "sources")]
    lines += ["", "[banned_evidence_words]"]
    words = concept.meta.banned_evidence_words
    lines += [f"{split} = {_quoted_list(words[split])}" for split in words]
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    """A TOML basic string: JSON's escapes are TOML's, but for DEL, which TOML wants escaped too."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _quoted_list(texts: tuple[str, ...]) -> str:
    return f"[{', '.join(_quoted(text) for text in texts)}]"
