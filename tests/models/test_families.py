"""Every backend gives every site of every family the value that transformers itself computes there."""

from __future__ import annotations

import os
from types import SimpleNamespace

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import pytest
import torch
import transformers as hf
from tokenizers import Tokenizer
from tokenizers.models import WordLevel

from probes.errors import CheckpointError, InputError, SiteError
from probes.models import Site, TokenBatch, expand, hooked

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
# residual stream, the same for the MLP, and the output projection of attention. Written by hand from the
# modelling code of each family, on purpose not by the code under test.
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


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    words = Tokenizer(WordLevel({f"w{i}": i for i in range(100)}, unk_token="w0"))
    folder = tmp_path_factory.mktemp("tokenizer")
    hf.PreTrainedTokenizerFast(
        tokenizer_object=words, pad_token="w0", bos_token="w1", eos_token="w2", unk_token="w0"
    ).save_pretrained(folder)
    return hf.AutoTokenizer.from_pretrained(folder)


def hook_up(model, backend="transformers", tokenizer=None):
    return hooked(SimpleNamespace(model=model, tokenizer=tokenizer), backend)


def kinds_of(name: str) -> list[str]:
    return [kind for kind in KINDS if not (kind == "resid_mid" and name in PARALLEL)]


def sites_of(name: str) -> list[Site]:
    return [site for kind in kinds_of(name) for site in expand(kind, "all", N_LAYERS)]


def reference(model, name: str, row: list[int]) -> dict[Site, torch.Tensor]:
    """Each site on one unpadded row, from transformers' hidden states and raw forward hooks."""
    _, _, blocks, attention, mlp, projection = ALL[name]
    seen, handles = {}, []

    def keep_output(key):
        def hook(_module, _args, output):
            output = output if isinstance(output, torch.Tensor) else output[0]
            seen[key] = output.reshape(len(row), -1)

        return hook

    def keep_input(key):
        def hook(_module, args, _output):
            seen[key] = args[0].reshape(len(row), -1)

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
        added = before + seen[Site("attn_out", layer)]
        seen[Site("resid_pre", layer)] = before
        seen[Site("resid_mid", layer)] = added
        seen[Site("resid_post", layer)] = added + seen[Site("mlp_out", layer)]
        if layer + 1 < N_LAYERS:  # the last hidden state is after the final norm
            torch.testing.assert_close(seen[Site("resid_post", layer)], states[layer + 1][0])
    seen[Site("embed")] = states[0][0]
    return seen


@pytest.fixture(scope="module")
def references():
    cache = {}

    def of(name: str):
        if name not in cache:
            model = make_model(name)
            logits = [model(input_ids=torch.tensor([row])).logits[0].detach() for row in ROWS]
            cache[name] = [reference(model, name, row) for row in ROWS], logits
        return cache[name]

    return of


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", ALL)
def test_sites_and_logits_are_those_of_transformers(name, backend, tokenizer, references):
    expected, logits = references(name)
    model = hook_up(make_model(name), backend, tokenizer)
    assert (model.n_layers, model.d_model, model.n_heads) == (N_LAYERS, 32, 4)
    assert model.d_head == (16 if name in ("qwen3", "gemma2", "gemma3") else 8)
    for side in ("left", "right"):
        batch = TokenBatch.pad(ROWS, side=side)
        read = model.read(batch, sites_of(name))
        got_logits = model.logits(batch)
        some = torch.tensor([[i, int(batch.attention_mask[i].nonzero()[-1])] for i in range(len(ROWS))])
        got_last = model.logits(batch, at=some)
        for i in range(len(ROWS)):
            real = batch.attention_mask[i].bool()
            for site in sites_of(name):
                want = expected[i][site]
                error = (read[site][i][real] - want).abs().max() / want.abs().max()
                assert error < 1e-5, f"{site} row {i} padded {side}: {error:.1e}"
            torch.testing.assert_close(got_logits[i][real], logits[i], atol=1e-4, rtol=0)
            torch.testing.assert_close(got_last[i], logits[i][-1], atol=1e-4, rtol=0)
        assert not any(values.isnan().any() for values in read.values())


class Push:
    """h + vector at `positions`."""

    def __init__(self, site, vector, positions="all"):
        self.site, self.vector, self.positions = site, vector, positions

    def apply(self, values):
        return values + self.vector


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", FAMILIES)
def test_pushes_have_the_effect_they_must(name, backend, tokenizer):
    """Adding v to the residual stream is the same wherever it is added between two blocks' reads: at
    resid_pre of block 1, at resid_post of block 0, at mlp_out of block 0; and adding at attn_out is adding
    at resid_mid."""
    model = hook_up(make_model(name), backend, tokenizer)
    batch = TokenBatch.pad(ROWS, side="left")
    at = torch.tensor([[i, batch.input_ids.shape[1] - 1] for i in range(len(ROWS))])
    vector = torch.randn(32, generator=torch.Generator().manual_seed(1))
    plain = model.logits(batch, at)

    def pushed(kind, layer, positions="all"):
        with model.intervene(Push(Site(kind, layer), vector, positions)):
            return model.logits(batch, at)

    wanted = pushed("resid_pre", 1)
    assert (wanted - plain).abs().max() > 1e-2
    for kind in ("resid_post", "mlp_out"):
        torch.testing.assert_close(pushed(kind, 0), wanted, atol=1e-4, rtol=0)
    if name not in PARALLEL:
        torch.testing.assert_close(pushed("resid_mid", 1), pushed("attn_out", 1), atol=1e-4, rtol=0)
    # a push at the last token of the last block acts on its logits exactly as one at all tokens does
    torch.testing.assert_close(pushed("resid_post", 2, "last"), pushed("resid_post", 2), atol=1e-4, rtol=0)
    assert (pushed("resid_post", 0, "last") - wanted).abs().max() > 1e-3
    torch.testing.assert_close(model.logits(batch, at), plain, atol=0, rtol=0)


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
@pytest.mark.parametrize("name", FAMILIES)
def test_packed_choices_equal_plain_log_softmax(name, attention):
    if name == "gemma2" and attention == "sdpa":
        pytest.skip("transformers refuses sdpa for Gemma-2")
    native = make_model(name, attention)
    model = hook_up(native)
    prompts = [[1, 5, 6], [1, 7, 8, 9, 10, 11, 12], [1, 5]]
    options = [[[7, 8], [7, 9], [10]], [[13], [14, 15]], [[6, 7, 8], [7]]]
    vector = torch.randn(32, generator=torch.Generator().manual_seed(1))
    for push in ([], [Push(Site("resid_post", 1), vector)]):
        with model.intervene(*push):
            scores = model.choice_logprobs(prompts, options)
            for prompt, some, got in zip(prompts, options, scores, strict=True):
                for option, score in zip(some, got, strict=True):
                    with torch.no_grad():
                        logits = native(input_ids=torch.tensor([prompt + option])).logits[0]
                    rows = logits.log_softmax(-1)[len(prompt) - 1 : -1]
                    want = rows.gather(-1, torch.tensor(option)[:, None])[:, 0]
                    torch.testing.assert_close(score, want, atol=1e-4, rtol=0)
    assert model.can_pack(5), f"{name} should run packed"


@pytest.mark.parametrize("name", ALL)
def test_fanning_out_is_pushing_one_arm_at_a_time(name):
    model = hook_up(make_model(name))
    batch = TokenBatch.pad(ROWS, side="left")
    at = torch.tensor([[0, 8], [2, 8]])
    groups = [[([1, 5, 6], [7, 8]), ([1, 5, 6], [9])], [([1, 7, 8, 9], [13]), ([1, 7], [14, 15])]]
    for kind in kinds_of(name):
        width = model.n_heads * model.d_head if kind == "z" else model.d_model
        vectors = torch.randn(3, width, generator=torch.Generator().manual_seed(2))
        site = Site("embed") if kind == "embed" else Site(kind, 1)
        with torch.no_grad(), model.fan_out(site, vectors):
            whole, some, scored = model.logits(batch), model.logits(batch, at), model.trie_logprobs(groups)
        torch.testing.assert_close(some, whole[:, at[:, 0], at[:, 1]], atol=1e-4, rtol=0)
        for arm in (0, 2):
            with torch.no_grad(), model.intervene(Push(site, vectors[arm])):
                torch.testing.assert_close(whole[arm], model.logits(batch), atol=1e-4, rtol=0)
                for got, want in zip(scored, model.trie_logprobs(groups), strict=True):
                    for g, w in zip(got, want, strict=True):
                        torch.testing.assert_close(g[arm], w, atol=1e-4, rtol=0)


def test_a_fan_runs_the_blocks_below_its_site_once_and_leaves_nothing_behind():
    model, batch, site = hook_up(make_model("llama")), TokenBatch.pad(ROWS), Site("resid_post", 1)
    model.choice_logprobs([[5]], [[[6]]])  # whether packing works is found out at the first scores
    rows = []
    for block in model.architecture.blocks:
        block.module.register_forward_hook(lambda _module, args, _output: rows.append(len(args[0])))
    with torch.no_grad(), model.fan_out(site, torch.ones(4, 32)):
        model.logits(batch)
        with (
            pytest.raises(InputError, match="fan_out inside fan_out"),
            model.fan_out(site, torch.ones(2, 32)),
        ):
            pass
    assert rows == [3, 12, 12]
    with pytest.raises(SiteError, match="vectors of width 5"), model.fan_out(site, torch.ones(2, 5)):
        model.logits(batch)
    assert model.logits(batch).shape == (3, 9, 100)


@pytest.mark.parametrize("backend", ["transformer_lens", "nnsight"])
@pytest.mark.parametrize("name", ["gpt2", "pythia", "llama", "gemma2"])
def test_backends_generate_the_same_under_a_push(name, backend, tokenizer):
    batch = TokenBatch.pad(ROWS)
    push = Push(Site("resid_post", 1), 3 * torch.randn(32, generator=torch.Generator().manual_seed(1)))
    texts = []
    for each in ("transformers", backend):
        model = hook_up(make_model(name), each, tokenizer)
        with model.intervene(push):
            texts.append(model.generate(batch, 5))
    assert texts[0] == texts[1]


@pytest.mark.parametrize("name", sorted(PARALLEL))
def test_parallel_blocks_have_no_resid_mid(name):
    model = hook_up(make_model(name))
    with pytest.raises(SiteError, match=r"resid_mid\.1 .* runs attention and MLP in parallel"):
        model.read(TokenBatch.pad(ROWS), [Site("resid_mid", 1)])


def test_scaled_residuals_are_refused_by_name():
    config = hf.GraniteConfig(**COMMON, residual_multiplier=0.5, logits_scaling=3.0)
    native = hf.GraniteForCausalLM(config).eval()
    model = hook_up(native)
    batch = TokenBatch.pad([ROWS[0]])
    with pytest.raises(SiteError, match=r"attn_out\.0 is not available in GraniteForCausalLM"):
        model.read(batch, [Site("attn_out", 0)])
    at = torch.tensor([[0, 3]])
    want = native(input_ids=batch.input_ids).logits[0, 3]
    torch.testing.assert_close(model.logits(batch, at)[0], want, atol=1e-5, rtol=0)


def test_encoder_decoders_and_models_without_a_head_are_refused_by_name():
    t5 = hf.T5ForConditionalGeneration(
        hf.T5Config(vocab_size=100, d_model=32, d_kv=8, d_ff=48, num_layers=2, num_heads=4)
    )
    with pytest.raises(CheckpointError, match="T5ForConditionalGeneration is an encoder-decoder"):
        hook_up(t5)
    with pytest.raises(CheckpointError, match="LlamaModel has no causal language-model head"):
        hook_up(hf.LlamaModel(hf.LlamaConfig(**COMMON)))
    bert = hf.BertForMaskedLM(hf.BertConfig(vocab_size=100, hidden_size=32, intermediate_size=48,
                                            num_hidden_layers=2, num_attention_heads=4))  # fmt: skip
    with pytest.raises(CheckpointError, match="BertForMaskedLM has no causal language-model head"):
        hook_up(bert)


def test_alibi_models_are_scored_unpacked():
    config = hf.BloomConfig(vocab_size=100, hidden_size=32, n_layer=2, n_head=4, initializer_range=0.2)
    native = hf.BloomForCausalLM(config).eval()
    model = hook_up(native)
    score = model.choice_logprobs([[1, 5, 6]], [[[7, 8], [9]]])[0][0]
    logits = native(input_ids=torch.tensor([[1, 5, 6, 7, 8]])).logits[0].log_softmax(-1)
    torch.testing.assert_close(score, torch.stack([logits[2, 7], logits[3, 8]]), atol=1e-4, rtol=0)
    assert not model.can_pack(5)
