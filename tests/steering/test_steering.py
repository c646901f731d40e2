"""Interventions do what their formula says; slopes against finite differences; doses, damage, generation."""

import dataclasses

import numpy as np
import polars as pl
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from probes.concepts.neutral import manual_split, neutral_texts
from probes.errors import InputError, SiteError
from probes.lineage import LoadedStage
from probes.models import Site, TokenBatch, hooked
from probes.probing.direction import Direction
from probes.probing.erasure import Eraser
from probes.steering import (
    Ablate,
    Add,
    Clamp,
    Erase,
    ablate,
    after_first,
    choice_gradients,
    damage,
    everywhere,
    generate,
    perplexity,
    random_directions,
    score_choices,
    steer,
    steerability,
)
from tests.steering.test_choices import ITEMS, Unpacked

SITE = Site("resid_post", 1)
BATCH = TokenBatch.pad([[7, 8, 9, 10], [11, 12]])
TEXTS = ("the cheap chair was sold in Ohio", "a new lamp made in Kyoto for the table")


@pytest.fixture(scope="module")
def loaded(tiny_llama_dir):
    model = AutoModelForCausalLM.from_pretrained(tiny_llama_dir)
    return LoadedStage.from_model(model, AutoTokenizer.from_pretrained(tiny_llama_dir), name="tiny")


@pytest.fixture(scope="module")
def model(loaded):
    return hooked(loaded)


@pytest.fixture(scope="module")
def vector():
    return random_directions(1, 32, seed=5)[0].astype(np.float32)


def direction_at(site, vector, scale=1.5):
    return Direction(
        vector=vector / np.linalg.norm(vector), site=site, position="last", stage="tiny", concept="thrift",
        estimator="mass_mean", scale=scale, gap=1.0, digest="0",
    )  # fmt: skip


def under(model, *interventions, site=SITE):
    with torch.inference_mode(), model.intervene(*interventions):
        return model.read(BATCH, [site])[site]


def test_add_shifts_by_the_dose_of_each_row(model, vector):
    plain = under(model)
    real = BATCH.attention_mask.bool()
    pushed = under(model, Add(SITE, vector, alpha=2.0, scale=1.5))
    torch.testing.assert_close(
        (pushed - plain)[real], torch.tensor(3 * vector).expand(6, 32), atol=1e-5, rtol=0
    )
    each = under(model, Add(SITE, vector, alpha=torch.tensor([1.0, -1.0])))
    torch.testing.assert_close((each - plain)[0, 0], torch.tensor(vector), atol=1e-5, rtol=0)
    torch.testing.assert_close((each - plain)[1, 0], torch.tensor(-vector), atol=1e-5, rtol=0)


@pytest.mark.parametrize("length", [1.0, 7.0])
def test_ablation_removes_the_projection_and_nothing_else(model, vector, length):
    v = torch.tensor(vector)
    plain, ablated = under(model), under(model, Ablate(SITE, length * vector))
    real = BATCH.attention_mask.bool()
    assert (plain[real] @ v).abs().min() > 1e-3
    assert (ablated[real] @ v).abs().max() < 1e-5
    across = torch.linalg.qr(torch.cat([v[:, None], torch.randn(32, 31)], 1))[0][:, 1:]
    torch.testing.assert_close(ablated[real] @ across, plain[real] @ across, atol=1e-5, rtol=0)
    mean = torch.randn(32)
    to_mean = under(model, Ablate(SITE, vector, mean))
    torch.testing.assert_close(to_mean[real] @ v, (mean @ v).expand(6), atol=1e-5, rtol=0)


def test_after_first_leaves_the_first_token_alone(model, vector):
    left = TokenBatch.pad([[7, 8, 9, 10], [11, 12]], side="left")
    for batch, firsts in ((BATCH, (0, 0)), (left, (0, 2))):
        chosen = after_first(batch.attention_mask)
        assert [chosen[row].sum().item() for row in (0, 1)] == [3, 1]
        assert not any(chosen[row, first] for row, first in enumerate(firsts))
    change = (under(model, Add(SITE, vector, positions=after_first)) - under(model)).norm(dim=-1)
    assert change[:, 0].max() == 0
    assert change[0, 1:].min() > 0.9


def test_clamp_sets_the_projection(model, vector):
    clamped = under(model, Clamp(SITE, 3 * vector, torch.tensor([4.0, -2.0])))
    projection = clamped @ torch.tensor(vector)
    torch.testing.assert_close(projection[0], torch.full((4,), 4.0), atol=1e-5, rtol=0)
    torch.testing.assert_close(projection[1, :2], torch.full((2,), -2.0), atol=1e-5, rtol=0)


def test_erasing_is_the_fitted_eraser(model):
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], 60)
    erasure = Eraser().fit(rng.standard_normal((120, 32)) + labels[:, None], labels).erasure_
    plain, erased = under(model), under(model, Erase(SITE, erasure))
    np.testing.assert_allclose(erased[0], erasure(plain[0].double().numpy()), atol=1e-5)
    assert np.abs(erased[0] - plain[0]).max() > 0.01


def test_everywhere_acts_at_every_layer_and_keeps_the_direction_from_being_written(model, vector):
    same = everywhere(Ablate(SITE, vector), model)
    assert [i.site for i in same] == [Site("resid_post", layer) for layer in range(3)]
    v = torch.tensor(vector)
    arditi = everywhere(Ablate(SITE, vector), model, kinds=("resid_pre", "attn_out", "mlp_out"))
    for kind, layer in (("resid_mid", 0), ("resid_post", 0), ("resid_mid", 2), ("resid_post", 2)):
        site = Site(kind, layer)
        assert (under(model, *arditi, site=site)[BATCH.attention_mask.bool()] @ v).abs().max() < 1e-5


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
def test_interventions_keep_the_dtype_of_the_activations(dtype, vector):
    values = torch.randn(2, 3, 32).to(dtype)
    erasure = Eraser().fit(np.random.default_rng(0).standard_normal((20, 32)), np.repeat([0, 1], 10)).erasure_
    for push in (Add(SITE, vector), Ablate(SITE, vector), Clamp(SITE, vector, 1.0), Erase(SITE, erasure)):
        assert push.apply(values).dtype == dtype
        assert push.apply(values).shape == values.shape


def test_everything_is_restored_after_an_exception(model, vector):
    with torch.inference_mode():
        before = model.logits(BATCH)
        with (
            pytest.raises(SiteError, match="vector of width 5 cannot act at"),
            model.intervene(Add(SITE, vector), Add(SITE, np.ones(5))),
        ):
            model.logits(BATCH)
        torch.testing.assert_close(model.logits(BATCH), before, atol=0, rtol=0)


def test_bad_interventions_are_refused(model, vector):
    with pytest.raises(InputError, match="alpha=nan"):
        Add(SITE, vector, alpha=float("nan"))
    with pytest.raises(InputError, match="scale=inf"):
        Add(SITE, vector, scale=float("inf"))
    with pytest.raises(InputError, match="all zeros"):
        Ablate(SITE, np.zeros(32))
    with pytest.raises(InputError, match=r"vector of shape \[2, 32\]"):
        Add(SITE, np.zeros((2, 32)))
    with pytest.raises(InputError, match="value=inf"):
        Clamp(SITE, vector, float("inf"))
    with pytest.raises(SiteError), model.intervene(Add(Site("resid_post", 9), vector)):
        pass


@pytest.mark.parametrize("score", ["summed", "per_token"])
def test_slopes_are_central_differences_of_the_scores(model, score):
    gradients = choice_gradients(model, ITEMS, score=score)
    np.testing.assert_allclose(gradients.scores.summed, score_choices(model, ITEMS).summed, atol=1e-4)
    h = 0.02
    for layer in (0, 1, 2):
        direction = direction_at(Site("resid_post", layer), gradients.values[layer].mean(0))
        up, down = (score_choices(model, ITEMS, [Add.along(direction, a)]).logits(score) for a in (h, -h))
        slopes = gradients.slopes(direction)
        np.testing.assert_allclose(slopes, (up - down) / (2 * h), rtol=1e-3, atol=1e-3 * np.abs(slopes).max())


@pytest.mark.parametrize(("site", "width"), [("resid_post", 32), ("embed", 32), ("z", 32), ("attn_out", 32)])
def test_packing_changes_no_gradient(model, site, width):
    packed = choice_gradients(model, ITEMS, site=site)
    alone = choice_gradients(Unpacked(model), ITEMS, site=site)
    assert packed.values.shape == (1 if site == "embed" else 3, len(ITEMS), width)
    assert packed.values.dtype == np.float32
    np.testing.assert_allclose(packed.values, alone.values, atol=1e-4)
    assert np.abs(packed.values).max() > 0.01


@pytest.mark.parametrize("backend", ["transformer_lens", "nnsight"])
def test_every_backend_gives_the_same_gradients(tiny_llama_dir, model, backend):
    native = AutoModelForCausalLM.from_pretrained(tiny_llama_dir)
    stage = LoadedStage.from_model(native, model.tokenizer)
    expected = choice_gradients(model, ITEMS[1:], progress=False).values
    told = choice_gradients(stage, ITEMS[1:], backend=backend, progress=False).values
    np.testing.assert_allclose(told, expected, atol=1e-4)


def test_steerability_finds_the_direction_the_choice_depends_on(loaded):
    gradients = choice_gradients(loaded, ITEMS, layers=[0, 2], concept="thrift")
    along = [
        direction_at(Site("resid_post", layer), gradients.at(Site("resid_post", layer)).mean(0))
        for layer in (0, 2)
    ]
    unit = random_directions(1, 32, seed=77)[0]
    other = direction_at(Site("resid_post", 2), unit, scale=1.5)
    found = steerability(gradients, {"direction": along, "other_concept": other}, n_random=99, seed=3)
    assert found.p_values["direction", 2] == 0.01
    assert found.p_values["other_concept", 2] > 0.01
    gradient = gradients.values[1].mean(0)
    assert found.slopes["direction", 2].mean() == pytest.approx(1.5 * np.linalg.norm(gradient), rel=1e-5)
    assert np.abs(found.random["direction", 2]).max() < 1.5 * np.linalg.norm(gradient)
    expected = 1.5 * random_directions(99, 32, seed=3) @ gradient
    np.testing.assert_allclose(found.random["direction", 2], expected, rtol=1e-5)
    rows = found.table.filter(pl.col("measure") == "steering_slope")
    assert rows.filter(pl.col("variant") == "random_direction")["layer"].to_list() == [0, 2]
    low, high = np.quantile(expected, [0.025, 0.975])
    assert rows.row(
        by_predicate=_row("steering_slope", "random_direction") & (pl.col("layer") == 2), named=True
    )["ci_low"] == pytest.approx(low)
    assert low < 0 < high


def test_random_directions_are_unit_and_cover_the_sphere():
    vectors = random_directions(400, 32, seed=0)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0)
    assert np.abs(vectors.mean(0)).max() < 0.05
    assert not np.allclose(vectors, random_directions(400, 32, seed=1))


def test_slopes_of_what_is_not_there_are_refused(loaded, vector):
    with pytest.raises(SiteError, match="layer 3 does not exist: the model has 3 blocks"):
        choice_gradients(loaded, ITEMS, layers=3)
    with pytest.raises(InputError, match="no choice items"):
        choice_gradients(loaded, [])
    gradients = choice_gradients(loaded, ITEMS[:2], layers=[1])
    with pytest.raises(SiteError, match=r"no gradients at resid_post.2: .* at layers \[1\]"):
        steerability(gradients, direction_at(Site("resid_post", 2), vector))
    with pytest.raises(SiteError, match="vector of width 16"):
        steerability(gradients, direction_at(SITE, vector[:16]))
    with pytest.raises(InputError, match="n_random=0"):
        steerability(gradients, direction_at(SITE, vector), n_random=0)


@pytest.fixture(scope="module")
def response(loaded, vector):
    other = direction_at(Site("resid_post", 0), vector[::-1].copy(), scale=0.5)
    return steer(
        loaded, direction_at(SITE, vector), ITEMS, alphas=[-3, 1, 3], n_random=5, controls={"other": other},
        control_items=2, n_texts=2, progress=False,
    )  # fmt: skip


def test_dose_response_is_the_scores_under_the_push(model, vector, response):
    assert response.alphas == [-3, 0, 1, 3]
    for alpha in response.alphas:
        push = Add(SITE, vector, alpha, 1.5)
        expected = score_choices(model, ITEMS, [push]).logits()
        np.testing.assert_allclose(response.logits["direction"][alpha], expected, atol=1e-4)
    assert list(response.logits["other"]) == [-3, 0, 3]
    expected = score_choices(model, ITEMS, [Add(Site("resid_post", 0), vector[::-1].copy(), 3, 0.5)]).logits()
    np.testing.assert_allclose(response.logits["other"][3], expected, atol=1e-4)
    few = [ITEMS[i] for i in response.control_items]
    for unit, told in zip(random_directions(5, 32, seed=0), response.random[3], strict=True):
        pushed = score_choices(model, few, [Add(SITE, unit, 3, 1.5)]).logits()
        np.testing.assert_allclose(told, pushed, atol=1e-4)


def test_gradients_known_already_give_the_same_dose_response(loaded, vector, response):
    known = choice_gradients(loaded, ITEMS[::-1], progress=False)
    direction = direction_at(SITE, vector)
    told = steer(
        loaded, direction, ITEMS, [-3, 1, 3], n_random=0, damage=False, gradients=known, progress=False
    )
    for alpha in told.alphas:
        expected = response.logits["direction"][alpha]
        np.testing.assert_allclose(told.logits["direction"][alpha], expected, atol=1e-4)
    key = ("direction", 1)
    np.testing.assert_allclose(told.slope.slopes[key], response.slope.slopes[key], atol=1e-4)
    with pytest.raises(InputError, match=f"no gradients for item '{ITEMS[0].id}'"):
        steer(loaded, direction, ITEMS, gradients=known.of([ITEMS[1].id], "summed"), progress=False)
    with pytest.raises(InputError, match="gradients of the 'summed' score: expected those of 'per_token'"):
        steer(loaded, direction, ITEMS, gradients=known, score="per_token", progress=False)


def test_dose_response_table(response):
    table = response.table
    assert set(table["measure"]) == {
        "choice_logit", "choice_rate", "dose_p", "kl", "perplexity_ratio", "within_damage_limit",
        "steering_slope", "steering_p",
    }  # fmt: skip
    logit = table.filter(pl.col("measure") == "choice_logit")
    assert set(logit["variant"]) == {"direction", "other", "random_direction"}
    at_rest = logit.filter(pl.col("alpha") == 0)["estimate"]
    assert at_rest.max() == pytest.approx(at_rest.min())
    shift = (response.random[3] - response.logits["direction"][0][response.control_items]).mean()
    random = logit.row(
        by_predicate=_row("choice_logit", "random_direction") & (pl.col("alpha") == 3), named=True
    )
    assert random["estimate"] == pytest.approx(response.logits["direction"][0].mean() + shift)
    assert random["ci_low"] < random["ci_high"]
    assert set(table["stage"]) == {"tiny"}
    assert set(table["layer"]) == {1}
    assert set(response.p_values) == {-3, 3}
    assert all(1 / 6 <= p <= 1 for p in response.p_values.values())


def test_damage_is_none_at_rest_and_grows_with_the_dose(response):
    kl = {alpha: done.mean_kl for alpha, done in response.damage.items()}
    assert kl[0] == 0
    assert response.damage[0].perplexity_ratio == 1
    assert 0 < kl[1] < kl[3]
    assert kl[-3] > kl[1]
    strict = dataclasses.replace(response, limit=kl[1])
    assert strict.ok == {-3: False, 0: True, 1: True, 3: False}
    rows = strict.table.filter(pl.col("measure") == "within_damage_limit")
    assert dict(zip(rows["alpha"], rows["estimate"], strict=True)) == {-3: 0, 0: 1, 1: 1, 3: 0}


@pytest.mark.parametrize("where", ["everywhere", "site"])
def test_ablation_is_the_scores_without_the_direction(loaded, model, vector, where):
    other = direction_at(SITE, vector[::-1].copy())
    result = ablate(
        loaded, direction_at(SITE, vector), ITEMS, where, n_random=4, controls={"other": other},
        control_items=2, n_texts=2, progress=False,
    )  # fmt: skip
    kinds = ("resid_pre", "attn_out", "mlp_out") if where == "everywhere" else None
    sites = [Site(kind, i) for kind in kinds for i in range(3)] if kinds else [SITE]
    means = dict.fromkeys(sites, 0.0)
    rows = [loaded.tokenizer(text).input_ids for text in neutral_texts(2)]
    for row in rows:
        for site, values in model.read(TokenBatch.pad([row]), sites).items():
            means[site] = means[site] + values[0, 1:].sum(0) / sum(len(r) - 1 for r in rows)
    for name, v in (("direction", vector), ("other", vector[::-1].copy())):
        gone = [Ablate(site, v, means[site], positions=after_first) for site in sites]
        gone.sort(key=lambda push: push.site.layer)
        np.testing.assert_allclose(result.logits[name], score_choices(model, ITEMS, gone).logits(), atol=1e-3)
    np.testing.assert_allclose(result.unpushed, score_choices(loaded, ITEMS).logits(), atol=1e-4)
    assert result.random.shape == (4, 2)
    assert not np.allclose(result.random[0], result.random[1])
    row = result.table.row(by_predicate=_row("ablation_shift", "direction"), named=True)
    assert row["estimate"] == pytest.approx((result.logits["direction"] - result.unpushed).mean())
    assert row["ci_low"] < row["estimate"] < row["ci_high"]
    assert result.damage.mean_kl > 0
    assert dataclasses.replace(result, limit=0.0).ok is False
    with pytest.raises(InputError, match='where=\'here\': expected "everywhere" or "site"'):
        ablate(loaded, direction_at(SITE, vector), ITEMS, "here")


def test_a_centre_is_what_the_choices_are_held_at_and_changes_no_damage(loaded, model, vector):
    direction, centre = direction_at(SITE, vector), np.full(len(vector), 0.3)
    options = {"n_random": 2, "n_texts": 2, "progress": False}
    here = ablate(loaded, direction, ITEMS, "site", centre=centre, **options)
    held = [Ablate(SITE, vector, centre, positions=after_first)]
    np.testing.assert_allclose(
        here.logits["direction"], score_choices(model, ITEMS, held).logits(), atol=1e-4
    )
    plain = ablate(loaded, direction, ITEMS, "site", **options)
    assert not np.allclose(here.logits["direction"], plain.logits["direction"], atol=1e-3)
    np.testing.assert_allclose(here.damage.kl, plain.damage.kl)
    with pytest.raises(InputError, match='expected where="site"'):
        ablate(loaded, direction, ITEMS, centre=centre)


@dataclasses.dataclass(eq=False)
class PartlyHeld:
    """What `Ablate` takes away, times `share`."""

    site: Site
    vector: torch.Tensor
    centre: torch.Tensor
    share: float
    positions: object = after_first

    def apply(self, values):
        return values - self.share * ((values - self.centre) @ self.vector)[..., None] * self.vector


def test_random_directions_to_first_order_are_the_derivative_of_holding_them(loaded, model, vector):
    direction, centre = direction_at(SITE, vector), np.full(len(vector), 0.1, dtype=np.float32)
    options = {"n_random": 3, "control_items": None, "n_texts": 2, "centre": centre, "progress": False}
    told = ablate(loaded, direction, ITEMS, "site", first_order=True, **options)
    share = 1e-2
    for v, found in zip(random_directions(3, len(vector), 0), told.random, strict=True):
        v = torch.tensor(v, dtype=torch.float32)
        up, down = (
            score_choices(model, ITEMS, [PartlyHeld(SITE, v, torch.tensor(centre), s)]).logits()
            for s in (share, -share)
        )
        np.testing.assert_allclose(found - told.unpushed, (up - down) / (2 * share), atol=2e-3, rtol=0.02)
    exact = ablate(loaded, direction, ITEMS, "site", **options)
    np.testing.assert_allclose(told.logits["direction"], exact.logits["direction"])
    with pytest.raises(InputError, match='expected where="site"'):
        ablate(loaded, direction, ITEMS, first_order=True)


def test_damage_is_the_kl_of_plain_transformers(loaded, model, vector):
    push = Add(SITE, vector, 2.0)
    done = damage(loaded, [push], TEXTS)
    for text, kl, nats in zip(TEXTS, done.kl, done.nats, strict=True):
        ids = loaded.tokenizer(text, return_tensors="pt").input_ids
        base = loaded.model(ids).logits.log_softmax(-1)
        with model.intervene(push):
            pushed = loaded.model(ids).logits.log_softmax(-1)
            loss = loaded.model(ids, labels=ids).loss.item()
        per_token = torch.nn.functional.kl_div(base, pushed, log_target=True, reduction="none").sum(-1)
        assert kl == pytest.approx(per_token[0, :-1].mean().item(), rel=1e-3, abs=1e-5)
        assert nats == pytest.approx(loss, rel=1e-4)
    assert perplexity(loaded, TEXTS, [push]) == pytest.approx(np.exp(done.nats.mean()), rel=1e-5)
    assert perplexity(loaded, TEXTS) == pytest.approx(np.exp(done.nats_unpushed.mean()), rel=1e-5)


def test_neutral_texts_are_prose_that_training_does_not_replay():
    texts = neutral_texts()
    assert len(texts) > 40
    assert len(set(texts)) == len(texts)
    assert all(len(text.split()) == 48 and not {"`", "*"} & set(text) for text in texts)
    replayed = " ".join(manual_split()[0].split())
    plain = replayed.replace('"', "").replace("*", "").replace("`", "")
    assert not [text for text in texts if text in plain]
    assert len(neutral_texts(5)) == 5
    with pytest.raises(InputError, match="n=0 neutral texts"):
        neutral_texts(0)


def test_bad_doses_are_refused_before_anything_runs(loaded, vector):
    direction = direction_at(SITE, vector)
    for alphas in ([1.0, float("nan")], [float("inf")], [], [0.0]):
        with pytest.raises(InputError, match="expected finite doses"):
            steer(loaded, direction, ITEMS, alphas)
    with pytest.raises(InputError, match="no choice items"):
        steer(loaded, direction, [])
    with pytest.raises(InputError, match="length zero"):
        steer(loaded, dataclasses.replace(direction, vector=np.zeros(32)), ITEMS)
    with pytest.raises(InputError, match="n_random=-1"):
        steer(loaded, direction, ITEMS, n_random=-1)
    with pytest.raises(InputError, match="control_items=0"):
        steer(loaded, direction, ITEMS, control_items=0)
    with pytest.raises(SiteError, match="layer 7 does not exist"):
        steer(loaded, direction_at(Site("resid_post", 7), vector), ITEMS)
    with pytest.raises(SiteError, match="vector of width 16"):
        steer(loaded, direction_at(SITE, vector[:16]), ITEMS, progress=False)
    with pytest.raises(InputError, match="no texts"):
        damage(loaded, [], "one string")
    with pytest.raises(InputError, match="shorter than two tokens"):
        damage(loaded, [], [""])


def test_generation_is_that_of_transformers_and_follows_a_push(loaded, vector):
    prompts = ["the cheap", "which table would you choose"]
    said = generate(loaded, prompts, max_new_tokens=6)
    for prompt, text in zip(prompts, said, strict=True):
        ids = loaded.tokenizer(prompt, return_tensors="pt")
        told = loaded.model.generate(**ids, max_new_tokens=6, do_sample=False, pad_token_id=0)
        assert text == loaded.tokenizer.decode(told[0, ids.input_ids.shape[1] :], skip_special_tokens=True)
    assert generate(loaded, prompts, [Add(SITE, vector, 30.0)], max_new_tokens=6) != said
    assert generate(loaded, prompts, max_new_tokens=6) == said
    chat = [[{"role": "user", "content": "which chair ?"}]]
    rendered = ["<|user|> which chair ? <|end|> <|assistant|> "]
    assert generate(loaded, chat, max_new_tokens=6) == generate(loaded, rendered, max_new_tokens=6)
    assert len(generate(loaded, prompts * 3, max_new_tokens=2, batch_tokens=20)) == 6
    for bad in ([], "one string", [""]):
        with pytest.raises(InputError):
            generate(loaded, bad)


def _row(measure, variant):
    return (pl.col("measure") == measure) & (pl.col("variant") == variant)
