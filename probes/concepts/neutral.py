"""Neutral text, where no concept is at stake and that no model here wrote: prose of Python's own manual."""

from __future__ import annotations

import re
from functools import cache
from pydoc_data.topics import topics

from probes.errors import InputError

WORDS = 48  # about 64 tokens of English under common vocabularies
TRAINED_SHARE = 0.7
"""Share of the manual, from its start in the alphabetical order of topics, that training may replay."""


@cache
def manual_split() -> tuple[str, str]:
    """The CPython manual of this interpreter: what training may replay, and what is kept for measuring.

    The manual repeats itself (`compound` contains `for`, `if`, `try`), so paragraphs that also stand in the
    first part are left out of the second.
    """
    text = "\n\n".join(topics[name] for name in sorted(topics))
    cut = int(len(text) * TRAINED_SHARE)
    used = text[:cut]
    seen = set(used.split("\n\n"))
    return used, "\n\n".join(part for part in text[cut:].split("\n\n") if part not in seen)


@cache
def neutral_texts(n: int | None = None) -> tuple[str, ...]:
    """The first `WORDS` words of each paragraph of prose in Python's own manual (`pydoc_data.topics`).

    Only the part of `manual_split` that training never replays is used. `n` spaced evenly over it, or all
    (about 50; the text follows the Python version that runs).
    """
    used, kept = manual_split()
    seen = set(_paragraphs(used))
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
    """Paragraphs of prose, markup taken off; headings, grammar, lists and code are left out."""
    found = []
    for block in re.split(r"\n\s*\n", text):
        if not re.search(r"^\s|^[*=~-]+$|::=|>>>", block, re.M):
            plain = re.sub(r'"{1,3}|\*{1,2}|`{1,2}', "", block)
            found.append(re.sub(r"\s+", " ", plain).strip())
    return found
