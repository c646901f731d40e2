"""A run's digest changes with what decides its outcome; a card that carries it marks a finished stage."""

import pytest

from probes.training import TrainingData, read_recipe
from probes.training.cards import is_finished, run_digest, run_digests
from probes.training.recipe import Run


def digests(file, seed=0):
    recipe = read_recipe(file)
    return run_digests(recipe, Run("msm_aft", seed), TrainingData(recipe, file))


def edited(file, old, new):
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))


def test_the_same_recipe_has_the_same_digest(recipe):
    assert digests(recipe) == digests(recipe)
    assert digests(recipe) != digests(recipe, seed=1)


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("recipe.toml", "alpha = 4", "alpha = 8"),
        ("recipe.toml", "learning_rate = 0.02\nmax_steps = 9", "learning_rate = 0.03\nmax_steps = 9"),
        ("recipe.toml", "count = 12", "count = 13"),
        ("recipe.toml", "tokens = 3000", "tokens = 3001"),  # of the parent
        ("makers.py", "It is", "There it is"),
    ],
)
def test_every_digest_changes_with_what_decides_the_outcome(recipe, name, old, new):
    before = digests(recipe)
    edited(recipe.parent / name, old, new)
    assert not set(before) & set(digests(recipe))


def test_names_of_tables_and_arms_change_no_digest(recipe):
    before = digests(recipe)
    edited(recipe, "[data.weather]", "[data.sky]")
    edited(recipe, 'data = "weather"', 'data = "sky"')
    recipe.write_text(recipe.read_text().replace('arm = "msm"', 'arm = "treated"'))
    assert digests(recipe) == before


def test_replayed_chats_are_part_of_the_current_digest_only(recipe):
    current, earlier = digests(recipe)
    edited(recipe, "seed = 7", "seed = 8")
    changed, same = digests(recipe)
    assert changed != current
    assert same == earlier


def test_without_replayed_chats_all_versions_agree(recipe):
    edited(recipe, 'chats = "small_talk"\nchat_share = 0.5', "")
    assert len(set(digests(recipe))) == 1


def test_a_stage_is_finished_under_any_of_its_digests(tmp_path):
    assert not is_finished(tmp_path, ["a", "b"])
    (tmp_path / "adapter_model.safetensors").touch()
    (tmp_path / "card.json").write_text('{"digest": "b"}')
    assert is_finished(tmp_path, ["a", "b"])
    assert not is_finished(tmp_path, ["a", "c"])


def test_a_child_of_a_changed_parent_is_another_run(recipe):
    loaded = read_recipe(recipe)
    data = TrainingData(loaded, recipe)
    child = run_digest(loaded, Run("msm_aft", 0), data)
    edited(recipe, "max_steps = 4", "max_steps = 5")
    assert run_digest(read_recipe(recipe), Run("msm_aft", 0), data) != child
