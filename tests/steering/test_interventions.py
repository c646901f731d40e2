"""Every intervention does what its formula says, and nothing is left behind after it."""

import numpy as np
import pytest
import torch

from probes.errors import InputError, SiteError
from probes.models import Site, TokenBatch
from probes.probing.erasure import Eraser
from probes.steering import Ablate, Add, Clamp, Erase, after_first, everywhere
from tests.steering.makers import SITE

BATCH = TokenBatch.pad([[7, 8, 9, 10], [11, 12]])


def under(model, *interventions, site=SITE):
    with torch.inference_mode(), model.intervene(*interventions):
        return model.read(BATCH, [site])[site]


def test_add_shifts_by_the_dose_of_each_row(model, vector):
    plain = under(model)
    real = BATCH.attention_mask.bool()
    steered = under(model, Add(SITE, vector, alpha=2.0, scale=1.5))
    torch.testing.assert_close(
        (steered - plain)[real], torch.tensor(3 * vector).expand(6, 32), atol=1e-5, rtol=0
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
    for intervention in (
        Add(SITE, vector),
        Ablate(SITE, vector),
        Clamp(SITE, vector, 1.0),
        Erase(SITE, erasure),
    ):
        assert intervention.apply(values).dtype == dtype
        assert intervention.apply(values).shape == values.shape


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
