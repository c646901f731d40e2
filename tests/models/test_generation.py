"""`generate` is greedy whatever the checkpoint's generation_config says, and ends at the context window."""

import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel

from probes.errors import InputError
from probes.models import TokenBatch
from tests.model_families import BACKENDS, ROWS, hook_up, make_model

SETTINGS = {
    "repetition_penalty": 1.6,
    "num_beams": 3,
    "no_repeat_ngram_size": 1,
    "min_new_tokens": 3,
    "suppress_tokens": [7],
    "temperature": 0.3,
    "top_k": 2,
    "return_dict_in_generate": True,
    "forced_eos_token_id": 1,
    "bad_words_ids": [[9]],
    "num_return_sequences": 2,  # only with beams
}


def greedy(model, row, n):
    """The argmax of plain forwards, one token at a time."""
    ids = list(row)
    for _ in range(n):
        with torch.inference_mode():
            ids.append(int(model(torch.tensor([ids])).logits[0, -1].argmax()))
    return ids[len(row) :]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("setting", [*list(SETTINGS)[:-1], "all"])
def test_greedy_whatever_the_checkpoint_prefers(backend, setting, tokenizer):
    native = make_model("llama")
    native.generation_config.eos_token_id = None
    wanted = [greedy(native, row, 6) for row in ROWS]
    model = hook_up(native, backend, tokenizer)
    for key in SETTINGS if setting == "all" else [setting]:
        setattr(native.generation_config, key, SETTINGS[key])
    own = native.generation_config.to_dict()
    assert [model.generate(TokenBatch.pad([row]), 6)[0] for row in ROWS] == wanted
    assert native.generation_config.to_dict() == own
    penalised = model.generate(TokenBatch.pad(ROWS[:1]), 6, no_repeat_ngram_size=1)[0]
    assert len(set(penalised)) == len(penalised)


def test_the_checkpoints_end_tokens_still_end(tokenizer):
    native = make_model("llama")
    native.generation_config.eos_token_id = None
    wanted = greedy(native, ROWS[0], 6)
    native.generation_config.eos_token_id = [1, wanted[3]]
    model = hook_up(native, "transformers", tokenizer)
    assert model.generate(TokenBatch.pad(ROWS[:1]), 6)[0] == wanted[: wanted.index(wanted[3])]


@pytest.mark.parametrize("backend", BACKENDS)
def test_past_the_context(backend, tokenizer):
    torch.manual_seed(0)
    config = GPT2Config(vocab_size=300, n_embd=32, n_layer=2, n_head=4, n_positions=16, eos_token_id=None)
    native = GPT2LMHeadModel(config).eval()
    model = hook_up(native, backend, tokenizer)
    row = list(range(5, 17))
    batch = TokenBatch.pad([row, row[:4]])
    assert model.generate(batch, 5)[0] == greedy(native, row, 5)
    with pytest.raises(InputError, match=r"12 tokens and 6 new .* 16 positions of GPT2.* up to 5$"):
        model.generate(batch, 6)
    with pytest.raises(InputError, match="shorten the prompt"):
        model.generate(TokenBatch.pad([row + row]), 1)
