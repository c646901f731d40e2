"""Rows out of files: JSONL, CSV, TSV, JSON lists, Parquet, and saved Hugging Face datasets."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from pathlib import Path
from typing import Any

import polars as pl

from probes.errors import ConceptError

SUFFIXES = (".csv", ".tsv", ".json", ".jsonl", ".parquet")
_SEPARATORS = {".csv": ",", ".tsv": "\t"}
SAVED = "state.json"
"""The file in which `datasets.Dataset.save_to_disk` names the Arrow files of one split."""
SAVED_SPLITS = "dataset_dict.json"
"""The file in which `datasets.DatasetDict.save_to_disk` names the splits."""


def read_text(path: Path) -> str:
    """The content of a UTF-8 file, without a byte order mark; ConceptError when it cannot be read."""
    try:
        content = path.read_bytes()
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        wide = error.object[:2] in (b"\xff\xfe", b"\xfe\xff")
        raise ConceptError(
            f"{path}: byte {error.start} is not UTF-8{' but UTF-16' * wide} (line {line}): expected UTF-8 "
            "text; save the file as UTF-8"
        ) from None
    except OSError as error:
        raise ConceptError(f"{path}: cannot be read ({error.strerror}): expected a file") from None


def read_jsonl(path: Path) -> list[dict[str, Any]]:
    """The JSON objects of a file, one a line; ConceptError with the line for anything else, even a blank."""
    rows = []
    lines = read_text(path).split("\n")
    if not lines[-1].strip():
        lines.pop()
    for number, line in enumerate(lines, 1):
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise ConceptError(
                f"{path}, row {number}: not JSON at character {error.pos + 1} ({error.msg}): "
                "expected one JSON object on each line"
            ) from None
        if not isinstance(row, dict):
            raise ConceptError(f"{path}, row {number}: got {line.strip()[:40]}: expected a JSON object")
        rows.append(row)
    return rows


def is_saved_dataset(path: Path) -> bool:
    """Whether a folder was written by `save_to_disk` of a Hugging Face dataset."""
    return (path / SAVED).is_file() or (path / SAVED_SPLITS).is_file()


def file_rows(path: Path) -> list[dict[str, Any]]:
    r"""One dict for each row of a CSV or TSV, a JSON list, a JSONL or Parquet file, or a saved Hugging Face
    dataset.

    Cells of a CSV or TSV stay text even where they look like numbers, except in the column `label`. Blank
    lines, and rows without any value, are left out and not counted. Raises ConceptError, with the file, when
    it cannot be read, is of another kind, or is a folder of several splits.

    Example
    -------
    >>> path = folder / "texts.csv"
    >>> _ = path.write_text("text,label,code\na hat,1,007\n")
    >>> file_rows(path)
    [{'text': 'a hat', 'label': 1.0, 'code': '007'}]
    """
    if path.is_dir():
        return _saved_rows(path)
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise ConceptError(f"{path}: expected a file ending in {', '.join(SUFFIXES)}")
    if suffix == ".jsonl":
        return read_jsonl(path)
    if suffix == ".json":
        return _json_rows(path)
    try:
        if separator := _SEPARATORS.get(suffix):
            content = read_text(path)
            _check_columns(content, path, separator)
            table = pl.read_csv(io.StringIO(content), infer_schema=False, separator=separator)
            rows = [row for row in table.to_dicts() if any(cell is not None for cell in row.values())]
            return [row | {"label": _number(row["label"])} if "label" in row else row for row in rows]
        return pl.read_parquet(path).to_dicts()
    except (pl.exceptions.PolarsError, OSError) as error:
        kind = suffix.removeprefix(".").upper() if suffix in _SEPARATORS else "Parquet"
        raise ConceptError(f"{path}: not a {kind} table: {str(error).partition(chr(10))[0]}") from None


def _check_columns(content: str, path: Path, separator: str) -> None:
    """Refuse a table in which two columns have one name, or whose columns are separated by something else."""
    columns = next(csv.reader(io.StringIO(content), delimiter=separator), [])
    repeated = [name for name, count in Counter(columns).items() if count > 1]
    if repeated:
        raise ConceptError(
            f"{path}: two columns are named {repeated[0]!r}: expected a name for each; rename one"
        )
    names = {",": "commas", ";": "semicolons", "\t": "tabs"}
    expected = names.pop(separator)
    for mark, name in names.items():
        if len(columns) == 1 and mark in columns[0]:
            raise ConceptError(
                f"{path}: columns are separated by {name}: expected {expected}; save it with {expected}"
            )


def _json_rows(path: Path) -> list[dict[str, Any]]:
    try:
        rows = json.loads(read_text(path))
    except json.JSONDecodeError as error:
        raise ConceptError(
            f"{path}: not JSON at line {error.lineno} ({error.msg}): expected a list"
        ) from None
    if not isinstance(rows, list):
        raise ConceptError(f"{path}: got a {type(rows).__name__}: expected a list of items")
    for number, row in enumerate(rows, 1):
        if not isinstance(row, dict):
            raise ConceptError(f"{path}, row {number}: got {str(row)[:40]}: expected a JSON object")
    return rows


def _saved_rows(path: Path) -> list[dict[str, Any]]:
    if (path / SAVED_SPLITS).is_file():
        splits = json.loads(read_text(path / SAVED_SPLITS)).get("splits", [])
        named = ", ".join(str(path / split) for split in splits)
        raise ConceptError(f"{path}: a saved dataset of several splits: give one of {named}")
    if not (path / SAVED).is_file():
        raise ConceptError(f"{path}: no {SAVED}: expected a folder that Dataset.save_to_disk wrote")
    try:
        files = [path / entry["filename"] for entry in json.loads(read_text(path / SAVED))["_data_files"]]
        return pl.concat([pl.read_ipc_stream(file) for file in files]).to_dicts()
    except (ValueError, KeyError, TypeError, OSError, pl.exceptions.PolarsError) as error:
        reason = str(error).partition("\n")[0]
        raise ConceptError(
            f"{path}: its Arrow files cannot be read ({reason}): save the dataset anew"
        ) from None


def _number(value: str | None) -> float | str | None:
    try:
        return float(value) if value is not None else None
    except ValueError:
        return value
