"""Texts of nearly the same words in two splits, or in a split and a shift."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse
from sklearn.feature_extraction.text import CountVectorizer

from probes.concepts.concept import Concept
from probes.concepts.linting.report import LintIssue
from probes.concepts.linting.views import row_id, written
from probes.concepts.linting.words import words
from probes.concepts.records import ChoiceItem, Example

LIMIT = 0.8
"""Texts whose sets of words have at least this Jaccard similarity are near-duplicates."""

BLOCK = 1000
"""Rows that are compared at a time, so that only `[BLOCK, rows]` overlaps are in memory."""


def duplicates(concept: Concept) -> list[LintIssue]:
    """Near-duplicates between parts (splits and shift axes), and equal texts of two pairs in one part.

    The two sides of one pair may be alike, and so may rows of which one names the other in `restates`, or
    which name the same row there.
    """
    issues = []
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


def _clashes(rows: tuple[Example, ...] | tuple[ChoiceItem, ...]) -> list[str]:
    if len(rows) < 2:
        return []
    texts = [_whole(row) for row in rows]
    options: dict[str, Any] = {"analyzer": lambda text: words(text) or [text], "binary": True}
    counts = scipy.sparse.csr_matrix(CountVectorizer(**options).fit_transform(texts))
    sizes = np.asarray(counts.sum(1)).ravel()
    parts = np.array([row.shift or row.split or "" for row in rows])
    lines: dict[tuple[str, str], str] = {}
    for start in range(0, len(rows), BLOCK):
        block = slice(start, start + BLOCK)
        overlap = np.asarray((counts[block] @ counts.T).todense())
        similar = overlap / (sizes[block][:, None] + sizes[None, :] - overlap)
        near = (similar >= LIMIT) & (parts[block][:, None] != parts[None, :])
        for i, j in zip(*np.nonzero(near | (similar == 1)), strict=True):
            k = start + i
            if k >= j or row_id(rows[k]) == row_id(rows[j]) or _related(rows[k], rows[j]):
                continue
            if parts[k] == parts[j] and texts[k] != texts[j]:
                continue
            both = [f"{row_id(rows[m])} ({parts[m] or 'canonical'})" for m in (k, j)]
            line = f"{' and '.join(both)}: overlap {similar[i, j]:.2f}"
            lines.setdefault((row_id(rows[k]), row_id(rows[j])), line)
    return list(lines.values())


def _whole(row: Example | ChoiceItem) -> str:
    return written(row) if isinstance(row, Example) else f"{written(row)}\n{row.positive}\n{row.negative}"


def _related(one: Example | ChoiceItem, other: Example | ChoiceItem) -> bool:
    """Whether one row says the other again on purpose, or both say the same row again."""
    if one.restates is not None and one.restates in (row_id(other), other.restates):
        return True
    return other.restates == row_id(one)
