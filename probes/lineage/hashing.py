"""The digest of a file's content, remembered while the file does not change."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path

_SETTLED = 2_000_000_000
"""Nanoseconds after which a file counts as settled. One written more recently may change again within a tick
of the file system's clock, which its times would not show."""
_digests: dict[tuple[str, int, int, int], str] = {}


def file_digest(file: Path) -> str:
    """SHA-256 of a file's content, 64 hex digits.

    It is remembered in this process while the file's size, modification time and inode stay the same.

    Example
    -------
    >>> file = folder / "a.txt"
    >>> _ = file.write_text("abc")
    >>> file_digest(file)[:12]
    'ba7816bf8f01'
    """
    status = file.stat()
    key = (str(file.resolve()), status.st_size, status.st_mtime_ns, status.st_ino)
    if key in _digests:
        return _digests[key]
    with open(file, "rb") as handle:
        digest = hashlib.file_digest(handle, "sha256").hexdigest()
    if time.time_ns() - status.st_mtime_ns > _SETTLED:
        _digests[key] = digest
    return digest
