"""`load_concept`: a packaged concept by name, or anything a concept can be read from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from probes.concepts.concept import Concept
from probes.concepts.folder import HEADER, PAIRS, read_folder
from probes.concepts.readers import read_caa, read_csv
from probes.errors import ConceptError

LIBRARY = Path(__file__).parent / "library"


def list_concepts() -> list[str]:
    """Names of the packaged concepts."""
    return sorted(header.parent.name for header in LIBRARY.glob(f"*/{HEADER}"))


def load_concept(source: Any) -> Concept:
    """A concept from a packaged name, a concept folder, a CSV (`read_csv`), a CAA JSON file (`read_caa`), a
    polars or pandas frame or Hugging Face dataset with columns text and label (`Concept.from_frame`); a
    `Concept` is handed back as it is.

    A packaged name goes before a folder of the same name: write `./name` for the folder.
    Raises ConceptError: file, row, field, value, what was expected.
    """
    if isinstance(source, Concept):
        return source
    if not isinstance(source, (str, Path)):
        return Concept.from_frame(source)
    if isinstance(source, str) and source in list_concepts():
        return read_folder(LIBRARY / source)
    path = Path(source)
    if path.is_dir():
        return read_folder(path)
    if path.is_file() and path.suffix == ".csv":
        return read_csv(path)
    if path.is_file() and path.suffix == ".json":
        return read_caa(path)
    if path.is_file():
        raise ConceptError(
            f"{path}: expected a concept folder ({HEADER} and {PAIRS}), a .csv or a CAA .json; "
            "for a .jsonl, give the folder it is in"
        )
    raise ConceptError(
        f"no concept {str(source)!r}: expected a packaged one ({', '.join(list_concepts())}) or a path that "
        "exists"
    )
