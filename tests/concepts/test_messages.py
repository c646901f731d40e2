"""What people hand over is accepted where its meaning is clear, and else refused in one line."""

import re
from pathlib import Path

import numpy as np
import pytest

from probes.concepts import Concept, load_concept
from probes.errors import ConceptError


def written(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize(
    "table",
    [
        {"text": ["a hat", "no hat"], "label": [1, 0]},
        {"text": ("a hat", "no hat"), "label": np.array([1, 0])},
        {"text": np.array(["a hat", "no hat"]), "label": np.array([True, False])},
        [{"text": "a hat", "label": "1"}, {"text": "no hat", "label": "0"}],
        [{"text": "a hat", "label": "True"}, {"text": "no hat", "label": "false"}],
        [{"text": "a hat", "label": 1.0}, {"text": "no hat", "label": np.int8(0)}],
    ],
)
def test_tables_that_are_accepted(table):
    for concept in (load_concept(table), Concept.from_frame(table)):
        assert concept.texts() == ["a hat", "no hat"]
        assert concept.labels.tolist() == [1, 0]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", "\ufefftext,label\na hat,1\nno hat,0\n"),
        ("a.csv", "text,label\r\na hat,true\r\nno hat,FALSE\r\n"),
        ("A.CSV", "text,label\na hat,1\nno hat,0\n"),
        ("a.jsonl", '\ufeff{"text": "a hat", "label": 1}\n{"text": "no hat", "label": 0}\n'),
        ("a.json", '\ufeff[{"text": "a hat", "label": 1}, {"text": "no hat", "label": 0}]'),
    ],
)
def test_files_that_are_accepted(tmp_path, name, content):
    concept = load_concept(written(tmp_path, name, content))
    assert concept.texts() == ["a hat", "no hat"]
    assert concept.labels.tolist() == [1, 0]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", "text,label\n", "holds no rows: expected at least one row of each label, 0 and 1"),
        ("a.jsonl", "", "holds no rows"),
        ("a.json", "[]", "holds no rows"),
        ("a.csv", "", "not a CSV table: empty CSV"),
        ("a.csv", "text,text,label\na,b,1\n", "two columns are named 'text'"),
        ("a.csv", "text;label\na hat;1\n", "columns are separated by semicolons: expected commas"),
        ("a.csv", "text\tlabel\na hat\t1\n", "columns are separated by tabs: expected commas"),
        ("a.tsv", "text,label\na hat,1\n", "columns are separated by commas: expected tabs"),
        ("a.csv", "text,lable\na hat,1\n", "is 'lable' meant to be 'label'?"),
        ("a.csv", "Text,label\na hat,1\n", "is 'Text' meant to be 'text'?"),
        ("a.csv", "text, label\na hat,1\n", "is ' label' meant to be 'label'?"),
        (
            "a.jsonl",
            '{"text": "a", "label": 1}\n{"txt": "b", "label": 0}\n',
            "row 2: field 'text' is missing",
        ),
        ("a.csv", "text,label\na hat,yes\n", "row 1: field 'label' got 'yes': expected 0 or 1"),
        ("a.csv", "text,label\na hat,0.5\n", "row 1: field 'label' got 0.5: expected 0 or 1"),
        ("a.csv", "text,label\na hat,\n", "row 1: field 'label' got None: expected 0 or 1"),
        (
            "a.csv",
            "text,label\ncaf\u00e9,1\n".encode("latin-1"),
            "byte 14 is not UTF-8 (line 2): expected",
        ),
        ("a.csv", "text,label\na hat,1\n".encode("utf-16"), "is not UTF-8 but UTF-16"),
    ],
)
def test_files_that_are_refused_in_one_line(tmp_path, name, content, message):
    path = written(tmp_path, name, content)
    with pytest.raises(ConceptError, match=re.escape(message)) as refusal:
        load_concept(path)
    assert str(path) in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"text": ["a", "b"], "label": [1]}, "columns of different lengths (text 2, label 1)"),
        ({"text": "a", "label": 1}, "expected one table"),
        ({"train": [{"text": "a", "label": 1}]}, "got a dict with train: expected one table"),
    ],
)
def test_dicts_that_are_no_tables_are_refused(table, message):
    with pytest.raises(ConceptError, match=re.escape(message)):
        load_concept(table)


def test_a_misspelled_field_is_named_with_what_is_missing():
    with pytest.raises(ConceptError, match="field 'label' is missing, and 'lable' is not known"):
        Concept(name="hats", examples=[{"pair": "p", "lable": 1, "text": "a hat"}])
