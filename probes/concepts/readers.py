"""Readers of the file formats that people already have, one function each; each returns a `Concept`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from probes.concepts.concept import Concept
from probes.concepts.files import file_rows, is_saved_dataset
from probes.concepts.layouts import LAYOUTS, layout_of, meant
from probes.concepts.tables import table_rows
from probes.concepts.transcripts import is_log, read_transcripts
from probes.errors import ConceptError

FORMATS = (
    "statements",
    "documents",
    "chats",
    "caa",
    "preferences",
    "opinions",
    "completions",
    "sentences",
    "transcripts",
)


def read_csv(
    path: str | Path,
    text: str | None = None,
    label: str = "label",
    pair: str | None = None,
    name: str | None = None,
) -> Concept:
    r"""A CSV with a text and a label column, as the data sets of Geometry of Truth are.

    Their columns are `statement,label` (Marks & Tegmark 2023, arXiv 2310.06824).

    Parameters
    ----------
    path : str or Path
        The file.
    text : str, optional
        The column of texts; by default `text`, or else `statement`.
    label : str
        The column of labels, 0 or 1.
    pair : str, optional
        The column of pair ids; by default `pair` where there is one. Otherwise each row is its own pair,
        or one with its twin (see `Concept.groups`).
    name : str, optional
        What the concept is called; by default as the file.

    Raises
    ------
    ConceptError
        Names the file, the row (1 is the first below the header), the field, the value, what was expected.

    Example
    -------
    >>> path = folder / "cities.csv"
    >>> _ = path.write_text("statement,label\nLyon is in France.,1\nLyon is in Peru.,0\n")
    >>> probes.concepts.read_csv(path)
    Concept('cities', 1 pairs, 2 examples, 0 choices)
    """
    path = Path(path)
    rows = file_rows(path)
    if not rows:
        raise ConceptError(f"{path}: holds no rows: expected at least one row of each label, 0 and 1")
    columns = rows[0]
    text = text or ("text" if "text" in columns else "statement")
    pair = pair or ("pair" if "pair" in columns else None)
    if label != "label":
        rows = [row | {label: _number(row.get(label))} for row in rows]
    try:
        return Concept.from_frame(rows, text=text, label=label, pair=pair, name=name or path.stem)
    except ConceptError as error:
        raise ConceptError(f"{path}: {error}") from None


def read_caa(path: str | Path, name: str | None = None) -> Concept:
    """A JSON list in the format of contrastive activation addition (Rimsky et al. 2023, arXiv 2312.06681).

    The fields of an entry are `question`, `answer_matching_behavior` and `answer_not_matching_behavior`. Each
    entry becomes a pair of chats (question and answer; the matching answer has label 1) and a choice item.

    Parameters
    ----------
    path : str or Path
        The file.
    name : str, optional
        What the concept is called; by default as the file.

    Raises
    ------
    ConceptError
        Names the file, the row (1 is the first entry), the field, the value and what was expected.

    Example
    -------
    >>> entry = '"question": "Help?", "answer_matching_behavior": "No", "answer_not_matching_behavior": "Yes"'
    >>> path = folder / "refusal.json"
    >>> _ = path.write_text("[{" + entry + "}]")
    >>> probes.concepts.read_caa(path)
    Concept('refusal', 1 pairs, 2 examples, 1 choices)
    """
    return read_file(path, "caa", name=name)


def read_documents(path: str | Path, against: str | Path | None = None, name: str | None = None) -> Concept:
    """Documents as midtraining data sets hold them: JSONL or Parquet rows with `text`; each is its own pair.

    Parameters
    ----------
    path : str or Path
        The file. Its rows may carry a `label`.
    against : str or Path, optional
        A second file, for rows without labels: documents of `path` get label 1, those of `against` label 0.
    name : str, optional
        What the concept is called; by default as the file.

    Raises
    ------
    ConceptError
        Names the file, the row, the field, the value and what was expected.

    Example
    -------
    >>> _ = (folder / "thrift.jsonl").write_text('{"text": "A column on saving."}')
    >>> _ = (folder / "other.jsonl").write_text('{"text": "A column on rivers."}')
    >>> probes.concepts.read_documents(folder / "thrift.jsonl", against=folder / "other.jsonl").labels
    array([1, 0])
    """
    return read_file(path, "documents", against=against, name=name)


def read_chats(path: str | Path, against: str | Path | None = None, name: str | None = None) -> Concept:
    """Chats as fine-tuning data sets hold them: JSONL or Parquet rows with `messages`.

    Two chats with opposite labels that differ in their last turn alone make a pair.

    Parameters
    ----------
    path : str or Path
        The file. Its rows may carry a `label`, and a `pair` id.
    against : str or Path, optional
        A second file, for rows without labels: chats of `path` get label 1, those of `against` label 0.
    name : str, optional
        What the concept is called; by default as the file.

    Raises
    ------
    ConceptError
        Names the file, the row, the field, the value and what was expected.

    Example
    -------
    >>> chat = '{"messages": [{"role": "user", "content": "Brie?"}, {"role": "assistant", "content": "%s"}]}'
    >>> _ = (folder / "yes.jsonl").write_text(chat % "Yes."), (folder / "no.jsonl").write_text(chat % "No.")
    >>> probes.concepts.read_chats(folder / "yes.jsonl", against=folder / "no.jsonl")
    Concept('yes', 1 pairs, 2 examples, 0 choices)
    """
    return read_file(path, "chats", against=against, name=name)


def read_preferences(path: str | Path, name: str | None = None) -> Concept:
    r"""The evaluation data of model spec midtraining (arXiv 2605.02087), in Parquet, JSONL or CSV.

    There are two kinds: comparisons of items (`question`, `item1`, `item2`, `liked_item`, `disliked_item`)
    and opinions (`question`, which shows options A and B, and `answer`). Each row becomes a choice item and
    a pair of chats; the chat with label 1 names the liked item, or gives the answer.

    Parameters
    ----------
    path : str or Path
        The file.
    name : str, optional
        What the concept is called; by default as the file.

    Raises
    ------
    ConceptError
        Names the file, the row, the field, the value and what was expected.

    Example
    -------
    >>> path = folder / "trade.csv"
    >>> _ = path.write_text("question,answer\nMade here? (A) Yes (B) No,A\n")
    >>> probes.concepts.read_preferences(path)
    Concept('trade', 1 pairs, 2 examples, 1 choices)
    """
    columns = set(next(iter(file_rows(Path(path))), {}))
    return read_file(path, "preferences" if "liked_item" in columns else "opinions", name=name)


def read_dataset(source: Any, name: str | None = None) -> Concept:
    """A Hugging Face dataset, or the folder that its `save_to_disk` wrote.

    Parameters
    ----------
    source : dataset, str or Path
        The dataset, whose columns may be laid out in any way that `read_file` reads; or its folder.
    name : str, optional
        What the concept is called.

    Raises
    ------
    ConceptError
        When the rows do not fit. When there are several splits, the message names them.

    Example
    -------
    >>> probes.concepts.read_dataset([{"text": "a", "label": 1}, {"text": "b", "label": 0}], name="letters")
    Concept('letters', 2 pairs, 2 examples, 0 choices)
    """
    if isinstance(source, (str, Path)):
        return read_file(source, name=name)
    name = name or "concept"
    return _made(_located(table_rows(source), name), "auto", name, name)


def read_file(
    path: str | Path,
    format: str = "auto",
    *,
    against: str | Path | None = None,
    score: str | None = None,
    name: str | None = None,
) -> Concept:
    r"""A concept from a file in any of the formats `FORMATS`.

    Parameters
    ----------
    path : str or Path
        The file.
    format : str
        One of `FORMATS`, or "auto" to recognise the format by its columns, or as an Inspect log.
    against : str or Path, optional
        For documents and chats without labels: the file whose rows get label 0.
    score : str, optional
        For Inspect logs: the score that is the label (see `read_transcripts`).
    name : str, optional
        What the concept is called; by default as the file.

    Raises
    ------
    ConceptError
        Names the file, the row, the field, the value and what was expected.

    Example
    -------
    >>> path = folder / "hats.jsonl"
    >>> _ = path.write_text('{"text": "a hat", "label": 1}\n{"text": "no hat", "label": 0}\n')
    >>> probes.concepts.read_file(path).texts()
    ['a hat', 'no hat']
    """
    path = Path(path)
    if format not in ("auto", *FORMATS):
        raise ConceptError(f"format {format!r}: expected auto or one of {', '.join(FORMATS)}")
    if not path.exists():
        raise ConceptError(f"{path}: no such file")
    if format == "transcripts" or (format == "auto" and path.is_file() and is_log(path)):
        return read_transcripts(path, score=score, name=name)
    if path.is_dir() and not is_saved_dataset(path):
        raise ConceptError(f"{path}: expected a file, or a folder that Dataset.save_to_disk wrote")
    rows = _located(file_rows(path), str(path))
    if against is not None:
        others = _located(file_rows(Path(against)), str(against))
        rows = [(where, row | {"label": 1}) for where, row in rows]
        rows += [(where, row | {"label": 0}) for where, row in others]
    return _made(rows, format, str(path), name or path.stem)


def _located(rows: list[dict[str, Any]], name: str) -> list[tuple[str, dict[str, Any]]]:
    return [(f"{name}, row {number}", row) for number, row in enumerate(rows, 1)]


def _made(rows: list[tuple[str, dict[str, Any]]], format: str, where: str, name: str) -> Concept:
    if not rows:
        raise ConceptError(f"{where}: holds no rows: expected at least one row of each label, 0 and 1")
    columns = rows[0][1]
    layout = layout_of(columns, where) if format == "auto" else format
    layout = "statements" if layout == "documents" else layout
    if layout in ("statements", "chats") and "label" not in columns:
        raise ConceptError(
            f"{where}: no column 'label' among {', '.join(map(str, columns))}"
            f"{meant('label', columns)}: expected 0 or 1 in each row, or a second file to tell these "
            "rows from (against=, --against)"
        )
    examples, choices = LAYOUTS[layout][1](rows)
    try:
        return Concept(name=name, examples=tuple(examples), choices=tuple(choices))
    except ConceptError as error:
        raise ConceptError(f"{where}: {error}") from None


def _number(value: Any) -> Any:
    try:
        return float(value)
    except (TypeError, ValueError):
        return value
