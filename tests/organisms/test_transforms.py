"""Exact transforms: what they do to every residual state, to the function, and what they refuse."""

import numpy as np
import pytest
import torch
from transformers import (
    Gemma2Config,
    Gemma2ForCausalLM,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
)

import probes
from probes.errors import CheckpointError, InputError, OutputError
from probes.organisms.transforms import (
    logit_change,
    orthonormal_basis,
    project_out,
    rotate,
    rotation,
    save_stage,
)
from tests.makers import tiny_llama, tiny_tokenizer


def scaled(model, seed=0):
    """The model with norm scales that are not all 1, as training leaves them."""
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in model.named_parameters():
        if "norm" in name or name.endswith("bias"):
            parameter.data = 0.5 + torch.rand(parameter.shape, generator=generator)
    return model.eval().requires_grad_(False)


def small(config_class, model_class, **changes):
    settings = {
        "vocab_size": 120,
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "initializer_range": 0.2,
        "pad_token_id": 0,
        "bos_token_id": None,
        "eos_token_id": 1,
    }
    torch.manual_seed(0)
    return scaled(model_class(config_class(**(settings | changes))))


LLAMAS = {
    "llama": lambda: scaled(tiny_llama()),
    "tied": lambda: small(LlamaConfig, LlamaForCausalLM, tie_word_embeddings=True),
    "biased": lambda: small(LlamaConfig, LlamaForCausalLM, attention_bias=True, mlp_bias=True),
    "qwen2": lambda: small(Qwen2Config, Qwen2ForCausalLM, tie_word_embeddings=True),
}


def residuals(model, ids):
    """`[layer, token, d]`: the input of the first block and the output of each."""
    states, hooks = [], []
    layers = model.model.layers
    hooks.append(
        layers[0].register_forward_pre_hook(lambda m, args, kw: states.append(args[0]), with_kwargs=True)
    )
    for layer in layers:
        hooks.append(layer.register_forward_hook(lambda m, args, out: states.append(out)))
    with torch.inference_mode():
        model(input_ids=ids)
    for hook in hooks:
        hook.remove()
    return torch.stack([(h[0] if isinstance(h, tuple) else h)[0] for h in states]).double()


@pytest.mark.parametrize("name", LLAMAS)
def test_rotation_keeps_the_function_and_turns_every_residual(name):
    model = LLAMAS[name]()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    turned = rotate(model, seed=3)
    assert logit_change(model, turned) < 1e-5
    ids = torch.randint(100, (1, 20), generator=torch.Generator().manual_seed(1))
    matrix = rotation(32, 3)
    torch.testing.assert_close(matrix @ matrix.T, torch.eye(32).double())
    torch.testing.assert_close(residuals(turned, ids), residuals(model, ids) @ matrix, atol=1e-4, rtol=1e-4)
    assert all(torch.equal(value, model.state_dict()[key]) for key, value in before.items())
    assert logit_change(rotate(model, seed=4), turned) < 1e-5


@pytest.mark.parametrize("name", LLAMAS)
@pytest.mark.parametrize("k", [1, 3])
def test_nothing_writes_what_was_projected_out(name, k):
    model = LLAMAS[name]()
    directions = np.random.default_rng(0).normal(size=(k, 32)) * 5
    reduced = project_out(model, directions)
    ids = torch.randint(100, (1, 20), generator=torch.Generator().manual_seed(1))
    left = residuals(reduced, ids)
    unit = torch.from_numpy(directions / np.linalg.norm(directions, axis=1, keepdims=True))
    assert float((left @ unit.T).abs().max()) < 1e-5 * float(left.norm(dim=-1).max())
    assert float((residuals(model, ids) @ unit.T).abs().max()) > 0.1
    assert logit_change(model, reduced) > 1e-3
    assert logit_change(reduced, project_out(reduced, directions)) < 1e-6
    head = reduced.get_output_embeddings().weight
    torch.testing.assert_close(head, model.get_output_embeddings().weight)


def test_a_direction_that_nothing_writes_is_no_loss():
    model = LLAMAS["llama"]()
    unused = np.eye(32)[5]
    without = project_out(model, unused)
    assert logit_change(without, project_out(without, unused)) < 1e-6


def test_the_basis_is_orthonormal_and_drops_directions_that_others_span():
    directions = np.random.default_rng(0).normal(size=(3, 8))
    basis = orthonormal_basis(np.concatenate([directions, directions.sum(0, keepdims=True)]), 8)
    assert basis.shape == (3, 8)
    torch.testing.assert_close(basis @ basis.T, torch.eye(3).double())
    torch.testing.assert_close(torch.from_numpy(directions) @ basis.T @ basis, torch.from_numpy(directions))


@pytest.mark.parametrize(
    ("directions", "message"),
    [
        (np.ones(31), r"expected \[k, 32\]"),
        (np.zeros(32), "length zero"),
        (np.full(32, np.nan), "not finite"),
        (np.eye(32), "span all 32"),
    ],
)
def test_directions_that_cannot_be_projected_out(directions, message):
    with pytest.raises(InputError, match=message):
        project_out(tiny_llama(), directions)


def test_models_of_another_build_are_refused():
    gemma = small(Gemma2Config, Gemma2ForCausalLM, head_dim=8)
    gpt2 = GPT2LMHeadModel(GPT2Config(vocab_size=50, n_embd=16, n_layer=1, n_head=2)).eval()
    for model in (gemma, gpt2):
        with pytest.raises(CheckpointError):
            rotate(model)
        with pytest.raises(CheckpointError):
            project_out(model, np.ones(model.config.hidden_size))


def test_transformed_models_load_from_a_lineage(tmp_path):
    model, tokenizer = (
        small(LlamaConfig, LlamaForCausalLM, vocab_size=400, tie_word_embeddings=True),
        tiny_tokenizer(),
    )
    stages = {"base": model, "turned": rotate(model, 0), "without": project_out(model, np.eye(32)[0])}
    text = '[lineage]\nname = "exact"\n'
    for name, transformed in stages.items():
        save_stage(transformed, tokenizer, tmp_path / name)
        text += f'[stages.{name}]\nkind = "other"\ncheckpoint = {{ path = "{name}" }}\n'
    (tmp_path / "lineage.toml").write_text(text)
    lineage = probes.load_lineage(tmp_path)
    for name, transformed in stages.items():
        assert logit_change(transformed, lineage[name].load(device="cpu").model) < 1e-6
    with pytest.raises(OutputError):
        save_stage(model, tokenizer, tmp_path / "lineage.toml" / "below")


@pytest.mark.real
@pytest.mark.slow
def test_rotation_of_the_embedded_model():
    lineage = probes.load_lineage("checkpoints/msm-mini")
    model = lineage["base"].load(device="cpu").model
    turned = rotate(model, seed=0)
    assert logit_change(model, turned) < 1e-4
    ids = torch.randint(1000, (1, 16), generator=torch.Generator().manual_seed(0))
    reduced = project_out(model, np.random.default_rng(0).normal(size=(2, model.config.hidden_size)))
    left = residuals(reduced, ids)
    basis = orthonormal_basis(
        np.random.default_rng(0).normal(size=(2, model.config.hidden_size)), model.config.hidden_size
    )
    assert float((left @ basis.T).abs().max()) < 1e-4 * float(left.norm(dim=-1).max())
