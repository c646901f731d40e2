"""Concepts: what is read, what is refused and in which words, and what the packaged library promises."""

from __future__ import annotations

import hashlib
import json
import re
from itertools import combinations
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import polars as pl
import pytest

from probes.concepts import ChoiceItem, Concept, Example, list_concepts, load_concept, read_caa, read_csv
from probes.errors import ConceptError, OutputError, TokenizerError

GOOD = [
    {"pair": "p1", "label": 1, "text": "a cheap hat", "evidence": [[2, 7]], "split": "train"},
    {"pair": "p1", "label": 0, "text": "a costly hat", "evidence": [[2, 8]], "split": "train"},
    {"pair": "p2", "label": 1, "text": "a low bill", "split": "test"},
    {"pair": "p2", "label": 0, "text": "a high bill", "split": "test"},
]
CHOICES = [
    {
        "id": "c1",
        "prompt": "Which, {first} or {second}?",
        "positive": "a bus",
        "negative": "a limo",
        "split": "test",
    },
    {"id": "c2", "prompt": "What to wear?", "positive": "used jeans", "negative": "mink", "split": "select"},
]
LIBRARY_VALUES = {
    "wording": {"paraphrase", "indirect", "bundled"},
    "domain": {
        "healthcare_triage",
        "legal_assistant",
        "internal_copilot",
        "customer_service",
        "enterprise_support",
    },
    "language": {"es", "fr", "de", "zh"},
    "pressure": {"flattery", "authority", "urgency", "ambiguity", "adversarial"},
}
FUNCTION_WORDS = set(
    re.findall(
        r"\w+",
        """
    a an the of to in on at for than and or by with from it its was were is are be that his her their my
    your our as any every each one two no not had has have up so who which he she they we i me us them
    him himself herself then under over out into beside behind near before while within inside through
    above down off again still all once this there how what would should could do does did if between
    about along against until after both same most other some something someone well three four five six
    nine ten am pair outside here
    """,
    )
)


def lines(rows):
    return "".join(json.dumps(row) + "\n" for row in rows)


@pytest.fixture
def folder(tmp_path):
    """Writes a concept folder out of the good rows, with what a test wants changed."""

    def write(pairs=None, choices=None, header='name = "hats"\n', raw_pairs=None):
        path = tmp_path / "hats"
        path.mkdir()
        if header is not None:
            (path / "concept.toml").write_text(header)
        raw = lines(GOOD if pairs is None else pairs).encode() if raw_pairs is None else raw_pairs
        (path / "pairs.jsonl").write_bytes(raw)
        (path / "choices.jsonl").write_text(lines(CHOICES if choices is None else choices))
        return path

    return write


def changed(row=2, **values):
    """The good rows with fields of one row (1 is the first) changed; a value of `...` removes the field."""
    rows = [dict(r) for r in GOOD]
    rows[row - 1] |= values
    rows[row - 1] = {key: value for key, value in rows[row - 1].items() if value is not ...}
    return rows


def refusal(path):
    with pytest.raises(ConceptError) as caught:
        load_concept(path)
    message = str(caught.value)
    assert "\n" not in message
    assert str(path) in message
    return message


BAD_PAIRS = {
    "one class": ([r for r in GOOD if r["label"] == 1], "pairs, field 'label': only label 1 among 2 rows"),
    "no rows": ([], "pairs, field 'label': no example among 0 rows"),
    "empty text": (changed(text="  "), "pairs.jsonl, row 2: field 'text' is empty: expected text"),
    "label 2": (changed(label=2), "pairs.jsonl, row 2: field 'label' got 2: expected 0 or 1"),
    "label text": (changed(label="1"), "row 2: field 'label' got '1': expected 0 or 1"),
    "label missing": (changed(label=...), "row 2: field 'label' is missing"),
    "label null": (changed(label=None), "row 2: field 'label' got None: expected 0 or 1"),
    "same label twice": (
        changed(label=1),
        "pairs row 2, field 'pair': 'p1' already has label 1 in row 1: expected at most one example of each",
    ),
    "both": (
        changed(messages=[{"role": "user", "content": "hi"}], evidence=...),
        "row 2: holds both 'text' and 'messages': expected exactly one",
    ),
    "neither": (changed(text=..., evidence=...), "row 2: holds neither 'text' nor 'messages'"),
    "unknown field": (changed(color="red"), "row 2: field 'color' is not known: remove it"),
    "field named self": (changed(self=1), "row 2: field 'self' is not known: remove it"),
    "bad role": (
        changed(text=..., evidence=..., messages=[{"role": "robot", "content": "hi"}]),
        "row 2: field 'messages.0.role' got 'robot': expected 'system', 'user', 'assistant' or 'tool'",
    ),
    "span past the end": (
        changed(evidence=[[2, 99]]),
        "row 2: field 'evidence' got span [2, 99): expected ascending spans, not empty, inside the 12",
    ),
    "span backwards": (changed(evidence=[[8, 2]]), "got span [8, 2)"),
    "span negative": (changed(evidence=[[-3, 2]]), "got span [-3, 2)"),
    "spans overlap": (changed(evidence=[[2, 8], [5, 9]]), "got span [5, 9)"),
    "evidence of a chat": (
        changed(text=..., messages=[{"role": "user", "content": "hi"}]),
        "row 2: holds 'evidence' beside 'messages'",
    ),
    "split name": (
        changed(split="validation"),
        "row 2: field 'split' got 'validation': expected 'train', 'select' or 'test'",
    ),
    "NUL": (changed(text="a \x00 hat"), "row 2: field 'text' holds a NUL character at 2"),
    "half a surrogate pair": (
        changed(text="a \ud83d hat"),
        "row 2: field 'text' holds half a surrogate pair at 2",
    ),
    "empty pair id": (changed(pair=""), "row 2: field 'pair' is empty"),
    "shift without its value": (
        changed(shift="language", split="test"),
        "row 2: field 'shift' is 'language' and field 'language' is missing: expected its value",
    ),
    "shift along two axes": (
        changed(shift="language", language="fr", pressure="urgency", split="test"),
        "row 2: field 'shift' is 'language' and field 'pressure' is set too: expected one axis to move",
    ),
    "shift that trains": (
        changed(shift="domain", domain="legal_assistant"),
        "row 2: field 'shift' is 'domain' and field 'split' is 'train': expected 'test'",
    ),
    "unknown axis": (
        changed(shift="length"),
        "row 2: field 'shift' got 'length': expected 'wording', 'domain', 'language', 'horizon' or 'p",
    ),
    "unmatched false": (changed(unmatched=False), "row 2: field 'unmatched' got False: expected True"),
    "pole": (changed(pole="cheap"), "row 2: field 'pole' got 'cheap': expected 0 or 1"),
}


@pytest.mark.parametrize(("rows", "message"), BAD_PAIRS.values(), ids=BAD_PAIRS)
def test_refuses_pairs(folder, rows, message):
    assert message in refusal(folder(pairs=rows))


BAD_CHOICES = {
    "one placeholder": (
        {"prompt": "Why {first}?"},
        "choices.jsonl, row 1: shows {first} alone: expected both {first} and {second} in the prompt, or",
    ),
    "same options": ({"negative": "a bus"}, "row 1: fields 'positive' and 'negative' are both 'a bus'"),
    "same id": ({"id": "c2"}, "choices row 2, field 'id': 'c2' is also in row 1: expected unique ids"),
    "empty option": ({"positive": ""}, "row 1: field 'positive' is empty"),
    "no prompt": ({"prompt": None}, "row 1: holds neither 'prompt' nor 'messages'"),
    "unknown field": ({"answer": "A"}, "row 1: field 'answer' is not known"),
    "split name": ({"split": "dev"}, "row 1: field 'split' got 'dev'"),
}


@pytest.mark.parametrize(("values", "message"), BAD_CHOICES.values(), ids=BAD_CHOICES)
def test_refuses_choices(folder, values, message):
    assert message in refusal(folder(choices=[CHOICES[0] | values, CHOICES[1]]))


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
def test_refuses_files(folder, files, message):
    assert message in refusal(folder(**files))


def test_refuses_what_is_no_concept(folder, tmp_path):
    path = folder()
    (path / "pairs.jsonl").unlink()
    assert "pairs.jsonl: cannot be read" in refusal(path)
    with pytest.raises(ConceptError, match=r"no concept 'thrift': expected a packaged one \(affordability, "):
        load_concept("thrift")
    stray = tmp_path / "pairs.jsonl"
    stray.write_text(lines(GOOD))
    with pytest.raises(ConceptError, match="give the folder it is in"):
        load_concept(stray)


def test_reads_a_folder_as_written(folder):
    concept = load_concept(folder(header='name = "hats"\nclause = "Prefer hats."\nlicence = "CC0"\n'))
    assert (concept.name, concept.clause, concept.meta.licence) == ("hats", "Prefer hats.", "CC0")
    assert (len(concept), concept.n_pairs, len(concept.choices)) == (4, 2, 2)
    assert concept.labels.tolist() == [1, 0, 1, 0]
    assert concept.labels.dtype == np.int64
    assert concept.groups.tolist() == ["p1", "p1", "p2", "p2"]
    assert concept.splits.tolist() == ["train", "train", "test", "test"]
    assert concept.templates.tolist() == [None] * 4
    assert concept.texts() == [row["text"] for row in GOOD]
    assert concept.examples[1].evidence == ((2, 8),)


def test_windows_files_are_read(folder):
    raw = b"\xef\xbb\xbf" + lines(GOOD).replace("\n", "\r\n").encode()
    assert len(load_concept(folder(raw_pairs=raw))) == 4


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


def test_to_folder_says_when_it_cannot_write(folder, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        load_concept(folder()).to_folder(tmp_path / "file" / "x")


def test_digest_is_of_the_content_alone():
    content = '[[{"label":1,"pair":"a","text":"é"},{"label":0,"pair":"a","text":"n"}],[]]'
    examples = (Example(pair="a", label=1, text="é"), Example(text="n", label=0, pair="a"))
    assert Concept(name="x", examples=examples).digest == hashlib.sha256(content.encode()).hexdigest()
    concept = load_concept("domestic")
    assert concept.model_copy(update={"name": "x", "clause": "y"}).digest == concept.digest
    first, *rest = concept.examples
    assert (
        Concept(name="x", examples=(*rest, first)).digest
        != Concept(name="x", examples=concept.examples).digest
    )
    retagged = first.model_copy(update={"split": "test"})
    assert (
        Concept(name="x", examples=(retagged, *rest)).digest
        != Concept(name="x", examples=(first, *rest)).digest
    )
    assert Concept(name="x", examples=concept.examples).digest != concept.digest  # the choices are gone


def test_records_are_immutable():
    concept = load_concept("domestic")
    for record, field in (
        (concept, "name"),
        (concept.examples[0], "label"),
        (concept.choices[0], "positive"),
    ):
        with pytest.raises(ValueError, match="frozen"):
            setattr(record, field, "x")


def test_both_orders_of_presentation():
    item = ChoiceItem(
        id=1, prompt="{second} over {first}, {why}?", positive="a {second} hand", negative="new"
    )
    assert item.orders == ("positive_first", "negative_first")
    assert item.ask("positive_first") == [{"role": "user", "content": "new over a {second} hand, {why}?"}]
    assert item.ask("negative_first") == [{"role": "user", "content": "a {second} hand over new, {why}?"}]
    assert item.answer("positive") == "A {second} hand"
    assert item.answer("negative") == "New"
    chat = ChoiceItem(
        id="c",
        messages=[
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "{first} / {second}"},
        ],
        positive="an iPad",
        negative="McX",
    )
    assert [turn["content"] for turn in chat.ask("negative_first")] == ["Be brief.", "McX / an iPad"]
    assert chat.answer("negative") == "McX"
    hidden = ChoiceItem(id="h", prompt="What to wear?", positive="jeans", negative="mink")
    assert hidden.orders == ("positive_first",)
    assert hidden.ask() == [{"role": "user", "content": "What to wear?"}]
    with pytest.raises(ConceptError, match="order='first': expected one of positive_first, negative_first"):
        item.ask("first")
    with pytest.raises(ConceptError, match="which='left': expected 'positive' or 'negative'"):
        item.answer("left")


def test_chats_are_rendered_by_the_tokenizer():
    turns = [{"role": "user", "content": "hi"}]
    concept = Concept(
        name="x",
        examples=[Example(pair="1", label=1, messages=turns), Example(pair="1", label=0, text="plain")],
    )

    def render(messages, tokenize, add_generation_prompt):
        assert (tokenize, add_generation_prompt) == (False, False)
        return "|".join(f"{m['role']}:{m['content']}" for m in messages)

    assert concept.texts(SimpleNamespace(chat_template="t", apply_chat_template=render)) == [
        "user:hi",
        "plain",
    ]
    with pytest.raises(
        TokenizerError, match=r"row 1 is a chat and the tokenizer \(SimpleNamespace\) has no chat"
    ):
        concept.texts(SimpleNamespace(chat_template=None))

    def refuse(*_, **__):
        raise RuntimeError("roles must alternate")

    with pytest.raises(TokenizerError, match="the chat template refused it: roles must alternate"):
        concept.texts(SimpleNamespace(chat_template="t", apply_chat_template=refuse))


def test_select_by_fields():
    concept = load_concept("affordability").core
    test = concept.select(split="test")
    assert set(test.splits) == {"test"}
    assert {item.split for item in test.choices} == {"test"}
    both = concept.select(split=["select", "test"], domain={"art", "music"})
    assert {e.domain for e in both.examples} == {c.domain for c in both.choices} == {"art", "music"}
    assert {e.split for e in both.examples} == {"select", "test"}
    assert concept.select(split=("train", "select", "test")) == concept
    with pytest.raises(ConceptError, match=r"select\(spilt=...\) is not a field"):
        concept.select(spilt="test")
    with pytest.raises(ConceptError, match=r"select\(label=1\) leaves .*only label 1 among 120 rows"):
        concept.select(label=1)
    with pytest.raises(ConceptError, match=r"select\(domain='opera'\) leaves .*no example"):
        concept.select(domain="opera")


def both_sides(name, **tags):
    return [Example(pair=name, label=label, text=f"{name} {label}", **tags) for label in (1, 0)]


def shifted():
    """Two readings, two axes, and a choice item of each kind."""
    examples = [
        *both_sides("a1", reading="attribute", split="train", domain="art"),
        *both_sides("a2", reading="attribute", split="test"),
        *both_sides("n1", reading="norm", split="test", pole=1),
        *both_sides("s1", reading="attribute", shift="language", language="fr", split="test"),
        *both_sides("s2", reading="norm", shift="horizon", horizon=10, split="test", domain="art"),
    ]
    asked = {"prompt": "?", "positive": "x", "negative": "y"}
    choices = [
        ChoiceItem(id="c1", **asked),
        ChoiceItem(id="c2", **asked, shift="language", language="de"),
        ChoiceItem(id="c3", **asked, reading="norm"),
    ]
    return Concept(name="made", examples=examples, choices=choices)


def test_canonical_pairs_and_shifts_are_parts():
    concept = shifted()
    assert concept.readings == ("attribute", "norm")
    assert concept.axes == {"language": ("de", "fr"), "horizon": ("10",)}
    assert list(dict.fromkeys(concept.canonical.groups)) == ["a1", "a2", "n1"]
    assert [c.id for c in concept.canonical.choices] == ["c1", "c3"]
    language = concept.shift("language")
    assert (set(language.groups), [c.id for c in language.choices]) == ({"s1"}, ["c2"])
    assert concept.shift("language", "fr").choices == ()
    assert set(concept.shift("horizon", 10).groups) == {"s2"}
    with pytest.raises(ConceptError, match=r"made: shift\('pressure'\) leaves .*no example"):
        concept.shift("pressure")
    with pytest.raises(ConceptError, match=r"shift\('size'\): expected one of wording, domain"):
        concept.shift("size")
    with pytest.raises(ConceptError, match=r"canonical leaves .*no example"):
        language.canonical  # noqa: B018


def test_what_is_measured_by_default_is_canonical_and_of_one_reading():
    concept = shifted()
    assert concept.splits.tolist() == ["train"] * 2 + ["test"] * 2 + [None] * 6
    norm = concept.read_as("norm")
    assert norm.name == "made/norm"
    assert norm.splits.tolist() == ["test"] * 2 + [None] * 2
    assert [c.id for c in norm.choices] == ["c1", "c2", "c3"]
    assert [c.id for c in concept.read_as("attribute").choices] == ["c1", "c2"]
    with pytest.raises(ConceptError, match="no pairs of reading 'attribute': its readings are norm"):
        norm.read_as("attribute")
    with pytest.raises(ConceptError, match="its readings are none that is marked"):
        Concept(name="x", examples=both_sides("p")).read_as("norm")


def test_one_reading_by_name(tmp_path):
    path = shifted().to_folder(tmp_path / "made")
    assert load_concept(path) == shifted()
    assert load_concept(f"{path}/norm") == shifted().read_as("norm")
    assert load_concept("affordability/attribute").name == "affordability/attribute"
    with pytest.raises(ConceptError, match="no concept 'nobody'"):
        load_concept("nobody/norm")
    with pytest.raises(ConceptError, match="no concept 'affordability/role'"):
        load_concept("affordability/role")


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
    with pytest.raises(
        ConceptError, match=r"concept, row 3: field 'label' got nan|got None: expected 0 or 1"
    ):
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


def test_frame_and_summary(folder):
    frame = load_concept(folder()).frame()
    assert frame.columns == ["pair", "label", "split", "text", "evidence"]
    assert frame["text"].to_list() == [row["text"] for row in GOOD]
    shown = load_concept("affordability").core._repr_html_()
    assert "<td>split</td><td>train</td><td>120</td><td>0</td>" in shown
    assert "<td>split</td><td>test</td><td>80</td><td>80</td>" in shown
    assert "&lt;b&gt;" in Concept(name="<b>", examples=GOOD)._repr_html_()


# The packaged library


# Attribute pairs are held to more than the lint asks: to frames word for word, and to splits that share no
# content word at all.


def words(text):
    return {w for w in re.findall(r"[a-z']+", text.lower().replace("'s", "")) if w not in FUNCTION_WORDS}


def texts_of(concept, split):
    """Everything of one split that a model reads, but for the closing question of a choice prompt."""
    options = [o for c in concept.choices if c.split == split for o in (c.positive, c.negative)]
    return [e.text for e in concept.examples if e.split == split] + options


def evidence_words(concept, split):
    """Marked words of the pairs, and words of choice options that are on one side only."""
    marked = (e.text[a:b] for e in concept.examples if e.split == split for a, b in e.evidence)
    differing = (words(c.positive) ^ words(c.negative) for c in concept.choices if c.split == split)
    return set().union(*map(words, marked), *differing)


@pytest.fixture(params=["affordability", "domestic"])
def packaged(request):
    return load_concept(f"{request.param}/attribute").canonical


def test_library_names():
    assert {"affordability", "domestic"} <= set(list_concepts())


@pytest.mark.parametrize("name", list_concepts())
def test_library_has_enough_of_whatever_it_has(name):
    concept = load_concept(name)
    canonical = concept.canonical
    for reading in concept.readings:
        held = canonical.read_as(reading)
        assert held.n_pairs >= 120, reading
        assert held.select(split="test").n_pairs >= 40, reading
        assert len(set(held.templates)) >= 12, reading
    assert len(concept) == 2 * concept.n_pairs
    assert len(concept.choices) >= 100
    for axis in {e.shift for e in concept.examples} - {None}:
        assert concept.shift(axis).n_pairs >= 40, axis
    for axis, values in LIBRARY_VALUES.items():
        assert set(concept.axes.get(axis, ())) <= values, axis
    assert all(len(e.messages or ()) >= 8 for e in concept.examples if e.shift == "horizon")
    assert all(e.evidence or e.messages or e.unmatched for e in concept.examples)
    assert {e.split for e in concept.examples} == {"train", "select", "test"}
    assert concept.definition
    assert concept.clause
    assert concept.meta.licence == "Apache-2.0"


def test_library_counts(packaged):
    pairs = {split: packaged.select(split=split).n_pairs for split in ("train", "select", "test")}
    items = {split: sum(c.split == split for c in packaged.choices) for split in ("select", "test")}
    assert (pairs["train"] >= 60, pairs["select"] >= 20, pairs["test"] >= 40) == (True, True, True), pairs
    assert (items["select"] >= 30, items["test"] >= 80) == (True, True), items
    assert packaged.labels.sum() == packaged.n_pairs
    assert len(set(packaged.texts())) == len(packaged)
    assert len(set(packaged.templates)) >= 12
    assert len({c.template for c in packaged.choices}) >= 8
    assert {e.domain for e in packaged.examples} == {c.domain for c in packaged.choices}
    assert all(c.orders == ("positive_first", "negative_first") for c in packaged.choices)


def test_library_sides_differ_only_in_the_evidence(packaged):
    def frame(example):
        text = example.text
        for start, end in reversed(example.evidence):
            text = f"{text[:start]}[]{text[end:]}"
        return text

    for one, other in zip(packaged.examples[::2], packaged.examples[1::2], strict=True):
        assert one.pair == other.pair
        assert frame(one) == frame(other)
        assert len(one.text.split()) == len(other.text.split())
        assert 10 <= len(one.text.split()) <= 22
        assert words(one.text) != words(other.text)


def test_library_options_are_matched(packaged):
    for item in packaged.choices:
        sizes = len(item.positive.split()), len(item.negative.split())
        assert sizes[0] == sizes[1], item
        assert 3 <= sizes[0] <= 7, item
    assert len({(c.positive, c.negative) for c in packaged.choices}) == len(packaged.choices)


def test_library_length_does_not_tell_the_label(packaged):
    for split in ("train", "select", "test"):
        sides = {
            label: [len(e.text) for e in packaged.select(split=split).examples if e.label == label]
            for label in (0, 1)
        }
        assert abs(np.mean(sides[1]) - np.mean(sides[0])) < 3


def test_library_splits_share_no_template(packaged):
    kept = {t: {e.split for e in packaged.examples if e.template == t} for t in set(packaged.templates)}
    kept |= {
        c.template: {d.split for d in packaged.choices if d.template == c.template} for c in packaged.choices
    }
    assert {t: s for t, s in kept.items() if len(s) > 1} == {}


def test_library_splits_share_no_content_word(packaged):
    """Evidence, object nouns and the rest: beyond function words no split holds a word of another."""
    held = {s: set().union(*map(words, texts_of(packaged, s))) for s in ("train", "select", "test")}
    for one, other in combinations(held, 2):
        assert held[one] & held[other] == set(), (one, other)


def test_library_bans_the_evidence_words_of_each_split(packaged):
    for split in ("train", "select", "test"):
        assert set(packaged.meta.banned_evidence_words[split]) <= evidence_words(packaged, split)
    carried = [evidence_words(packaged, split) for split in ("train", "select", "test")]
    for one, other in combinations(carried, 2):
        assert one.isdisjoint(other)


def test_core_is_the_canonical_part_of_the_first_reading():
    def pair(name, **fields):
        return [Example(pair=name, label=k, text=f"{name} {k}", **fields) for k in (0, 1)]

    examples = [*pair("n", reading="norm"), *pair("a", reading="attribute")]
    moved = pair("w", reading="attribute", shift="wording", wording="paraphrase", split="test")
    items = [
        ChoiceItem(id="c", prompt="{first} or {second}?", positive="a", negative="b"),
        ChoiceItem(
            id="f", prompt="?", positive="a", negative="b", shift="language", language="fr", split="test"
        ),
    ]
    concept = Concept(name="both", examples=(*examples, *moved), choices=tuple(items))
    assert concept.core.groups.tolist() == ["a", "a"]
    assert [item.id for item in concept.core.choices] == ["c"]
    assert concept.read_as("norm").core.groups.tolist() == ["n", "n"]
    plain = Concept(name="plain", examples=tuple(pair("p")))
    assert plain.core is plain


def test_every_packaged_concept_is_a_clause_of_the_spec():
    spec = (Path(__file__).parents[2] / "docs" / "spec.md").read_text()
    rows = dict(re.findall(r"^\| `(\w+)` \| (.+) \|$", spec, re.M))
    for name in list_concepts():
        assert rows.get(name) == load_concept(name).clause, name
