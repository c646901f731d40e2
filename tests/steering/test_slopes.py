"""Steerability: the slope along a direction and its rank among random ones, by hand."""

import numpy as np
import polars as pl
import pytest

from probes.errors import InputError, SiteError
from probes.models import Site
from probes.steering import choice_gradients, random_directions, steerability
from tests.steering.makers import ITEMS, SITE, direction_at, table_row


def test_steerability_finds_the_direction_the_choice_depends_on(loaded):
    gradients = choice_gradients(loaded, ITEMS, layers=[0, 2], concept="thrift")
    along = [
        direction_at(Site("resid_post", layer), gradients.at(Site("resid_post", layer)).mean(0))
        for layer in (0, 2)
    ]
    unit = random_directions(1, 32, seed=77)[0]
    other = direction_at(Site("resid_post", 2), unit, scale=1.5)
    result = steerability(gradients, {"direction": along, "other_concept": other}, n_random=99, seed=3)
    assert result.p_values["direction", 2] == 0.01
    assert result.p_values["other_concept", 2] > 0.01
    gradient = gradients.values[1].mean(0)
    assert result.slopes["direction", 2].mean() == pytest.approx(1.5 * np.linalg.norm(gradient), rel=1e-5)
    assert np.abs(result.random["direction", 2]).max() < 1.5 * np.linalg.norm(gradient)
    expected = 1.5 * random_directions(99, 32, seed=3) @ gradient
    np.testing.assert_allclose(result.random["direction", 2], expected, rtol=1e-5)
    rows = result.table.filter(pl.col("measure") == "steering_slope")
    assert rows.filter(pl.col("variant") == "random_direction")["layer"].to_list() == [0, 2]
    low, high = np.quantile(expected, [0.025, 0.975])
    row = table_row(result.table, "steering_slope", "random_direction", layer=2)
    assert (row["ci_low"], row["ci_high"]) == pytest.approx((low, high))
    assert low < 0 < high


def test_slopes_of_what_is_not_there_are_refused(loaded, vector):
    gradients = choice_gradients(loaded, ITEMS[:2], layers=[1])
    with pytest.raises(SiteError, match=r"no gradients at resid_post.2: .* at layers \[1\]"):
        steerability(gradients, direction_at(Site("resid_post", 2), vector))
    with pytest.raises(SiteError, match="vector of width 16"):
        steerability(gradients, direction_at(SITE, vector[:16]))
    with pytest.raises(InputError, match="n_random=0"):
        steerability(gradients, direction_at(SITE, vector), n_random=0)
