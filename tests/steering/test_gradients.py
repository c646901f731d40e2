"""Gradients of the choices against finite differences, without packing, and from every backend."""

import numpy as np
import pytest
from transformers import AutoModelForCausalLM

from probes.errors import InputError, SiteError
from probes.lineage import LoadedStage
from probes.models import Site
from probes.steering import Add, choice_gradients, score_choices
from tests.steering.makers import ITEMS, Unpacked, direction_at


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
    of_backend = choice_gradients(stage, ITEMS[1:], backend=backend, progress=False)
    np.testing.assert_allclose(of_backend.values, expected, atol=1e-4)


def test_gradients_of_some_items_come_in_the_order_asked_for(model):
    gradients = choice_gradients(model, ITEMS, layers=[1])
    two = gradients.of(["c3", "c1"], "summed")
    np.testing.assert_array_equal(two.values, gradients.values[:, [2, 0]])
    np.testing.assert_array_equal(two.scores.summed, gradients.scores.summed[[2, 0]])
    assert two.scores.ids == ["c3", "c1"]


def test_gradients_of_what_is_not_there_are_refused(loaded):
    with pytest.raises(SiteError, match="layer 3 does not exist: the model has 3 blocks"):
        choice_gradients(loaded, ITEMS, layers=3)
    with pytest.raises(InputError, match="no choice items"):
        choice_gradients(loaded, [])
    gradients = choice_gradients(loaded, ITEMS[:2], layers=[1])
    with pytest.raises(InputError, match="no gradients for item 'c3'"):
        gradients.of(["c1", "c3"], "summed")
    with pytest.raises(InputError, match="gradients of the 'summed' score: expected those of 'per_token'"):
        gradients.of(["c1"], "per_token")
