"""Choice scores against plain transformers, in both orders; position bias, the table, and bad input."""

import copy
import json

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer
from transformers import AutoTokenizer, PreTrainedTokenizerFast

import probes
from probes.concepts import ChoiceItem
from probes.errors import ConceptError, InputError, TokenizerError
from probes.models import hooked
from probes.steering import score_choices
from tests.steering.makers import ITEMS, Unpacked, table_row


def reference(loaded, item, order):
    """log P of both options' tokens, one plain forward each."""
    text = loaded.tokenizer.apply_chat_template(item.ask(order), tokenize=False, add_generation_prompt=True)
    prompt = loaded.tokenizer(text, add_special_tokens=False).input_ids
    log_probs_of = []
    for which in ("positive", "negative"):
        answer = loaded.tokenizer(item.answer(which), add_special_tokens=False).input_ids
        log_probs = loaded.model(torch.tensor([prompt + answer])).logits[0].log_softmax(-1)
        at = range(len(prompt) - 1, len(prompt) + len(answer) - 1)
        log_probs_of.append(
            np.array([log_probs[i, token].item() for i, token in zip(at, answer, strict=True)])
        )
    return log_probs_of


@pytest.mark.parametrize("wrap", [lambda model: model, Unpacked], ids=["packed", "protocol only"])
def test_scores_are_those_of_plain_transformers(loaded, wrap):
    scores = score_choices(wrap(hooked(loaded)), ITEMS, batch_tokens=200)
    for row, item in enumerate(ITEMS):
        for column, order in enumerate(item.orders):
            positive, negative = reference(loaded, item, order)
            assert scores.summed[row, column] == pytest.approx(positive.sum() - negative.sum(), abs=1e-4)
            assert scores.per_token[row, column] == pytest.approx(positive.mean() - negative.mean(), abs=1e-4)
    assert np.isnan(scores.summed[2, 1])  # its prompt shows no options: one order
    assert np.isfinite(scores.logits()).all()


def test_swapping_the_options_mirrors_the_scores(loaded):
    swapped = [i.model_copy(update={"positive": i.negative, "negative": i.positive}) for i in ITEMS[:2]]
    here, there = score_choices(loaded, ITEMS[:2]), score_choices(loaded, swapped)
    np.testing.assert_allclose(there.logits(), -here.logits(), atol=1e-4)
    np.testing.assert_allclose(there.position_bias(), here.position_bias(), atol=1e-4)


def test_a_planted_position_bias_is_found_and_cancels(loaded):
    model = Unpacked(hooked(loaded))

    def first_wins(prompts, options):
        logprobs = []
        for prompt, pair in zip(prompts, options, strict=True):
            texts = [loaded.tokenizer.decode(ids).lower() for ids in pair]
            question = loaded.tokenizer.decode(prompt).lower()
            first = [question.index(t) < question.index(u) for t, u in zip(texts, texts[::-1], strict=True)]
            logprobs.append(
                [
                    torch.tensor([3.0 if is_first else 0.0] + [0.0] * (len(ids) - 1))
                    for is_first, ids in zip(first, pair, strict=True)
                ]
            )
        return logprobs

    model.choice_logprobs = first_wins
    scores = score_choices(model, ITEMS[:2], concept="thrift")
    np.testing.assert_allclose(scores.position_bias(), 3.0)
    np.testing.assert_allclose(scores.logits(), 0.0)
    assert scores.rate() == 0.5  # two ties
    row = table_row(scores.table, "position_bias", "summed")
    assert (row["estimate"], row["n_pairs"], row["concept"], row["stage"]) == (3.0, 2, "thrift", "model")


def test_table_has_every_measure_with_an_interval(loaded):
    scores = score_choices(loaded, ITEMS, concept="thrift")
    table = scores.table
    assert set(table["measure"]) == {"choice_rate", "choice_logit", "position_bias"}
    assert set(table["variant"]) == {"summed", "per_token"}
    row = table_row(table, "choice_rate", "summed")
    assert row["estimate"] == (scores.logits() > 0).mean()
    assert 0 <= row["ci_low"] <= row["estimate"] <= row["ci_high"] <= 1
    assert (row["stage"], row["render"], row["n_pairs"]) == ("tiny", "shared", 3)
    bias = table_row(table, "position_bias", "summed")
    assert bias["n_pairs"] == 2  # the third item has one order
    single = score_choices(loaded, ITEMS[:1]).table
    assert single["ci_low"].is_null().all()
    assert single["estimate"].is_not_null().all()


def test_digest_follows_the_inputs(loaded):
    digests = [
        score_choices(loaded, items, system=system).table["digest"][0]
        for items, system in ((ITEMS, None), (ITEMS, None), (ITEMS[:2], None), (ITEMS, "be plain"))
    ]
    assert digests[0] == digests[1]
    assert len(set(digests)) == 3


def test_bad_input_is_refused_in_one_line(loaded):
    with pytest.raises(InputError, match="no choice items"):
        score_choices(loaded, [])
    long = ITEMS[0].model_copy(update={"positive": "the cheap chair " * 60})
    with pytest.raises(ConceptError, match=r"choice 'c1': \d+ tokens, but the model's context window is 128"):
        score_choices(loaded, [long])
    with pytest.raises(InputError, match='render=\'mine\': expected "shared" or "own"'):
        score_choices(loaded, ITEMS, render="mine")
    strict = AutoTokenizer.from_pretrained(loaded.tokenizer.name_or_path)
    strict.chat_template = (
        "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system role') }}{% endif %}"
    )
    with pytest.raises(TokenizerError, match=r"refuses messages with roles system, user: .*no system role"):
        score_choices(loaded, ITEMS, system="be cheap", tokenizer=strict)
    other = AutoTokenizer.from_pretrained(loaded.tokenizer.name_or_path)
    vocab = other.get_vocab()
    swapped = json.loads(other.backend_tokenizer.to_str())
    a, b = "e", "h"
    swapped["model"]["vocab"] |= {a: vocab[b], b: vocab[a]}
    mixed = PreTrainedTokenizerFast(tokenizer_object=Tokenizer.from_str(json.dumps(swapped)))
    mixed.chat_template = other.chat_template
    with pytest.raises(
        TokenizerError, match=r"stage 'tiny': token id \d+ is '.' in its own tokenizer but '.'"
    ):
        score_choices(loaded, [ITEMS[0].model_copy(update={"positive": "eh he"})], tokenizer=mixed)
    with pytest.raises(InputError, match="expected a stage"):
        score_choices("tiny", ITEMS)


def test_scores_that_are_not_finite_are_refused(loaded):
    model = Unpacked(hooked(loaded))
    model.choice_logprobs = lambda prompts, options: [[torch.tensor([torch.nan])] * 2 for _ in prompts]
    with pytest.raises(InputError, match="not finite"):
        score_choices(model, ITEMS)


@pytest.mark.parametrize("template", [True, False], ids=["with a chat template", "without one"])
def test_a_completion_is_the_text_as_it_stands(loaded, template):
    """Against transformers' own forward: no template, no "Answer:", no capital letter, no space added."""
    tokenizer = copy.deepcopy(loaded.tokenizer)
    tokenizer.chat_template = tokenizer.chat_template if template else None
    items = [
        ChoiceItem(
            id="a", prompt="the lamp by the table", positive=" was", negative=" is sold", completion=True
        ),
        ChoiceItem(id="b", prompt="the lamp by the", positive=" Ohio", negative=" chair", completion=True),
    ]
    scores = probes.score_choices(loaded, items, tokenizer=tokenizer, progress=False)
    for item, by_order in zip(items, scores.summed, strict=True):
        sums = []
        for option in (item.positive, item.negative):
            prompt = tokenizer(item.prompt)["input_ids"]
            ids = tokenizer(item.prompt + option)["input_ids"]
            assert ids[: len(prompt)] == prompt
            logprobs = loaded.model(torch.tensor([ids])).logits[0].log_softmax(-1)
            sums.append(sum(float(logprobs[i - 1, ids[i]]) for i in range(len(prompt), len(ids))))
        np.testing.assert_allclose(by_order, [sums[0] - sums[1], np.nan], atol=1e-4)
    assert set(scores.table["render"]) == {"plain"}
    gradients = probes.choice_gradients(loaded, items, tokenizer=tokenizer, progress=False)
    np.testing.assert_allclose(gradients.scores.summed[:, 0], scores.summed[:, 0], atol=1e-4)


def test_what_is_no_completion_is_refused(loaded):
    options = {"id": "a", "positive": "b", "negative": "c", "completion": True}
    with pytest.raises(ConceptError, match=r"is a completion and shows \{first\}: expected a plain 'prompt'"):
        ChoiceItem(prompt="{first} or {second}", **options)
    with pytest.raises(ConceptError, match="is a completion and holds 'messages'"):
        ChoiceItem(messages=[{"role": "user", "content": "which"}], **options)
    item = ChoiceItem(prompt="the lamp", **options)
    with pytest.raises(ConceptError, match="'a' is a completion: expected no system message"):
        probes.score_choices(loaded, [item], system="be cheap", progress=False)
    asked = ChoiceItem(id="a", prompt="x", positive="b", negative="c")
    said = ChoiceItem(id="a", prompt="x", positive="b", negative="c", completion=False)
    assert asked.model_dump(exclude_none=True) == said.model_dump(exclude_none=True)
