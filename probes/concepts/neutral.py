"""Neutral texts, in which no concept is at stake and which no model here wrote: prose of Python's manual."""

from __future__ import annotations

import re
from functools import cache
from pydoc_data.topics import topics

from probes.errors import InputError

WORDS = 48
"""Words in each neutral text: about 64 tokens of English under common vocabularies."""

TRAINED_SHARE = 0.7
"""The share of the manual, from its start in the alphabetical order of topics, that training may replay."""


@cache
def manual_split() -> tuple[str, str]:
    r"""Python's own manual in two parts: one that training may replay, and one that is kept for measuring.

    The manual repeats itself (the topic `compound` contains `for`, `if` and `try`), so the second part leaves
    out every paragraph that the first part has too.

    Example
    -------
    >>> replayed, kept = manual_split()
    >>> set(replayed.split("\n\n")) & set(kept.split("\n\n"))
    set()
    """
    text = "\n\n".join(topics[name] for name in sorted(topics))
    cut = int(len(text) * TRAINED_SHARE)
    replayed = text[:cut]
    seen = set(replayed.split("\n\n"))
    return replayed, "\n\n".join(part for part in text[cut:].split("\n\n") if part not in seen)


@cache
def neutral_texts(n: int | None = None) -> tuple[str, ...]:
    """The first `WORDS` words of paragraphs of prose in Python's own manual (`pydoc_data.topics`).

    Only the part of the manual that training never replays is used (see `manual_split`).

    Parameters
    ----------
    n : int, optional
        How many texts, spaced evenly over the manual. By default all of them, about 50; the exact number and
        the texts depend on the version of Python.

    Raises
    ------
    InputError
        When there are not as many.

    Example
    -------
    >>> [len(text.split()) for text in neutral_texts(3)]
    [48, 48, 48]
    """
    replayed, kept = manual_split()
    seen = set(_paragraphs(replayed))
    texts = []
    for paragraph in _paragraphs(kept):
        words = paragraph.split()
        if paragraph not in seen and len(words) >= WORDS and paragraph.endswith("."):
            seen.add(paragraph)
            texts.append(" ".join(words[:WORDS]))
    if n is None:
        return tuple(texts)
    if not 1 <= n <= len(texts):
        raise InputError(f"n={n} neutral texts: expected 1 to {len(texts)}")
    return tuple(texts[i * len(texts) // n] for i in range(n))


def _paragraphs(text: str) -> list[str]:
    """Paragraphs of prose without their markup; headings, grammar, lists and code are left out."""
    paragraphs = []
    for block in re.split(r"\n\s*\n", text):
        if not re.search(r"^\s|^[*=~-]+$|::=|>>>", block, re.M):
            plain = re.sub(r'"{1,3}|\*{1,2}|`{1,2}', "", block)
            paragraphs.append(re.sub(r"\s+", " ", plain).strip())
    return paragraphs
