"""Whether a classifier of a text's surface tells the labels apart, on held-out templates and each shift."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from probes.concepts.folds import grouped_folds
from probes.concepts.linting.report import LintIssue
from probes.concepts.linting.views import View
from probes.concepts.linting.words import words
from probes.concepts.surface import Surface, thinned
from probes.errors import InputError
from probes.stats.estimates import LEVEL, Estimate
from probes.stats.jackknife import auroc_contrast

LIMIT = 0.60
"""A surface classifier tells the labels apart when its AUROC is above this and its interval above 0.5, or
when it is below 1 minus this and its interval below 0.5."""

MIN_PAIRS = 8
"""A part with fewer pairs than this is not tested."""

FIT_ROWS = 4000
"""Classifiers are fitted on about this many rows at most, drawn by whole units: enough to see a leak."""

POWERED = 20
"""With fewer pairs than this, passing says little, and a note says so."""

FIX = (
    "even out what the classifier reads: let each word, length and form stand on both sides of the label, or "
    "use other words here than in the training pairs"
)

FIX_REVERSED = (
    "give the two texts that differ in a few words one pair id (column pair), or a split of their own; where "
    "they have one, use the telling words on both sides of the label"
)


def separation(view: View, concept: str) -> tuple[list[dict[str, Any]], list[LintIssue], list[str]]:
    """Rows of `SURFACE_SCHEMA`, issues and notes for one view.

    The classifiers are trained on the canonical rows of the splits train and select, and tested on those of
    the split test, on each shift axis and on each value of it. Without such splits they are tested on
    canonical rows by cross-validation. A classifier leaks when its AUROC is above `LIMIT` and its 95%
    interval lies above 0.5. Texts that probes are fitted on fail as far on the other side too, where what was
    learned holds the wrong way round: twins lie on both sides of the test, or a cue changes its label. The
    values of one axis are a family of tests, so their intervals are widened by Bonferroni's correction.
    """
    canonical = view.canonical
    train = np.flatnonzero(canonical & np.isin(view.parts, ["train", "select"]))
    test = canonical & (view.parts == "test")
    split = bool(len(train) and test.any())
    if not split:
        train, test = np.flatnonzero(canonical), canonical
    surface = Surface(view.texts)
    try:
        if split:
            scores = surface.scores(view.labels, view.units, thinned(train, view.units, FIT_ROWS))
        else:
            scores = _out_of_fold(view, surface, train)
    except InputError as error:
        return [], [], [f"{view.name}: surface classifiers were not fitted ({error})"]
    notes = [] if split else [f"{view.name}: no train and test splits, so surface AUROCs are out of fold"]
    table, issues = [], []
    for axis, value, rows, family in _tested(view, test):
        n_pairs = len(np.unique(view.groups[rows]))
        if n_pairs < POWERED and value is None:
            notes.append(f"{view.name}, {axis}: {n_pairs} pairs, too few for a pass to say much")
        if n_pairs < MIN_PAIRS or len(np.unique(view.labels[rows])) < 2:
            continue
        for name, scored in scores.items():
            estimate, wide = _interval(view, scored, rows, family * len(scores) if family > 1 else 1)
            leaks = estimate.value > LIMIT and wide.low > 0.5
            if view.name != "choice options":  # no probe is fitted on options
                leaks |= estimate.value < 1 - LIMIT and wide.high < 0.5
            table.append(
                {
                    "concept": concept,
                    "rows": view.name,
                    "axis": axis,
                    "value": value,
                    "surface": name,
                    "auroc": estimate.value,
                    "ci_low": estimate.low,
                    "ci_high": estimate.high,
                    "n_pairs": n_pairs,
                    "trained_on": "train+select" if split else "folds",
                    "leaks": leaks,
                }
            )
            if leaks:
                issues.append(_issue(view, axis, value, name, estimate, scored, rows, train))
    return table, issues, notes


def _tested(view: View, test: NDArray) -> Iterator[tuple[str, str | None, NDArray, int]]:
    """For each part: its axis, its value (None for the whole axis), its rows, the size of its family."""
    if test.any():
        yield "canonical", None, np.flatnonzero(test), 1
    for axis in dict.fromkeys(row.shift for row in view.rows if row.shift):
        yield axis, None, np.flatnonzero(view.parts == axis), 1
        at = view.values(axis)
        values = sorted({str(value) for value in at if value is not None})
        if len(values) > 1:
            for value in values:
                yield axis, value, np.flatnonzero(at == value), len(values)


def _interval(view: View, scores: NDArray, rows: NDArray, family: int) -> tuple[Estimate, Estimate]:
    """The AUROC of some rows, and the same with its interval when it is one of a family of tests."""
    options: dict[str, Any] = {"labels": view.labels[rows], "groups": view.groups[rows], "null": 0.5}
    estimate = auroc_contrast([scores[rows]], [1], **options)
    return estimate, auroc_contrast([scores[rows]], [1], level=1 - (1 - LEVEL) / family, **options)


def _out_of_fold(view: View, surface: Surface, rows: NDArray) -> dict[str, NDArray]:
    """Scores of `rows` by classifiers that did not see their fold; of the others by some that saw `rows`."""
    units, others = view.units, len(rows) < len(view.texts)
    parts = [(rows, np.flatnonzero(~np.isin(np.arange(len(units)), rows)))] if others else []
    folds = grouped_folds(view.labels[rows], units[rows])
    parts += [(rows[fit], rows[held_out]) for fit, held_out in folds]
    scores: dict[str, NDArray] = {}
    for fit, scored in parts:
        part = surface.scores(view.labels, units, thinned(fit, units, FIT_ROWS))
        for name, values in part.items():
            scores.setdefault(name, np.empty(len(units)))[scored] = values[scored]
    return scores


def _issue(
    view: View,
    axis: str,
    value: str | None,
    surface: str,
    estimate: Estimate,
    scores: NDArray,
    rows: NDArray,
    train: NDArray,
) -> LintIssue:
    where = axis if value is None else f"{axis} = {value}"
    side = 1 if estimate.value > 0.5 else -1
    margins: dict[str, float] = {}
    for row in rows:
        sign = side if view.labels[row] else -side
        margins[str(view.groups[row])] = margins.get(str(view.groups[row]), 0.0) + sign * float(scores[row])
    worst = sorted(margins, key=lambda pair: -margins[pair])
    telling = _telling_words(view, rows, train, side) if surface != "length" else []
    what = "tells the labels apart" if side > 0 else "tells the labels apart the wrong way round"
    alike = "lean alike in training" if side > 0 else "lean the other way in training"
    return LintIssue(
        "surface",
        f"{view.name}, {where}: {surface} {what}, AUROC {estimate.value:.2f} "
        f"[{estimate.low:.2f}, {estimate.high:.2f}], {estimate.n} pairs"
        + (f"; words that {alike}: {', '.join(telling)}" if telling else ""),
        FIX if side > 0 else FIX_REVERSED,
        tuple(f"{pair} (margin {margins[pair]:+.2f})" for pair in worst if margins[pair] > 0),
    )


def _telling_words(view: View, rows: NDArray, train: NDArray, side: int) -> list[str]:
    """Up to 6 words that go with the same label (side 1) in training and in these rows, the strongest first.

    For side -1 they go with opposite labels.
    """
    leans = []
    for part in (train, rows):
        lean: dict[str, int] = {}
        for row in part:
            for word in set(words(view.texts[row])):
                lean[word] = lean.get(word, 0) + (1 if view.labels[row] else -1)
        leans.append(lean)
    product = {word: side * lean * leans[1].get(word, 0) for word, lean in leans[0].items()}
    return [word for word in sorted(product, key=lambda w: -product[w])[:6] if product[word] > 0]
