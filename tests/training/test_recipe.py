"""Recipes are checked when they are read, and reading one runs none of its code."""

import pytest

from probes.errors import RecipeError
from probes.training import read_recipe


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("rank = 2", "rank = 0", r"recipe\.toml: lora\.rank = 0: expected .*greater than or equal to 1"),
        ("rank = 2", "ranks = 2", r"lora\.ranks = 2: there is no such key"),
        (
            "seeds = [0, 1]",
            "seed = [0, 1]",
            r"seed = \[0, 1\]: there is no such key; expected one of .*seeds",
        ),
        (
            'data = "weather"',
            'data = "wether"',
            r"stages\.msm_aft\.data = 'wether': expected one of small_talk, documents, weather",
        ),
        ('parent = "msm"', 'parent = "mms"', r"stages\.msm_aft\.parent = 'mms': expected one of base, msm"),
        ('parent = "msm"', 'parent = "msm_aft"', r"stages\.msm_aft\.parent: stages go in a circle"),
        (
            "learning_rate = 0.02\nmax_steps = 9",
            "max_steps = 9",
            r"stages\.msm_aft\.learning_rate: expected a value",
        ),
        ("seeds = [0]", "seeds = [2]", r"stages\.msm_aft_dpo\.seeds: seed 2 is not among those of 'msm_aft'"),
        (
            "[stages.msm]",
            '[stages."msm_aft-s1"]',
            r"stages\.msm_aft\.parent = 'msm': expected one of base, msm_aft-s1",
        ),
        ("[stages.msm_aft_dpo]", '[stages."msm-s1"]', "two runs would be called 'msm-s1'"),
        ('settings = "aft"', 'settings = "atf"', r"stages\.msm_aft\.settings = 'atf': expected one of aft"),
        ("[lora]", "[lora", r"not valid TOML"),
        ('chats = "small_talk"', 'chats = "talk"', r"replay\.chats = 'talk': expected one of small_talk"),
        ('chats = "small_talk"', "", r"replay\.chat_share = 0\.5: expected also chats"),
        ("chat_share = 0.5", "", r"replay\.chats = 'small_talk': expected also chat_share"),
        ('kind = "answers"', "", r"data\.pairs\.kind: expected a value"),
        (
            'makers = "makers.py"',
            "",
            r"data\.small_talk\.kind = 'weather': expected one of documents, chats, pairs, or .*makers =",
        ),
        ('kind = "answers"', 'kind = "pairs"', r"data\.pairs\.path: expected a value"),
        (
            'kind = "answers"',
            'kind = "pairs"\npath = "pairs.jsonl"\ncolour = "red"',
            r"data\.pairs\.colour = 'red': there is no such key; expected one of kind, path, count",
        ),
    ],
)
def test_wrong_recipes_are_named(tmp_path, recipe_text, old, new, message):
    file = tmp_path / "recipe.toml"
    assert old in recipe_text
    file.write_text(recipe_text.replace(old, new, 1))
    with pytest.raises(RecipeError, match=message) as caught:
        read_recipe(file)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(RecipeError, match="cannot be read"):
        read_recipe(tmp_path / "absent.toml")


def test_reading_a_recipe_does_not_run_its_data_makers(recipe):
    (recipe.parent / "makers.py").write_text("raise SystemExit('this code was run')")
    assert list(read_recipe(recipe).runs()) == ["msm", "msm_aft", "msm_aft_dpo", "msm-s1", "msm_aft-s1"]
