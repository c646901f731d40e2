"""Sequences packed in one row get the scores that they get alone."""

import pytest
import torch
import transformers as hf

from probes.models import Site, TokenBatch
from probes.models.packing import Trie, shared_rows
from tests.model_families import FAMILIES, AddVector, hook_up, make_model, vector


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
@pytest.mark.parametrize("name", FAMILIES)
def test_packed_choices_equal_plain_log_softmax(name, attention):
    if name == "gemma2" and attention == "sdpa":
        pytest.skip("transformers refuses sdpa for Gemma-2")
    native = make_model(name, attention)
    model = hook_up(native)
    prompts = [[1, 5, 6], [1, 7, 8, 9, 10, 11, 12], [1, 5]]
    options = [[[7, 8], [7, 9], [10]], [[13], [14, 15]], [[6, 7, 8], [7]]]
    vector = torch.randn(32, generator=torch.Generator().manual_seed(1))
    for changes in ([], [AddVector(Site("resid_post", 1), vector)]):
        with model.intervene(*changes):
            scores = model.choice_logprobs(prompts, options)
            for prompt, some, got in zip(prompts, options, scores, strict=True):
                for option, score in zip(some, got, strict=True):
                    with torch.no_grad():
                        logits = native(input_ids=torch.tensor([prompt + option])).logits[0]
                    rows = logits.log_softmax(-1)[len(prompt) - 1 : -1]
                    want = rows.gather(-1, torch.tensor(option)[:, None])[:, 0]
                    torch.testing.assert_close(score, want, atol=1e-4, rtol=0)
    assert model.can_pack(5), f"{name} should run packed"


def test_alibi_models_are_scored_unpacked():
    config = hf.BloomConfig(vocab_size=100, hidden_size=32, n_layer=2, n_head=4, initializer_range=0.2)
    native = hf.BloomForCausalLM(config).eval()
    model = hook_up(native)
    score = model.choice_logprobs([[1, 5, 6]], [[[7, 8], [9]]])[0][0]
    logits = native(input_ids=torch.tensor([[1, 5, 6, 7, 8]])).logits[0].log_softmax(-1)
    torch.testing.assert_close(score, torch.stack([logits[2, 7], logits[3, 8]]), atol=1e-4, rtol=0)
    assert not model.can_pack(5)


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
    with model.intervene(AddVector(Site("resid_post", 0), vector(), positions)):
        together = model.trie_logprobs(groups, token_budget=20)
        for group, scores in zip(groups, together, strict=True):
            for (prompt, option), score in zip(group, scores, strict=True):
                logits = model.logits(TokenBatch.pad([[*prompt, *option]]))[0].log_softmax(-1)
                want = logits[len(prompt) - 1 : -1].gather(-1, torch.tensor(option)[:, None])[:, 0]
                torch.testing.assert_close(score, want, atol=1e-4, rtol=0)


def test_packing_runs_shared_tokens_once(native, model):
    model.choice_logprobs([[1]], [[[2]]])  # the first call also checks that packing works
    shapes = []
    handle = native.model.register_forward_pre_hook(
        lambda _m, _a, kwargs: shapes.append(kwargs["input_ids"].shape), with_kwargs=True
    )
    model.choice_logprobs([[1, 5, 6, 7, 8]], [[[9, 10], [11, 12], [13]]])
    handle.remove()
    assert shapes == [(1, 7)]  # 5 prompt tokens and the first token of the two longer options


def test_groups_that_begin_alike_are_scored_together(native, model):
    """The same scores, from fewer tokens; a group wider than the budget and one alone keep their rows."""
    system = [1, 40, 41, 42, 43, 44]
    groups = [[([*system, i, i + 1], [7, 8]), ([*system, i], [9])] for i in range(2, 12)]
    groups += [[([3, 4, 5], [6])], [([*system, *range(10, 40)], [7])]]
    apart = model.trie_logprobs(groups)
    counts = []
    handle = native.model.register_forward_pre_hook(
        lambda _m, _a, kwargs: counts.append(kwargs["input_ids"].shape), with_kwargs=True
    )
    together = model.trie_logprobs(groups, token_budget=64, join=True)
    handle.remove()
    for one, other in zip(apart, together, strict=True):
        for some, same in zip(one, other, strict=True):
            torch.testing.assert_close(some, same, atol=1e-5, rtol=0)
    # Shared begins of 6 tokens, 3 tokens an item of the ten, 2 of the group alone, 30 more of the wide one.
    assert (
        sum(rows * width for rows, width in counts) < sum(len(p) + len(o) for g in groups for p, o in g) / 2
    )
