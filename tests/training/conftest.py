"""A tiny recipe with a Python file of data makers and a base to train, and what `build` makes of it."""

import shutil
from pathlib import Path

import pytest

from probes.training import build
from tests.makers import tiny_trainable

MAKERS = Path(__file__).with_name("tiny_makers.py")
RECIPE = """
seeds = [0, 1]
makers = "makers.py"
[lineage]
name = "tiny"
[base]
checkpoint = { path = "base" }
[lora]
rank = 2
alpha = 4
[replay]
share = 0.2
chats = "small_talk"
chat_share = 0.5
[data.small_talk]
kind = "weather"
count = 5
seed = 7
[data.documents]
kind = "stories"
tokens = 3000
[data.weather]
kind = "weather"
count = 12
[stages.msm]
parent = "base"
kind = "midtrain"
arm = "msm"
data = "documents"
learning_rate = 0.02
max_steps = 4
batch_size = 2
max_length = 64
[settings.aft]
kind = "sft"
data = "weather"
learning_rate = 0.02
max_steps = 9
batch_size = 4
[stages.msm_aft]
parent = "msm"
arm = "msm"
settings = "aft"
max_steps = 3
[data.pairs]
kind = "answers"
count = 6
[stages.msm_aft_dpo]
parent = "msm_aft"
kind = "preference"
arm = "msm"
data = "pairs"
seeds = [0]
learning_rate = 0.01
batch_size = 2
"""


@pytest.fixture(scope="session")
def recipe_text():
    """The tiny recipe, to be changed."""
    return RECIPE


@pytest.fixture
def recipe(tmp_path):
    """A folder with the tiny recipe and its data makers, without a base."""
    (tmp_path / "recipe.toml").write_text(RECIPE)
    shutil.copy(MAKERS, tmp_path / "makers.py")
    return tmp_path / "recipe.toml"


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    """A folder with the tiny recipe, its data makers and a base that knows their words."""
    folder = tmp_path_factory.mktemp("tiny")
    words = MAKERS.read_text().replace('"', " ").replace(",", " ")
    tiny_trainable(folder / "base", [words])
    (folder / "recipe.toml").write_text(RECIPE)
    shutil.copy(MAKERS, folder / "makers.py")
    return folder


@pytest.fixture(scope="session")
def built(tiny):
    """The lineage of the whole tiny recipe and the folder it was built in."""
    lineage = build(tiny / "recipe.toml", out=tiny / "out", progress=False)
    return lineage, tiny / "out"
