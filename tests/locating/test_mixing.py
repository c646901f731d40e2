"""Crossing, grafting and difference directions: mixtures are those that transformers itself computes, and
changes are found where they were made."""

import copy
import json

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer
from transformers import PreTrainedTokenizerFast

import probes
from probes.concepts import ChoiceItem
from probes.errors import ConceptError, InputError, TokenizerError
from probes.lineage import LoadedStage
from probes.locating.asking import Questions
from probes.locating.greedy import fewest
from probes.locating.weights import Unit, WeightPair, shuffled
from probes.models.architecture import find_architecture
from tests.makers import price_concept, tiny_llama, tiny_tokenizer
from tests.model_families import ALL, make_model

N_LAYERS = 6
QUIET = {"progress": False}


def items(n=6):
    return list(price_concept().choices[:n])


def pairs(n=6):
    """Minimal pairs, as completions."""
    made = []
    for i in range(n):
        text = f"{('the', 'a')[i % 2]} {{}} chair {'was ' * (i // 2)}for Ohio"
        sides = {"prompt": text.format("cheap"), "reversed": text.format("costly")}
        made.append(ChoiceItem(id=f"k{i}", **sides, positive=" sold", negative=" for", completion=True))
    return made


def stage_of(model, name="child"):
    return LoadedStage.from_model(model, tiny_tokenizer(), name=name)


def changed(model, layers, parts=("self_attn", "mlp"), scale=0.05, seed=0):
    """A copy of a model with something random added to the weights of some blocks."""
    draw = torch.Generator().manual_seed(seed)
    made = copy.deepcopy(model)
    for layer in layers:
        for part in parts:
            for weight in getattr(made.model.layers[layer], part).parameters():
                weight.data += scale * torch.randn(weight.shape, generator=draw)
    return made


@pytest.fixture(scope="module")
def base():
    return tiny_llama(seed=3, n_layers=N_LAYERS)


@pytest.fixture(scope="module")
def child(base):
    return changed(base, range(N_LAYERS))


def by_hand(model, asked, score="per_token"):
    """The choice logits of items, from transformers' own forward, one sequence at a time."""
    questions = Questions(probes.run_context(stage_of(model), **QUIET), asked, both=False)
    logits = []
    for question in questions.questions:
        scores = []
        for prompt, option in question.prompt.sequences:
            ids = torch.tensor([[*prompt, *option]])
            with torch.no_grad():
                logp = model(ids).logits[0].log_softmax(-1)
            at = range(len(prompt) - 1, ids.shape[1] - 1)
            each = [float(logp[i, token]) for i, token in zip(at, option, strict=True)]
            scores.append(np.mean(each) if score == "per_token" else np.sum(each))
        logits.append(np.mean([a - b for a, b in zip(scores[0::2], scores[1::2], strict=True)]))
    return np.array(logits)


def mixed(below, above, layer):
    """A model with one model's blocks below a layer and its embeddings, and the other's rest."""
    made = copy.deepcopy(above)
    for number in range(layer):
        made.model.layers[number] = copy.deepcopy(below.model.layers[number])
    made.model.embed_tokens.weight.data = below.model.embed_tokens.weight.data.clone()
    return made


@pytest.mark.parametrize("score", ["per_token", "summed"])
def test_crossed_choices_are_those_of_models_put_together_block_by_block(base, child, score):
    found = probes.cross(
        stage_of(child), stage_of(base, "base"), items(), roles=["all"], score=score, **QUIET
    )
    for i, layer in enumerate(found.layers):
        for mixture, models in enumerate(((child, base), (base, child))):
            expected = by_hand(mixed(*models, layer), items(), score)
            np.testing.assert_allclose(
                found.crossed["asked"][0, i, 0, mixture], expected, atol=1e-4, err_msg=str(layer)
            )


def test_at_both_ends_a_crossing_is_the_two_plain_stages(base, child):
    found = probes.cross(stage_of(child), stage_of(base), items(), layers=[0, N_LAYERS], **QUIET)
    parent, whole = by_hand(base, items()), by_hand(child, items())
    np.testing.assert_allclose(found.plain["asked"][0], [parent, whole], atol=1e-5)
    crossed = found.crossed["asked"][0, :, found.roles.index("all")]
    np.testing.assert_allclose(crossed, [[parent, whole], [whole, parent]], atol=1e-5)


def test_embeddings_that_differ_are_below_every_layer(base):
    other = copy.deepcopy(base)
    other.model.embed_tokens.weight.data *= 1.1
    found = probes.cross(stage_of(other), stage_of(base), items(), layers=[0], roles=["all"], **QUIET)
    expected = by_hand(mixed(other, base, 0), items())
    np.testing.assert_allclose(found.crossed["asked"][0, 0, 0, 0], expected, atol=1e-4)


def putting(theirs, places):
    """A hook that puts the other model's states of some tokens in."""

    def hook(_module, args):
        states = args[0].clone()
        states[0, places] = theirs[0, places]
        return (states, *args[1:])

    return hook


@pytest.mark.parametrize("role", ["options", "evidence", "last", "answer", "other"])
def test_a_role_exchanges_the_states_of_its_own_tokens(base, child, role):
    asked = pairs() if role == "evidence" else items()
    layer = 3
    found = probes.cross(stage_of(child), stage_of(base), asked, layers=[layer], roles=[role], **QUIET)
    questions = Questions(probes.run_context(stage_of(base), **QUIET), asked, both=False)
    expected = []
    for question in questions.questions:
        scores = []
        for k, (prompt, option) in enumerate(question.prompt.sequences):
            ids = torch.tensor([[*prompt, *option]])
            places = Questions.places_of(question, k, role, len(prompt), ids.shape[1])
            with torch.no_grad():
                theirs = child(ids, output_hidden_states=True).hidden_states[layer]

                handle = base.model.layers[layer].register_forward_pre_hook(putting(theirs, list(places)))
                logp = base(ids).logits[0].log_softmax(-1)
                handle.remove()
            at = range(len(prompt) - 1, ids.shape[1] - 1)
            scores.append(np.mean([float(logp[i, token]) for i, token in zip(at, option, strict=True)]))
        expected.append(np.mean([a - b for a, b in zip(scores[0::2], scores[1::2], strict=True)]))
    np.testing.assert_allclose(found.crossed["asked"][0, 0, 0, 0], expected, atol=1e-4)


def test_packing_changes_nothing(base, child):
    with_shared_rows = probes.cross(stage_of(child), stage_of(base), items(), every=2, **QUIET)
    eager = copy.deepcopy(child), copy.deepcopy(base)
    contexts = [probes.run_context(stage_of(model), **QUIET) for model in eager]
    for context in contexts:
        context.model.can_pack = lambda length: False
    alone = probes.cross(*contexts, items(), every=2, **QUIET)
    np.testing.assert_allclose(with_shared_rows.crossed["asked"], alone.crossed["asked"], atol=1e-4)


@pytest.mark.parametrize("seed", range(20))
def test_a_change_in_some_blocks_is_located_in_exactly_those(base, seed):
    rng = np.random.default_rng(seed)
    first, last = sorted(rng.integers(0, N_LAYERS, size=2).tolist())
    stages = stage_of(changed(base, range(first, last + 1), seed=seed)), stage_of(base)
    assert probes.cross(*stages, items(3), roles=["all"], **QUIET).span() == (first, last)
    grafts = probes.graft(*stages, items(4), doses=(), n_random=0, **QUIET)
    assert sorted({unit.layer for unit in grafts.units}) == list(range(first, last + 1))
    # cumulative grafts reach the child with the last of its units, and not before
    reached = np.abs(grafts.effects["asked"][0, 2] - grafts.total()[0]).max(-1) < 1e-4
    assert reached[-1]
    assert not reached[:-1].any()


def test_a_child_equal_to_its_parent_shows_nothing_anywhere(base):
    stages = stage_of(copy.deepcopy(base)), stage_of(base)
    found = probes.cross(*stages, items(), turned=True, **QUIET)
    for score in found.plain:
        assert not found.below(score).any()
        assert not found.above(score).any()
        assert not found.interaction(score).any()
    assert found.span() is None
    assert not found.table.filter(measure="crossing_share").height
    grafts = probes.graft(*stages, items(), n_random=3, **QUIET)
    assert grafts.units == []
    assert grafts.smallest == [[]]
    assert not grafts.total().any()
    assert "differ in 0 of" in grafts.note
    made = probes.difference(*stages, items(), **QUIET)
    assert not made.vectors.any()
    moved = probes.carried(made, *stages, items(), **QUIET).table
    assert set(moved["measure"]) == {"difference_put_in", "difference_taken_out"}
    assert (moved["estimate"] == 0).all()


def test_where_only_attention_changed_grafts_of_mlps_do_nothing(base):
    stages = stage_of(changed(base, range(N_LAYERS), parts=["self_attn"])), stage_of(base)
    grafts = probes.graft(*stages, items(), doses=(), n_random=0, **QUIET)
    assert {unit.part for unit in grafts.units} == {"attention"}
    both = probes.graft(stage_of(changed(base, [2])), stage_of(base), items(), doses=(), n_random=0, **QUIET)
    assert both.units == [Unit(2, "attention"), Unit(2, "MLP")]


def test_a_change_of_the_last_block_is_carried_from_above_alone(base):
    stages = stage_of(changed(base, [N_LAYERS - 1])), stage_of(base)
    found = probes.cross(*stages, items(), **QUIET)
    for j, _ in enumerate(found.roles):
        np.testing.assert_allclose(found.below()[0, :N_LAYERS, j], 0, atol=1e-5)
    np.testing.assert_allclose(found.above()[0, 0, 0], found.total()[0], atol=1e-5)


def test_a_change_of_how_a_word_is_read_is_carried_by_the_tokens_of_that_word(base):
    """The embedding of the option's noun is another one, and nothing else."""
    word = tiny_tokenizer()(" chair", add_special_tokens=False).input_ids
    assert len(word) == 1
    altered = copy.deepcopy(base)
    altered.model.embed_tokens.weight.data[word[0]] += 0.5
    asked = [item for item in items(8) if "chair" in item.positive]
    found = probes.cross(
        stage_of(altered), stage_of(base), asked, roles=["options", "other", "last"], **QUIET
    )
    moved = {role: np.abs(found.below()[0, 0, j]).max() for j, role in enumerate(found.roles)}
    assert moved["options"] > 1e-3
    assert moved["other"] == moved["last"] == 0


def linear_toy(base, biases):
    """A model whose blocks add a constant each, with no norm at the end: logits are linear in them."""
    made = copy.deepcopy(base)
    made.model.norm = torch.nn.Identity()
    for block, bias in zip(made.model.layers, biases, strict=True):
        block.self_attn.o_proj.weight.data.zero_()
        block.mlp.down_proj = torch.nn.Linear(64, 32)
        block.mlp.down_proj.weight.data.zero_()
        block.mlp.down_proj.bias.data = torch.tensor(bias, dtype=torch.float32)
    return made.requires_grad_(False)


def test_a_linear_toy_has_no_interaction_and_the_share_that_was_put_below(base):
    rng = np.random.default_rng(0)
    before = rng.normal(size=(N_LAYERS, 32))
    after = before.copy()
    after[[1, 4]] += rng.normal(size=(2, 32))
    stages = stage_of(linear_toy(base, after)), stage_of(linear_toy(base, before))
    found = probes.cross(*stages, pairs(), layers=[3], roles=["all"], **QUIET)
    head = base.lm_head.weight.double().numpy()
    sold, other = (tiny_tokenizer()(word).input_ids[0] for word in (" sold", " for"))
    each = (after - before)[[1, 4]] @ (head[sold] - head[other])
    np.testing.assert_allclose(found.interaction(), 0, atol=1e-5)
    np.testing.assert_allclose(found.below()[0, 0, 0], each[0], atol=1e-4)
    np.testing.assert_allclose(found.above()[0, 0, 0], each[1], atol=1e-4)
    assert found.share(3).value == pytest.approx(each[0] / each.sum(), abs=1e-4)


@pytest.mark.parametrize("part", ["attention", "MLP"])
def test_a_graft_is_the_model_with_those_weights(base, child, part):
    asked = items(8)
    grafts = probes.graft(stage_of(child), stage_of(base), asked, doses=(0.0, 0.5, 1.0), n_random=0, **QUIET)
    tested = [item for item in asked if item.id in grafts.ids]
    name = {"attention": "self_attn", "MLP": "mlp"}[part]
    start, end = by_hand(base, tested), by_hand(child, tested)
    for layer in (0, 3):
        place = grafts.units.index(Unit(layer, part))
        inside, outside = copy.deepcopy(base), copy.deepcopy(child)
        getattr(inside.model.layers[layer], name).load_state_dict(
            getattr(child.model.layers[layer], name).state_dict()
        )
        getattr(outside.model.layers[layer], name).load_state_dict(
            getattr(base.model.layers[layer], name).state_dict()
        )
        effects = grafts.effects["asked"][0]
        np.testing.assert_allclose(effects[0, place], by_hand(inside, tested) - start, atol=1e-4)
        np.testing.assert_allclose(effects[1, place], end - by_hand(outside, tested), atol=1e-4)
    pair = probes.graft(
        stage_of(child),
        stage_of(base),
        asked,
        doses=(),
        n_random=0,
        ways=["taken out"],
        sets=[grafts.units[:2], grafts.units],
        **QUIET,
    )
    np.testing.assert_allclose(pair.effects["asked"][0, 0], grafts.effects["asked"][0, 1], atol=1e-5)
    below = grafts.effects["asked"][0, 2]
    np.testing.assert_allclose(pair.of_sets["asked"][0], [below[1], below[-1]], atol=1e-5)
    last = below[-1], grafts.effects["asked"][0, 3, 0]
    np.testing.assert_allclose(last, [end - start] * 2, atol=1e-4)
    half = copy.deepcopy(base)
    for ours, theirs in zip(half.parameters(), child.parameters(), strict=True):
        ours.data = (ours.data + theirs.data) / 2
    np.testing.assert_allclose(grafts.at_doses["asked"][0], [start, by_hand(half, tested), end], atol=1e-4)


def test_seeds_that_changed_other_parts_of_a_block_keep_attention_first(base):
    stages = [stage_of(changed(base, [0, 2], parts=[part])) for part in ("mlp", "self_attn")]
    grafts = probes.graft(stages, [stage_of(base)] * 2, items(), doses=(), n_random=0, **QUIET)
    assert [str(unit) for unit in grafts.units] == ["attention 0", "MLP 0", "attention 2", "MLP 2"]


def test_a_dose_is_told_as_a_change_from_the_parent_wherever_the_doses_begin(base, child):
    stages = stage_of(child), stage_of(base)
    grafts = probes.graft(*stages, items(), doses=(1.0, 0.0), n_random=0, ways=(), **QUIET)
    at = {row["alpha"]: row["estimate"] for row in grafts.table.filter(measure="graft_dose").to_dicts()}
    assert at[0.0] == 0
    assert at[1.0] == pytest.approx(grafts.total().mean(), abs=1e-5)


def test_the_smallest_set_keeps_the_change_and_beats_random_updates(base):
    """One block of six carries nearly all of the change; random updates in its place do not."""
    made = changed(changed(base, [4], scale=0.1), [0, 1, 2, 3, 5], scale=1e-4)
    grafts = probes.graft(stage_of(made), stage_of(base), items(10), doses=(), n_random=4, **QUIET)
    assert {unit.layer for unit in grafts.smallest[0]} == {4}
    assert grafts.kept_share.value == pytest.approx(1, abs=0.15)
    assert grafts.random["asked"].shape == (1, 4, len(grafts.ids))
    assert not np.allclose(grafts.random["asked"], grafts.kept["asked"][:, None], atol=1e-3)


def test_the_stages_are_as_before_after_all_of_it(base, child):
    stages = stage_of(child), stage_of(base)
    before = [[weight.clone() for weight in stage.model.parameters()] for stage in stages]
    probes.graft(*stages, items(), n_random=2, **QUIET)
    probes.cross(*stages, items(), every=3, **QUIET)
    for stage, weights in zip(stages, before, strict=True):
        assert not stage.is_edited
        for now, then in zip(stage.model.parameters(), weights, strict=True):
            assert torch.equal(now, then)


def test_random_updates_keep_norm_and_singular_values():
    difference = torch.randn(12, 3) @ torch.randn(3, 20)
    random = shuffled(difference, torch.Generator().manual_seed(0))
    torch.testing.assert_close(
        torch.linalg.svdvals(random), torch.linalg.svdvals(difference), atol=1e-4, rtol=0
    )
    assert abs(torch.nn.functional.cosine_similarity(random.flatten(), difference.flatten(), 0)) < 0.5


def test_training_seeds_are_pooled(base, child):
    other = changed(base, range(N_LAYERS), seed=7)
    both = probes.cross(
        [stage_of(child), stage_of(other)], [stage_of(base), stage_of(base)], items(), every=3, **QUIET
    )
    alone = [probes.cross(stage_of(one), stage_of(base), items(), every=3, **QUIET) for one in (child, other)]
    np.testing.assert_allclose(both.below(), np.concatenate([one.below() for one in alone]), atol=1e-6)
    assert both.table["n_seeds"].unique().to_list() == [2]
    grafts = probes.graft(
        [stage_of(child), stage_of(other)], [stage_of(base)] * 2, items(), doses=(), n_random=1, **QUIET
    )
    assert grafts.effects["asked"].shape[0] == 2
    assert len(grafts.smallest) == 2


def test_seeds_that_changed_other_blocks_are_lined_up(base):
    stages = [stage_of(changed(base, layers)) for layers in ([1], [3])]
    grafts = probes.graft(stages, [stage_of(base)] * 2, items(), doses=(), n_random=0, **QUIET)
    layers = [unit.layer for unit in grafts.units]
    assert layers == [1, 1, 3, 3]
    alone, below = grafts.effects["asked"][:, 0], grafts.effects["asked"][:, 2]
    assert not alone[0, 2:].any()
    assert not alone[1, :2].any()
    np.testing.assert_allclose(below[0, 3], grafts.total()[0], atol=1e-5)
    assert not below[1, :2].any()


def test_a_difference_that_is_the_same_at_every_token_carries_all_of_the_change(base):
    """Block 0 adds a constant at every token, by a bias of its MLP that only the child has switched on."""
    models = []
    for size in (0.0, 1.0):
        made = copy.deepcopy(base)
        inner = made.model.layers[0].mlp.down_proj
        biased = torch.nn.Linear(inner.in_features, inner.out_features)
        biased.weight.data = inner.weight.data.clone()
        draw = torch.Generator().manual_seed(0)
        biased.bias.data = size * torch.randn(inner.out_features, generator=draw)
        made.model.layers[0].mlp.down_proj = biased
        models.append(made.requires_grad_(False))
    stages = stage_of(models[1]), stage_of(models[0])
    made = probes.difference(*stages, items(), role="all", neutral=(), **QUIET)
    np.testing.assert_allclose(made.vectors[0], models[1].model.layers[0].mlp.down_proj.bias, atol=1e-4)
    assert made.repeated[0] == pytest.approx(1)
    found = probes.carried(made, *stages, items(), **QUIET)
    for carrier in ("mean", "along"):
        for way in (0, 1):
            assert found.share(1, carrier, way).value == pytest.approx(1, abs=1e-3)
    # on neutral text the offset is the same, so that nothing is left of it
    without = probes.difference(*stages, items(), role="all", **QUIET)
    assert np.linalg.norm(without.vectors[0]) < 1e-3 * np.linalg.norm(without.neutral[0])
    direction = made.direction(1)
    assert direction.site == probes.Site("resid_post", 0)
    assert direction.estimator == "stage_difference"


def test_lazy_greedy_finds_the_few_that_matter():
    worth = {"a": 0.5, "b": 0.3, "c": 0.15, "d": 0.05}
    calls = []

    def value(some):
        calls.append(tuple(some))
        return sum(worth[one] for one in some)

    assert fewest(list(worth), value, 0.9) == ["a", "b", "c"]
    assert fewest(list(worth), value, 2.0) == ["a", "b", "c", "d"]
    assert len(calls) < 30


def test_what_is_no_longer_needed_is_left_out_again():
    """ "ab" together are worth all, and so are "c" and "d"; "x" looks best alone and adds nothing to them."""

    def value(some):
        some = set(some)
        if {"c", "d"} <= some:
            return 1.0
        return 0.5 * ("x" in some) + 0.45 * ("c" in some) + 0.01 * ("d" in some)

    assert sorted(fewest(["x", "c", "d"], value, 0.97)) == ["c", "d"]


@pytest.mark.parametrize("family", sorted(ALL))
def test_attention_and_mlp_of_every_family_are_told_apart(family):
    """Every weight of a block is in one unit, and the names that the family's authors gave agree."""
    model = make_model(family)
    other = copy.deepcopy(model)
    for weight in other.parameters():
        weight.data = weight.data + 0.01
    names = WeightPair.of(other, model).names
    assert sum(map(len, names.values())) == len(list(model.named_parameters()))
    n_layers = len(find_architecture(model).blocks)
    for layer in range(n_layers):
        attention, mlp = names[Unit(layer, "attention")], names[Unit(layer, "MLP")]
        assert not any("mlp" in name or "feed_forward" in name or "fc_" in name for name in attention)
        assert not any("q_proj" in name or "attn.c" in name or "query" in name for name in mlp)
        assert attention
        assert mlp


def bad_stage(**changes):
    return stage_of(tiny_llama(**changes))


def test_stages_of_different_shapes_are_refused_with_the_weight_that_differs(base):
    with pytest.raises(InputError, match=r"different shapes: .*is \[400, 16\] .* is \[400, 32\]"):
        probes.cross(bad_stage(hidden_size=16), stage_of(base), items(), **QUIET)
    with pytest.raises(InputError, match=r"different shapes: model.layers.5.* does not exist"):
        probes.graft(bad_stage(n_layers=5), stage_of(base), items(), **QUIET)


def test_stages_with_other_vocabularies_are_refused(base):
    tokenizer = tiny_tokenizer()
    raw = json.loads(tokenizer.backend_tokenizer.to_str())
    words = raw["model"]["vocab"]
    one, two = "\u0120chair", "\u0120table"
    words[one], words[two] = words[two], words[one]
    other = PreTrainedTokenizerFast(tokenizer_object=Tokenizer.from_str(json.dumps(raw)), pad_token="<|pad|>")
    other.chat_template = tokenizer.chat_template
    swapped = LoadedStage.from_model(copy.deepcopy(base), other, name="swapped")
    with pytest.raises(TokenizerError):
        probes.cross(swapped, stage_of(base), items(), tokenizer=tokenizer, **QUIET)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"layers": [9]}, "layer 9: expected one from 0 to 6"),
        ({"every": 0}, "every=0"),
        ({"roles": ["nouns"]}, "no role 'nouns'"),
        ({"roles": ["evidence"]}, "no item has tokens of the role 'evidence'"),
        ({"score": "mean"}, "score='mean'"),
    ],
)
def test_crossing_says_what_it_was_given_and_what_it_expects(base, child, options, message):
    with pytest.raises(InputError, match=message):
        probes.cross(stage_of(child), stage_of(base), items(), **options, **QUIET)


def test_bad_items_and_numbers_are_refused(base, child):
    stages = stage_of(child), stage_of(base)
    with pytest.raises(InputError, match="no choice items"):
        probes.cross(*stages, [], **QUIET)
    shifted = [item.model_copy(update={"shift": "wording", "wording": "long"}) for item in items(3)]
    with pytest.raises(
        InputError, match=r"3 choice items, all of them on a shift axis.*concept.core.choices"
    ):
        probes.graft(*stages, shifted, **QUIET)
    with pytest.raises(InputError, match="expected at least 4"):
        probes.graft(*stages, items(3), **QUIET)
    with pytest.raises(InputError, match="n_random=-1"):
        probes.graft(*stages, items(), n_random=-1, **QUIET)
    with pytest.raises(InputError, match="aim='principled'"):
        probes.graft(*stages, items(), aim="principled", **QUIET)
    with pytest.raises(InputError, match="no way 'in'"):
        probes.graft(*stages, items(), ways=["in"], **QUIET)
    with pytest.raises(InputError, match="attention 9 of a set is the same in both stages"):
        probes.graft(*stages, items(), sets=[[Unit(9, "attention")]], **QUIET)
    with pytest.raises(InputError, match="2 stages beside 1"):
        probes.cross([stages[0]] * 2, [stages[1]], items(), **QUIET)
    with pytest.raises(InputError, match="one name"):
        probes.cross(*stages, items(2) + items(2), **QUIET)
    plain = ChoiceItem(id="p", prompt="the chair", positive=" a", negative=" b", completion=True)
    with pytest.raises(ConceptError, match="cannot be turned round"):
        probes.cross(*stages, [plain], turned=True, **QUIET)
    with pytest.raises(InputError, match="at least 2"):
        probes.difference(*stages, ["one text only"], **QUIET)
    with pytest.raises(InputError, match="plain texts"):
        probes.difference(*stages, ["a chair", "a lamp"], role="options", **QUIET)
    narrow = probes.difference(bad_stage(hidden_size=16), bad_stage(hidden_size=16, seed=1), items(), **QUIET)
    with pytest.raises(InputError, match="width 16"):
        probes.carried(narrow, *stages, items(), **QUIET)
