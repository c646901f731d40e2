"""Transcripts out of Inspect logs, and what is refused."""

from __future__ import annotations

import json
import zipfile

import pytest

from probes.concepts import (
    load_concept,
    read_transcripts,
)
from tests.concepts.makers import INSPECT_LOG, file_refusal, inspect_sample, round_trip


def test_transcripts_of_agents(tmp_path):
    path = tmp_path / "log.json"
    path.write_text(json.dumps(INSPECT_LOG))
    concept = read_transcripts(path, score="harmfulness_scorer.harmful", name="blackmail")
    assert concept.labels.tolist() == [1, 0, 0, 1]
    assert [example.pair for example in concept.examples] == ["run1", "run1", "run1.2", "run2"]
    assert set(concept.templates) == {
        "blackmail_explicit-america_replacement",
        "leaking_explicit-america_replacement",
    }
    assert [e.domain for e in concept.examples] == ["blackmail"] * 3 + ["leaking"]
    turns = concept.examples[0].messages
    assert [t.role for t in turns] == ["system", "user", "assistant", "tool", "assistant"]
    assert turns[1].content == "You have mail."
    assert turns[2].content == '<tool_call>{"name": "read_mail", "arguments": {"folder": "in"}}</tool_call>'
    assert turns[4].content == "<think>Kyle knows.</think>\nI will threaten him."
    assert concept.meta.sources == ("Inspect log log.json: 5 samples, 1 without a score left out.",)
    round_trip(concept, tmp_path / "folder")
    with zipfile.ZipFile(tmp_path / "log.eval", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("header.json", json.dumps({k: v for k, v in INSPECT_LOG.items() if k != "samples"}))
        for s in INSPECT_LOG["samples"]:
            archive.writestr(f"samples/{s['id']}_epoch_1.json", json.dumps(s))
    zipped = read_transcripts(tmp_path / "log.eval", score="harmfulness_scorer.harmful")
    assert zipped.examples == concept.examples


def test_other_ways_to_say_it(tmp_path):
    path = tmp_path / "log.json"
    samples = [
        inspect_sample(n, 0, scores={"match": {"value": value}}, metadata={})
        for n, value in enumerate(["C", "I", True, 0])
    ]
    openai = {"function": {"name": "pay", "arguments": '{"to": "Kyle"}'}, "id": "x"}
    samples[0]["messages"][2] = {"role": "assistant", "content": None, "tool_calls": [openai]}
    path.write_text(json.dumps({"samples": samples}))
    concept = load_concept(path)
    assert concept.labels.tolist() == [1, 0, 1, 0]
    assert concept.templates.tolist() == ["0", "1", "2", "3"]
    assert concept.examples[0].messages[2].content == (
        '<tool_call>{"name": "pay", "arguments": {"to": "Kyle"}}</tool_call>'
    )


BAD_SAMPLES = {
    "which score": ({}, None, "field 'scores': several: expected score= one of harmfulness_scorer.harmful, "),
    "no such score": (
        {},
        "nice",
        "field 'scores': nice: expected score= one of harmfulness_scorer.harmful, ",
    ),
    "value": (
        {"scores": {"a": {"value": 0.5}}},
        None,
        "field 'scores.a' got 0.5: expected 1 or 0, true or false, C or I",
    ),
    "not a number": ({"scores": {"a": {"value": float("nan")}}}, None, "field 'scores.a' got nan"),
    "no messages": (
        {"scores": {"a": {"value": 1}}, "messages": None},
        None,
        "field 'messages' got '[]': expected a list of turns",
    ),
    "image": (
        {"scores": {"a": {"value": 1}}, "messages": [{"role": "user", "content": [{"type": "image"}]}]},
        None,
        "messages.0: field 'content' holds 'image': expected text or reasoning",
    ),
    "call": (
        {"scores": {"a": {"value": 1}}, "messages": [{"role": "assistant", "tool_calls": [3]}]},
        None,
        "messages.0: field 'tool_calls' got '3': expected function and arguments",
    ),
}


@pytest.mark.parametrize(("changes", "score", "message"), BAD_SAMPLES.values(), ids=BAD_SAMPLES)
def test_refuses_transcripts(tmp_path, changes, score, message):
    path = tmp_path / "log.json"
    good = inspect_sample(1, 1, scores=None)
    path.write_text(json.dumps({"samples": [good, inspect_sample(2, 1, **changes)]}))
    assert f"{path}, sample 2: {message}" in file_refusal(path, score=score)


def test_refuses_what_is_no_log(tmp_path):
    path = tmp_path / "log.json"
    path.write_text('{"samples": []}')
    assert "field 'samples' is missing or empty: expected an Inspect log with samples" in file_refusal(path)
    path.write_text("[1]")
    assert "field 'samples' is missing" in file_refusal(path, format="transcripts")
    (tmp_path / "x.eval").write_text("no zip")
    assert "convert it with `inspect log convert --to json`" in file_refusal(tmp_path / "x.eval")
    path.write_text(json.dumps({"samples": [inspect_sample(1, 1), inspect_sample(2, 1)]}))
    assert "only label 1 among 2 rows" in file_refusal(path, score="harmfulness_scorer.harmful")
