"""Every backend gives every site of every family the value that transformers itself computes there."""

import pytest
import torch

from probes.models import Site, TokenBatch
from tests.model_families import (
    ALL,
    BACKENDS,
    FAMILIES,
    N_LAYERS,
    PARALLEL,
    ROWS,
    AddVector,
    hook_up,
    make_model,
    sites_of,
)


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


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", FAMILIES)
def test_interventions_have_the_effect_they_must(name, backend, tokenizer):
    """Adding v to the residual stream is the same wherever it is added between two blocks' reads: at
    resid_pre of block 1, at resid_post of block 0, at mlp_out of block 0; and adding at attn_out is adding
    at resid_mid."""
    model = hook_up(make_model(name), backend, tokenizer)
    batch = TokenBatch.pad(ROWS, side="left")
    at = torch.tensor([[i, batch.input_ids.shape[1] - 1] for i in range(len(ROWS))])
    vector = torch.randn(32, generator=torch.Generator().manual_seed(1))
    plain = model.logits(batch, at)

    def changed(kind, layer, positions="all"):
        with model.intervene(AddVector(Site(kind, layer), vector, positions)):
            return model.logits(batch, at)

    wanted = changed("resid_pre", 1)
    assert (wanted - plain).abs().max() > 1e-2
    for kind in ("resid_post", "mlp_out"):
        torch.testing.assert_close(changed(kind, 0), wanted, atol=1e-4, rtol=0)
    if name not in PARALLEL:
        torch.testing.assert_close(changed("resid_mid", 1), changed("attn_out", 1), atol=1e-4, rtol=0)
    # In the last block, a change at the last token acts on its logits exactly as one at all tokens does.
    torch.testing.assert_close(changed("resid_post", 2, "last"), changed("resid_post", 2), atol=1e-4, rtol=0)
    assert (changed("resid_post", 0, "last") - wanted).abs().max() > 1e-3
    torch.testing.assert_close(model.logits(batch, at), plain, atol=0, rtol=0)


@pytest.mark.parametrize("backend", ["transformer_lens", "nnsight"])
@pytest.mark.parametrize("name", ["gpt2", "pythia", "llama", "gemma2"])
def test_backends_generate_the_same_under_an_intervention(name, backend, tokenizer):
    batch = TokenBatch.pad(ROWS)
    change = AddVector(Site("resid_post", 1), 3 * torch.randn(32, generator=torch.Generator().manual_seed(1)))
    texts = []
    for each in ("transformers", backend):
        model = hook_up(make_model(name), each, tokenizer)
        with model.intervene(change):
            texts.append(model.generate(batch, 5))
    assert texts[0] == texts[1]
