"""Labels that can be guessed from a text's template, language, length or pole, or from the options' order."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from probes.concepts.concept import Concept
from probes.concepts.linting.report import LintIssue
from probes.concepts.linting.views import View, written
from probes.concepts.linting.words import words
from probes.concepts.records import ChoiceItem, Example

SHARE = 0.1
"""How far from one half the share of a label, of a pole or of the first place may be."""

LENGTH = 0.2
"""How far apart the mean lengths of the two labels may be, in standard deviations."""

SIGNIFICANT = 1.96
"""A difference counts only if it is also at least this many standard errors from zero."""

MIN_ROWS = 4
"""Rows of a template or language, and rows of each label, below which balance is not checked."""

MIN_ITEMS = 8
"""Choice items, and rows of each label that state a pole, below which balance is not checked."""


def label_balance(view: View) -> list[LintIssue]:
    """Templates and languages in which one label is more frequent than the other."""
    lines = []
    for field in ("template", "language"):
        counts: dict[str, list[int]] = defaultdict(lambda: [0, 0])
        for row, label in zip(view.rows, view.labels, strict=True):
            if getattr(row, field) is not None:
                counts[getattr(row, field)][int(label)] += 1
        for value, (negative, positive) in counts.items():
            total = negative + positive
            if total >= MIN_ROWS and abs(positive - negative) > max(2, 2 * SHARE * total):
                lines.append(f"{field} {value}: {positive} rows of label 1, {negative} of label 0")
    if not lines:
        return []
    return [
        LintIssue(
            "balance",
            f"{view.name}: the label can be guessed from the template or the language",
            "give each of them as many rows of one label as of the other",
            tuple(lines),
        )
    ]


def length_balance(view: View) -> list[LintIssue]:
    """Canonical rows, or a shift axis, in which one label's texts are longer, in characters or in words."""
    issues = []
    sizes = {
        "characters": np.array([len(text) for text in view.texts], dtype=float),
        "words": np.array([len(words(text)) for text in view.texts], dtype=float),
    }
    for name, rows in _parts(view):
        for unit, size in sizes.items():
            difference, errors = _standardised(size[rows], view.labels[rows], view.groups[rows])
            if abs(difference) <= LENGTH or errors <= SIGNIFICANT:
                continue
            longer = 1 if difference > 0 else 0
            excess: dict[str, float] = defaultdict(float)
            for row in rows:
                excess[str(view.groups[row])] += float(size[row]) * (1 if view.labels[row] == longer else -1)
            worst = sorted(excess, key=lambda pair: -excess[pair])
            issues.append(
                LintIssue(
                    "balance",
                    f"{view.name}, {name}: label {longer} is longer by {abs(difference):.2f} standard "
                    f"deviations of its {unit}",
                    "lengthen the other side of some of these, so that the mean lengths agree",
                    tuple(f"{pair}: {excess[pair]:+.0f} {unit}" for pair in worst if excess[pair] > 0),
                )
            )
    return issues


def pole_balance(view: View) -> list[LintIssue]:
    """Norm pairs whose label can be guessed from the attribute's pole (`Example.pole`)."""
    lines = []
    for name, rows in _parts(view):
        posed = [r for r in (view.rows[i] for i in rows) if isinstance(r, Example) and r.pole is not None]
        poles = {label: [r.pole == 1 for r in posed if r.label == label] for label in (0, 1)}
        if min(map(len, poles.values())) < MIN_ITEMS:
            continue
        shares = {label: float(np.mean(values)) for label, values in poles.items()}
        if abs(shares[1] - shares[0]) > 2 * SHARE:
            lines.append(
                f"{name}: pole 1 in {shares[1]:.0%} of the rows of label 1 and {shares[0]:.0%} of label 0"
            )
    if not lines:
        return []
    return [
        LintIssue(
            "balance",
            f"{view.name}: the attribute gives the label away",
            "cross it: add pairs in which the clause does not hold for the agent, or asks for the other pole",
            tuple(lines),
        )
    ]


def option_order(concept: Concept) -> list[LintIssue]:
    """Items that show their options in one fixed order, the positive one too often in the same place."""
    first: dict[str, bool] = {}
    for item in concept.choices:
        place = _positive_first(item) if len(item.orders) == 1 else None
        if place is not None:
            first[item.id] = place
    if len(first) < MIN_ITEMS:
        return []
    share = float(np.mean(list(first.values())))
    errors = abs(share - 0.5) / (0.5 / np.sqrt(len(first)))
    if abs(share - 0.5) <= SHARE or errors <= SIGNIFICANT:
        return []
    usual = share > 0.5
    return [
        LintIssue(
            "balance",
            f"choice items: the positive option comes first in {share:.0%} of {len(first)} items",
            "put {first} and {second} in the prompt, so that both orders are asked, or swap half of them",
            tuple(name for name, place in first.items() if place == usual),
        )
    ]


def _positive_first(item: ChoiceItem) -> bool | None:
    """Whether the positive option comes first, by its letter (A or B) or else by its place in the prompt."""
    letters = [re.fullmatch(r"\W*([A-Za-z])\W*", option) for option in (item.positive, item.negative)]
    if letters[0] and letters[1]:
        return letters[0][1].lower() < letters[1][1].lower()
    places = [written(item).lower().find(option.lower()) for option in (item.positive, item.negative)]
    return None if min(places) < 0 else places[0] < places[1]


def _parts(view: View) -> Iterator[tuple[str, NDArray]]:
    yield "canonical", np.flatnonzero(view.canonical)
    for axis in dict.fromkeys(row.shift for row in view.rows if row.shift):
        yield axis, np.flatnonzero(view.parts == axis)


def _standardised(values: NDArray, labels: NDArray, groups: NDArray) -> tuple[float, float]:
    """A difference of means in pooled standard deviations, and in cluster-robust standard errors (>= 0)."""
    counts = np.bincount(labels, minlength=2)
    if counts.min() < MIN_ROWS:
        return 0.0, 0.0
    means = np.array([values[labels == label].mean() for label in (0, 1)])
    difference = means[1] - means[0]
    spread = np.sqrt(np.mean([values[labels == label].var() for label in (0, 1)]))
    residuals = (values - means[labels]) / counts[labels] * np.where(labels == 1, 1, -1)
    _, member = np.unique(groups, return_inverse=True)
    error = np.sqrt((np.bincount(member, weights=residuals) ** 2).sum())
    if difference == 0:
        return 0.0, 0.0
    return float(difference / spread) if spread else np.inf * np.sign(difference), float(
        abs(difference) / error if error else np.inf
    )
