"""The user's cache folder, and how a folder gets into it: completely or not at all."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from probes.errors import OutputError


def cache_folder() -> Path:
    """Where this package keeps what it converts and extracts.

    Returns
    -------
    The environment variable `PROBES_CACHE` if it is set, else `spec-probes` in the platform's cache folder.

    Example
    -------
    >>> import os
    >>> from unittest.mock import patch
    >>> from probes.lineage import cache_folder
    >>> with patch.dict(os.environ, PROBES_CACHE="/data/probes"):
    ...     print(cache_folder().as_posix())
    /data/probes
    """
    if chosen := os.environ.get("PROBES_CACHE"):
        return Path(chosen).expanduser().absolute()
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "spec-probes"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local")) / "spec-probes"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "spec-probes"


@contextmanager
def new_folder(target: Path) -> Iterator[Path]:
    """A temporary folder that becomes `target` when the block ends and is deleted when the block raises.

    If another process has made `target` meanwhile, that one stays. Raises OutputError when the cache cannot
    be written.

    Example
    -------
    >>> with new_folder(folder / "made") as building:
    ...     _ = (building / "a.txt").write_text("whole")
    >>> [file.name for file in (folder / "made").iterdir()]
    ['a.txt']
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        building = Path(tempfile.mkdtemp(prefix=f".{target.name[:20]}-", dir=target.parent))
    except OSError as error:
        raise OutputError(
            f"{target.parent}: cannot write the cache: {error.strerror}; set PROBES_CACHE to a folder you own"
        ) from error
    try:
        yield building
        try:
            os.replace(building, target)
        except OSError:
            if not target.is_dir():
                raise
    finally:
        shutil.rmtree(building, ignore_errors=True)
