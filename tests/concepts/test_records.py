"""Rows of a concept: what is refused and in which words, and how a choice item asks."""

from __future__ import annotations

import pytest

from probes.concepts import (
    ChoiceItem,
    load_concept,
)
from probes.errors import ConceptError
from tests.concepts.makers import CHOICES, GOOD, changed, refusal

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
def test_refuses_pairs(concept_folder, rows, message):
    assert message in refusal(concept_folder(pairs=rows))


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
def test_refuses_choices(concept_folder, values, message):
    assert message in refusal(concept_folder(choices=[CHOICES[0] | values, CHOICES[1]]))


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
