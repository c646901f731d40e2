"""Adapters that change the vocabulary or the head, and adapters of another model."""

import peft
import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel

from probes.errors import CheckpointError
from tests.checkpoint_makers import (
    OTHER_TEMPLATE,
    lineage_of,
    logits,
    make_adapter,
    make_model,
    make_tokenizer,
    of_adapter,
    of_folder,
    refused,
)


@pytest.mark.filterwarnings("ignore:Model has `tie_word_embeddings=True` and a tied layer:UserWarning")
@pytest.mark.parametrize("tied", [True, False])
def test_an_adapter_that_grew_the_vocabulary_and_trained_the_head(folder, tied):
    base = make_model(tied=tied)
    base.save_pretrained(folder / "plain")
    make_tokenizer().save_pretrained(folder / "plain")
    base.resize_token_embeddings(326)
    adapted = make_adapter(base, modules_to_save=["lm_head", "embed_tokens"])
    with torch.no_grad():
        adapted.get_output_embeddings().weight.add_(0.05)
    adapted.save_pretrained(folder / "grown")
    make_tokenizer(extra=[f"<{i}>" for i in range(26)], template=OTHER_TEMPLATE).save_pretrained(
        folder / "grown"
    )
    lineage = lineage_of(folder, base=of_folder("plain"), grown=of_adapter("grown"))
    loaded = lineage["grown"].load(device="cpu")
    ids = torch.arange(300, 326)[None]
    torch.testing.assert_close(logits(loaded.model, ids), logits(adapted, ids), rtol=1e-4, atol=1e-4)
    assert loaded.model.get_input_embeddings().weight.shape[0] == 326
    assert len(loaded.tokenizer) == 326
    assert loaded.tokenizer.chat_template == OTHER_TEMPLATE
    head, embeddings = loaded.model.lm_head.weight, loaded.model.model.embed_tokens.weight
    assert loaded.model.config.tie_word_embeddings == (head is embeddings)


def test_adapters_of_another_model(folder):
    wide = make_model(width=64)
    make_adapter(wide).save_pretrained(folder / "wide")
    torch.manual_seed(0)
    gpt2 = GPT2LMHeadModel(GPT2Config(vocab_size=320, n_embd=32, n_layer=2, n_head=4))
    make_adapter(gpt2, target_modules=["c_attn"], fan_in_fan_out=True).save_pretrained(
        folder / "gpt2-adapter"
    )
    make_adapter(make_model(layers=4)).save_pretrained(folder / "deep")
    make_adapter(make_model(layers=1)).save_pretrained(folder / "shallow")
    prompt = peft.PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=2)
    peft.get_peft_model(make_model(), prompt).save_pretrained(folder / "prompt")
    names = {"wide": "wide", "gpt2": "gpt2-adapter", "deep": "deep", "shallow": "shallow", "prompt": "prompt"}
    lineage = lineage_of(folder, base=of_folder(), **{name: of_adapter(path) for name, path in names.items()})
    messages = {name: refused(CheckpointError, lineage[name]) for name in names}
    assert (
        "its model.layers.0.mlp.down_proj has output width 64, stage base (LlamaForCausalLM) has 32"
        in messages["wide"]
    )
    assert (
        "it adapts transformer.h.0.attn.c_attn, which stage base (LlamaForCausalLM) does not"
        in messages["gpt2"]
    )
    assert "it adapts model.layers.2.mlp.down_proj, which stage base" in messages["deep"]
    assert "has no weights for model.layers.1" in messages["shallow"]
    assert "PROMPT_TUNING adapters change the prompt and cannot be merged" in messages["prompt"]


def test_an_adapter_of_gpt2_fits_gpt2(folder):
    torch.manual_seed(0)
    gpt2 = GPT2LMHeadModel(GPT2Config(vocab_size=320, n_embd=32, n_layer=2, n_head=4)).eval()
    gpt2.save_pretrained(folder / "gpt2")
    make_tokenizer().save_pretrained(folder / "gpt2")
    adapted = make_adapter(gpt2, target_modules=["c_attn"], fan_in_fan_out=True)
    adapted.save_pretrained(folder / "gpt2-adapter")
    lineage = lineage_of(folder, base=of_folder("gpt2"), a=of_adapter("gpt2-adapter"))
    torch.testing.assert_close(
        logits(lineage["a"].load(device="cpu").model), logits(adapted), rtol=1e-4, atol=1e-4
    )
