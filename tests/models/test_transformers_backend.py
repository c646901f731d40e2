"""The fast backend: no work that is not needed, no hook left behind, gradients, generation."""

import gc
from types import SimpleNamespace

import pytest
import torch

from probes.errors import SiteError
from probes.models import Site, TokenBatch, expand, hooked
from tests.model_families import (
    AddVector,
    last,
    make_native,
    vector,
)

ROWS = [[5, 6, 7, 8, 9, 10, 11], [12, 13, 14], [20, 21, 22, 23, 24]]


class Broken(AddVector):
    def apply(self, values):
        raise ArithmeticError("on purpose")


def n_hooks(native) -> int:
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in native.modules())


def count_calls(modules):
    calls = [0] * len(modules)

    def counter(i):
        def hook(*_):
            calls[i] += 1

        return hook

    return calls, [module.register_forward_pre_hook(counter(i)) for i, module in enumerate(modules)]


@pytest.mark.parametrize(
    ("site", "n_blocks"),
    [
        ("embed", 0),
        ("resid_pre.0", 0),
        ("resid_pre.1", 1),
        ("attn_out.1", 2),
        ("resid_post.0", 1),
        ("z.2", 3),
    ],
)
def test_reading_runs_no_block_too_many_and_never_the_head(native, model, site, n_blocks):
    calls, handles = count_calls([*(layer.self_attn for layer in native.model.layers), native.lm_head])
    model.read(TokenBatch.pad(ROWS), [Site.parse(site)])
    for handle in handles:
        handle.remove()
    assert calls == [1] * n_blocks + [0] * (4 - n_blocks)


def test_logits_at_gives_the_head_only_those_positions(native, model):
    shapes = []
    handle = native.lm_head.register_forward_hook(lambda _m, args, _o: shapes.append(args[0].shape))
    at = torch.tensor([[0, 6], [1, 2], [1, 2], [2, 0]])
    got = model.logits(TokenBatch.pad(ROWS), at)
    handle.remove()
    assert shapes == [(1, 4, 32)]
    torch.testing.assert_close(got, model.logits(TokenBatch.pad(ROWS))[at[:, 0], at[:, 1]])


def test_pooled_in_the_hook(model):
    batch = TokenBatch.pad(ROWS, side="left")
    sites = expand("resid_post", "all", 3)
    whole, pooled = model.read(batch, sites), model.read(batch, sites, last)
    for site in sites:
        assert pooled[site].dtype == torch.float32
        torch.testing.assert_close(pooled[site], whole[site][:, -1], atol=0, rtol=0)


def test_a_pool_that_returns_a_view_does_not_hold_the_activation(model):
    kept = model.read(TokenBatch.pad(ROWS), [Site("resid_post", 1)], lambda values, _: values[:, 0])
    assert kept[Site("resid_post", 1)].untyped_storage().nbytes() == 3 * 32 * 4


def test_half_precision_is_read_as_float32():
    model = hooked(SimpleNamespace(model=make_native().to(torch.bfloat16), tokenizer=None))
    batch = TokenBatch.pad(ROWS)
    assert model.read(batch, [Site("resid_mid", 1)])[Site("resid_mid", 1)].dtype == torch.float32
    assert model.logits(batch).dtype == torch.float32
    scores = model.choice_logprobs([[1, 5]], [[[6, 7]]])[0][0]
    assert scores.shape == (2,)
    assert (scores < 0).all()


@pytest.mark.parametrize("call", ["read", "logits", "generate", "choice_logprobs", "body"])
def test_no_hook_is_left_after_an_exception(native, model, call):
    batch = TokenBatch.pad(ROWS)
    before, plain = n_hooks(native), model.logits(batch)

    def run():
        with (
            model.intervene(AddVector(Site("embed"), vector())),
            model.intervene(*([] if call == "body" else [Broken(Site("resid_mid", 1), vector())])),
        ):
            if call == "body":
                raise ArithmeticError("on purpose")
            {
                "read": lambda: model.read(batch, [Site("resid_post", 2)]),
                "logits": lambda: model.logits(batch, torch.tensor([[0, 0]])),
                "generate": lambda: model.generate(batch, 2),
                "choice_logprobs": lambda: model.choice_logprobs([[1]], [[[2]]]),
            }[call]()

    with pytest.raises(ArithmeticError, match="on purpose"):
        run()
    assert n_hooks(native) == before
    torch.testing.assert_close(model.logits(batch), plain, atol=0, rtol=0)


def test_no_hook_is_left_when_a_pool_fails(native, model):
    def fails(values, batch):
        raise ArithmeticError("on purpose")

    before = n_hooks(native)
    with pytest.raises(ArithmeticError):
        model.read(TokenBatch.pad(ROWS), [Site("z", 1)], fails)
    assert n_hooks(native) == before


def test_an_unknown_site_changes_nothing(native, model):
    before = n_hooks(native)
    with pytest.raises(SiteError, match=r"resid_post\.7: LlamaForCausalLM has 3 blocks, 0 to 2"):
        model.read(TokenBatch.pad(ROWS), [Site("resid_post", 7)])
    with pytest.raises(SiteError), model.intervene(AddVector(Site("z", 3), vector())):
        pass
    assert n_hooks(native) == before


def test_hooks_and_tensors_do_not_grow_over_batches(native, model):
    batch = TokenBatch.pad(ROWS)

    def once():
        with torch.inference_mode(), model.intervene(AddVector(Site("resid_mid", 0), vector())):
            model.read(batch, expand("resid_post", "all", 3), last)
            model.logits(batch, torch.tensor([[0, 0]]))
            model.choice_logprobs([[1, 5]], [[[6], [7]]])

    def n_tensors():
        gc.collect()
        return sum(issubclass(type(thing), torch.Tensor) for thing in gc.get_objects())

    once()
    hooks, tensors = n_hooks(native), n_tensors()
    for _ in range(50):
        once()
    assert n_hooks(native) == hooks
    assert n_tensors() <= tensors


def test_forwards_on_the_native_model_are_changed_too(native, model):
    batch = TokenBatch.pad([ROWS[0]])
    with model.intervene(AddVector(Site("resid_post", 1), vector())):
        torch.testing.assert_close(native(input_ids=batch.input_ids).logits, model.logits(batch))


@pytest.mark.parametrize("kind", ["resid_pre", "resid_mid", "resid_post", "attn_out", "mlp_out", "z"])
def test_gradient_of_a_choice_score_is_the_finite_difference(native, kind):
    model = hooked(SimpleNamespace(model=native.double(), tokenizer=None))
    prompts, options = [[1, 5, 6, 7]], [[[8, 9], [10]]]

    def score(alpha):
        with model.intervene(AddVector(Site(kind, 1), alpha * vector().double())):
            first, second = model.choice_logprobs(prompts, options)[0]
        return first.sum() - second.sum()

    alpha = torch.tensor(0.3, requires_grad=True, dtype=torch.float64)
    (slope,) = torch.autograd.grad(score(alpha), alpha)
    step = 1e-2  # logits are handed on in float32
    with torch.no_grad():
        difference = (score(alpha + step) - score(alpha - step)) / (2 * step)
    torch.testing.assert_close(slope.float(), difference.float(), atol=2e-3, rtol=5e-3)
    assert slope.abs() > 1e-3


def test_inference_mode_and_no_nans_with_much_padding(model):
    batch = TokenBatch.pad([[5], list(range(3, 43))], side="left")
    with torch.inference_mode(), model.intervene(AddVector(Site("resid_mid", 1), vector())):
        read = model.read(batch, expand("resid_post", "all", 3))
        logits = model.logits(batch)
    assert not any(values.isnan().any() for values in [*read.values(), logits])


def test_generation(native, model):
    wanted = []
    for row in ROWS:
        new = native.generate(torch.tensor([row]), max_new_tokens=6, do_sample=False)[0, len(row) :].tolist()
        wanted.append(new[: new.index(2)] if 2 in new else new)
    for side in ("left", "right"):
        batch = TokenBatch.pad(ROWS, side=side)
        assert model.generate(batch, 6) == wanted
        with model.intervene(AddVector(Site("resid_post", 1), 0 * vector())):
            assert model.generate(batch, 6) == wanted
    end = wanted[0][2]
    stopped = model.generate(TokenBatch.pad(ROWS[:1]), 6, eos_token_id=end)
    assert stopped == [wanted[0][: wanted[0].index(end)]]


def test_generation_changes_every_new_token(model):
    """Greedy decoding with the cache equals greedy decoding by full forwards, under an intervention."""
    row = list(ROWS[0])
    with model.intervene(AddVector(Site("resid_post", 1), 3 * vector())):
        got = model.generate(TokenBatch.pad([row]), 5)[0]
        slow = list(row)
        for _ in range(5):
            slow.append(int(model.logits(TokenBatch.pad([slow]))[0, -1].argmax()))
    assert got == slow[len(row) :]
    assert got != model.generate(TokenBatch.pad([row]), 5)[0]
