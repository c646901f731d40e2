"""Where an intervention acts: at its positions, in the order given, on real tokens only."""

import pytest
import torch

from probes.errors import InputError
from probes.models import Site, TokenBatch
from tests.model_families import AddVector, vector

ROWS = [[5, 6, 7, 8, 9, 10, 11], [12, 13, 14], [20, 21, 22, 23, 24]]


def test_nested_contexts_compose_in_order(model):
    batch = TokenBatch.pad(ROWS)
    site = Site("resid_post", 0)

    class Double(AddVector):
        def apply(self, values):
            return 2 * values

    plain = model.read(batch, [site])[site]
    real = batch.attention_mask.bool()
    with model.intervene(AddVector(site, vector())):
        with model.intervene(Double(site, None)):
            both = model.read(batch, [site])[site]
        one = model.read(batch, [site])[site]
    torch.testing.assert_close(both[real], 2 * (plain + vector())[real])
    torch.testing.assert_close(one[real], (plain + vector())[real])
    torch.testing.assert_close(both[~real], plain[~real])


def test_an_intervention_before_attention_nested_inside_one_after_it(model):
    """resid_mid must be taken from the residual stream as changed, whichever context was entered first."""
    batch = TokenBatch.pad([ROWS[0]])
    early, late = AddVector(Site("resid_pre", 1), vector(1)), AddVector(Site("resid_mid", 1), vector(2))
    with model.intervene(early, late):
        wanted = model.logits(batch)
        attention = model.read(batch, [Site("resid_pre", 1), Site("attn_out", 1), Site("resid_mid", 1)])
    with model.intervene(late), model.intervene(early):
        torch.testing.assert_close(model.logits(batch), wanted, atol=1e-5, rtol=0)
    pre, out, mid = attention.values()
    torch.testing.assert_close(pre + out, mid)


def test_positions(model):
    site = Site("resid_post", 0)
    for side in ("left", "right"):
        batch = TokenBatch.pad(ROWS, side=side)
        plain = model.read(batch, [site])[site]

        def second(mask):
            return (mask.cumsum(-1) == 2) & mask.bool()

        for positions, wanted in (
            ("last", batch.position_ids == batch.attention_mask.sum(-1, keepdim=True) - 1),
            (second, second(batch.attention_mask)),
        ):
            wanted = wanted & batch.attention_mask.bool()
            with model.intervene(AddVector(site, vector(), positions)):
                changed = (model.read(batch, [site])[site] - plain).abs().amax(-1) > 0
            assert torch.equal(changed, wanted)
    with model.intervene(AddVector(site, vector(), "middle")), pytest.raises(InputError, match="'middle'"):
        model.logits(batch)
