"""Files of documents, chats and preference pairs."""

import json

import pytest

from probes.errors import RecipeError
from probes.training import read_chats, read_documents, read_pairs

MESSAGES = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello."}]


@pytest.fixture
def file(tmp_path):
    return tmp_path / "dataset.jsonl"


def test_documents_are_read_without_their_other_fields(file):
    file.write_text('{"text": "A document.", "domain": "x"}\n\n{"text": "Another."}\n')
    assert list(read_documents(file)) == [{"text": "A document."}, {"text": "Another."}]


def test_chats_are_read_without_their_other_fields(file):
    file.write_text(json.dumps({"messages": MESSAGES, "source": "x"}) + "\n")
    assert list(read_chats(file)) == [{"messages": MESSAGES}]


def test_pairs_are_read_and_a_bad_line_is_named(file):
    pair = {"prompt": MESSAGES[:1], "chosen": MESSAGES[1:], "rejected": MESSAGES[1:]}
    file.write_text(json.dumps(pair) + "\n" + json.dumps(pair | {"chosen": []}))
    rows = read_pairs(file)
    assert next(rows) == pair
    with pytest.raises(RecipeError, match=r'dataset\.jsonl, line 2: expected "chosen": \['):
        next(rows)


@pytest.mark.parametrize(
    ("read", "line", "message"),
    [
        (read_documents, '{"messages": []}', r"dataset\.jsonl, line 1: .*text.*got keys \['messages'\]"),
        (read_documents, "not json", "line 1: not JSON"),
        (read_documents, "[1]", "line 1: expected a JSON object, got list"),
        (read_documents, "", r"dataset\.jsonl: no rows"),
        (read_chats, '{"messages": [{"role": "user", "content": "Hi"}]}', "line 1: .*with an assistant turn"),
    ],
)
def test_bad_lines_are_named(file, read, line, message):
    file.write_text(line + "\n")
    with pytest.raises(RecipeError, match=message):
        list(read(file))
