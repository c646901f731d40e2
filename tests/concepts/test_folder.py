"""Concepts as folders: what is read, what is refused, and that writing and reading give the same."""

from __future__ import annotations

import numpy as np
import pytest

from probes.concepts import (
    ChoiceItem,
    Concept,
    Example,
    load_concept,
)
from probes.errors import ConceptError, OutputError
from tests.concepts.makers import GOOD, lines, refusal

BAD_FILES = {
    "not UTF-8": ({"raw_pairs": b'{"pair": "caf\xe9"}\n'}, "pairs.jsonl: byte 13 is not UTF-8"),
    "bad JSON": (
        {"raw_pairs": (lines(GOOD[:1]) + '{"pair": \n').encode()},
        "pairs.jsonl, row 2: not JSON at character",
    ),
    "blank line": ({"raw_pairs": ("\n" + lines(GOOD)).encode()}, "pairs.jsonl, row 1: not JSON"),
    "not an object": ({"raw_pairs": b"[1, 2]\n"}, "pairs.jsonl, row 1: got [1, 2]: expected a JSON object"),
    "no concept.toml": ({"header": None}, "has no concept.toml: a concept is a folder with concept.toml"),
    "bad TOML": ({"header": "name = hats"}, "concept.toml: not TOML"),
    "no name": ({"header": "definition = 'x'"}, "concept.toml: field 'name' is missing"),
    "unknown key": ({"header": "name = 'x'\nauthor = 'y'"}, "concept.toml: field 'author' is not known"),
    "words of no split": (
        {"header": "name = 'x'\n[banned_evidence_words]\ndev = ['y']"},
        "concept.toml: field 'banned_evidence_words.dev.[key]' got 'dev': expected 'train', 'select'",
    ),
}


@pytest.mark.parametrize(("files", "message"), BAD_FILES.values(), ids=BAD_FILES)
def test_refuses_files(concept_folder, files, message):
    assert message in refusal(concept_folder(**files))


def test_refuses_what_is_no_concept(concept_folder, tmp_path):
    path = concept_folder()
    (path / "pairs.jsonl").unlink()
    assert "pairs.jsonl: cannot be read" in refusal(path)
    with pytest.raises(ConceptError, match=r"no concept 'thrift': expected a packaged one \(affordability, "):
        load_concept("thrift")
    stray = tmp_path / "pairs.jsonl"
    stray.write_text(lines(GOOD))
    with pytest.raises(ConceptError, match="give the folder it is in"):
        load_concept(stray)


def test_reads_a_folder_as_written(concept_folder):
    concept = load_concept(concept_folder(header='name = "hats"\nclause = "Prefer hats."\nlicence = "CC0"\n'))
    assert (concept.name, concept.clause, concept.meta.licence) == ("hats", "Prefer hats.", "CC0")
    assert (len(concept), concept.n_pairs, len(concept.choices)) == (4, 2, 2)
    assert concept.labels.tolist() == [1, 0, 1, 0]
    assert concept.labels.dtype == np.int64
    assert concept.groups.tolist() == ["p1", "p1", "p2", "p2"]
    assert concept.splits.tolist() == ["train", "train", "test", "test"]
    assert concept.templates.tolist() == [None] * 4
    assert concept.texts() == [row["text"] for row in GOOD]
    assert concept.examples[1].evidence == ((2, 8),)


def test_windows_files_are_read(concept_folder):
    raw = b"\xef\xbb\xbf" + lines(GOOD).replace("\n", "\r\n").encode()
    assert len(load_concept(concept_folder(raw_pairs=raw))) == 4


@pytest.mark.parametrize("name", ["affordability", "domestic"])
def test_round_trip_of_the_library(name, tmp_path):
    concept = load_concept(name)
    again = load_concept(concept.to_folder(tmp_path / "copy"))
    assert again == concept
    assert again.digest == concept.digest
    with pytest.raises(OutputError, match="already holds a concept"):
        concept.to_folder(tmp_path / "copy")


def test_round_trip_of_awkward_strings(tmp_path):
    odd = 'quote " backslash \\ tab \t line \u2028 del \x7f newline \n emoji 😀 {brace}'
    chat = {"messages": [{"role": "system", "content": odd}, {"role": "user", "content": "hi"}]}
    concept = Concept(
        name=odd,
        definition=odd,
        examples=[Example(pair="1", label=1, text=odd), Example(pair="1", label=0, **chat)],
        choices=[ChoiceItem(id=odd, positive=odd, negative="no", **chat)],
        meta={
            "sources": [odd],
            "not_about": odd,
            "confounds": [odd],
            "banned_evidence_words": {"train": [odd]},
        },
    )
    assert load_concept(concept.to_folder(tmp_path / "odd")) == concept


def test_to_folder_says_when_it_cannot_write(concept_folder, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        load_concept(concept_folder()).to_folder(tmp_path / "file" / "x")
