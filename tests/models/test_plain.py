"""The plain way of everything `PackedModel` adds gives what the fast way gives, on every backend."""

import pytest
import torch

from probes.errors import InputError, SiteError
from probes.models import HookedModel, PackedModel, Site, TokenBatch, hooked
from probes.models.packing import Trie, layout
from probes.models.plain import PlainModel, PlainPacking
from tests.model_families import ROWS, AddVector, hook_up, last, make_model, vector

GROUPS = [[([1, 5, 6], [7, 8]), ([1, 5, 6], [9])], [([1, 7, 8, 9], [13]), ([1, 7], [14, 15])]]
SITE = Site("resid_post", 1)


class ProtocolOnly:
    """A HookedModel that offers the protocol and nothing more."""

    def __init__(self, inner):
        names = ("native", "n_layers", "d_model", "n_heads", "d_head", "max_positions", "device", "tokenizer")
        methods = ("read", "logits", "intervene", "choice_logprobs", "generate")
        for name in names + methods:
            setattr(self, name, getattr(inner, name))


@pytest.fixture
def protocol_only(model):
    return ProtocolOnly(model)


def test_hooked_completes_a_model_that_offers_the_protocol_only(protocol_only):
    assert isinstance(protocol_only, HookedModel)
    assert not isinstance(protocol_only, PackedModel)
    model = hooked(protocol_only)
    assert isinstance(model, PackedModel)
    assert hooked(model) is model
    assert (model.n_layers, model.d_model, model.n_heads, model.d_head) == (3, 32, 4, 8)
    assert (model.max_positions, model.native) == (64, protocol_only.native)


@pytest.mark.parametrize("backend", ["transformers", "transformer_lens", "nnsight"])
def test_every_backend_is_complete(backend, tokenizer):
    assert isinstance(hook_up(make_model("llama"), backend, tokenizer), PackedModel)


@pytest.mark.parametrize("name", ["llama", "gpt2"])
@pytest.mark.parametrize("backend", ["transformer_lens", "nnsight", "protocol only"])
def test_fanning_out_is_that_of_the_fast_backend(name, backend, tokenizer):
    fast = hook_up(make_model(name))
    if backend == "protocol only":
        plain = hooked(ProtocolOnly(hook_up(make_model(name))))
    else:
        plain = hook_up(make_model(name), backend, tokenizer)
    batch, at = TokenBatch.pad(ROWS, side="left"), torch.tensor([[0, 8], [2, 8]])
    vectors = torch.randn(3, 32, generator=torch.Generator().manual_seed(2))
    before = plain.logits(batch)
    for kind in ("resid_mid", "resid_post"):
        results = []
        for model in (fast, plain):
            with torch.no_grad(), model.fan_out(Site(kind, 1), vectors):
                whole, some, scores = (
                    model.logits(batch),
                    model.logits(batch, at),
                    model.trie_logprobs(GROUPS),
                )
            results.append([whole, some, *(score for group in scores for score in group)])
        for slow, quick in zip(*results, strict=True):
            assert slow.shape[0] == 3
            torch.testing.assert_close(slow, quick, atol=1e-4, rtol=0)
    torch.testing.assert_close(plain.logits(batch), before, atol=0, rtol=0)


def test_packed_rows_are_read_as_the_fast_backend_reads_them(model):
    tries = [Trie.of([[5, 6, 7, 8], [5, 6, 9], [5, 6, 9, 10, 11]]), Trie.of([[1, 2], [3]])]
    sites = [Site("embed"), SITE, Site("z", 2)]
    rows = layout(tries)
    assert rows[0].shape == (2, 7)  # the second row is padded
    quick, slow = model.read_packed(*rows, sites), PlainPacking.read_packed(model, *rows, sites)
    pooled = PlainPacking.read_packed(model, *rows, sites, last)
    for site in sites:
        torch.testing.assert_close(slow[site], quick[site], atol=1e-5, rtol=0)
        torch.testing.assert_close(pooled[site], quick[site][:, -1], atol=1e-5, rtol=0)


def test_options_are_scored_by_the_model_itself(model, protocol_only):
    calls = []

    def choice_logprobs(prompts, options):
        calls.append((prompts, options))
        return model.choice_logprobs(prompts, options)

    protocol_only.choice_logprobs = choice_logprobs
    scores = hooked(protocol_only).trie_logprobs(GROUPS)
    assert calls == [
        ([[1, 5, 6]], [[[7, 8], [9]]]),
        ([[1, 7, 8, 9], [1, 7]], [[[13]], [[14, 15]]]),
    ]
    for slow, quick in zip(scores, model.trie_logprobs(GROUPS), strict=True):
        for one, other in zip(slow, quick, strict=True):
            torch.testing.assert_close(one, other, atol=1e-4, rtol=0)


def test_what_cannot_be_fanned_out_is_refused_and_leaves_nothing_behind(model):
    plain, batch = PlainModel(model), TokenBatch.pad(ROWS)
    before = plain.logits(batch)
    with pytest.raises(SiteError, match="has 3 blocks"), plain.fan_out(Site("z", 3), torch.ones(2, 32)):
        pass
    with plain.fan_out(SITE, torch.ones(2, 32)):
        with pytest.raises(InputError, match="fan_out inside"), plain.fan_out(SITE, torch.ones(2, 32)):
            pass
        assert plain.logits(batch).shape == (2, 3, 9, 100)
    with pytest.raises(SiteError, match="vectors of width 5"), plain.fan_out(SITE, torch.ones(2, 5)):
        plain.logits(batch)
    torch.testing.assert_close(plain.logits(batch), before, atol=0, rtol=0)


def test_interventions_and_generation_go_through(model, protocol_only):
    plain, batch = hooked(protocol_only), TokenBatch.pad(ROWS)
    change = AddVector(SITE, 3 * vector())
    with plain.intervene(change):
        texts, read = plain.generate(batch, 4), plain.read(batch, [SITE])[SITE]
    with model.intervene(change):
        assert texts == model.generate(batch, 4)
        torch.testing.assert_close(read, model.read(batch, [SITE])[SITE], atol=0, rtol=0)
