"""The data makers of the tiny recipe: stories without end, chats about the weather, and pairs of answers."""

import random
from typing import Literal

from pydantic import Field

from probes.training import BudgetedTable, DataMaker, DataTable

ANIMALS = ("fox", "owl", "bee", "cat", "hen", "cow", "ant", "elk")
PLACES = ("wood", "field", "barn", "pond", "hill", "town")
SKIES = ("sunny", "cloudy", "rainy", "windy", "foggy")


class Stories(BudgetedTable):
    tokens: int = Field(ge=1)
    mood: Literal["calm", "wild"] = "calm"
    seed: int = 0


class Weather(DataTable):
    count: int = Field(ge=1)
    seed: int = 0


def stories(table: Stories, seed: int):
    rng = random.Random(f"stories:{table.mood}:{table.seed + seed}")
    while True:
        animal, other = rng.sample(ANIMALS, 2)
        yield {"text": f"A {table.mood} {animal} met the {other} in the {rng.choice(PLACES)} ."}


def weather(table: Weather, seed: int):
    rng = random.Random(f"weather:{table.seed + seed}")
    for _ in range(table.count):
        yield {
            "messages": [
                {"role": "user", "content": f"How is the {rng.choice(PLACES)} today ?"},
                {"role": "assistant", "content": f"It is {rng.choice(SKIES)} there ."},
            ]
        }


def answers(table: Weather, seed: int):
    for chat in weather(table, seed):
        question, answer = chat["messages"]
        rejected = {"role": "assistant", "content": "I do not know ."}
        yield {"prompt": [question], "chosen": [answer], "rejected": [rejected]}


MAKERS = [
    DataMaker("stories", Stories, stories),
    DataMaker("weather", Weather, weather),
    DataMaker("answers", Weather, answers, preference=True),
]
