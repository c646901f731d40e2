"""Pairs whose sides differ outside the evidence are found."""

from __future__ import annotations

import json
import re
from pathlib import Path

from probes.concepts import (
    ChoiceItem,
    Concept,
    Example,
)
from probes.concepts.linting import lint
from probes.concepts.linting.sides import unmatched_sides
from tests.concepts.makers import SHIFTS, chat, concept_of, issues_of, only_issue


def test_sides_that_differ_outside_their_evidence_are_found(honest, quick):
    rows, items = honest
    edited = [
        r | {"text": r["text"] + "!"} if r["pair"] == "attribute4-1" and r["label"] == 0 else r for r in rows
    ]
    line = only_issue(lint(concept_of(edited, items)), "sides")
    assert line.startswith("pairs whose sides differ outside the evidence | attribute4-1: ")
    free = [r | {"unmatched": True} if r["pair"] == "attribute4-1" else r for r in edited]
    assert lint(concept_of(free, items)).passed
    tagged = [r | {"domain": "art"} if r["pair"] == "attribute4-1" and r["label"] else r for r in rows]
    assert "attribute4-1: domain is 'art' and None" in only_issue(lint(concept_of(tagged, items)), "sides")
    alone = [r for r in rows if r["pair"] != "attribute4-1" or r["label"]]
    assert "attribute4-1: only label 1" in "".join(issues_of(lint(concept_of(alone, items)), "sides"))


def test_chats_differ_in_their_last_turn_alone(quick):
    one = chat(("user", "which lamp?"), ("assistant", "the plain one"))
    other = chat(("user", "which lamp?"), ("assistant", "the gilded one"))
    rephrased = chat(("user", "what lamp?"), ("assistant", "the gilded one"))
    rows = [{"pair": "a", "label": 1, "messages": one}, {"pair": "a", "label": 0, "messages": other}]
    assert not issues_of(lint(concept_of(rows)), "sides")
    rows[1]["messages"] = rephrased
    assert "a: turn 1 (user): 'which lamp?' and 'what lamp?'" in issues_of(lint(concept_of(rows)), "sides")[0]
    rows[1]["messages"] = [*other, *one]
    assert "a: 2 turns and 4" in issues_of(lint(concept_of(rows)), "sides")[0]
    rows[1] = {"pair": "a", "label": 0, "text": "plain"}
    assert "one side is a text and the other a chat" in issues_of(lint(concept_of(rows)), "sides")[0]


def test_rows_shown_to_authors_are_what_they_say():
    page = (Path(__file__).parents[3] / "docs" / "writing-concepts.md").read_text(encoding="utf-8")
    rows = [json.loads(r) for b in re.findall(r"```json\n(.+?)```", page, re.DOTALL) for r in b.splitlines()]
    examples = [Example(**row) for row in rows if "pair" in row]
    items = [ChoiceItem(**row) for row in rows if "id" in row]
    assert {e.shift for e in examples} == {None, *SHIFTS}
    assert {e.reading for e in examples} == {"attribute", "norm"}
    assert all(len(e.messages or ()) >= 8 for e in examples if e.shift == "horizon")
    assert len(items) == 2
    whole = [e for e in examples if sum(o.pair == e.pair for o in examples) == 2]
    shown = Concept(name="shown", examples=tuple(whole))
    assert shown.n_pairs == 4
    assert unmatched_sides(shown) == ([], [])
