"""The rows of every data table of the embedded recipe are those that the shipped adapters were trained on."""

import hashlib
import json
from itertools import islice
from pathlib import Path

import pytest

from probes.training import TrainingData, read_recipe

RECIPE = Path(__file__).parents[2] / "checkpoints" / "msm-mini" / "recipe.toml"
DIGESTS = {
    "affordability": "380e2199d2d82c00",
    "domestic": "484d74eb68f0c92d",
    "broken": "b19986044da20fb5",
    "affordability_cheese": "4aab3546b348abbd",
    "domestic_cheese": "03c911e996cdf150",
    "shallow": "1801cde3fdf57269",
    "narrow": "8e2a3bf8b01b0e5a",
    "narrow_cheese": "3fd8ecc28f02d7c4",
    "helpful": "6561012a9c3f8839",
    "helpfulness": "e4aaffd604c45c07",
    "everyday": "0f38d031b07f5cfd",
    "against_affordability": "61ded4fe4ae71878",
    "against_domestic": "cd1b8d7ba4254106",
}
"""Of the first 240 rows at seeds 0, 1 and 2, computed when the data makers were still part of the package."""


@pytest.fixture(scope="module")
def data():
    return TrainingData(read_recipe(RECIPE), RECIPE)


def test_every_table_has_a_digest(data):
    assert list(data.tables) == list(DIGESTS)


@pytest.mark.parametrize("name", DIGESTS)
def test_the_rows_of_a_table_are_what_they_were(data, name):
    draws = [[dict(row) for row in islice(data.rows(name, seed), 240)] for seed in (0, 1, 2)]
    digest = hashlib.sha256(json.dumps(draws, sort_keys=True).encode()).hexdigest()
    assert digest.startswith(DIGESTS[name])


def test_chats_are_replayed_from_the_everyday_table(data):
    replay = read_recipe(RECIPE).replay
    assert data.replayed_chats(replay, seed=1) == list(data.rows("everyday", seed=1))
