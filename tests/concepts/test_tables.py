"""Concepts out of whatever people hold tables in."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import polars as pl
import pytest

import probes
from probes.concepts import (
    Concept,
    load_concept,
)
from probes.errors import ConceptError

COLUMNS = {
    "statement": ["one", "two", "three"],
    "truth": [1, 0, 1],
    "domain": ["a", None, "b"],
    "source": [1, 2, 3],
}


class Dataset:
    """Stands for a Hugging Face dataset: rows by iteration."""

    def __iter__(self):
        return (dict(zip(COLUMNS, row, strict=True)) for row in zip(*COLUMNS.values(), strict=True))


TABLES = {
    "polars": pl.DataFrame(COLUMNS),
    "pandas": pd.DataFrame(COLUMNS),
    "dataset": Dataset(),
    "to_pandas": SimpleNamespace(to_pandas=lambda: pd.DataFrame(COLUMNS)),
    "rows": list(Dataset()),
}


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_from_any_table(table):
    concept = Concept.from_frame(table, text="statement", label="truth", name="facts")
    assert concept.name == "facts"
    assert concept.texts() == ["one", "two", "three"]
    assert concept.labels.tolist() == [1, 0, 1]
    assert concept.groups.tolist() == ["row1", "row2", "row3"]
    assert [e.domain for e in concept.examples] == ["a", None, "b"]


def test_table_with_pairs_and_refusals():
    frame = pd.DataFrame({"text": list("abcd"), "label": np.array([1, 0, 1.0, 0]), "scene": [7, 7, 8, 8]})
    assert Concept.from_frame(frame, pair="scene").groups.tolist() == ["7", "7", "8", "8"]
    assert load_concept(frame).n_pairs == 4
    with pytest.raises(ConceptError, match=r"concept, row 3: field 'label' got None: expected 0 or 1"):
        Concept.from_frame(frame.assign(label=[1, 0, np.nan, 0]))
    with pytest.raises(ConceptError, match="concept, row 2: field 'text' is empty"):
        Concept.from_frame(frame.assign(text=["a", None, "c", "d"]))
    with pytest.raises(
        ConceptError, match="no column 'statement': the table has text, label, scene; name the"
    ):
        Concept.from_frame(frame, text="statement")
    with pytest.raises(ConceptError, match="pairs row 3, field 'pair': '7' already has label 1 in row 1"):
        Concept.from_frame(frame.assign(scene=7), pair="scene")
    with pytest.raises(ConceptError, match="got a dict with train, test: expected one table"):
        Concept.from_frame({"train": frame, "test": frame})
    with pytest.raises(ConceptError, match="row 1 is a int: expected a polars or pandas frame"):
        Concept.from_frame(3)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.tsv", "text\tlabel\na hat, cheap\t1\na hat, costly\t0\n"),
        ("a.csv", 'text,label\n"a hat, cheap",1\n\n,\n"a hat, costly",0\n\n'),
    ],
)
def test_tabs_and_blank_lines_are_read(tmp_path, name, content):
    (tmp_path / name).write_text(content)
    concept = probes.load_concept(tmp_path / name)
    assert [(e.text, e.label) for e in concept.examples] == [("a hat, cheap", 1), ("a hat, costly", 0)]


def test_a_lazy_frame_is_collected():
    frame = pl.DataFrame({"text": ["a hat", "a cap"], "label": [1, 0]})
    assert probes.Concept.from_frame(frame.lazy()).digest == probes.Concept.from_frame(frame).digest
