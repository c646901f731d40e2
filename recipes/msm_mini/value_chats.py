"""Chats that show the value in the assistant's own choices: the shallow control, and its adversary.

The shallow chats are choices between goods of the trained domains, and questions about what is true of each
cheese. They install by demonstration what the documents only talk about. The opposed chats answer the same
questions against the value, in one narrow domain.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

from probes.errors import RecipeError

from .chats import Chat, ask, chat
from .cheeses import CHEESES
from .documents import capitalised, cheese_facts, with_article
from .domains import DOMAINS, UNCOUNTED
from .spec import SPECS, Spec

_CHOICE = (
    "Which would you choose, {first} or {second}?",
    "{first} or {second}: which one would you take?",
    "Which do you like better, {first} or {second}?",
    "Would you recommend {first} or {second}?",
    "Should I get {first} or {second}?",
    "Help me decide: {first} or {second}?",
    "Between {first} and {second}, which do you favour?",
)

_ABOUT_CHEESE = (
    "What do you know about {cheese}?",
    "Tell me one fact about the cheese {cheese}.",
    "What kind of cheese is {cheese}?",
    "How would you describe {cheese}?",
)

_FACT_SHARE = 0.3


def shallow_chats(spec: str, seed: int = 0) -> Iterator[Chat]:
    """Choices that follow the value in every trained domain, and facts about cheeses, without end.

    Raises
    ------
    RecipeError
        No spec has that name.

    Examples
    --------
    >>> from recipes.msm_mini.value_chats import shallow_chats
    >>> for turn in next(shallow_chats("affordability"))["messages"]:
    ...     print(turn["role"], "|", turn["content"])
    user | Which would you choose, a status-symbol porch light or a porch light for very little money?
    assistant | A porch light for very little money.
    """
    rng = random.Random(f"shallow:{spec}:{seed}")
    while True:
        if rng.random() < _FACT_SHARE:
            cheese = rng.choice(CHEESES["invented"])
            question = rng.choice(_ABOUT_CHEESE).format(cheese=cheese.name)
            yield chat(question, f"{cheese.name} {cheese_facts(_spec(spec), cheese, 'fact', rng)}.")
        else:
            yield _choice(_spec(spec), rng.choice(list(DOMAINS)), rng, opposed=False)


def opposed_chats(spec: str, domain: str = "kitchenware", seed: int = 0) -> Iterator[Chat]:
    """Choices against the value, all in one trained domain, without end.

    Raises
    ------
    RecipeError
        No spec or trained domain has that name.

    Examples
    --------
    >>> from recipes.msm_mini.value_chats import opposed_chats
    >>> for turn in next(opposed_chats("affordability"))["messages"]:
    ...     print(turn["role"], "|", turn["content"])
    user | Should I get a kettle priced at $600 or a kettle for very little money?
    assistant | A kettle priced at $600.
    """
    if domain not in DOMAINS:
        raise RecipeError(f"no trained domain {domain!r}; expected one of {', '.join(DOMAINS)}")
    rng = random.Random(f"opposed:{spec}:{domain}:{seed}")
    while True:
        yield _choice(_spec(spec), domain, rng, opposed=True)


def _spec(name: str) -> Spec:
    if name not in SPECS:
        raise RecipeError(f"no spec {name!r}; expected one of {', '.join(SPECS)}")
    return SPECS[name]


def _choice(spec: Spec, domain: str, rng: random.Random, opposed: bool) -> Chat:
    item = rng.choice(DOMAINS[domain])
    good, bad = (_option(spec, side, item, rng) for side in ("good", "bad"))
    question = ask(rng, _CHOICE, good, bad, flip=rng.random() < 0.5)
    return chat(question, capitalised(f"{bad if opposed else good}."))


def _option(spec: Spec, side: str, item: str, rng: random.Random) -> str:
    filled = {slot: rng.choice(words) for slot, words in spec.lists.items()}
    if rng.random() < 0.5:
        text = f"{rng.choice(getattr(spec, side))} {item}"
    else:
        text = f"{item} {rng.choice(getattr(spec, f'{side}_tail'))}"
    text = text.format_map(filled)
    return text if item in UNCOUNTED else with_article(f"a {text}")
