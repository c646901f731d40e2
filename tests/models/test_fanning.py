"""Several interventions in one forward give what each gives alone."""

import pytest
import torch

from probes.errors import InputError, SiteError
from probes.models import Site, TokenBatch
from tests.model_families import ALL, ROWS, AddVector, hook_up, kinds_of, make_model


@pytest.mark.parametrize("name", ALL)
def test_fanning_out_is_one_variant_at_a_time(name):
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
        for variant in (0, 2):
            with torch.no_grad(), model.intervene(AddVector(site, vectors[variant])):
                torch.testing.assert_close(whole[variant], model.logits(batch), atol=1e-4, rtol=0)
                for got, want in zip(scored, model.trie_logprobs(groups), strict=True):
                    for g, w in zip(got, want, strict=True):
                        torch.testing.assert_close(g[variant], w, atol=1e-4, rtol=0)


def test_a_fan_runs_the_blocks_below_its_site_once_and_leaves_nothing_behind():
    model, batch, site = hook_up(make_model("llama")), TokenBatch.pad(ROWS), Site("resid_post", 1)
    model.choice_logprobs([[5]], [[[6]]])  # the first scores also try whether packing works
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
