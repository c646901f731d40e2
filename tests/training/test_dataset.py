"""The data of a recipe: tables checked by their data makers, rows cut to size, replay drawn from chats."""

import json
from itertools import islice

import pytest
from transformers import AutoTokenizer

from probes.errors import RecipeError
from probes.training import TrainingData, read_recipe
from probes.training.dataset import encoded_rows
from probes.training.recipe import Run


def opened(file):
    return TrainingData(read_recipe(file), file)


def changed(recipe, old, new):
    text = recipe.read_text()
    assert old in text
    recipe.write_text(text.replace(old, new, 1))
    return recipe


def test_rows_come_from_the_data_makers_of_the_recipe(recipe):
    data = opened(recipe)
    assert data.tables["documents"].model_dump() == {
        "kind": "stories",
        "tokens": 3000,
        "mood": "calm",
        "seed": 0,
    }
    assert len(list(data.rows("weather", 0))) == 12
    first, again, other = (list(islice(data.rows("documents", seed), 20)) for seed in (0, 0, 1))
    assert first == again != other
    assert [name for name in data.tables if data.is_preference(name)] == ["pairs"]


def test_rows_come_from_files_beside_the_recipe(recipe):
    chat = {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello."}]}
    (recipe.parent / "chats.jsonl").write_text(f"{json.dumps(chat)}\n" * 9)
    changed(recipe, 'kind = "weather"\ncount = 12', 'kind = "chats"\npath = "chats.jsonl"\ncount = 4')
    assert list(opened(recipe).rows("weather", 0)) == [chat] * 4


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            'kind = "answers"',
            'kind = "replies"',
            r"data\.pairs\.kind = 'replies': expected one of documents, ",
        ),
        ("tokens = 3000", "", r"data\.documents\.tokens: expected a value: the key is missing"),
        (
            "tokens = 3000",
            "tokens = 0",
            r"data\.documents\.tokens = 0: expected .*greater than or equal to 1",
        ),
        ("tokens = 3000", 'tokens = 3000\nmood = "odd"', r"data\.documents\.mood = 'odd': expected .*'calm'"),
        (
            "tokens = 3000",
            "tokens = 3000\nlength = 3",
            r"data\.documents\.length = 3: there is no such key; expected one of kind, tokens, mood, seed$",
        ),
        ('makers = "makers.py"', 'makers = "absent.py"', r"absent\.py: no such file"),
    ],
)
def test_a_wrong_table_is_named_in_one_line(recipe, old, new, message):
    changed(recipe, old, new)
    with pytest.raises(RecipeError, match=message) as caught:
        opened(recipe)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("documents", r"replay\.chats = 'documents': expected a table without `tokens`"),
        ("pairs", r"replay\.chats = 'pairs': expected a table of chats"),
    ],
)
def test_only_chats_that_end_can_be_replayed(recipe, table, message):
    file = changed(recipe, 'chats = "small_talk"', f'chats = "{table}"')
    replay = read_recipe(file).replay
    with pytest.raises(RecipeError, match=message):
        opened(file).replayed_chats(replay, 0)


def test_a_run_reads_its_data_up_to_its_budget_and_then_replay(tiny):
    recipe = read_recipe(tiny / "recipe.toml")
    data = opened(tiny / "recipe.toml")
    tokenizer = AutoTokenizer.from_pretrained(tiny / "base")
    rows = encoded_rows(recipe, Run("msm", 0), tokenizer, data)
    alone = recipe.model_copy(update={"replay": None})
    own = encoded_rows(alone, Run("msm", 0), tokenizer, data)
    assert rows[: len(own)] == own
    tokens, all_tokens = (sum(len(row["input_ids"]) for row in each) for each in (own, rows))
    assert 3000 <= tokens < 3064
    assert 0.2 <= 1 - tokens / all_tokens < 0.22
    replayed = {tokenizer.decode(row["input_ids"]) for row in rows[len(own) :]}
    small_talk = list(data.rows("small_talk", 0))
    answers = {chat["messages"][1]["content"] for chat in small_talk}
    assert any(answer in text for text in replayed for answer in answers)
