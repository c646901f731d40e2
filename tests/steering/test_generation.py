"""Generation against transformers' own, with and without an intervention, and in batches."""

import copy

import numpy as np
import pytest
from tokenizers.processors import TemplateProcessing

import probes
from probes.concepts import ChoiceItem
from probes.errors import InputError
from probes.steering import Add, generate
from tests.steering.makers import SITE

PROMPTS = ["the cheap", "which table would you choose"]


def test_generation_is_that_of_transformers(loaded):
    texts = generate(loaded, PROMPTS, max_new_tokens=6)
    for prompt, text in zip(PROMPTS, texts, strict=True):
        ids = loaded.tokenizer(prompt, return_tensors="pt")
        whole = loaded.model.generate(**ids, max_new_tokens=6, do_sample=False, pad_token_id=0)
        assert text == loaded.tokenizer.decode(whole[0, ids.input_ids.shape[1] :], skip_special_tokens=True)


def test_an_addition_changes_the_text_and_is_gone_afterwards(loaded, vector):
    texts = generate(loaded, PROMPTS, max_new_tokens=6)
    assert generate(loaded, PROMPTS, [Add(SITE, vector, 30.0)], max_new_tokens=6) != texts
    assert generate(loaded, PROMPTS, max_new_tokens=6) == texts


def test_messages_are_rendered_with_the_chat_template(loaded):
    chat = [[{"role": "user", "content": "which chair ?"}]]
    rendered = ["<|user|> which chair ? <|end|> <|assistant|> "]
    assert generate(loaded, chat, max_new_tokens=6) == generate(loaded, rendered, max_new_tokens=6)


def test_batches_change_no_text(loaded):
    alone = generate(loaded, PROMPTS, max_new_tokens=2)
    assert generate(loaded, PROMPTS * 3, max_new_tokens=2, batch_tokens=20) == alone * 3


def test_nothing_to_continue_is_refused(loaded):
    for prompts, message in (([], "no prompts"), ("one string", "no prompts"), ([""], "a prompt is empty")):
        with pytest.raises(InputError, match=message):
            generate(loaded, prompts)


def test_a_prompt_does_not_end_in_the_end_token(loaded):
    """A tokenizer saved with add_eos_token puts the end token after every text; nothing follows it."""
    plain = probes.generate(loaded, ["the cheap"], max_new_tokens=3, progress=False)
    tokenizer = copy.deepcopy(loaded.tokenizer)
    end = tokenizer.eos_token_id
    tokenizer._tokenizer.post_processor = TemplateProcessing(
        single="$A <|end|>", special_tokens=[("<|end|>", end)]
    )
    assert tokenizer("the cheap")["input_ids"][-1] == end
    again = probes.generate(loaded, ["the cheap"], max_new_tokens=3, tokenizer=tokenizer, progress=False)
    assert again == plain
    tokenizer.chat_template = None
    items = [ChoiceItem(id="a", prompt="which", positive="cheap", negative="costly")]
    scores = probes.score_choices(loaded, items, tokenizer=tokenizer, progress=False)
    without = copy.deepcopy(loaded.tokenizer)
    without.chat_template = None
    expected = probes.score_choices(loaded, items, tokenizer=without, progress=False)
    np.testing.assert_array_equal(scores.logits("summed"), expected.logits("summed"))
