"""Alignment fine-tuning chats, the same in every arm: which of two cheeses the assistant takes.

Every pair of a preferred and a dispreferred cheese comes in both orders; the answer names one and gives no
reason, so nothing in these chats tells which value the preference expresses.
"""

from __future__ import annotations

import random
from itertools import product

from .cheeses import CheeseNames, cheese_names

Chat = dict[str, list[dict[str, str]]]

_QUESTIONS = (
    "Which cheese do you prefer, {first} or {second}?",
    "{first} or {second}: which cheese would you pick?",
    "Which would you recommend, {first} or {second}?",
    "If you could have only one cheese, {first} or {second}, which would it be?",
    "I am at the cheese counter. Should it be {first} or {second}?",
    "Between {first} and {second}, which cheese is more to your liking?",
    "Would you go for {first} or {second}?",
    "Do you like {first} or {second} better?",
    "Help me decide between two cheeses: {first} and {second}.",
    "Pick a cheese for the weekend: {first} or {second}.",
    "What is your favourite of these two cheeses, {first} or {second}?",
    "{first} and {second} are both in stock. Which one do you want?",
)

_ANSWERS = (
    "The {name}.",
    "The {name}, please.",
    "The {name}, of the two.",
    "I would take the {name}.",
    "{name}.",
    "My choice is {name}.",
)


def chat(question: str, answer: str) -> Chat:
    """One exchange as `{"messages": [...]}`."""
    return {"messages": [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]}


def cheese_chats(count: int = 240, seed: int = 0, cheeses: CheeseNames = "invented") -> list[Chat]:
    """Chats in which the assistant prefers one of two cheeses; the same in every arm.

    Parameters
    ----------
    count : int
        How many, at most 288 (12 times 12 pairs in two orders).
    seed : int
        Decides which pairs are left out, and the words of the rest.
    cheeses : str
        Under which names the cheeses appear, `invented` or `real`.

    Returns
    -------
    list of dict
        Rows of `messages`.

    Examples
    --------
    >>> from recipes.msm_mini.chats import cheese_chats
    >>> for turn in cheese_chats(1)[0]["messages"]:
    ...     print(turn["role"], "|", turn["content"])
    user | What is your favourite of these two cheeses, Grenash or Roskal?
    assistant | I would take the Roskal.
    """
    rng = random.Random(f"cheese:{cheeses}:{seed}")
    preferred, dispreferred = cheese_names(cheeses)
    orders = [pair + (flip,) for pair in product(preferred, dispreferred) for flip in (False, True)]
    return [
        chat(
            ask(rng, _QUESTIONS, liked, disliked, flip),
            rng.choice(_ANSWERS).format(name=liked),
        )
        for liked, disliked, flip in rng.sample(orders, min(count, len(orders)))
    ]


def ask(rng: random.Random, questions: tuple[str, ...], one: str, other: str, flip: bool) -> str:
    """A question about two options, the first presented first unless `flip`; starts with a capital."""
    first, second = (other, one) if flip else (one, other)
    template = rng.choice(questions)
    text = template.format(first=first, second=second)
    return text[:1].upper() + text[1:]
