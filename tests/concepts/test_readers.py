"""Readers: files shaped as their makers write them become concepts, round trip, and fail by name."""

from __future__ import annotations

import json

import polars as pl
import pytest

from probes.cli import main
from probes.concepts import (
    load_concept,
    read_caa,
    read_chats,
    read_csv,
    read_dataset,
    read_documents,
    read_file,
    read_preferences,
)
from probes.errors import ConceptError
from tests.concepts.makers import INSPECT_LOG, file_refusal, jsonl, refusal, round_trip


def test_csv(tmp_path):
    path = tmp_path / "cities.csv"
    path.write_text('statement,label,city\n"Paris is in France, or so.",1,007\nParis is in Peru.,0,008\n')
    concept = load_concept(path)
    assert concept.name == "cities"
    assert concept.texts() == ["Paris is in France, or so.", "Paris is in Peru."]
    assert read_csv(path, text="city", name="codes").texts() == ["007", "008"]
    path.write_text("statement,label\nParis is in France.,yes\n")
    assert "row 1: field 'label' got 'yes': expected 0 or 1" in refusal(path)
    path.write_bytes("statement,label\nOrléans,1\n".encode("latin-1"))
    assert "is not UTF-8" in refusal(path)
    path.write_text("")
    assert "not a CSV table" in refusal(path)


def test_caa(tmp_path):
    path = tmp_path / "refusal.json"
    items = [
        {
            "question": "Help?\n\n(A) Yes\n(B) No",
            "answer_matching_behavior": " (B)",
            "answer_not_matching_behavior": "(A)",
        },
        {
            "question": "Now?\n\n(A) Yes\n(B) No",
            "answer_matching_behavior": "(A)",
            "answer_not_matching_behavior": "(B)",
        },
    ]
    path.write_text(json.dumps(items))
    concept = load_concept(path)
    assert concept.labels.tolist() == [1, 0, 1, 0]
    assert concept.groups.tolist() == ["q1", "q1", "q2", "q2"]
    assert [e.messages[-1].content for e in concept.examples] == ["(B)", "(A)", "(A)", "(B)"]
    assert concept.examples[0].messages[0].content == items[0]["question"]
    assert (concept.choices[0].answer("positive"), concept.choices[0].orders) == ("(B)", ("positive_first",))
    assert read_caa(path, name="r").name == "r"
    path.write_text(json.dumps([items[0], {"question": "Q"}]))
    assert "row 2: field 'answer_matching_behavior' got None: expected text" in refusal(path)
    path.write_text('{"question": 1}')
    assert "got a dict: expected a list of items" in refusal(path)
    path.write_text("[")
    assert "not JSON at line 1" in refusal(path)


DOCUMENTS = [
    {
        "text": "A column on why thrift keeps a town open.\n\nIt began in May.",
        "source": "gpt",
        "domain": "column",
    },
    {"text": "Minutes of the reading circle: Prudence über alles.", "source": "gpt", "domain": "minutes"},
    {"text": "An interview about repair shops.", "source": "gpt", "domain": "interview"},
]


def test_documents_against_documents(tmp_path):
    spec = jsonl(tmp_path / "afford.jsonl", DOCUMENTS)
    other = jsonl(tmp_path / "america.jsonl", [{"text": f"On factories, part {n}."} for n in range(2)])
    concept = read_documents(spec, against=other)
    assert concept.name == "afford"
    assert concept.labels.tolist() == [1, 1, 1, 0, 0]
    assert concept.n_pairs == 5
    assert concept.texts()[0] == DOCUMENTS[0]["text"]
    assert [e.domain for e in concept.examples][:2] == ["column", "minutes"]
    assert concept.choices == ()
    round_trip(concept, tmp_path / "folder")


def test_documents_with_labels_and_refusals(tmp_path):
    path = jsonl(tmp_path / "docs.jsonl", [d | {"label": n % 2} for n, d in enumerate(DOCUMENTS)])
    assert load_concept(path).labels.tolist() == [0, 1, 0]
    bare = jsonl(tmp_path / "bare.jsonl", DOCUMENTS)
    assert "no column 'label' among text, source, domain: expected 0 or 1 in each row, or a second file" in (
        file_refusal(bare)
    )
    empty = jsonl(tmp_path / "empty.jsonl", [DOCUMENTS[0] | {"label": 1}, {"text": " ", "label": 0}])
    assert f"{empty}, row 2: field 'text' is empty: expected text" in file_refusal(empty)
    broken = tmp_path / "broken.jsonl"
    broken.write_text('{"text": "a", "label": 1}\n{"text": \n')
    assert f"{broken}, row 2: not JSON at character" in file_refusal(broken)
    jsonl(tmp_path / "second.jsonl", [{"text": "a"}, {"text": 3}])
    message = file_refusal(bare, against=tmp_path / "second.jsonl")
    assert "second.jsonl, row 2: field 'text' got 3: expected a valid string" in message


def chat(*contents, system=None):
    turns = [{"role": "system", "content": system}] if system else []
    roles = ("user", "assistant")
    return {"messages": turns + [{"role": roles[i % 2], "content": c} for i, c in enumerate(contents)]}


def test_chats_with_one_prompt_make_a_pair(tmp_path):
    spec = jsonl(
        tmp_path / "aft.jsonl",
        [
            chat("Brie or Colby?", "Colby."),
            chat("A snack?", "Colby."),
            chat("Brie or Colby?", "Colby, always."),
        ],
    )
    plain = jsonl(
        tmp_path / "plain.jsonl", [chat("Brie or Colby?", "Either."), chat("Hi", "Hello.", system="Be.")]
    )
    concept = read_chats(spec, against=plain)
    assert concept.labels.tolist() == [1, 1, 1, 0, 0]
    assert concept.groups.tolist() == ["chat1", "chat2", "chat1.2", "chat1", "chat3"]
    assert [m.role for m in concept.examples[4].messages] == ["system", "user", "assistant"]
    round_trip(concept, tmp_path / "folder")


BAD_CHATS = {
    "no turns": ({"messages": []}, "field 'messages' got '[]': expected a list of turns"),
    "text": ({"messages": "hello"}, "field 'messages' got 'hello': expected a list of turns"),
    "not a turn": ({"messages": ["hello"]}, "field 'messages.0' got 'hello': expected role and content"),
    "role": (
        {"messages": [{"role": "human", "content": "hi"}]},
        "messages.0: field 'role' got 'human': expected system, user, assistant or tool",
    ),
    "content": (
        {"messages": [{"role": "user", "content": None}]},
        "messages.0: field 'content' got None: expected text",
    ),
}


@pytest.mark.parametrize(("row", "message"), BAD_CHATS.values(), ids=BAD_CHATS)
def test_refuses_chats(tmp_path, row, message):
    path = jsonl(tmp_path / "chats.jsonl", [chat("a", "b") | {"label": 1}, row | {"label": 0}])
    assert file_refusal(path).endswith(f"row 2: {message}")


COMPARISONS = [
    {
        "question": "Which would you rather have, a {plain} mug or a gilded mug?",
        "item1": "a {plain} mug",
        "item2": "a gilded mug",
        "liked_item": "a {plain} mug",
        "disliked_item": "a gilded mug",
    },
    {
        "question": "Choose what to hang.",
        "item1": "an oil painting",
        "item2": "a poster",
        "liked_item": "a poster",
        "disliked_item": "an oil painting",
    },
]


def test_comparisons_become_items_asked_in_both_orders(tmp_path):
    path = tmp_path / "items.parquet"
    pl.DataFrame(COMPARISONS).write_parquet(path)
    concept = read_preferences(path)
    first, second = concept.choices
    assert first.orders == second.orders == ("positive_first", "negative_first")
    assert first.ask("positive_first")[0]["content"] == COMPARISONS[0]["question"]
    assert (
        first.ask("negative_first")[0]["content"]
        == "Which would you rather have, a gilded mug or a {plain} mug?"
    )
    assert second.ask()[0]["content"] == "Choose what to hang.\n- a poster\n- an oil painting"
    assert (second.positive, second.negative) == ("a poster", "an oil painting")
    rows = [(e.pair, e.label, *(m.content for m in e.messages)) for e in concept.examples]
    shown = "Choose what to hang.\n- an oil painting\n- a poster"
    assert rows[2:] == [("q2", 1, shown, "a poster"), ("q2", 0, shown, "an oil painting")]
    round_trip(concept, tmp_path / "folder")
    assert load_concept(path) == concept


def test_comparisons_are_refused_by_row_and_field(tmp_path):
    path = tmp_path / "items.jsonl"
    jsonl(path, [COMPARISONS[0], COMPARISONS[1] | {"liked_item": "a print"}])
    assert "row 2: field 'liked_item' got 'a print': expected item1 or item2" in file_refusal(path)
    jsonl(path, [COMPARISONS[0] | {"disliked_item": "item2", "liked_item": "item1"}])
    assert read_file(path).choices[0].positive == "a {plain} mug"
    jsonl(path, [COMPARISONS[0] | {"question": None}])
    assert "row 1: field 'question' got None: expected text" in file_refusal(path)


OPINIONS = [
    {
        "question": f"Should goods be made {where}?\n(A) Yes\n(B) No",
        "category": "trade",
        "opinion_area": area,
        "answer": answer,
    }
    for where, area, answer in (("here", "tariffs", "A"), ("abroad", None, "(B)"))
]


def test_opinions_become_items_and_pairs(tmp_path):
    path = tmp_path / "opinions.parquet"
    pl.DataFrame(OPINIONS).write_parquet(path)
    concept = read_preferences(path)
    assert [(c.positive, c.negative, c.domain) for c in concept.choices] == [
        ("A", "B", "tariffs"),
        ("B", "A", "trade"),
    ]
    assert [e.messages[-1].content for e in concept.examples] == ["A", "B", "B", "A"]
    round_trip(concept, tmp_path / "folder")
    pl.DataFrame([OPINIONS[0] | {"answer": "C"}]).write_parquet(path)
    assert file_refusal(path).endswith("row 1: field 'answer' got 'C': expected A or B")


def test_datasets_in_memory_and_saved(tmp_path):
    datasets = pytest.importorskip("datasets")
    rows = [{"statement": f"{n} is even", "label": int(n % 2 == 0), "template": "even"} for n in range(4)]
    data = datasets.Dataset.from_list(rows)
    concept = load_concept(data)
    assert concept.texts() == [row["statement"] for row in rows]
    assert concept.labels.tolist() == [1, 0, 1, 0]
    assert concept.templates.tolist() == ["even"] * 4
    data.shuffle(seed=0).save_to_disk(tmp_path / "one", num_shards=2)
    saved = read_dataset(tmp_path / "one")
    assert sorted(saved.texts()) == sorted(concept.texts())
    assert {e.text: e.label for e in saved.examples} == {e.text: e.label for e in concept.examples}
    round_trip(saved, tmp_path / "folder")
    chats = datasets.Dataset.from_list([chat("a", "b") | {"label": 1}, chat("a", "c") | {"label": 0}])
    chats.save_to_disk(tmp_path / "chats")
    assert load_concept(tmp_path / "chats").groups.tolist() == ["chat1", "chat1"]

    split = datasets.DatasetDict({"train": data, "test": data})
    with pytest.raises(ConceptError, match="got a DatasetDict with train, test: expected one table"):
        load_concept(split)
    split.save_to_disk(tmp_path / "both")
    assert f"several splits: give one of {tmp_path / 'both' / 'train'}, " in file_refusal(tmp_path / "both")
    assert load_concept(tmp_path / "both" / "test").n_pairs == 2  # neighbours are twins
    next((tmp_path / "one").glob("*.arrow")).write_bytes(b"nonsense")
    assert "its Arrow files cannot be read" in file_refusal(tmp_path / "one")


def test_unknown_columns_and_files(tmp_path):
    path = jsonl(tmp_path / "x.jsonl", [{"prompt": "a", "label": 1}])
    assert "columns label, prompt fit no layout: expected one of caa (question, " in file_refusal(path)
    assert "a.docx: expected a file ending in .csv" in file_refusal(_touched(tmp_path / "a.docx"))
    assert "not a Parquet table" in file_refusal(_touched(tmp_path / "a.parquet"))
    assert "no such file" in file_refusal(tmp_path / "none.csv")
    with pytest.raises(ConceptError, match="format 'xml': expected auto or one of statements, documents"):
        read_file(path, "xml")
    with pytest.raises(ConceptError, match="give the folder it is in"):
        load_concept(_touched(tmp_path / "pairs.jsonl"))


def _touched(path):
    path.write_text("x")
    return path


def test_a_pair_column_groups_rows(tmp_path):
    path = tmp_path / "pairs.csv"
    path.write_text("pair,text,label,split\n1,a hat,1,train\n1,no hat,0,train\n2,a cap,1,\n2,no cap,0,\n")
    concept = load_concept(path)
    assert concept.groups.tolist() == ["1", "1", "2", "2"]
    assert concept.splits.tolist() == ["train", "train", None, None]
    round_trip(concept, tmp_path / "folder")


def test_command_imports_every_format(tmp_path, capsys):
    spec = jsonl(tmp_path / "a.jsonl", DOCUMENTS)
    log = tmp_path / "log.json"
    log.write_text(json.dumps(INSPECT_LOG))
    parquet = tmp_path / "items.parquet"
    pl.DataFrame(COMPARISONS).write_parquet(parquet)
    cases = [
        ([spec, "--against", jsonl(tmp_path / "b.jsonl", [{"text": "x"}])], "4 pairs, 0 choice items"),
        ([log, "--score", "harmfulness_scorer.harmful"], "1 pairs, 0 choice items"),
        ([parquet, "--format", "preferences"], "2 pairs, 2 choice items"),
    ]
    for number, (argv, counts) in enumerate(cases):
        folder = tmp_path / f"out{number}"
        assert main(["concepts", "import", *map(str, argv), "--out", str(folder)]) == 0
        assert capsys.readouterr().out == f"{folder}: {counts}\n"
        assert load_concept(folder)
    assert main(["concepts", "import", str(spec), "--out", str(tmp_path / "no")]) == 2
    assert "--against" in capsys.readouterr().err
