"""Going on from states: without the lower blocks the logits are the model's own, in every family."""

import pytest
import torch

from probes.errors import InputError, SiteError
from probes.models import Site, TokenBatch
from tests.makers import tiny_tokenizer
from tests.model_families import ALL, BACKENDS, N_LAYERS, ROWS, AddVector, hook_up, make_model, vector

BATCH = TokenBatch.pad(ROWS)
AT = torch.tensor([[0, 8], [1, 0], [1, 2], [2, 4]])


@pytest.mark.parametrize("name", ALL)
def test_own_states_give_own_logits(name):
    model = hook_up(make_model(name))
    sites = [Site("resid_post", layer) for layer in range(N_LAYERS)]
    with torch.no_grad():
        want = model.logits(BATCH, AT)
        states = model.read(BATCH, sites)
        for layer, site in enumerate(sites):
            got = model.logits_from(layer, states[site], BATCH, AT)
            torch.testing.assert_close(got, want, atol=1e-4, rtol=0)
        torch.testing.assert_close(model.logits(BATCH, AT), want, atol=0, rtol=0)


@pytest.mark.parametrize("backend", BACKENDS)
def test_changed_states_give_the_logits_of_an_intervention(backend):
    model = hook_up(make_model("llama"), backend, tokenizer=tiny_tokenizer())
    site, shift = Site("resid_post", 1), vector()
    with torch.no_grad():
        states = model.read(BATCH, [site])[site]
        with model.intervene(AddVector(site, shift)):
            want = model.logits(BATCH, AT)
        got = model.logits_from(1, states + shift, BATCH, AT)
    torch.testing.assert_close(got, want, atol=1e-4, rtol=0)


def test_states_can_be_differentiated():
    model = hook_up(make_model("llama"))
    site = Site("resid_post", 0)
    with torch.no_grad():
        states = model.read(BATCH, [site])[site]
    states.requires_grad_(True)
    value = model.logits_from(0, states, BATCH, AT)[:, 3].sum()
    (gradient,) = torch.autograd.grad(value, states)
    step = 1e-2 * torch.randn_like(states) * BATCH.attention_mask[..., None]
    with torch.no_grad():
        moved = [model.logits_from(0, states + sign * step, BATCH, AT)[:, 3].sum() for sign in (1, -1)]
    assert float((moved[0] - moved[1]) / 2) == pytest.approx(float((gradient * step).sum()), rel=0.02)


def test_interventions_and_blocks_that_do_not_exist_are_refused():
    model = hook_up(make_model("llama"))
    states = torch.zeros(3, 9, 32)
    with pytest.raises(SiteError, match="99"):
        model.logits_from(99, states, BATCH, AT)
    with (
        model.intervene(AddVector(Site("resid_post", 1), vector())),
        pytest.raises(InputError, match="inside intervene"),
    ):
        model.logits_from(1, states, BATCH, AT)
