"""Reading a concept from its folder; error messages name the file and the row."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from probes.concepts.concept import Concept
from probes.concepts.files import read_jsonl, read_text
from probes.concepts.header import Header
from probes.concepts.records import ChoiceItem, Example, first_repeat
from probes.concepts.writing import CHOICES, HEADER, PAIRS
from probes.errors import ConceptError


def read_folder(path: str | Path) -> Concept:
    """The concept in a folder of `concept.toml`, `pairs.jsonl` and, where there is one, `choices.jsonl`.

    Parameters
    ----------
    path : str or Path
        The folder.

    Raises
    ------
    ConceptError
        Names the file, the row, the field, the value and what was expected.

    Example
    -------
    >>> read_folder(concept.to_folder(folder / "prices")) == concept
    True
    """
    folder = Path(path)
    header = _read_header(folder)
    examples = _read_rows(folder / PAIRS, Example)
    choices = _read_rows(folder / CHOICES, ChoiceItem) if (folder / CHOICES).exists() else ()
    try:
        return Concept(
            name=header.name,
            definition=header.definition,
            clause=header.clause,
            examples=examples,
            choices=choices,
            meta=header.meta,
        )
    except ConceptError as error:
        raise ConceptError(f"{folder}: {error}") from None


def read_choices(path: str | Path) -> tuple[ChoiceItem, ...]:
    """The choice items of a file in the format of `choices.jsonl`, one JSON object a line.

    Parameters
    ----------
    path : str or Path
        The file.

    Raises
    ------
    ConceptError
        Names the file, the row, the field, the value and what was expected; also for a file without rows
        and for an id that two rows share.

    Example
    -------
    >>> file = folder / "items.jsonl"
    >>> _ = file.write_text('{"id": "c1", "prompt": "To wear?", "positive": "jeans", "negative": "mink"}')
    >>> read_choices(file)[0].answer("positive")
    'Jeans'
    """
    items = _read_rows(Path(path), ChoiceItem)
    if not items:
        raise ConceptError(f"{path}: holds no choice items: expected one JSON object a line")
    if repeat := first_repeat(item.id for item in items):
        row, earlier = repeat
        raise ConceptError(f"{path}, row {row}, field 'id': {items[row - 1].id!r} is also in row {earlier}")
    return items


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


def _read_rows(path: Path, kind: type[Any]) -> tuple[Any, ...]:
    records = []
    for number, row in enumerate(read_jsonl(path), 1):
        try:
            records.append(kind(**row))
        except ConceptError as error:
            raise ConceptError(f"{path}, row {number}: {error}") from None
    return tuple(records)
