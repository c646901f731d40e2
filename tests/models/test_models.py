"""The fast backend's promises: hooks that go away, work not done, gradients, packing, generation, errors."""

from __future__ import annotations

import gc
from types import SimpleNamespace

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from probes.errors import InputError, SiteError, TokenizerError
from probes.models import HookedModel, Intervention, Site, TokenBatch, expand, hooked
from probes.models.packing import Trie, shared_rows

ROWS = [[5, 6, 7, 8, 9, 10, 11], [12, 13, 14], [20, 21, 22, 23, 24]]


class Push:
    def __init__(self, site, vector, positions="all"):
        self.site, self.vector, self.positions = site, vector, positions

    def apply(self, values):
        return values + self.vector


class Broken(Push):
    def apply(self, values):
        raise ArithmeticError("on purpose")


def make_native(**changes):
    torch.manual_seed(0)
    settings = {
        "vocab_size": 100,
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 64,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "pad_token_id": 0,
        "initializer_range": 0.2,
    }
    return LlamaForCausalLM(LlamaConfig(**{**settings, **changes})).eval()


@pytest.fixture
def native():
    return make_native()


@pytest.fixture
def model(native):
    return hooked(SimpleNamespace(model=native, tokenizer=None))


def n_hooks(native) -> int:
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in native.modules())


def vector(seed=1, width=32):
    return torch.randn(width, generator=torch.Generator().manual_seed(seed))


def last(values, batch):
    index = batch.attention_mask.cumsum(-1).argmax(-1)
    return values[torch.arange(len(values)), index]


def count_calls(modules):
    calls = [0] * len(modules)

    def counter(i):
        def hook(*_):
            calls[i] += 1

        return hook

    return calls, [module.register_forward_pre_hook(counter(i)) for i, module in enumerate(modules)]


def test_satisfies_the_protocols(model):
    assert isinstance(model, HookedModel)
    assert isinstance(Push(Site("embed"), 0), Intervention)
    assert hooked(model) is model
    assert model.max_positions == 64
    assert not any(parameter.requires_grad for parameter in model.native.parameters())


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
    seen = []
    handle = native.lm_head.register_forward_hook(lambda _m, args, _o: seen.append(args[0].shape))
    at = torch.tensor([[0, 6], [1, 2], [1, 2], [2, 0]])
    got = model.logits(TokenBatch.pad(ROWS), at)
    handle.remove()
    assert seen == [(1, 4, 32)]
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
            model.intervene(Push(Site("embed"), vector())),
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
    with pytest.raises(SiteError), model.intervene(Push(Site("z", 3), vector())):
        pass
    assert n_hooks(native) == before


def test_hooks_and_tensors_do_not_grow_over_batches(native, model):
    batch = TokenBatch.pad(ROWS)

    def once():
        with torch.inference_mode(), model.intervene(Push(Site("resid_mid", 0), vector())):
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


def test_nested_contexts_compose_in_order(model):
    batch = TokenBatch.pad(ROWS)
    site = Site("resid_post", 0)

    class Double(Push):
        def apply(self, values):
            return 2 * values

    plain = model.read(batch, [site])[site]
    real = batch.attention_mask.bool()
    with model.intervene(Push(site, vector())):
        with model.intervene(Double(site, None)):
            both = model.read(batch, [site])[site]
        one = model.read(batch, [site])[site]
    torch.testing.assert_close(both[real], 2 * (plain + vector())[real])
    torch.testing.assert_close(one[real], (plain + vector())[real])
    torch.testing.assert_close(both[~real], plain[~real])


def test_a_push_before_attention_nested_inside_one_after_it(model):
    """resid_mid must be taken from the residual stream as pushed, whichever context was entered first."""
    batch = TokenBatch.pad([ROWS[0]])
    early, late = Push(Site("resid_pre", 1), vector(1)), Push(Site("resid_mid", 1), vector(2))
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
            with model.intervene(Push(site, vector(), positions)):
                changed = (model.read(batch, [site])[site] - plain).abs().amax(-1) > 0
            assert torch.equal(changed, wanted)
    with model.intervene(Push(site, vector(), "middle")), pytest.raises(InputError, match="'middle'"):
        model.logits(batch)


def test_forwards_on_the_native_model_are_pushed_too(native, model):
    batch = TokenBatch.pad([ROWS[0]])
    with model.intervene(Push(Site("resid_post", 1), vector())):
        torch.testing.assert_close(native(input_ids=batch.input_ids).logits, model.logits(batch))


@pytest.mark.parametrize("kind", ["resid_pre", "resid_mid", "resid_post", "attn_out", "mlp_out", "z"])
def test_gradient_of_a_choice_score_is_the_finite_difference(native, kind):
    model = hooked(SimpleNamespace(model=native.double(), tokenizer=None))
    prompts, options = [[1, 5, 6, 7]], [[[8, 9], [10]]]

    def score(alpha):
        with model.intervene(Push(Site(kind, 1), alpha * vector().double())):
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
    with torch.inference_mode(), model.intervene(Push(Site("resid_mid", 1), vector())):
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
        with model.intervene(Push(Site("resid_post", 1), 0 * vector())):
            assert model.generate(batch, 6) == wanted
    end = wanted[0][2]
    stopped = model.generate(TokenBatch.pad(ROWS[:1]), 6, eos_token_id=end)
    assert stopped == [wanted[0][: wanted[0].index(end)]]


def test_generation_pushes_every_new_token(model):
    """Greedy decoding with the cache equals greedy decoding by full forwards, under a push."""
    row = list(ROWS[0])
    with model.intervene(Push(Site("resid_post", 1), 3 * vector())):
        got = model.generate(TokenBatch.pad([row]), 5)[0]
        slow = list(row)
        for _ in range(5):
            slow.append(int(model.logits(TokenBatch.pad([slow]))[0, -1].argmax()))
    assert got == slow[len(row) :]
    assert got != model.generate(TokenBatch.pad([row]), 5)[0]


def test_trie_shares_beginnings():
    trie = Trie.of([[1, 2, 3], [1, 2, 3], [1, 6]])
    assert trie.ids == [1, 2, 3, 6]
    assert trie.parents == [-1, 0, 1, 0]
    assert trie.paths == [[0, 1, 2], [0, 1, 2], [0, 3]]


def test_rows_are_shared_by_what_begins_alike():
    assert shared_rows([(1, 2, 3), (7, 8), (1, 2, 4), (7, 9), (5,)]) == [
        [(1, 2, 3), (1, 2, 4)], [(5,)], [(7, 8), (7, 9)],
    ]  # fmt: skip
    system = tuple(range(40))
    rows = shared_rows([(*system, 50 + i, *range(60, 80)) for i in range(9)])
    assert [len(row) for row in rows] == [4, 4, 1]  # 40 + 21 a text, up to 128
    long = tuple(range(1, 500))
    assert len(shared_rows([(*long, 600), (*long, 601)])) == 1
    assert len(shared_rows([(0, *long), (0, *reversed(long))])) == 2  # a common first token is not worth it


@pytest.mark.parametrize("positions", ["all", "last"])
def test_groups_are_scored_as_their_sequences_alone(native, model, positions):
    system = [1, 40, 41, 42, 43, 44]
    groups = [
        [([*system, 5, 6], [7, 8]), ([*system, 6, 5], [7, 8]), ([*system, 5, 6], [9])],
        [([1, 5], [6])],
        [([*system, 9], [10, 11, 12]), ([*system, 9, 10], [11])],
    ]
    with model.intervene(Push(Site("resid_post", 0), vector(), positions)):
        together = model.trie_logprobs(groups, token_budget=20)
        for group, scores in zip(groups, together, strict=True):
            for (prompt, option), score in zip(group, scores, strict=True):
                logits = model.logits(TokenBatch.pad([[*prompt, *option]]))[0].log_softmax(-1)
                want = logits[len(prompt) - 1 : -1].gather(-1, torch.tensor(option)[:, None])[:, 0]
                torch.testing.assert_close(score, want, atol=1e-4, rtol=0)


def test_packing_runs_shared_tokens_once(native, model):
    model.choice_logprobs([[1]], [[[2]]])  # the first call also checks that packing works
    seen = []
    handle = native.model.register_forward_pre_hook(
        lambda _m, _a, kwargs: seen.append(kwargs["input_ids"].shape), with_kwargs=True
    )
    model.choice_logprobs([[1, 5, 6, 7, 8]], [[[9, 10], [11, 12], [13]]])
    handle.remove()
    assert seen == [(1, 7)]  # 5 prompt tokens and the first token of the two longer options


def test_bad_input_is_refused_in_one_line(model):
    with pytest.raises(TokenizerError, match="token id 100: LlamaForCausalLM has 100 tokens"):
        model.logits(TokenBatch.pad([[1, 100]]))
    with pytest.raises(InputError, match="empty option"):
        model.choice_logprobs([[1]], [[[]]])
    with pytest.raises(InputError, match="2 prompts and options for 1"):
        model.choice_logprobs([[1], [2]], [[[3]]])
    with pytest.raises(InputError, match="backend 'jax' is not known"):
        hooked(model, backend="jax")
    for backend in ("transformer_lens", "nnsight"):
        with pytest.raises(TokenizerError, match="no tokenizer"):
            hooked(SimpleNamespace(model=make_native(), tokenizer=None), backend)
