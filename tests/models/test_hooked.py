"""`hooked`, and what is refused in one line."""

from types import SimpleNamespace

import pytest

from probes.errors import InputError, TokenizerError
from probes.models import HookedModel, Intervention, Site, TokenBatch, hooked
from tests.model_families import (
    AddVector,
    make_native,
)


def test_satisfies_the_protocols(model):
    assert isinstance(model, HookedModel)
    assert isinstance(AddVector(Site("embed"), 0), Intervention)
    assert hooked(model) is model
    assert model.max_positions == 64
    assert not any(parameter.requires_grad for parameter in model.native.parameters())


def test_bad_input_is_refused_in_one_line(model):
    with pytest.raises(TokenizerError, match="token id 100: LlamaForCausalLM has 100 tokens"):
        model.logits(TokenBatch.pad([[1, 100]]))
    with pytest.raises(InputError, match="empty option"):
        model.choice_logprobs([[1]], [[[]]])
    with pytest.raises(InputError, match="2 prompts and options for 1"):
        model.choice_logprobs([[1], [2]], [[[3]]])
    with pytest.raises(InputError, match="backend 'jax' is not known"):
        hooked(model, backend="jax")
    with pytest.raises(InputError, match="cannot hook str: expected a stage"):
        hooked("base")
    for backend in ("transformer_lens", "nnsight"):
        with pytest.raises(TokenizerError, match="no tokenizer"):
            hooked(SimpleNamespace(model=make_native(), tokenizer=None), backend)
