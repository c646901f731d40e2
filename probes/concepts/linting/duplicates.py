"""Texts of nearly the same words in two splits, or in a split and a shift."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import scipy.sparse
from numpy.typing import NDArray
from sklearn.feature_extraction.text import CountVectorizer

from probes.concepts.concept import Concept
from probes.concepts.linting.report import LintIssue
from probes.concepts.linting.views import row_id, written
from probes.concepts.linting.words import words
from probes.concepts.records import ChoiceItem, Example
from probes.concepts.units import same_text

LIMIT = 0.8
"""Texts whose sets of words have at least this Jaccard similarity are near-duplicates."""

BLOCK = 1000
"""Rows whose candidates are looked up at a time, so that not all are in memory."""

Rows = Sequence[Example] | Sequence[ChoiceItem]


def duplicates(concept: Concept) -> list[LintIssue]:
    """Texts with both labels, near-duplicates between parts (splits and shift axes), equal texts in one part.

    The two sides of one pair may be alike, and so may rows of which one names the other in `restates`, or
    which name the same row there.
    """
    issues = _contradictions(concept)
    for kind, rows in (("pairs", concept.examples), ("choice items", concept.choices)):
        clashes = _clashes(rows)
        if clashes:
            issues.append(
                LintIssue(
                    "duplicates",
                    f"{kind}: {len(clashes)} texts are nearly the same (word overlap {LIMIT} or more) as "
                    "one of another part, or the same as one of another pair",
                    "write one of them anew; where a shift restates a canonical row on purpose, name that "
                    'row: "restates": "its id"',
                    tuple(clashes),
                )
            )
    return issues


def _contradictions(concept: Concept) -> list[LintIssue]:
    """Texts that stand with both labels in one reading; case, spaces and punctuation do not count."""
    places: dict[tuple[str | None, str], dict[int, str]] = defaultdict(dict)
    for example in concept.examples:
        places[example.reading, same_text(example)].setdefault(example.label, example.pair)
    both = [labels for labels in places.values() if len(labels) == 2]
    if not both:
        return []
    return [
        LintIssue(
            "duplicates",
            f"pairs: {len(both)} texts have both labels; nothing can be read there",
            "decide which label is right, or take the text out",
            tuple(f"{labels[1]} (label 1) and {labels[0]} (label 0)" for labels in both),
        )
    ]


def _clashes(rows: Rows) -> list[str]:
    if len(rows) < 2:
        return []
    parts = [row.shift or row.split or "" for row in rows]
    clashes = {}
    for k, j, similarity in sorted({*_equal(rows, parts), *_alike(rows, parts)}):
        both = [f"{row_id(rows[m])} ({parts[m] or 'canonical'})" for m in (k, j)]
        line = f"{' and '.join(both)}: overlap {similarity:.2f}"
        clashes.setdefault((row_id(rows[k]), row_id(rows[j])), line)
    return list(clashes.values())


def _equal(rows: Rows, parts: list[str]) -> Iterator[tuple[int, int, float]]:
    """Each row whose text an earlier row of the same part has too, with the first such row."""
    copies: dict[tuple[str, str], list[int]] = defaultdict(list)
    for number, row in enumerate(rows):
        copies[parts[number], _whole(row)].append(number)
    for same in copies.values():
        for place, number in enumerate(same):
            yield from _first(rows, number, same[:place], 1.0)


def _alike(rows: Rows, parts: list[str]) -> Iterator[tuple[int, int, float]]:
    """Rows of two parts whose sets of words overlap by `LIMIT` or more.

    Of rows with one set of words in one part, the first stands for all, so that many copies make few lines.
    """
    options: dict[str, Any] = {"analyzer": lambda text: sorted(set(words(text))) or [text], "binary": True}
    counts = scipy.sparse.csr_matrix(CountVectorizer(**options).fit_transform([_whole(r) for r in rows]))
    counts.sort_indices()
    members: dict[tuple[str, bytes], list[int]] = defaultdict(list)
    for row, (start, end) in enumerate(pairwise(counts.indptr)):
        members[parts[row], counts.indices[start:end].tobytes()].append(row)
    classes = list(members.values())
    if len({part for part, _ in members}) < 2:
        return
    of_class = np.array([parts[rows_of[0]] for rows_of in classes])
    for a, b, similarity in _similar(counts[[rows_of[0] for rows_of in classes]], of_class):
        for one, other in ((classes[a], classes[b]), (classes[b], classes[a])):
            for number in one:
                yield from _first(rows, number, other, similarity)


def _similar(sets: scipy.sparse.csr_matrix, parts: NDArray) -> Iterator[tuple[int, int, float]]:
    """Pairs of word sets `[set, word]` of different parts whose Jaccard similarity is `LIMIT` or more.

    Two such sets share one of the rarest words of each (Chaudhuri, Ganti & Kaushik 2006,
    doi:10.1109/ICDE.2006.9), so only sets that do are compared.
    """
    sizes = np.asarray(sets.sum(1)).ravel()
    rarity = np.asarray(sets.sum(0)).ravel()
    prefix: Any = sets.astype(np.int32)
    for row, (start, end) in enumerate(pairwise(sets.indptr)):
        ordered = start + np.lexsort((sets.indices[start:end], rarity[sets.indices[start:end]]))
        n_rarest = int(sizes[row] - np.ceil(LIMIT * sizes[row] - 1e-9) + 1)
        prefix.data[ordered[n_rarest:]] = 0
    prefix.eliminate_zeros()
    for start in range(0, len(sizes), BLOCK):
        near = (prefix[start : start + BLOCK] @ prefix.T).tocoo()
        a, b = near.row + start, near.col
        kept = (
            (a < b)
            & (parts[a] != parts[b])
            & (LIMIT * np.maximum(sizes[a], sizes[b]) <= np.minimum(sizes[a], sizes[b]) + 1e-9)
        )
        a, b = a[kept], b[kept]
        for some in range(0, len(a), BLOCK * BLOCK):
            one, other = a[some : some + BLOCK * BLOCK], b[some : some + BLOCK * BLOCK]
            overlap = np.asarray(sets[one].multiply(sets[other]).sum(1)).ravel()
            similar = overlap / (sizes[one] + sizes[other] - overlap)
            for place in np.flatnonzero(similar >= LIMIT):
                yield int(one[place]), int(other[place]), float(similar[place])


def _first(
    rows: Rows, number: int, others: Sequence[int], similarity: float
) -> Iterator[tuple[int, int, float]]:
    """The row with the first of the others that is neither its other side nor related to it."""
    for other in others:
        if row_id(rows[number]) != row_id(rows[other]) and not _related(rows[number], rows[other]):
            yield min(number, other), max(number, other), similarity
            return


def _whole(row: Example | ChoiceItem) -> str:
    return written(row) if isinstance(row, Example) else f"{written(row)}\n{row.positive}\n{row.negative}"


def _related(one: Example | ChoiceItem, other: Example | ChoiceItem) -> bool:
    """Whether one row says the other again on purpose, or both say the same row again."""
    if one.restates is not None and one.restates in (row_id(other), other.restates):
        return True
    return other.restates == row_id(one)
