"""Adapters of every kind give the logits that PEFT computes without merging, or are refused by name."""

import json

import peft
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import GPT2Config, GPT2LMHeadModel, MixtralConfig, MixtralForCausalLM

from probes.errors import CheckpointError
from probes.lineage import check
from tests.checkpoint_makers import (
    lineage_of,
    logits,
    make_model,
    make_tokenizer,
    of_adapter,
    of_folder,
    refused,
)

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:peft")

ALL_TOKENS = torch.arange(0, 320, 5)[None]
Q = {"target_modules": ["q_proj", "down_proj"]}


def untied():
    return make_model(tied=False)


def gpt2():
    torch.manual_seed(0)
    return GPT2LMHeadModel(GPT2Config(vocab_size=320, n_embd=32, n_layer=2, n_head=4)).eval()


def mixtral():
    torch.manual_seed(0)
    config = MixtralConfig(
        vocab_size=320,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        num_local_experts=4,
        initializer_range=0.1,
    )
    return MixtralForCausalLM(config).eval()


def save_random(adapted, folder):
    """Save an adapter after moving all that it trains by noise."""
    torch.manual_seed(3)
    with torch.no_grad():
        for parameter in adapted.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn_like(parameter) * 0.05)
    adapted.save_pretrained(folder)


def stage_of(folder, base, config, grown=None):
    """The stage of an adapter on `base()`, enlarged to `grown` rows in training, and PEFT's model of it."""
    base().save_pretrained(folder / "plain")
    make_tokenizer().save_pretrained(folder / "plain")

    def enlarged():
        model = base()
        if grown:
            torch.manual_seed(5)
            model.resize_token_embeddings(grown, mean_resizing=False)
        return model

    save_random(peft.get_peft_model(enlarged(), config), folder / "adapter")
    reference = peft.PeftModel.from_pretrained(enlarged(), str(folder / "adapter")).eval()
    lineage = lineage_of(folder, base=of_folder("plain"), ft=of_adapter("adapter"))
    return lineage["ft"], reference


KINDS = {
    "rank-stabilised": (make_model, peft.LoraConfig(use_rslora=True, **Q)),
    "DoRA": (make_model, peft.LoraConfig(use_dora=True, **Q)),
    "DoRA on tied embeddings": (
        make_model,
        peft.LoraConfig(use_dora=True, target_modules=["embed_tokens", "q_proj"]),
    ),
    "ranks and alphas by layer": (
        make_model,
        peft.LoraConfig(
            r=4, rank_pattern={"layers.1.self_attn.q_proj": 7}, alpha_pattern={"down_proj": 3}, **Q
        ),
    ),
    "tied embeddings": (make_model, peft.LoraConfig(target_modules=["embed_tokens", "q_proj"])),
    "tied head": (make_model, peft.LoraConfig(target_modules=["lm_head", "q_proj"])),
    "both of them": (make_model, peft.LoraConfig(target_modules=["lm_head", "embed_tokens"])),
    "tied adapters": (
        make_model,
        peft.LoraConfig(target_modules=["embed_tokens", "q_proj"], ensure_weight_tying=True),
    ),
    "untied embeddings": (untied, peft.LoraConfig(target_modules=["lm_head", "embed_tokens"])),
    "head in full": (make_model, peft.LoraConfig(target_modules=["q_proj"], modules_to_save=["lm_head"])),
    "embeddings in full": (
        make_model,
        peft.LoraConfig(target_modules=["q_proj"], modules_to_save=["embed_tokens"]),
    ),
    "token indices": (
        make_model,
        peft.LoraConfig(target_modules=["q_proj"], trainable_token_indices=[5, 10]),
    ),
    "token indices, untied": (
        untied,
        peft.LoraConfig(target_modules=["q_proj"], trainable_token_indices=[5, 10]),
    ),
    "transposed weights": (
        gpt2,
        peft.LoraConfig(target_modules=["c_attn", "c_proj", "wte"], fan_in_fan_out=True),
    ),
    "experts' parameters": (
        mixtral,
        peft.LoraConfig(
            target_modules=["q_proj"],
            target_parameters=["mlp.experts.gate_up_proj", "mlp.experts.down_proj", "mlp.gate.weight"],
        ),
    ),
    "replicated layers": (make_model, peft.LoraConfig(layer_replication=[[0, 2], [1, 2]], **Q)),
    "IA3": (
        make_model,
        peft.IA3Config(target_modules=["k_proj", "down_proj"], feedforward_modules=["down_proj"]),
    ),
    "orthogonal": (make_model, peft.OFTConfig(oft_block_size=8, r=0, **Q)),
    "LoKr": (make_model, peft.LoKrConfig(**Q)),
    "VeRA": (make_model, peft.VeraConfig(r=4, target_modules=["q_proj"])),
    "norms": (make_model, peft.LNTuningConfig(target_modules=["input_layernorm", "norm"])),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_merged_adapter_is_what_peft_computes(folder, kind):
    base, config = KINDS[kind]
    stage, reference = stage_of(folder, base, config)
    loaded = stage.load(device="cpu")
    expected = logits(reference, ALL_TOKENS)
    torch.testing.assert_close(logits(loaded.model, ALL_TOKENS), expected, rtol=1e-5, atol=1e-5)
    plain = logits(base(), ALL_TOKENS)
    assert (expected - plain).norm() > 1e-3 * plain.norm()
    head, embeddings = loaded.model.get_output_embeddings(), loaded.model.get_input_embeddings()
    assert loaded.model.config.tie_word_embeddings == (head.weight is embeddings.weight)


@pytest.mark.parametrize("tied", [True, False])
def test_added_tokens_with_low_rank_embeddings(folder, tied):
    config = peft.LoraConfig(target_modules=["embed_tokens", "q_proj"])
    stage, reference = stage_of(folder, make_model if tied else untied, config, grown=326)
    ids = torch.arange(290, 326)[None]
    loaded, again = stage.load(device="cpu"), stage.load(device="cpu")
    known = slice(None) if tied else slice(320)  # an adapter does not hold new rows of an untied head
    torch.testing.assert_close(
        logits(loaded.model, ids)[:, known], logits(reference, ids)[:, known], rtol=1e-5, atol=1e-5
    )
    torch.testing.assert_close(logits(loaded.model, ids), logits(again.model, ids), rtol=0, atol=0)
    if tied:
        assert loaded.notes == ()
    else:
        rows = loaded.model.lm_head.weight
        torch.testing.assert_close(rows[325], rows[:320].mean(0))
        assert loaded.notes == ("6 new rows of lm_head are in no file: they are the mean of the other 320",)
        assert loaded.notes[0] in [result.what for result in check(stage.lineage) if result.level == "note"]


def test_an_adapter_from_before_experts_were_fused(folder):
    mixtral().save_pretrained(folder / "plain")
    make_tokenizer().save_pretrained(folder / "plain")
    torch.manual_seed(4)
    shapes = {"w1": (48, 32), "w2": (32, 48), "w3": (48, 32)}
    tensors, expected = {}, mixtral()
    for layer in range(2):
        experts = expected.model.layers[layer].mlp.experts
        for expert in range(4):
            gate, up = experts.gate_up_proj[expert].chunk(2)
            fused = {"w1": gate, "w2": experts.down_proj[expert], "w3": up}
            for name, (out, width) in shapes.items():
                key = f"base_model.model.model.layers.{layer}.block_sparse_moe.experts.{expert}.{name}"
                a, b = torch.randn(2, width) * 0.2, torch.randn(out, 2) * 0.2
                tensors |= {f"{key}.lora_A.weight": a, f"{key}.lora_B.weight": b}
                with torch.no_grad():
                    fused[name].add_(2 * b @ a)
    (folder / "adapter").mkdir()
    save_file(tensors, folder / "adapter" / "adapter_model.safetensors", metadata={"format": "pt"})
    peft.LoraConfig(r=2, lora_alpha=4, target_modules=list(shapes)).save_pretrained(folder / "adapter")
    stage = lineage_of(folder, base=of_folder("plain"), ft=of_adapter("adapter"))["ft"]
    torch.testing.assert_close(logits(stage.load(device="cpu").model), logits(expected), rtol=1e-5, atol=1e-5)


def edited(folder, config=None, tensors=None):
    """A LoRA on q_proj, v_proj and lm_head whose config or tensors are changed after it was saved."""
    options = {"target_modules": ["q_proj", "v_proj"], "modules_to_save": ["lm_head"]}
    stage, _ = stage_of(folder, untied, peft.LoraConfig(r=2, **options))
    file = folder / "adapter" / "adapter_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | (config or {})))
    if tensors:
        file = folder / "adapter" / "adapter_model.safetensors"
        kept = {tensors(key): value for key, value in load_file(file).items() if tensors(key)}
        save_file(kept, file, metadata={"format": "pt"})
    return refused(CheckpointError, stage)


@pytest.mark.parametrize(
    ("config", "layer"),
    [
        ({"target_modules": ["q_proj"]}, "model.layers.0.self_attn.v_proj.lora_A.weight [2, 32]"),
        ({"layers_to_transform": [0]}, "model.layers.1.self_attn.q_proj.lora_A.weight [2, 32]"),
        ({"exclude_modules": ["v_proj"]}, "model.layers.0.self_attn.v_proj.lora_A.weight [2, 32]"),
    ],
)
def test_tensors_that_the_config_does_not_name(folder, config, layer):
    message = edited(folder, config)
    assert f"holds {layer} and " in message
    assert "which its adapter_config.json does not name" in message


def test_what_peft_says_in_many_lines_or_not_at_all(folder):
    message = edited(folder, {"r": 8})
    assert "its model.layers.0.self_attn.q_proj.lora_A.weight is [2, 32]" in message
    assert "expect [8, 32]" in message
    message = edited(folder, tensors=lambda key: None if "lm_head" in key else key)
    assert "holds no tensor 'base_model.model.lm_head.weight'" in message
    message = edited(folder, tensors=lambda key: key.removeprefix("base_model.model."))
    assert "does not begin with base_model.model." in message
    assert "is not a PEFT configuration" in edited(folder, {"peft_type": "NEW"})


def test_kinds_that_cannot_be_merged(folder):
    stage, _ = stage_of(folder, make_model, peft.LoraConfig(lora_bias=True, target_modules=["q_proj"]))
    assert "the base layer has no bias" in refused(CheckpointError, stage)
    config = peft.LoraConfig(alora_invocation_tokens=[7, 8], task_type="CAUSAL_LM", **Q)
    stage, _ = stage_of(folder, make_model, config)
    assert "an activated LoRA (alora_invocation_tokens" in refused(CheckpointError, stage)


def test_low_rank_embeddings_of_another_number_of_rows(folder):
    config = peft.LoraConfig(target_modules=["embed_tokens", "q_proj"])
    stage, _ = stage_of(folder, make_model, config, grown=326)
    file = folder / "adapter" / "adapter_model.safetensors"
    kept = {key: value for key, value in load_file(file).items() if "base_layer" not in key}
    save_file(kept, file, metadata={"format": "pt"})
    message = refused(CheckpointError, stage)
    assert "trained with 326 rows of model.embed_tokens, stage base has 320" in message
