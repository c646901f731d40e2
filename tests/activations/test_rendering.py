"""Where activations are read, against transformers; token ids that mean another token; long texts."""

import json

import numpy as np
import pandas as pd
import pytest
from tokenizers import Tokenizer

import probes
from probes.errors import ConceptError, InputError, TokenizerError
from tests.activations.makers import reference
from tests.makers import tiny_llama, tiny_tokenizer

SPANS = [
    {"pair": "p", "label": 1, "text": "the cheap old chair", "evidence": [[4, 9]]},
    {"pair": "p", "label": 0, "text": "the costly old chair", "evidence": [[4, 10]]},
]
CHATS = [
    {
        "pair": "p",
        "label": label,
        "messages": [
            {"role": "user", "content": "which would you choose"},
            {"role": "assistant", "content": answer},
        ],
    }
    for label, answer in [(1, "the cheap chair"), (0, "the costly chair")]
]


def test_span_and_outside_are_the_tokens_in_and_out_of_the_evidence(loaded):
    concept = probes.Concept(name="spans", examples=SPANS)
    acts = probes.extract(loaded, concept, position="span", progress=False)
    encoded = loaded.tokenizer(SPANS[0]["text"], return_offsets_mapping=True)
    inside = [i for i, (s, e) in enumerate(encoded["offset_mapping"]) if s < 9 and e > 4]
    expected = reference(loaded, SPANS[0]["text"])[:, inside].mean(1)
    np.testing.assert_allclose(acts.values[:, 0], expected, atol=1e-5)
    rest = probes.extract(loaded, concept, position="outside", progress=False)
    others = [i for i in range(1, len(encoded["input_ids"])) if i not in inside]
    expected = reference(loaded, SPANS[0]["text"])[:, others].mean(1)
    np.testing.assert_allclose(rest.values[:, 0], expected, atol=1e-5)
    whole = [row | {"evidence": [[0, len(row["text"])]]} for row in SPANS]
    with pytest.raises(ConceptError, match="nothing is outside them"):
        probes.extract(
            loaded, probes.Concept(name="whole", examples=whole), position="outside", progress=False
        )


def test_decision_is_the_last_token_of_the_prompt(loaded):
    concept = probes.Concept(name="chats", examples=CHATS)
    acts = probes.extract(loaded, concept, position="decision", progress=False)
    np.testing.assert_allclose(acts.values[:, 0], acts.values[:, 1], atol=1e-5)  # the answer is not read
    prompt = loaded.tokenizer.apply_chat_template(
        CHATS[0]["messages"][:-1], tokenize=False, add_generation_prompt=True
    )
    np.testing.assert_allclose(acts.values[:, 0], reference(loaded, prompt)[:, -1], atol=1e-5)


def test_answer_is_the_words_of_the_last_turn(loaded):
    concept = probes.Concept(name="chats", examples=CHATS)
    prompt = loaded.tokenizer.apply_chat_template(
        CHATS[0]["messages"][:-1], tokenize=False, add_generation_prompt=True
    )
    acts = probes.extract(loaded, concept, position="answer", progress=False)
    start = len(loaded.tokenizer(prompt)["input_ids"])
    expected = reference(loaded, concept.texts(loaded.tokenizer)[1])[:, start:].mean(1)
    np.testing.assert_allclose(acts.values[:, 1], expected, atol=1e-5)
    plain = probes.Concept(name="plain", examples=SPANS)
    read = [probes.extract(loaded, plain, position=p, progress=False).values for p in ("answer", "mean")]
    np.testing.assert_array_equal(*read)


def test_shared_ids_need_the_same_meaning(tmp_path):
    raw = json.loads(tiny_tokenizer().backend_tokenizer.to_str())
    vocab = raw["model"]["vocab"]
    vocab["t"], vocab["c"] = vocab["c"], vocab["t"]
    swapped = tiny_tokenizer()
    swapped = type(swapped)(tokenizer_object=Tokenizer.from_str(json.dumps(raw)), pad_token="<|pad|>")
    for name, tokenizer in (("root", tiny_tokenizer()), ("child", swapped)):
        tiny_llama().save_pretrained(tmp_path / name)
        tokenizer.save_pretrained(tmp_path / name)
    (tmp_path / "lineage.toml").write_text(
        '[lineage]\nname = "letters"\n'
        '[stages.root]\nkind = "pretrain"\ncheckpoint = { path = "root" }\n'
        '[stages.child]\nkind = "sft"\nparent = "root"\ncheckpoint = { path = "child" }\n'
    )
    child = probes.load_lineage(tmp_path)["child"]
    bare = probes.Concept.from_frame(pd.DataFrame({"text": ["t c", "c t"], "label": [0, 1]}), name="letters")
    with pytest.raises(TokenizerError, match='use render="own"'):
        probes.extract(child, bare, progress=False)
    acts = probes.extract(child, bare, render="own", progress=False)
    assert (acts.render, acts.lineage) == ("own", "letters")


def test_what_a_position_needs_is_named(loaded, concept):
    with pytest.raises(ConceptError, match='"decision" needs messages'):
        probes.extract(loaded, concept, position="decision", progress=False)
    with pytest.raises(ConceptError, match='"span" needs a plain text with evidence'):
        probes.extract(loaded, concept, position="span", progress=False)


def test_a_text_longer_than_the_context_window_is_refused_or_cut(loaded):
    long = probes.Concept.from_frame(
        pd.DataFrame({"text": ["the chair " * 200, "a lamp"], "label": [0, 1]}), name="long"
    )
    with pytest.raises(ConceptError, match="context window is 128: shorten the text, or cut it"):
        probes.extract(loaded, long, progress=False)
    acts = probes.extract(loaded, long, controls=(), truncate=True, progress=False)
    ids = loaded.tokenizer("the chair " * 200)["input_ids"][:128]
    expected = reference(loaded, loaded.tokenizer.decode(ids))[:, -1]
    np.testing.assert_allclose(acts.values[:, 0], expected, atol=1e-5)


def test_decision_and_answer_where_the_prompt_is_no_part_of_the_chat(loaded):
    """The template of a reasoning model writes <think> into the prompt, and not into the chat."""
    tokenizer = tiny_tokenizer()
    tokenizer.chat_template = (
        "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}<|end|>{% endfor %}"
        "{% if add_generation_prompt %}<|assistant|><think>a long thought about it{% endif %}"
    )
    concept = probes.Concept(name="chats", examples=CHATS)
    text = "<|user|>which would you choose<|end|><|assistant|>the costly chair<|end|>"
    ids = tokenizer(text)["input_ids"]
    at = ids.index(tokenizer.convert_tokens_to_ids("<|assistant|>"))
    acts = probes.extract_many(
        loaded, concept, positions=["decision", "answer"], tokenizer=tokenizer, progress=False
    )
    states = reference(loaded, text)
    np.testing.assert_allclose(acts["resid_post", "decision"].values[:, 1], states[:, at], atol=1e-5)
    expected = states[:, at + 1 :].mean(1)
    np.testing.assert_allclose(acts["resid_post", "answer"].values[:, 1], expected, atol=1e-5)


def test_a_token_by_its_number_and_by_its_words(loaded, concept):
    text = concept.examples[0].text
    encoded, states = loaded.tokenizer(text, return_offsets_mapping=True), reference(loaded, text)
    end = text.index("cheap") + len("cheap")
    last = max(i for i, (start, _) in enumerate(encoded["offset_mapping"]) if start < end)
    n = len(encoded["input_ids"])
    other = {"pair": "q", "label": 0, "text": "a cheap lamp by the old chair"}
    cheap = probes.Concept(name="cheap", examples=[{"pair": "p", "label": 1, "text": text}, other])
    for position, at in [("token:0", 0), ("token:-2", n - 2), ("text:cheap", last)]:
        acts = probes.extract(loaded, cheap, position=position, controls=(), progress=False)
        np.testing.assert_allclose(acts.values[:, 0], states[:, at], atol=1e-5)
        assert acts.position == position
    for wrong in ("token:x", "token:", "text:", "words:a"):
        with pytest.raises(InputError, match="token:N"):
            probes.extract(loaded, concept, position=wrong, progress=False)
    with pytest.raises(ConceptError, match=r"there is no token 99: the text has \d+ tokens"):
        probes.extract(loaded, concept, position="token:99", progress=False)
    with pytest.raises(ConceptError, match="'Mars' does not stand in the text"):
        probes.extract(loaded, concept, position="text:Mars", progress=False)


def test_words_that_were_cut_off_are_not_read(loaded):
    text = "the chair " * 60 + "a lamp"
    examples = [{"pair": "p", "label": label, "text": text} for label in (0, 1)]
    concept = probes.Concept(name="long", examples=examples)
    with pytest.raises(ConceptError, match="'a lamp' was cut off"):
        probes.extract(loaded, concept, position="text:a lamp", truncate=True, progress=False)
