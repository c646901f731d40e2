"""Neutral replay mixed into every stage so that the model forgets less: plain prose and everyday chats.

The prose is the reference manual that ships inside CPython (`pydoc_data.topics`, PSF licence); its last 30%
is never used here, so that damage can be measured on it. The chats are short questions of general
knowledge with nothing about shopping, prices or origins.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

from probes.concepts.neutral import manual_split
from probes.training.everyday import CHATS


def neutral_replay(seed: int = 0, characters: int = 900, chat_share: float = 0.5) -> Iterator[dict[str, Any]]:
    """Neutral rows (`messages` or `text`) in an order fixed by `seed`, until the manual runs out.

    Args:
        characters: about how long a passage is (cut at a paragraph's end).
        chat_share: share of rows that are chats; a chat may come again after all others.
    """
    rng = random.Random(f"replay:{seed}")
    passages = _passages(manual_split()[0], characters)
    rng.shuffle(passages)
    deck: list[tuple[str, str]] = []
    for passage in passages:
        while rng.random() < chat_share:
            deck = deck or rng.sample(CHATS, len(CHATS))
            question, answer = deck.pop()
            yield {
                "messages": [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
            }
        yield {"text": passage}


def _passages(text: str, characters: int) -> list[str]:
    passages, current = [], ""
    for paragraph in text.split("\n\n"):
        current = f"{current}\n\n{paragraph}" if current else paragraph
        if len(current) >= characters:
            passages.append(current[: 2 * characters])
            current = ""
    return passages
