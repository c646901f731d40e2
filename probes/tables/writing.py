"""Writing results: whole or not at all, and refused before hours of work instead of after."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import polars as pl

from probes.errors import InputError, OutputError

TABLE_FORMATS = (".parquet", ".csv", ".json")


def check_folder(folder: str | Path) -> Path:
    """Make `folder` and prove that files can be written in it; raises OutputError."""
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise OutputError(
            f"the output folder {folder} cannot be written ({error.strerror}): give another with --out"
        ) from None
    return folder


@contextmanager
def written_atomically(path: str | Path) -> Iterator[Path]:
    """A temporary path beside `path` that becomes `path` when the block ends well, else goes away."""
    path = Path(path)
    check_folder(path.parent)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-", suffix=path.suffix)
    os.close(handle)
    try:
        yield Path(temporary)
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())  # a power cut must not leave the name without the content
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(temporary, 0o666 & ~umask)
        os.replace(temporary, path)
    finally:
        Path(temporary).unlink(missing_ok=True)


def write_bytes(path: str | Path, content: bytes) -> Path:
    """Write a file whole or not at all; its path. Raises OutputError."""
    with written_atomically(path) as temporary:
        temporary.write_bytes(content)
    return Path(path)


def write_table(table: pl.DataFrame, path: str | Path) -> None:
    """Write a table as .parquet, .csv or .json, by the ending of `path`.

    Raises InputError for another ending, OutputError when it cannot be written.
    """
    suffix = check_table_path(path)
    with written_atomically(path) as temporary:
        if suffix == ".parquet":
            table.write_parquet(temporary)
        elif suffix == ".csv":
            table.write_csv(temporary)
        else:
            temporary.write_text(table.write_json())


def check_table_path(path: str | Path) -> str:
    """The ending of `path`, which must be one that tables are written in; raises InputError, OutputError."""
    path = Path(path)
    if path.suffix not in TABLE_FORMATS:
        raise InputError(
            f"{path}: tables are written as {', '.join(TABLE_FORMATS)}, got {path.suffix or 'no ending'!r}"
        )
    check_folder(path.parent)
    return path.suffix
