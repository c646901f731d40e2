"""The user's cache folder, and how a folder is put into it whole or not at all."""

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
    """`$PROBES_CACHE`, else `spec-probes` in the platform's cache folder."""
    if chosen := os.environ.get("PROBES_CACHE"):
        return Path(chosen).expanduser().absolute()
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "spec-probes"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local")) / "spec-probes"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "spec-probes"


@contextmanager
def new_folder(target: Path) -> Iterator[Path]:
    """A temporary folder that becomes `target` when the block ends well and disappears when it does not.

    When another process made `target` meanwhile, that one stays. Raises OutputError when the cache cannot
    be written.
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
