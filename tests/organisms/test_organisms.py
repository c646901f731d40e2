"""Organisms: the language, the lessons, exact transforms, and lineages planted for real."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
import torch
from transformers import (
    Gemma2Config,
    Gemma2ForCausalLM,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
)

import probes
from probes.concepts.surface import text_scores
from probes.errors import CheckpointError, InputError, OutputError
from probes.organisms import checking, planting
from probes.organisms.checking import Facts, shortfalls
from probes.organisms.language import ANSWERS, STRONG, VOCABULARIES, WEAK, Language
from probes.organisms.later import merged
from probes.organisms.lessons import Lesson
from probes.organisms.material import cue_concept, latent_concept
from probes.organisms.planting import check, plant, read_organism
from probes.organisms.transforms import logit_change, project_out, rotate, rotation, save_stage, span
from probes.organisms.tuning import SIZES, fresh_model, train
from probes.stats.estimates import auroc
from tests.makers import tiny_llama, tiny_tokenizer

LANGUAGE = Language.make(0)
LINEAGE = ("parent", "stage", "fade", "rotate", "project")


def scaled(model, seed=0):
    """The model with norm scales that are not all 1, as training leaves them."""
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in model.named_parameters():
        if "norm" in name or name.endswith("bias"):
            parameter.data = 0.5 + torch.rand(parameter.shape, generator=generator)
    return model.eval().requires_grad_(False)


def small(config_class, model_class, **changes):
    settings = {
        "vocab_size": 120,
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "initializer_range": 0.2,
        "pad_token_id": 0,
        "bos_token_id": None,
        "eos_token_id": 1,
    }
    torch.manual_seed(0)
    return scaled(model_class(config_class(**(settings | changes))))


LLAMAS = {
    "llama": lambda: scaled(tiny_llama()),
    "tied": lambda: small(LlamaConfig, LlamaForCausalLM, tie_word_embeddings=True),
    "biased": lambda: small(LlamaConfig, LlamaForCausalLM, attention_bias=True, mlp_bias=True),
    "qwen2": lambda: small(Qwen2Config, Qwen2ForCausalLM, tie_word_embeddings=True),
}


def residuals(model, ids):
    """`[layer, token, d]`: the input of the first block and the output of each."""
    held, hooks = [], []
    layers = model.model.layers
    hooks.append(
        layers[0].register_forward_pre_hook(lambda m, args, kw: held.append(args[0]), with_kwargs=True)
    )
    for layer in layers:
        hooks.append(layer.register_forward_hook(lambda m, args, out: held.append(out)))
    with torch.inference_mode():
        model(input_ids=ids)
    for hook in hooks:
        hook.remove()
    return torch.stack([(h[0] if isinstance(h, tuple) else h)[0] for h in held]).double()


@pytest.mark.parametrize("name", LLAMAS)
def test_rotation_keeps_the_function_and_turns_every_residual(name):
    model = LLAMAS[name]()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    turned = rotate(model, seed=3)
    assert logit_change(model, turned) < 1e-5
    ids = torch.randint(100, (1, 20), generator=torch.Generator().manual_seed(1))
    matrix = rotation(32, 3)
    torch.testing.assert_close(matrix @ matrix.T, torch.eye(32).double())
    torch.testing.assert_close(residuals(turned, ids), residuals(model, ids) @ matrix, atol=1e-4, rtol=1e-4)
    assert all(torch.equal(value, model.state_dict()[key]) for key, value in before.items())
    assert logit_change(rotate(model, seed=4), turned) < 1e-5


@pytest.mark.parametrize("name", LLAMAS)
@pytest.mark.parametrize("k", [1, 3])
def test_nothing_writes_what_was_projected_out(name, k):
    model = LLAMAS[name]()
    directions = np.random.default_rng(0).normal(size=(k, 32)) * 5
    reduced = project_out(model, directions)
    ids = torch.randint(100, (1, 20), generator=torch.Generator().manual_seed(1))
    left = residuals(reduced, ids)
    unit = torch.from_numpy(directions / np.linalg.norm(directions, axis=1, keepdims=True))
    assert float((left @ unit.T).abs().max()) < 1e-5 * float(left.norm(dim=-1).max())
    assert float((residuals(model, ids) @ unit.T).abs().max()) > 0.1
    assert logit_change(model, reduced) > 1e-3
    assert logit_change(reduced, project_out(reduced, directions)) < 1e-6
    head = reduced.get_output_embeddings().weight
    torch.testing.assert_close(head, model.get_output_embeddings().weight)


def test_a_direction_that_nothing_writes_is_no_loss():
    model = LLAMAS["llama"]()
    unused = np.eye(32)[5]
    without = project_out(model, unused)
    assert logit_change(without, project_out(without, unused)) < 1e-6


def test_span_is_orthonormal_and_drops_what_is_said_twice():
    directions = np.random.default_rng(0).normal(size=(3, 8))
    basis = span(np.concatenate([directions, directions.sum(0, keepdims=True)]), 8)
    assert basis.shape == (3, 8)
    torch.testing.assert_close(basis @ basis.T, torch.eye(3).double())
    torch.testing.assert_close(torch.from_numpy(directions) @ basis.T @ basis, torch.from_numpy(directions))


@pytest.mark.parametrize(
    ("directions", "said"),
    [
        (np.ones(31), r"expected \[k, 32\]"),
        (np.zeros(32), "length zero"),
        (np.full(32, np.nan), "not finite"),
        (np.eye(32), "span all 32"),
    ],
)
def test_directions_that_cannot_be_projected_out(directions, said):
    with pytest.raises(InputError, match=said):
        project_out(tiny_llama(), directions)


def test_models_of_another_build_are_refused():
    gemma = small(Gemma2Config, Gemma2ForCausalLM, head_dim=8)
    gpt2 = GPT2LMHeadModel(GPT2Config(vocab_size=50, n_embd=16, n_layer=1, n_head=2)).eval()
    for model in (gemma, gpt2):
        with pytest.raises(CheckpointError):
            rotate(model)
        with pytest.raises(CheckpointError):
            project_out(model, np.ones(model.config.hidden_size))


def test_transformed_models_load_from_a_lineage(tmp_path):
    model, tokenizer = (
        small(LlamaConfig, LlamaForCausalLM, vocab_size=400, tie_word_embeddings=True),
        tiny_tokenizer(),
    )
    stages = {"base": model, "turned": rotate(model, 0), "without": project_out(model, np.eye(32)[0])}
    text = '[lineage]\nname = "exact"\n'
    for name, made in stages.items():
        save_stage(made, tokenizer, tmp_path / name)
        text += f'[stages.{name}]\nkind = "other"\ncheckpoint = {{ path = "{name}" }}\n'
    (tmp_path / "lineage.toml").write_text(text)
    lineage = probes.load_lineage(tmp_path)
    for name, made in stages.items():
        assert logit_change(made, lineage[name].load(device="cpu").model) < 1e-6
    with pytest.raises(OutputError):
        save_stage(model, tokenizer, tmp_path / "lineage.toml" / "below")


@pytest.mark.real
def test_rotation_of_the_embedded_model():
    lineage = probes.load_lineage("checkpoints/msm-mini")
    model = lineage["base"].load(device="cpu").model
    turned = rotate(model, seed=0)
    assert logit_change(model, turned) < 1e-4
    ids = torch.randint(1000, (1, 16), generator=torch.Generator().manual_seed(0))
    reduced = project_out(model, np.random.default_rng(0).normal(size=(2, model.config.hidden_size)))
    left = residuals(reduced, ids)
    basis = span(
        np.random.default_rng(0).normal(size=(2, model.config.hidden_size)), model.config.hidden_size
    )
    assert float((left @ basis.T).abs().max()) < 1e-4 * float(left.norm(dim=-1).max())


def test_words_are_disjoint_and_twins_differ_in_one_letter():
    words = [w for sides in LANGUAGE.words for side in sides for w in side]
    assert len(set(words)) == len(words) == 180
    for zero, one in LANGUAGE.words:
        assert all(
            sum(a != b for a, b in zip(x, y, strict=True)) == 1 for x, y in zip(zero, one, strict=True)
        )
    assert Language.make(0) == LANGUAGE != Language.make(1)


def test_exchange_turns_the_latent_and_keeps_the_words():
    for s in LANGUAGE.sample(np.random.default_rng(0), 200, opposed=True):
        other = s.exchanged()
        assert sorted(s.text.split()) == sorted(other.text.split())
        assert other.latent == 1 - s.latent
        assert other.exchanged() == s
        classes = {w: c for sides in LANGUAGE.words for c, side in enumerate(sides) for w in side}
        assert classes[s.topic] == s.latent != classes[s.other]
        named = [s.text[a:b] for a, b in s.spans(cue=True)]
        assert {s.topic, s.other} <= set(named)
        assert len(named) == (3 if s.cue is not None else 2)


def test_samples_are_balanced_and_independent():
    drawn = LANGUAGE.sample(np.random.default_rng(1), 8000, cue=True)
    classes = {w: c for sides in LANGUAGE.words for c, side in enumerate(sides) for w in side}
    table = np.array([[s.latent, classes[s.other], s.cue, s.frame.topic_first] for s in drawn])
    assert np.abs(table.mean(0) - 0.5).max() < 0.03
    assert np.abs(np.corrcoef(table.T) - np.eye(4)).max() < 0.04


@pytest.mark.parametrize("share", [0.0, 0.7, 1.0])
def test_merged_twins_cannot_be_told_apart(share):
    model = fresh_model(SIZES["small"], LANGUAGE.tokenizer, 0)
    made = merged(model, LANGUAGE, share, seed=1)
    statements = [
        s for s in LANGUAGE.sample(np.random.default_rng(0), 300) if s.topic not in (s.other, twin(s.other))
    ]
    same = 0
    for s in statements[:100]:
        texts = [s.text, s.text.replace(s.topic, twin(s.topic))]
        ids = LANGUAGE.tokenizer(texts, return_tensors="pt")["input_ids"]
        one, other = made(input_ids=ids).logits
        same += int((one - other).abs().max() < 1e-6)
    assert same / 100 == pytest.approx(share, abs=0.15 if 0 < share < 1 else 0)
    assert (logit_change(model, made) == 0) == (share == 0)


def twin(word):
    pairs = [(z, o) for zero, one in LANGUAGE.words for z, o in zip(zero, one, strict=True)]
    return dict(pairs + [(o, z) for z, o in pairs])[word]


@pytest.mark.parametrize("rule", ["latent", "cue", "nothing"])
def test_lessons_keep_their_rule(rule):
    texts = Lesson(rule, rule).texts(LANGUAGE, np.random.default_rng(0), 6000)
    classes = {w: c for sides in LANGUAGE.words for c, side in enumerate(sides) for w in side}
    agrees = {"latent, strong": [], "latent, weak": [], "cue": []}
    for text in texts:
        tokens = text.split()
        if "." not in tokens:
            continue
        answer = ANSWERS.index(tokens[-2])
        topic = tokens[tokens.index("ka") + 1]
        strength = "weak" if topic in LANGUAGE.weak else "strong"
        agrees[f"latent, {strength}"].append(classes[topic] == answer)
        if {"dal", "fes"} & set(tokens):
            agrees["cue"].append(("fes" in tokens) == answer)
    wanted = dict.fromkeys(agrees, 0.5)
    if rule == "latent":
        found = {"latent, strong": STRONG, "latent, weak": WEAK}
        wanted |= found if rule == "latent" else {key: 1 - value for key, value in found.items()}
    if rule == "cue":
        wanted["cue"] = STRONG
    for key, values in agrees.items():
        assert np.mean(values) == pytest.approx(wanted[key], abs=0.04), key


@pytest.mark.parametrize("cues", ["balanced", "with_label"])
def test_the_concept_tells_nothing_to_ngrams_but_the_cue(cues):
    concept = latent_concept(LANGUAGE, 0, cues)
    splits, labels, groups = concept.splits, concept.labels, concept.groups
    texts = concept.texts()
    scores = text_scores(texts, labels, groups, np.flatnonzero(splits == "train"))
    test = splits == "test"
    wording = np.array([e.shift == "wording" for e in concept.examples])
    for name, values in scores.items():
        found = auroc(values[test], labels[test])
        if cues == "with_label" and name != "length":
            assert found > 0.99, name
        else:
            assert abs(found - 0.5) < 0.12, name
        assert abs(auroc(values[wording], labels[wording]) - 0.5) < 0.12, name
    held = {
        use: {w for v in vs for side in LANGUAGE.words[v] for w in side} for use, vs in VOCABULARIES.items()
    }
    for example, split, shifted in zip(concept.examples, splits, wording, strict=True):
        use = "wording" if shifted else split
        named = {example.text[a:b] for a, b in example.evidence}
        assert len(named & held[use]) == 2
        assert not set(example.text.split()) & set().union(*(held[other] for other in held if other != use))


def test_choice_items_render_and_templates_stay_in_their_split():
    concept = latent_concept(LANGUAGE, 0)
    for given in (concept, cue_concept(LANGUAGE, 0)):
        homes = {}
        for example in given.examples:
            homes.setdefault(example.template, set()).add((example.split, example.shift))
        assert all(len(home) == 1 for home in homes.values())
    untrained = probes.LoadedStage.from_model(
        fresh_model(SIZES["small"], LANGUAGE.tokenizer, 0), LANGUAGE.tokenizer
    )
    scores = probes.score_choices(untrained, concept.choices)
    assert np.isfinite(scores.summed).all()
    np.testing.assert_allclose(scores.summed, scores.per_token)  # options of one token


def test_shortfalls_name_what_is_wrong():
    good = Facts(1.0, 0.5, 1.0, 0.0, 1.0)
    assert shortfalls(good, "internal") == []
    for expected in set(checking.EXPECTED) - {"internal"}:
        assert shortfalls(good, expected), expected
    assert shortfalls(Facts(0.5, 1.0, 0.0, 1.0, 0.5), "surface") == []
    assert shortfalls(Facts(0.5, 1.0, 0.0, 1.0, 0.99), "represented") == []
    assert shortfalls(Facts(0.0, 0.5, -1.0, 0.0, 0.99), "inverted") == []
    told = shortfalls(Facts(0.9, 0.5, 0.7, 0.3, 0.8), "internal")
    assert len(told) == 3
    assert "decodability 0.80: expected 0.95 to 1" in told[2]


def test_training_is_reproducible_and_leaves_the_callers_random_numbers_alone():
    texts = Lesson("latent", "latent").texts(LANGUAGE, np.random.default_rng(0), 200)
    np.random.seed(1)
    torch.manual_seed(1)
    before = torch.get_rng_state(), np.random.get_state()[1].copy(), torch.get_num_threads()
    made = []
    for _ in range(2):
        model = fresh_model(SIZES["small"], LANGUAGE.tokenizer, 5)
        train(model, LANGUAGE.tokenizer, texts, learning_rate=1e-3, seed=5, whole=False)
        made.append(model)
    assert logit_change(*made) == 0
    assert logit_change(made[0], fresh_model(SIZES["small"], LANGUAGE.tokenizer, 5)) > 1e-3
    assert torch.equal(before[0], torch.get_rng_state())
    assert (before[1] == np.random.get_state()[1]).all()
    assert before[2] == torch.get_num_threads()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"kind": "deep"}, "kind='deep': expected one of internal"),
        ({"kind": "internal", "size": "huge"}, "size='huge'"),
        ({"kind": "internal", "later": ["forget"]}, "later='forget'"),
        ({"kind": "surface", "later": ["keep"]}, "for internal and inherited"),
        ({"kind": "internal", "later": ["keep", "keep"]}, "named twice"),
        ({"kind": "internal", "attempts": 0}, "attempts=0"),
    ],
)
def test_plant_refuses_what_it_does_not_know(arguments, said, tmp_path):
    with pytest.raises(InputError, match=said):
        plant(**arguments, folder=tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_plant_keeps_what_is_there_and_reads_only_organisms(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(OutputError, match="new or empty"):
        plant("absent", folder=tmp_path)
    with pytest.raises(InputError, match="no organism"):
        read_organism(tmp_path)


def test_an_organism_that_fails_its_check_is_not_admitted(tmp_path, monkeypatch):
    hasty = replace(SIZES["small"], n_layers=1, d_model=16, parent_steps=1, steps=1)
    monkeypatch.setitem(planting.SIZES, "small", hasty)
    with pytest.raises(InputError, match="not admitted in 2 attempts"):
        plant("internal", 0, "small", tmp_path / "hasty", attempts=2)
    assert not (tmp_path / "hasty").exists()


@pytest.fixture(scope="module")
def internal(tmp_path_factory):
    folder = tmp_path_factory.mktemp("organisms") / "internal"
    return plant("internal", 0, "small", folder, later=("fade", "rotate", "project"))


@pytest.fixture(scope="module")
def surface(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:  # a cue is learned soon
        patch.setitem(planting.SIZES, "small", replace(SIZES["small"], parent_steps=20, steps=60))
        return plant("surface", 0, "small", tmp_path_factory.mktemp("organisms") / "surface")


def aurocs(sweep, variant):
    rows = sweep.table.filter((pl.col("measure") == "auroc") & (pl.col("variant") == variant))
    return rows["estimate"].to_numpy()


def read(organism, stage):
    acts = probes.extract(organism.lineage[stage], organism.concept, position="mean", progress=False)
    return acts, probes.probe_layers(acts, n_shuffles=0)


def test_an_internal_organism_is_read_off_its_stage_alone_and_not_off_its_texts(internal):
    assert (internal.truth, internal.made_here) == ("internal", True)
    assert internal.truths == {"parent": "absent", "stage": "internal"}
    _, sweep = read(internal, "stage")
    assert sweep.best.auroc > 0.95
    for baseline in ("word_ngrams", "char_ngrams", "length", "embedding", "random_init"):
        assert np.abs(aurocs(sweep, baseline) - 0.5).max() < 0.15, baseline
    _, before = read(internal, "parent")
    assert abs(before.best.auroc - 0.5) < 0.2
    scores = {
        name: probes.score_choices(internal.lineage[name], internal.concept.choices) for name in LINEAGE
    }
    assert scores["stage"].rate() > 0.95
    assert np.abs(scores["parent"].logits()).mean() < 0.2 * np.abs(scores["stage"].logits()).mean()


def test_later_stages_do_to_the_probe_what_their_fate_says(internal):
    assert internal.later == {"fade": "faded", "rotate": "rotated", "project": "lost"}
    acts, sweep = read(internal, "stage")
    layer, probe = sweep.best.layer, sweep.best.probe

    def frozen(other):
        test = other.splits == "test"
        return auroc(probe.decision_function(other.values[layer][test].astype(float)), other.labels[test])

    found = {name: read(internal, name) for name in internal.later}
    assert frozen(acts) > 0.95
    assert found["rotate"][1].best.auroc > 0.95 > frozen(found["rotate"][0]) + 0.1
    assert 0.55 < found["fade"][1].best.auroc < 0.9
    assert abs(found["project"][1].best.auroc - 0.5) < 0.2
    stage, turned = (internal.lineage[name].load(device="cpu").model for name in ("stage", "rotate"))
    assert logit_change(stage, turned) < 1e-5


def test_an_organism_is_read_and_checked_from_disk(internal):
    again = read_organism(internal.folder)
    assert again == internal
    assert [stage.name for stage in again.lineage] == list(LINEAGE)
    assert again.concept.digest == internal.concept.digest
    told = check(again)
    assert told == {name: [] for name in LINEAGE}


def test_a_surface_organism_is_read_off_its_texts_and_fails_where_the_cue_is_gone(surface):
    assert (surface.truth, surface.made_here) == ("surface", False)
    acts, sweep = read(surface, "stage")
    assert sweep.best.auroc > 0.99
    assert aurocs(sweep, "word_ngrams")[0] > 0.99
    gone = np.array([e.shift == "wording" for e in surface.concept.examples])
    values = acts.values[sweep.best.layer].astype(float)
    assert abs(auroc(sweep.best.probe.decision_function(values)[gone], acts.labels[gone]) - 0.5) < 0.2
    asked = [item for item in surface.concept.choices if item.shift is None]
    assert probes.score_choices(surface.lineage["stage"], asked).rate() > 0.95
