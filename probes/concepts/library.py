"""`load_concept`: a packaged concept by name, or anything a concept can be read from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from probes.concepts.concept import Concept
from probes.concepts.files import SUFFIXES, is_saved_dataset
from probes.concepts.folder import read_folder
from probes.concepts.readers import read_dataset, read_file
from probes.concepts.records import READINGS
from probes.concepts.writing import HEADER, PAIRS
from probes.errors import ConceptError

LIBRARY = Path(__file__).parent / "library"


def list_concepts() -> list[str]:
    """The names of the concepts that come with the package.

    Example
    -------
    >>> probes.list_concepts()
    ['affordability', 'candor', 'domestic', 'fairness', 'harmlessness', 'oversight', 'privacy', 'uncertainty']
    """
    return sorted(header.parent.name for header in LIBRARY.glob(f"*/{HEADER}"))


def load_concept(source: Any) -> Concept:
    """A concept by the name of a packaged one, or from whatever a concept can be read from.

    Parameters
    ----------
    source : str, Path, table or Concept
        - the name of a packaged concept (see `list_concepts`), which goes before a folder of the same name:
          write `./name` for the folder;
        - a concept folder, or the folder that a Hugging Face dataset was saved to;
        - a file that `probes.concepts.read_file` reads (CSV, JSON, JSONL, Parquet, Inspect logs), among them
          minimal pairs: rows of `prompt`, `positive` and `negative`, or of a `good` and a `bad` sentence;
        - a polars or pandas frame, a Hugging Face dataset, an iterable of dicts, or a dict of columns;
        - a `Concept`, which is returned as it is.

        A name or folder followed by `/attribute` or `/norm` takes the pairs of that reading alone.

    Returns
    -------
    Concept
        With all its pairs. Shifted pairs, and pairs of a second reading, are not measured by default (see
        `Concept.splits` and `Concept.core`).

    Raises
    ------
    ConceptError
        Names the file, the row, the field, the value and what was expected.

    Example
    -------
    >>> probes.load_concept("affordability/attribute").name
    'affordability/attribute'
    >>> probes.load_concept([{"text": "a hat", "label": 1}, {"text": "no hat", "label": 0}])
    Concept('concept', 2 pairs, 2 examples, 0 choices)
    """
    if isinstance(source, Concept):
        return source
    if not isinstance(source, (str, Path)):
        return read_dataset(source)
    if isinstance(source, str) and source in list_concepts():
        return read_folder(LIBRARY / source)
    path = Path(source)
    if path.is_dir():
        return read_dataset(path) if is_saved_dataset(path) else read_folder(path)
    if path.is_file() and path.name == PAIRS:
        raise ConceptError(f"{path}: expected a concept: for {PAIRS}, give the folder it is in")
    if path.is_file() and path.suffix.lower() in (*SUFFIXES, ".eval"):
        return read_file(path)
    if path.is_file():
        raise ConceptError(
            f"{path}: expected a concept folder ({HEADER} and {PAIRS}) or a file ending in "
            f"{', '.join((*SUFFIXES, '.eval'))}"
        )
    whole, _, reading = str(source).rpartition("/")
    if whole and reading in READINGS:
        return load_concept(whole).read_as(reading)
    raise ConceptError(
        f"no concept {str(source)!r}: expected a packaged one ({', '.join(list_concepts())}) or a path that "
        "exists"
    )
