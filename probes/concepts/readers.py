"""Readers for the formats people already have, one function each; all hand on a `Concept`."""

from __future__ import annotations

import io
import json
from pathlib import Path

import polars as pl

from probes.concepts.concept import Concept
from probes.concepts.folder import read_text
from probes.concepts.records import ChoiceItem, Example, Message
from probes.errors import ConceptError

CAA_FIELDS = ("question", "answer_matching_behavior", "answer_not_matching_behavior")


def read_csv(
    path: str | Path,
    text: str | None = None,
    label: str = "label",
    pair: str | None = None,
    name: str | None = None,
) -> Concept:
    """A CSV with a text and a label column, as in Geometry of Truth (`statement,label`; Marks and Tegmark,
    arXiv 2310.06824). `text=None` takes the column `text` or else `statement`; the name is the file's.

    Raises ConceptError: file, row (1 is the first below the header), field, value, what was expected.
    """
    path = Path(path)
    content = read_text(path)
    try:
        frame = pl.read_csv(io.StringIO(content), infer_schema=False)
    except pl.exceptions.PolarsError as error:
        first_line = str(error).partition("\n")[0]
        raise ConceptError(f"{path}: not a CSV table: {first_line}") from None
    if text is None:
        text = "text" if "text" in frame.columns else "statement"
    rows = [row | {label: _number(row[label])} if label in row else row for row in frame.to_dicts()]
    try:
        return Concept.from_frame(rows, text=text, label=label, pair=pair, name=name or path.stem)
    except ConceptError as error:
        raise ConceptError(f"{path}: {error}") from None


def read_caa(path: str | Path, name: str | None = None) -> Concept:
    """A JSON list in the format of contrastive activation addition (Rimsky et al., arXiv 2312.06681):
    `question`, `answer_matching_behavior`, `answer_not_matching_behavior`.

    Each item becomes a pair of chats, question and answer, the matching one labelled 1; and a choice item.
    Raises ConceptError: file, row (1 is the first item), field, value, what was expected.
    """
    path = Path(path)
    try:
        items = json.loads(read_text(path))
    except json.JSONDecodeError as error:
        raise ConceptError(
            f"{path}: not JSON at line {error.lineno} ({error.msg}): expected a list"
        ) from None
    if not isinstance(items, list):
        raise ConceptError(
            f"{path}: got a {type(items).__name__}: expected a list of items with {', '.join(CAA_FIELDS)}"
        )
    examples, choices = [], []
    for row, item in enumerate(items, 1):
        texts = []
        for field in CAA_FIELDS:
            value = item.get(field) if isinstance(item, dict) else None
            if not isinstance(value, str) or not value.strip():
                raise ConceptError(f"{path}, row {row}: field {field!r} got {value!r}: expected text")
            texts.append(value.strip())
        question, matching, other = texts
        try:
            for label, answer in ((1, matching), (0, other)):
                turns = (Message(role="user", content=question), Message(role="assistant", content=answer))
                examples.append(Example(pair=f"q{row}", label=label, messages=turns))
            choices.append(ChoiceItem(id=f"q{row}", prompt=question, positive=matching, negative=other))
        except ConceptError as error:
            raise ConceptError(f"{path}, row {row}: {error}") from None
    try:
        return Concept(name=name or path.stem, examples=tuple(examples), choices=tuple(choices))
    except ConceptError as error:
        raise ConceptError(f"{path}: {error}") from None


def _number(value: str | None) -> float | str | None:
    try:
        return float(value) if value is not None else None
    except ValueError:
        return value
