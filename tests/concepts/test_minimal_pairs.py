"""Minimal pairs: rows of a prompt with two endings, and of a good and a bad sentence, as concepts."""

import json

import pytest

import probes
from probes.concepts import ChoiceItem
from probes.errors import ConceptError


def jsonl(path, *rows):
    path.write_text("\n".join(json.dumps(row) for row in rows))
    return path


AGREEMENT = {"prompt": "The keys to the cabinet", "positive": " are", "negative": " is"}


def test_a_prompt_with_two_endings_is_a_completion_and_a_pair(tmp_path):
    concept = probes.load_concept(
        jsonl(tmp_path / "agree.jsonl", AGREEMENT, AGREEMENT | {"id": "own", "domain": "home"})
    )
    assert concept.name == "agree"
    assert concept.choices[0] == ChoiceItem(id="q1", completion=True, **AGREEMENT)
    assert (concept.choices[1].id, concept.choices[1].domain) == ("own", "home")
    first = [(e.text, e.label, e.pair) for e in concept.examples[:2]]
    assert first == [("The keys to the cabinet are", 1, "q1"), ("The keys to the cabinet is", 0, "q1")]


def test_with_a_reversed_prompt_the_two_prompts_are_the_pair(tmp_path):
    row = AGREEMENT | {"reversed": "The key to the cabinets"}
    concept = probes.load_concept(jsonl(tmp_path / "agree.jsonl", row))
    assert [e.text for e in concept.examples] == ["The keys to the cabinet", "The key to the cabinets"]
    assert [e.label for e in concept.examples] == [1, 0]
    assert concept.choices[0].reversed == "The key to the cabinets"


def test_rows_that_show_their_options_are_chats(tmp_path):
    row = {"prompt": "{first} or {second}?", "positive": "tea", "negative": "rum"}
    concept = probes.load_concept(jsonl(tmp_path / "drinks.jsonl", row))
    assert concept.choices[0].completion is None
    assert [turn.content for turn in concept.examples[0].messages] == ["tea or rum?", "tea"]


@pytest.mark.parametrize("names", [("good", "bad"), ("sentence_good", "sentence_bad")])
def test_good_and_bad_sentences_are_scored_whole(tmp_path, names, tiny_lineage_dir):
    path = tmp_path / "sentences.csv"
    path.write_text(
        ",".join(names) + "\nthe chair was sold in Ohio,the lamp was sold\na hat,a chair for Ohio\n"
    )
    concept = probes.load_concept(path)
    assert [e.label for e in concept.examples] == [1, 0, 1, 0]
    assert [(c.prompt, c.completion) for c in concept.choices] == [("", True)] * 2
    assert probes.load_concept(concept.to_folder(tmp_path / "folder")) == concept
    loaded = probes.load_lineage(tiny_lineage_dir)["base"].load()
    scores = probes.score_choices(loaded, concept.choices, progress=False)
    expected = [_logprob(loaded, c.positive) - _logprob(loaded, c.negative) for c in concept.choices]
    assert scores.logits() == pytest.approx(expected, abs=1e-4)


def _logprob(loaded, text):
    """The log-probability of a whole text by transformers' own forward, after BOS, or else EOS."""
    import torch

    tokenizer = loaded.tokenizer
    first = tokenizer.bos_token_id if tokenizer.bos_token_id is not None else tokenizer.eos_token_id
    ids = torch.tensor([[first, *tokenizer(text, add_special_tokens=False).input_ids]])
    logprobs = loaded.model(ids).logits[0, :-1].log_softmax(-1)
    return float(logprobs.gather(-1, ids[0, 1:, None]).sum())


@pytest.mark.parametrize(
    ("row", "what"),
    [
        (AGREEMENT | {"positive": ""}, "row 1.*'positive'.*empty"),
        (AGREEMENT | {"negative": " are"}, "row 1.*expected two options"),
        (AGREEMENT | {"completion": True, "prompt": "{first} or {second}"}, "row 1.*a completion and shows"),
        ({"good": "a hat", "bad": ""}, "row 1.*'bad'"),
        ({"good": "a hat", "worse": "a"}, "good, worse fit no layout"),
    ],
)
def test_wrong_rows_are_named(tmp_path, row, what):
    with pytest.raises(ConceptError, match=what):
        probes.load_concept(jsonl(tmp_path / "rows.jsonl", row))
