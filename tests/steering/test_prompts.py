"""Prompts of choice items: the system text, no chat template, and the tokens of options."""

import numpy as np
import pytest
from tokenizers import Tokenizer, models, pre_tokenizers
from tokenizers import decoders as token_decoders
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from probes.concepts import ChoiceItem
from probes.errors import TokenizerError
from probes.steering import score_choices
from probes.steering.prompts import choice_prompts, render_chat
from tests.steering.makers import ITEMS


def test_system_text_goes_first_and_changes_the_scores(loaded):
    tokenizer = loaded.tokenizer
    assert "<|system|> be cheap <|end|> <|user|>" in render_chat(ITEMS[0].ask(), tokenizer, "be cheap")
    own = [{"role": "system", "content": "old"}, {"role": "user", "content": "which ?"}]
    assert "<|system|> new\n\nold <|end|>" in render_chat(own, tokenizer, "new")
    assert own[0]["content"] == "old"
    with_spec = score_choices(loaded, ITEMS, system="choose the cheap chair")
    assert not np.allclose(with_spec.logits(), score_choices(loaded, ITEMS).logits())


def test_without_a_chat_template_the_prompt_is_plain_and_labelled(loaded):
    bare = AutoTokenizer.from_pretrained(loaded.tokenizer.name_or_path)
    bare.chat_template = None
    scores = score_choices(loaded, ITEMS, tokenizer=bare)
    assert set(scores.table["render"]) == {"plain"}
    prompt, option = choice_prompts(ITEMS[:1], bare)[0].sequences[0]
    assert bare.decode(prompt + option).endswith(" ?\nAnswer: The cheap chair")


@pytest.mark.parametrize("template_end", ["", "\n", " "])
def test_options_continue_the_prompts_own_tokens(loaded, template_end):
    tokenizer = AutoTokenizer.from_pretrained(loaded.tokenizer.name_or_path)
    tokenizer.chat_template = (
        "{% for m in messages %}<|user|>{{ m['content'] }}<|end|>{% endfor %}<|assistant|>" + "{{ end }}"
    ).replace("{{ end }}", "{{ '" + template_end.replace("\n", "\\n") + "' }}")
    text = render_chat(ITEMS[0].ask(), tokenizer)
    assert text.endswith("<|assistant|>" + template_end)
    prompt, option = choice_prompts(ITEMS[:1], tokenizer)[0].sequences[0]
    assert list(prompt) == tokenizer(text, add_special_tokens=False).input_ids
    assert tokenizer.decode(prompt + option) == text + ITEMS[0].answer("positive")


def test_an_option_that_does_not_survive_tokenisation_is_refused():
    raw = Tokenizer(models.BPE({"▁": 0, "a": 1, "B": 2, "aB": 3, "x": 4}, [("a", "B")], unk_token="x"))
    raw.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    raw.decoder = token_decoders.Metaspace(prepend_scheme="always")
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=raw)
    tokenizer.chat_template = "x a"
    item = ChoiceItem(id="merges", prompt="x", positive="B", negative="x")
    with pytest.raises(TokenizerError, match="choice 'merges': option 'B' does not survive tokenisation"):
        choice_prompts([item], tokenizer)
