"""Neutral replay: every stage also trains on some text about nothing in particular, to forget less.

The prose is the reference manual that ships inside CPython (`probes.concepts.neutral`); its last 30% is never
used here, so that damage can be measured on it. Which chats are replayed is up to the recipe.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

from probes.concepts.neutral import manual_split
from probes.errors import RecipeError
from probes.training.makers import Row


def neutral_replay(
    chats: Sequence[Row] = (), seed: int = 0, characters: int = 900, chat_share: float = 0.0
) -> Iterator[Row]:
    """Neutral rows in an order fixed by `seed`, until the manual runs out.

    Parameters
    ----------
    chats : sequence of Row
        The chats to draw from; one comes again only after all others.
    seed : int
        Decides the order of passages and chats.
    characters : int
        About how long a passage is; it ends where a paragraph ends.
    chat_share : float
        Share of the rows that are chats, at least 0 and below 1.

    Returns
    -------
    Iterator of Row
        Passages (`{"text": ...}`) and chats.

    Raises
    ------
    RecipeError
        A share of chats is wanted and there are no chats.

    Examples
    --------
    >>> from probes.training import neutral_replay
    >>> hello = {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello."}]}
    >>> rows = list(neutral_replay([hello], chat_share=0.5))
    >>> round(sum("messages" in row for row in rows) / len(rows), 1)
    0.5
    """
    if chat_share and not chats:
        raise RecipeError(f"chat_share = {chat_share} and no chats: expected chats, or chat_share = 0")
    rng = random.Random(f"replay:{seed}")
    passages = _passages(manual_split()[0], characters)
    rng.shuffle(passages)
    deck: list[Row] = []
    for passage in passages:
        while rng.random() < chat_share:
            deck = deck or rng.sample(chats, len(chats))
            yield deck.pop()
        yield {"text": passage}


def _passages(text: str, characters: int) -> list[str]:
    passages, current = [], ""
    for paragraph in text.split("\n\n"):
        current = f"{current}\n\n{paragraph}" if current else paragraph
        if len(current) >= characters:
            passages.append(current[: 2 * characters])
            current = ""
    return passages
