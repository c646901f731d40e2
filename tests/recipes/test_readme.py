"""The example in recipes/README.md works as it stands there, on a tiny base."""

import re
from pathlib import Path

import pytest

from probes.cli import main
from probes.lineage import load_lineage
from tests.makers import tiny_trainable

README = (Path(__file__).parents[2] / "recipes" / "README.md").read_text()
MAKERS, LOOK = re.findall(r"```python\n(.+?)```", README, re.DOTALL)
(RECIPE,) = re.findall(r"```toml\n(.+?)```", README, re.DOTALL)
(REFUSAL,) = re.findall(r"```text\n(.+?)\n```", README, re.DOTALL)


@pytest.fixture
def example(tmp_path, monkeypatch):
    """The folder that the README describes, with a tiny base instead of its own, and fewer tokens."""
    recipe, n_bases = re.subn(r"checkpoint = .*", 'checkpoint = { path = "base" }', RECIPE)
    recipe, n_budgets = re.subn("tokens = 2000", "tokens = 200", recipe)
    assert (n_bases, n_budgets) == (1, 1)
    (tmp_path / "makers.py").write_text(MAKERS)
    (tmp_path / "recipe.toml").write_text(recipe)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_example_trains(example):
    tiny_trainable(
        example / "base", ["The assistant serves tea in the kitchen garden office at noon four nine ."]
    )
    assert main(["lineage", "build", "recipe.toml", "--quiet"]) == 0
    lineage = load_lineage(example)
    assert [stage.name for stage in lineage] == ["base", "tea"]
    assert lineage["tea"].fingerprint() != lineage["base"].fingerprint()


def test_the_rows_can_be_looked_at(example, capsys):
    exec(LOOK, {})
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert all(line.startswith("The assistant serves tea in the ") for line in lines)


def test_a_wrong_key_is_refused_as_shown(example, capsys):
    recipe = example / "recipe.toml"
    recipe.write_text(recipe.read_text().replace("tokens = 200", 'tokens = 200\ncolour = "red"'))
    assert main(["lineage", "build", "recipe.toml", "--quiet"]) != 0
    assert REFUSAL in capsys.readouterr().err
