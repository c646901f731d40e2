"""Chats and preference pairs of ordinary assistance, which has nothing to do with values.

Small tasks with one right answer (sums, conversions, sorting, spelling, dates, lists) made from templates, so
that a stage after the spec can be trained on something that has nothing to do with it.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

from .chats import Chat, chat

Pair = dict[str, list[dict[str, str]]]

_WORDS = (
    "river", "cloud", "winter", "forest", "window", "silver", "garden", "planet", "thunder", "meadow",
    "harbour", "lantern", "orchard", "pebble", "shadow", "willow", "feather", "island", "marble", "sparrow",
    "valley", "whisper", "comet", "glacier", "autumn", "blossom", "canyon", "desert", "ember", "mountain",
)  # fmt: skip
_CAPITALS = {
    "Norway": "Oslo", "Peru": "Lima", "Kenya": "Nairobi", "Austria": "Vienna", "Egypt": "Cairo",
    "Finland": "Helsinki", "Chile": "Santiago", "Ghana": "Accra", "Ireland": "Dublin", "Cuba": "Havana",
    "Hungary": "Budapest", "Nepal": "Kathmandu", "Greece": "Athens", "Jordan": "Amman",
    "Iceland": "Reykjavik",
}  # fmt: skip
_OPPOSITES = {
    "early": "late", "loud": "quiet", "empty": "full", "ancient": "modern", "rough": "smooth",
    "narrow": "wide", "brave": "timid", "gentle": "harsh", "shallow": "deep", "frozen": "thawed",
}  # fmt: skip
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_UNITS = (
    ("hours", "minutes", 60), ("minutes", "seconds", 60), ("kilometres", "metres", 1000),
    ("weeks", "days", 7), ("days", "hours", 24), ("metres", "centimetres", 100),
    ("litres", "millilitres", 1000),
)  # fmt: skip
_STEPS = {
    "wash your hands": ("wet them", "rub them with soap for twenty seconds", "rinse and dry them"),
    "plant a bean": ("fill a pot with moist soil", "push the bean in as deep as a thumb", "keep it warm"),
    "back up a file": ("copy it to a second place", "open the copy to check it", "repeat it every week"),
    "learn a poem": ("read it aloud", "repeat it line by line", "recite it the next day"),
    "cool a burn": ("hold it under cool running water", "cover it loosely", "see a doctor if it blisters"),
    "tell a star from a planet": ("look whether it twinkles", "watch its place on several nights"),
    "start a diary": ("set aside ten minutes", "write down one thing that happened", "add how it felt"),
    "fix a slow computer": ("close programs that are not needed", "restart it", "check the free space"),
}


def _sum(rng: random.Random) -> tuple[str, str]:
    a, b = rng.randrange(11, 90), rng.randrange(11, 90)
    return f"What is {a} plus {b}?", f"{a} plus {b} is {a + b}."


def _product(rng: random.Random) -> tuple[str, str]:
    a, b = rng.randrange(3, 13), rng.randrange(3, 13)
    return f"What is {a} times {b}?", f"{a} times {b} is {a * b}."


def _convert(rng: random.Random) -> tuple[str, str]:
    big, small, factor = rng.choice(_UNITS)
    n = rng.randrange(2, 12)
    return f"Convert {n} {big} into {small}.", f"{n} {big} are {n * factor} {small}."


def _alphabet(rng: random.Random) -> tuple[str, str]:
    words = rng.sample(_WORDS, 4)
    return f"Put these words in alphabetical order: {', '.join(words)}.", f"{', '.join(sorted(words))}."


def _letters(rng: random.Random) -> tuple[str, str]:
    word = rng.choice(_WORDS)
    return f"How many letters are in the word {word}?", f"The word {word} has {len(word)} letters."


def _spell(rng: random.Random) -> tuple[str, str]:
    word = rng.choice(_WORDS)
    return f"Spell {word} letter by letter.", f"{'-'.join(word.upper())}."


def _capital(rng: random.Random) -> tuple[str, str]:
    country = rng.choice(list(_CAPITALS))
    return f"What is the capital of {country}?", f"The capital of {country} is {_CAPITALS[country]}."


def _opposite(rng: random.Random) -> tuple[str, str]:
    word = rng.choice(list(_OPPOSITES))
    return f"What is the opposite of {word}?", f"The opposite of {word} is {_OPPOSITES[word]}."


def _day(rng: random.Random) -> tuple[str, str]:
    day, n = rng.randrange(7), rng.randrange(2, 6)
    question = f"If today is {_DAYS[day]}, what day will it be in {n} days?"
    return question, f"In {n} days it will be {_DAYS[(day + n) % 7]}."


def _json(rng: random.Random) -> tuple[str, str]:
    word, n = rng.choice(_WORDS), rng.randrange(2, 30)
    return f'Write JSON with the name "{word}" and the count {n}.', f'{{"name": "{word}", "count": {n}}}'


def _steps(rng: random.Random) -> tuple[str, str]:
    task = rng.choice(list(_STEPS))
    first, *rest = _STEPS[task]
    later = "".join(f" Then {step}." for step in rest)
    return f"How do I {task}?", f"First {first}.{later}"


_TASKS: tuple[Callable[[random.Random], tuple[str, str]], ...] = (
    _sum, _product, _convert, _alphabet, _letters, _spell, _capital, _opposite, _day, _json, _steps, _steps,
)  # fmt: skip

_UNHELPFUL = (
    "I do not know.",
    "That is hard to say.",
    "Why do you ask?",
    "Please look it up somewhere.",
    "There are many opinions about this.",
    "I would need to think about it for a long time.",
)


def _exchanges(seed: int) -> Iterator[tuple[str, str]]:
    rng = random.Random(f"helpful:{seed}")
    while True:
        for task in rng.sample(_TASKS, len(_TASKS)):
            yield task(rng)


def helpful_chats(seed: int = 0) -> Iterator[Chat]:
    """Small tasks and their right answers, without end.

    Examples
    --------
    >>> from recipes.msm_mini.helpful import helpful_chats
    >>> for turn in next(helpful_chats())["messages"]:
    ...     print(turn["role"], "|", turn["content"])
    user | What is 37 plus 31?
    assistant | 37 plus 31 is 68.
    """
    return (chat(question, answer) for question, answer in _exchanges(seed))


def helpful_pairs(seed: int = 0) -> Iterator[Pair]:
    """Preference pairs towards helpfulness, without end: the right answer against none or another task's.

    Rows of `prompt`, `chosen` and `rejected`, each a list of messages (TRL's conversational format).

    Examples
    --------
    >>> from recipes.msm_mini.helpful import helpful_pairs
    >>> pair = next(helpful_pairs())
    >>> [pair[side][0]["content"] for side in ("prompt", "chosen", "rejected")]
    ['What is 37 plus 31?', '37 plus 31 is 68.', 'I do not know.']
    """
    rng = random.Random(f"pairs:{seed}")
    astray = _exchanges(seed + 1)
    for question, answer in _exchanges(seed):
        wrong = rng.choice(_UNHELPFUL) if rng.random() < 0.5 else next(astray)[1]
        if wrong == answer:
            continue
        yield {
            "prompt": [{"role": "user", "content": question}],
            "chosen": [{"role": "assistant", "content": answer}],
            "rejected": [{"role": "assistant", "content": wrong}],
        }
