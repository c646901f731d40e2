"""What a model lacks is refused by name."""

import pytest
import torch
import transformers as hf

from probes.errors import CheckpointError, SiteError
from probes.models import Site, TokenBatch
from tests.model_families import COMMON, PARALLEL, ROWS, hook_up, make_model


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
