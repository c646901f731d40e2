"""Ablation against the scores without the direction, at one site and everywhere; the first-order controls."""

import dataclasses

import numpy as np
import pytest
import torch

from probes.concepts.neutral import neutral_texts
from probes.errors import InputError
from probes.models import Site, TokenBatch
from probes.steering import Ablate, ablate, after_first, random_directions, score_choices
from tests.steering.makers import ITEMS, SITE, direction_at, table_row


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
        ablations = [Ablate(site, v, means[site], positions=after_first) for site in sites]
        ablations.sort(key=lambda ablation: ablation.site.layer)
        expected = score_choices(model, ITEMS, ablations).logits()
        np.testing.assert_allclose(result.logits[name], expected, atol=1e-3)
    np.testing.assert_allclose(result.intact, score_choices(loaded, ITEMS).logits(), atol=1e-4)
    assert result.random.shape == (4, 2)
    assert not np.allclose(result.random[0], result.random[1])
    row = table_row(result.table, "ablation_shift", "direction")
    assert row["estimate"] == pytest.approx((result.logits["direction"] - result.intact).mean())
    assert row["ci_low"] < row["estimate"] < row["ci_high"]
    rows = result.control_items
    shift = abs((result.logits["direction"] - result.intact)[rows].mean())
    as_large = sum(abs((random - result.intact[rows]).mean()) >= shift for random in result.random)
    assert (
        result.p_value == table_row(result.table, "ablation_p", "direction")["estimate"] == (1 + as_large) / 5
    )
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
    result = ablate(loaded, direction, ITEMS, "site", first_order=True, **options)
    share = 1e-2
    for v, logits in zip(random_directions(3, len(vector), 0), result.random, strict=True):
        v = torch.tensor(v, dtype=torch.float32)
        up, down = (
            score_choices(model, ITEMS, [PartlyHeld(SITE, v, torch.tensor(centre), s)]).logits()
            for s in (share, -share)
        )
        np.testing.assert_allclose(logits - result.intact, (up - down) / (2 * share), atol=2e-3, rtol=0.02)
    exact = ablate(loaded, direction, ITEMS, "site", **options)
    np.testing.assert_allclose(result.logits["direction"], exact.logits["direction"])
    with pytest.raises(InputError, match='expected where="site"'):
        ablate(loaded, direction, ITEMS, first_order=True)
