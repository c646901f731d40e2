"""The independent units of a concept's examples: pairs, copies of one text, and twins that nobody paired.

A probe that was trained on a text has seen its copies too. Splits, folds, permutations and intervals
therefore keep them together, whatever ids they carry.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from probes.concepts.records import Example

SHARED = 0.6
"""Twins share at least this share of the words of the longer one."""

REACH = 2
"""How many neighbours a text is compared with, in the table and in each sorted order."""

RARE = 4
"""Texts are compared too if they share a word that stands in at most so many texts."""

_WORD = re.compile(r"\w+")


def units_of_examples(examples: Sequence[Example]) -> NDArray[np.str_]:
    """The independent unit of each example, str `[example]`: the pair id of the unit's first example.

    Examples are in one unit when they have one pair id, or the same text. Texts count as the same when they
    differ in case, in spaces and in punctuation alone. Where no pair id joins two labels, twins are in one
    unit as well: two texts (not chats) of opposite labels that differ in a few words, the closest first.

    Example
    -------
    >>> texts = ("Lyon is in France.", "Lyon is in Peru.", "lyon is in Peru", "A hat.")
    >>> rows = [Example(pair=f"row{i}", label=i == 0, text=text) for i, text in enumerate(texts)]
    >>> units_of_examples(rows).tolist()
    ['row0', 'row0', 'row0', 'row3']
    """
    pairs = [example.pair for example in examples]
    texts = [same_text(example) for example in examples]
    labels = np.array([example.label for example in examples])
    unit = _joined(len(pairs), [*_with_first(pairs), *_with_first(texts)])
    if not _mixed(np.unique(pairs, return_inverse=True)[1], labels).any():
        unit = _joined(len(pairs), [*_with_first(unit.tolist()), *_twins(examples, texts, labels, unit)])
    _, first, member = np.unique(unit, return_index=True, return_inverse=True)
    return np.array(pairs)[first][member]


def same_text(example: Example) -> str:
    """What two texts have in common that count as the same: the words in lower case, or the text without any.

    Example
    -------
    >>> [same_text(Example(pair="p", label=0, text=text)) for text in ("A  hat!", ":)")]
    ['a hat', ':)']
    """
    if example.text is not None:
        return _key(example.text)
    return json.dumps([[turn.role, _key(turn.content)] for turn in example.messages or ()])


def _key(text: str) -> str:
    folded = unicodedata.normalize("NFKC", text).casefold()
    return " ".join(_WORD.findall(folded)) or folded.strip()


def _with_first(keys: Sequence[object]) -> Iterator[tuple[int, int]]:
    """Each place with the first place of the same key."""
    first: dict[object, int] = {}
    for place, key in enumerate(keys):
        yield place, first.setdefault(key, place)


def _joined(n: int, edges: Sequence[tuple[int, int]]) -> NDArray[np.int64]:
    """The number of each place's component, `[place]`, counted in the order of their first places."""
    a, b = np.array(edges).T
    _, component = connected_components(coo_array((np.ones(len(a)), (a, b)), shape=(n, n)), directed=False)
    _, first, member = np.unique(component, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[member]


def _mixed(member: NDArray, labels: NDArray) -> NDArray[np.bool_]:
    """Whether each unit holds both labels, `[unit]`."""
    size, positive = np.bincount(member), np.bincount(member, weights=labels)
    return (positive > 0) & (positive < size)


def _twins(
    examples: Sequence[Example], texts: Sequence[str], labels: NDArray, unit: NDArray
) -> Iterator[tuple[int, int]]:
    """Rows of two units of one label each that are twins; a unit has one at most, the closest free one."""
    _, first = np.unique(unit, return_index=True)
    rows = [int(row) for row in first[~_mixed(unit, labels)] if examples[row].text is not None]
    words = [_WORD.findall(texts[row]) or [texts[row]] for row in rows]
    counts = [Counter(one) for one in words]
    parts = [(e.split, e.shift, e.reading) for e in (examples[row] for row in rows)]
    close = []
    for a, b in _neighbours(words):
        if labels[rows[a]] != labels[rows[b]] and parts[a] == parts[b]:
            shared = (counts[a] & counts[b]).total() / max(len(words[a]), len(words[b]))
            if shared >= SHARED:
                close.append((-shared, b - a, a, b))
    free = np.ones(len(rows), dtype=bool)
    for *_, a, b in sorted(close):
        if free[a] and free[b]:
            free[[a, b]] = False
            yield rows[a], rows[b]


def _neighbours(words: list[list[str]]) -> set[tuple[int, int]]:
    """Places a < b of texts that may be twins: near each other in some order, or with a rare word in common.

    Texts that differ in one place only lie side by side when they are sorted from the front or from the end.
    In tables, twins often follow each other, or one half of the table follows the other.
    """
    places = range(len(words))
    orders = [
        list(places),
        sorted(places, key=lambda place: words[place]),
        sorted(places, key=lambda place: words[place][::-1]),
    ]
    near = {
        (min(one, other), max(one, other))
        for order in orders
        for step in range(1, REACH + 1)
        for one, other in zip(order, order[step:], strict=False)
    }
    near.update(zip(places, places[len(words) // 2 :], strict=False))
    near = {(one, other) for one, other in near if one != other}
    holders: dict[str, list[int]] = defaultdict(list)
    for place in places:
        for word in set(words[place]):
            holders[word].append(place)
    for those in holders.values():
        if len(those) <= RARE:
            near.update((one, other) for i, one in enumerate(those) for other in those[i + 1 :])
    return near
