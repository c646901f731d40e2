"""Whether a classifier of the surface tells the labels apart, on held-out templates and on each shift."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from probes.concepts.folds import grouped_folds
from probes.concepts.linting.report import Finding
from probes.concepts.linting.views import View
from probes.concepts.linting.words import words
from probes.concepts.surface import text_scores
from probes.errors import InputError
from probes.stats.estimates import LEVEL, Estimate
from probes.stats.jackknife import auroc_contrast

LIMIT = 0.60
"""AUROC above which a surface classifier separates, if its interval excludes .5 as well."""

MIN_PAIRS = 8
"""Fewer pairs than this are not tested."""

POWERED = 20
"""With fewer pairs than this a pass says little, and a note says so."""

FIX = (
    "even out what the classifier reads: let each word, length and form stand on both sides of the label, or "
    "use other words here than in the training pairs"
)


def separation(view: View, concept: str) -> tuple[list[dict[str, Any]], list[Finding], list[str]]:
    """Rows of `SURFACE_SCHEMA`, findings and notes for one view.

    Trained on canonical rows of the splits train and select and tested on those of test and on each axis and
    value; without such splits, tested on canonical rows out of fold. A part leaks with an AUROC above `LIMIT`
    whose 95% interval lies above .5. Along an axis the values are a family, so their intervals are widened as
    Bonferroni asks.
    """
    canonical = view.canonical
    train = np.flatnonzero(canonical & np.isin(view.parts, ["train", "select"]))
    test = canonical & (view.parts == "test")
    split = bool(len(train) and test.any())
    if not split:
        train, test = np.flatnonzero(canonical), canonical
    try:
        scores = text_scores(view.texts, view.labels, view.units, train)
        if not split:
            scores = _out_of_fold(view, train, scores)
    except InputError as error:
        return [], [], [f"{view.name}: surface classifiers were not fitted ({error})"]
    notes = [] if split else [f"{view.name}: no train and test splits, so surface AUROCs are out of fold"]
    table, findings = [], []
    for axis, value, rows, family in _tested(view, test):
        n_pairs = len(np.unique(view.groups[rows]))
        if n_pairs < POWERED and value is None:
            notes.append(f"{view.name}, {axis}: {n_pairs} pairs, too few for a pass to say much")
        if n_pairs < MIN_PAIRS or len(np.unique(view.labels[rows])) < 2:
            continue
        for surface, scored in scores.items():
            found, low = _interval(view, scored, rows, family * len(scores) if family > 1 else 1)
            leaks = found.value > LIMIT and low > 0.5
            table.append(
                {
                    "concept": concept,
                    "rows": view.name,
                    "axis": axis,
                    "value": value,
                    "surface": surface,
                    "auroc": found.value,
                    "ci_low": found.low,
                    "ci_high": found.high,
                    "n_pairs": n_pairs,
                    "trained_on": "train+select" if split else "folds",
                    "leaks": leaks,
                }
            )
            if leaks:
                findings.append(_finding(view, axis, value, surface, found, scored, rows, train))
    return table, findings, notes


def _tested(view: View, test: NDArray) -> Iterator[tuple[str, str | None, NDArray, int]]:
    """(axis, value or None for the whole axis, rows, number of values in the family)."""
    if test.any():
        yield "canonical", None, np.flatnonzero(test), 1
    for axis in dict.fromkeys(row.shift for row in view.rows if row.shift):
        yield axis, None, np.flatnonzero(view.parts == axis), 1
        at = view.values(axis)
        values = sorted({str(value) for value in at if value is not None})
        if len(values) > 1:
            for value in values:
                yield axis, value, np.flatnonzero(at == value), len(values)


def _interval(view: View, scores: NDArray, rows: NDArray, family: int) -> tuple[Estimate, float]:
    """AUROC of some rows, and the lower end of its interval as one of a family."""
    options: dict[str, Any] = {"labels": view.labels[rows], "groups": view.groups[rows], "null": 0.5}
    found = auroc_contrast([scores[rows]], [1], **options)
    return found, auroc_contrast([scores[rows]], [1], level=1 - (1 - LEVEL) / family, **options).low


def _out_of_fold(view: View, rows: NDArray, fitted: dict[str, NDArray]) -> dict[str, NDArray]:
    scores = {name: values.copy() for name, values in fitted.items()}
    for fit, held_out in grouped_folds(view.labels[rows], view.units[rows]):
        part = text_scores(view.texts, view.labels, view.units, rows[fit])
        for name in scores:
            scores[name][rows[held_out]] = part[name][rows[held_out]]
    return scores


def _finding(
    view: View,
    axis: str,
    value: str | None,
    surface: str,
    found: Estimate,
    scores: NDArray,
    rows: NDArray,
    train: NDArray,
) -> Finding:
    where = axis if value is None else f"{axis} = {value}"
    margins: dict[str, float] = {}
    for row in rows:
        sign = 1 if view.labels[row] else -1
        margins[str(view.groups[row])] = margins.get(str(view.groups[row]), 0.0) + sign * float(scores[row])
    worst = sorted(margins, key=lambda pair: -margins[pair])
    telling = _telling_words(view, rows, train) if surface != "length" else []
    return Finding(
        "surface",
        f"{view.name}, {where}: {surface} tells the labels apart, AUROC {found.value:.2f} "
        f"[{found.low:.2f}, {found.high:.2f}], {found.n} pairs"
        + (f"; words that lean alike in training: {', '.join(telling)}" if telling else ""),
        FIX,
        tuple(f"{pair} (margin {margins[pair]:+.2f})" for pair in worst if margins[pair] > 0),
    )


def _telling_words(view: View, rows: NDArray, train: NDArray) -> list[str]:
    leans = []
    for part in (train, rows):
        lean: dict[str, int] = {}
        for row in part:
            for word in set(words(view.texts[row])):
                lean[word] = lean.get(word, 0) + (1 if view.labels[row] else -1)
        leans.append(lean)
    product = {word: lean * leans[1].get(word, 0) for word, lean in leans[0].items()}
    return [word for word in sorted(product, key=lambda w: -product[w])[:6] if product[word] > 0]
