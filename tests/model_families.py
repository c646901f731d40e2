"""Tiny models of many families, where their sites are, and what transformers itself computes there."""

from __future__ import annotations

import os
from types import SimpleNamespace

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import torch
import transformers as hf

from probes.models import Site, expand, hooked
from tests.makers import random_llama

N_LAYERS = 3


ROWS = [[5, 6, 7, 8, 9, 10, 11, 12, 13], [14, 15, 16], [17, 18, 19, 20, 21]]


KINDS = ("embed", "resid_pre", "resid_mid", "resid_post", "attn_out", "mlp_out", "z")


COMMON = {
    "vocab_size": 100,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": N_LAYERS,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 0,
    "initializer_range": 0.2,
}


SMALL = {
    "vocab_size": 100,
    "n_embd": 32,
    "n_layer": N_LAYERS,
    "n_head": 4,
    "n_positions": 64,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "initializer_range": 0.2,
}


GEMMA = {**COMMON, "head_dim": 16, "sliding_window": 6, "query_pre_attn_scalar": 16}


# Class, config, where the blocks are, and inside a block: the module whose output attention adds to the
# residual stream, the same for the MLP, and the output projection of attention. They are written by hand from
# the modelling code of each family, on purpose not by the code under test.


LLAMA = ("model.layers", "self_attn", "mlp", "self_attn.o_proj")


POST_NORM = ("model.layers", "post_attention_layernorm", "post_feedforward_layernorm", "self_attn.o_proj")


FAMILIES = {
    "gpt2": (hf.GPT2LMHeadModel, hf.GPT2Config(**SMALL), "transformer.h", "attn", "mlp", "attn.c_proj"),
    "pythia": (
        hf.GPTNeoXForCausalLM,
        hf.GPTNeoXConfig(**{k: COMMON[k] for k in COMMON if k != "num_key_value_heads"}),
        "gpt_neox.layers", "attention", "mlp", "attention.dense",
    ),
    "llama": (hf.LlamaForCausalLM, hf.LlamaConfig(**COMMON), *LLAMA),
    "qwen2": (hf.Qwen2ForCausalLM, hf.Qwen2Config(**COMMON), *LLAMA),
    "qwen3": (hf.Qwen3ForCausalLM, hf.Qwen3Config(**COMMON, head_dim=16), *LLAMA),
    "olmo2": (hf.Olmo2ForCausalLM, hf.Olmo2Config(**COMMON), *POST_NORM),
    "olmo3": (hf.Olmo3ForCausalLM, hf.Olmo3Config(**COMMON, sliding_window=6), *POST_NORM),
    "gemma2": (hf.Gemma2ForCausalLM, hf.Gemma2Config(**GEMMA), *POST_NORM),
    "gemma3": (hf.Gemma3ForCausalLM, hf.Gemma3TextConfig(**GEMMA), *POST_NORM),
    "mistral": (hf.MistralForCausalLM, hf.MistralConfig(**COMMON, sliding_window=6), *LLAMA),
    "phi3": (hf.Phi3ForCausalLM, hf.Phi3Config(**COMMON), *LLAMA),
}  # fmt: skip


OTHERS = {
    "stablelm": (hf.StableLmForCausalLM, hf.StableLmConfig(**COMMON), *LLAMA),
    "gptj": (hf.GPTJForCausalLM, hf.GPTJConfig(**SMALL, rotary_dim=4), "transformer.h", "attn", "mlp",
             "attn.out_proj"),
    "opt": (
        hf.OPTForCausalLM,
        hf.OPTConfig(vocab_size=100, hidden_size=32, ffn_dim=48, num_hidden_layers=N_LAYERS,
                     num_attention_heads=4, max_position_embeddings=64, word_embed_proj_dim=32, init_std=0.2),
        "model.decoder.layers", "self_attn", "fc2", "self_attn.out_proj",
    ),
    "mixtral": (hf.MixtralForCausalLM, hf.MixtralConfig(**COMMON, num_local_experts=4), *LLAMA),
}  # fmt: skip


PARALLEL = {"pythia", "gptj"}


ALL = {**FAMILIES, **OTHERS}


BACKENDS = ("transformers", "transformer_lens", "nnsight")


def make_model(name: str, attention: str = "eager"):
    """A tiny model of the family with weights large enough that mistakes show."""
    torch.manual_seed(0)
    model = ALL[name][0]._from_config(ALL[name][1], attn_implementation=attention).eval()
    model.config.architectures = [type(model).__name__]
    return model


def hook_up(model, backend="transformers", tokenizer=None):
    return hooked(SimpleNamespace(model=model, tokenizer=tokenizer), backend)


def kinds_of(name: str) -> list[str]:
    return [kind for kind in KINDS if not (kind == "resid_mid" and name in PARALLEL)]


def sites_of(name: str) -> list[Site]:
    return [site for kind in kinds_of(name) for site in expand(kind, "all", N_LAYERS)]


def reference(model, name: str, row: list[int]) -> dict[Site, torch.Tensor]:
    """Each site on one unpadded row, from transformers' hidden states and raw forward hooks."""
    _, _, blocks, attention, mlp, projection = ALL[name]
    values, handles = {}, []

    def keep_output(key):
        def hook(_module, _args, output):
            output = output if isinstance(output, torch.Tensor) else output[0]
            values[key] = output.reshape(len(row), -1)

        return hook

    def keep_input(key):
        def hook(_module, args, _output):
            values[key] = args[0].reshape(len(row), -1)

        return hook

    for layer in range(N_LAYERS):
        block = model.get_submodule(f"{blocks}.{layer}")
        for kind, path in (("attn_out", attention), ("mlp_out", mlp)):
            handles.append(block.get_submodule(path).register_forward_hook(keep_output(Site(kind, layer))))
        handles.append(block.get_submodule(projection).register_forward_hook(keep_input(Site("z", layer))))
    with torch.no_grad():
        states = model(
            input_ids=torch.tensor([row]), output_hidden_states=True, use_cache=False
        ).hidden_states
    for handle in handles:
        handle.remove()
    for layer in range(N_LAYERS):
        before = states[layer][0]
        added = before + values[Site("attn_out", layer)]
        values[Site("resid_pre", layer)] = before
        values[Site("resid_mid", layer)] = added
        values[Site("resid_post", layer)] = added + values[Site("mlp_out", layer)]
        if layer + 1 < N_LAYERS:  # the last hidden state is after the final norm
            torch.testing.assert_close(values[Site("resid_post", layer)], states[layer + 1][0])
    values[Site("embed")] = states[0][0]
    return values


class AddVector:
    """h + vector at `positions`."""

    def __init__(self, site, vector, positions="all"):
        self.site, self.vector, self.positions = site, vector, positions

    def apply(self, values):
        return values + self.vector


def make_native(**changes):
    """A Llama with 3 blocks, d_model 32 and a vocabulary of 100."""
    return random_llama(**COMMON | changes)


def vector(seed=1, width=32):
    """Random numbers, `[width]`."""
    return torch.randn(width, generator=torch.Generator().manual_seed(seed))


def last(values, batch):
    """A pool that keeps each row's last token."""
    index = batch.attention_mask.cumsum(-1).argmax(-1)
    return values[torch.arange(len(values)), index]
