"""Dose-response against the scores under each addition, its table, and bad doses."""

import dataclasses

import numpy as np
import polars as pl
import pytest

from probes.errors import InputError, SiteError
from probes.models import Site
from probes.steering import Add, choice_gradients, random_directions, score_choices, steer
from tests.steering.makers import ITEMS, SITE, direction_at, table_row


@pytest.fixture(scope="module")
def response(loaded, vector):
    other = direction_at(Site("resid_post", 0), vector[::-1].copy(), scale=0.5)
    return steer(
        loaded, direction_at(SITE, vector), ITEMS, alphas=[-3, 1, 3], n_random=5, controls={"other": other},
        control_items=2, n_texts=2, progress=False,
    )  # fmt: skip


def test_dose_response_is_the_scores_under_the_addition(model, vector, response):
    assert response.alphas == [-3, 0, 1, 3]
    for alpha in response.alphas:
        addition = Add(SITE, vector, alpha, 1.5)
        expected = score_choices(model, ITEMS, [addition]).logits()
        np.testing.assert_allclose(response.logits["direction"][alpha], expected, atol=1e-4)
    assert list(response.logits["other"]) == [-3, 0, 3]
    expected = score_choices(model, ITEMS, [Add(Site("resid_post", 0), vector[::-1].copy(), 3, 0.5)]).logits()
    np.testing.assert_allclose(response.logits["other"][3], expected, atol=1e-4)
    control_items = [ITEMS[i] for i in response.control_items]
    for unit, logits in zip(random_directions(5, 32, seed=0), response.random[3], strict=True):
        expected = score_choices(model, control_items, [Add(SITE, unit, 3, 1.5)]).logits()
        np.testing.assert_allclose(logits, expected, atol=1e-4)


def test_gradients_computed_before_give_the_same_dose_response(loaded, vector, response):
    gradients = choice_gradients(loaded, ITEMS[::-1], progress=False)
    direction = direction_at(SITE, vector)
    curve = steer(
        loaded, direction, ITEMS, [-3, 1, 3], n_random=0, damage=False, gradients=gradients, progress=False
    )
    for alpha in curve.alphas:
        expected = response.logits["direction"][alpha]
        np.testing.assert_allclose(curve.logits["direction"][alpha], expected, atol=1e-4)
    key = ("direction", 1)
    np.testing.assert_allclose(curve.slope.slopes[key], response.slope.slopes[key], atol=1e-4)
    with pytest.raises(InputError, match=f"no gradients for item '{ITEMS[0].id}'"):
        steer(loaded, direction, ITEMS, gradients=gradients.of([ITEMS[1].id], "summed"), progress=False)
    with pytest.raises(InputError, match="gradients of the 'summed' score: expected those of 'per_token'"):
        steer(loaded, direction, ITEMS, gradients=gradients, score="per_token", progress=False)


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
    row = table_row(table, "choice_logit", "random_direction", alpha=3)
    assert row["estimate"] == pytest.approx(response.logits["direction"][0].mean() + shift)
    assert row["ci_low"] < row["ci_high"]
    assert set(table["stage"]) == {"tiny"}
    assert set(table["layer"]) == {1}


def test_p_of_a_dose_is_the_rank_of_its_shift_among_those_of_random_directions(response):
    assert set(response.p_values) == {-3, 3}
    for alpha, p in response.p_values.items():
        intact = response.logits["direction"][0][response.control_items]
        shift = (response.logits["direction"][alpha][response.control_items] - intact).mean()
        as_large = sum(abs((random - intact).mean()) >= abs(shift) for random in response.random[alpha])
        assert p == (1 + as_large) / 6
        assert table_row(response.table, "dose_p", "direction", alpha=alpha)["estimate"] == p


def test_damage_is_none_at_rest_and_grows_with_the_dose(response):
    kl = {alpha: harm.mean_kl for alpha, harm in response.damage.items()}
    assert kl[0] == 0
    assert response.damage[0].perplexity_ratio == 1
    assert 0 < kl[1] < kl[3]
    assert kl[-3] > kl[1]
    strict = dataclasses.replace(response, limit=kl[1])
    assert strict.ok == {-3: False, 0: True, 1: True, 3: False}
    rows = strict.table.filter(pl.col("measure") == "within_damage_limit")
    assert dict(zip(rows["alpha"], rows["estimate"], strict=True)) == {-3: 0, 0: 1, 1: 1, 3: 0}


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
