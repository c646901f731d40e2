"""Classifiers that see only the surface of a text: its n-grams, its length, its punctuation.

They are the baselines that every probe is compared with, and the lint measures with them whether the surface
of a concept's texts gives the label away.
"""

from __future__ import annotations

import string
from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.sparse
from numpy.typing import NDArray
from sklearn.feature_extraction.text import CountVectorizer, TfidfTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from probes.concepts.folds import grouped_folds
from probes.stats.estimates import auroc

LENGTH_STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1)
"""Values of C tried on standardised length and punctuation counts."""

TEXT_STRENGTHS = (0.1, 1.0, 10.0, 100.0)
"""Values of C tried on n-gram features, whose rows have Euclidean length 1."""

CHOICE_ROWS = 1200
"""The strength of a penalty is chosen on about this many training rows at most, drawn by whole groups."""

VECTORIZERS = {
    "word_ngrams": {"ngram_range": (1, 2), "token_pattern": r"(?u)\w+|[^\w\s]"},
    "char_ngrams": {"ngram_range": (2, 5), "analyzer": "char"},
}


Folds = Sequence[tuple[NDArray, NDArray]]
"""(rows to fit on, held-out rows) of each fold."""


def text_scores(texts: Sequence[str], labels: NDArray, groups: NDArray, train: NDArray) -> dict[str, NDArray]:
    """Scores of every text by three classifiers of its surface, which are fitted on the training rows.

    `word_ngrams` sees sequences of 1 to 2 words, where punctuation marks count as words; `char_ngrams` sees
    sequences of 2 to 5 characters. Both are logistic regressions with an L2 penalty on tf-idf features.
    `length` is a logistic regression on `length_features`. The strength of each penalty is chosen by
    cross-validation inside the training rows; of more than `CHOICE_ROWS` rows, inside a random part of them.

    Parameters
    ----------
    texts : sequence of str `[example]`
        The texts.
    labels : int array `[example]`
        0 or 1.
    groups : array `[example]`
        What the inner folds hold out together: pairs or templates.
    train : int array
        Indices of the rows to fit on.

    Returns
    -------
    dict of str to float array `[example]`
        Name of the classifier -> its score of every text, higher for label 1.

    Raises
    ------
    InputError
        As `grouped_folds` does.

    Example
    -------
    >>> train = np.flatnonzero(concept.splits == "train")
    >>> scores = text_scores(concept.texts(), concept.labels, concept.groups, train)
    >>> sorted(scores)
    ['char_ngrams', 'length', 'word_ngrams']
    >>> bool((scores["word_ngrams"][concept.labels == 1] > 0).all())  # "cheap" gives the label away
    True
    """
    return Surface(texts).scores(labels, groups, train)


class Surface:
    """What the classifiers see of some texts, which is counted once however often they are fitted.

    Example
    -------
    >>> train = np.flatnonzero(concept.splits == "train")
    >>> sorted(Surface(concept.texts()).scores(concept.labels, concept.groups, train))
    ['char_ngrams', 'length', 'word_ngrams']
    """

    def __init__(self, texts: Sequence[str]) -> None:
        self.counts = {
            name: scipy.sparse.csr_matrix(CountVectorizer(**options).fit_transform(texts))
            for name, options in VECTORIZERS.items()
        }
        self.lengths = length_features(texts)

    def scores(self, labels: NDArray, groups: NDArray, train: NDArray) -> dict[str, NDArray]:
        """As `text_scores`."""
        rows = thinned(train, groups, CHOICE_ROWS)
        folds = [
            (rows[fit], rows[held_out])
            for fit, held_out in grouped_folds(labels[rows], groups[rows])
            if len(np.unique(labels[rows][held_out])) == 2
        ]
        ngrams = {name: _ngram_scores(counts, labels, train, folds) for name, counts in self.counts.items()}
        return ngrams | {"length": _length_scores(self.lengths, labels, train, folds)}


def thinned(rows: NDArray, groups: NDArray, limit: int) -> NDArray:
    """All rows where they are at most `limit`, else about so many: those of randomly drawn groups.

    Parameters
    ----------
    rows : int array
        Row indices.
    groups : array `[example]`
        Of all rows; a group is drawn as a whole.
    limit : int
        Groups are drawn until there are at least so many rows.

    Returns
    -------
    int array
        Row indices in the order of `rows`.

    Example
    -------
    >>> thinned(np.arange(6), np.repeat(["a", "b", "c"], 2), limit=3)
    array([0, 1, 4, 5])
    """
    if len(rows) <= limit:
        return rows
    _, member = np.unique(groups[rows], return_inverse=True)
    sizes = np.bincount(member)
    order = np.random.default_rng(0).permutation(len(sizes))
    drawn = order[: np.searchsorted(np.cumsum(sizes[order]), limit) + 1]
    return rows[np.isin(member, drawn)]


def length_features(texts: Sequence[str]) -> NDArray[np.float64]:
    """What a text's length and punctuation show, `[example, feature]`.

    The features are the numbers of characters and words, the mean length of a word, the numbers of capitals,
    digits and line breaks, and the count of each punctuation mark.

    Example
    -------
    >>> length_features(["A hat.", "Hats!"])[:, :4]
    array([[6. , 2. , 2.5, 1. ],
           [5. , 1. , 5. , 1. ]])
    """
    rows = []
    for text in texts:
        words = text.split()
        rows.append(
            [
                len(text),
                len(words),
                sum(map(len, words)) / max(1, len(words)),
                sum(map(str.isupper, text)),
                sum(map(str.isdigit, text)),
                text.count("\n"),
                *(text.count(mark) for mark in string.punctuation),
            ]
        )
    return np.array(rows, dtype=np.float64)


def _length_scores(features: NDArray, labels: NDArray, train: NDArray, folds: Folds) -> NDArray[np.float64]:
    models = [
        make_pipeline(StandardScaler(), LogisticRegression(C=C, tol=1e-8, max_iter=1000))
        for C in LENGTH_STRENGTHS
    ]
    totals = np.zeros(len(models))
    for fit, held_out in folds:
        for i, model in enumerate(models):
            model.fit(features[fit], labels[fit])
            totals[i] += auroc(model.decision_function(features[held_out]), labels[held_out])
    best = models[int(np.argmax(totals))].fit(features[train], labels[train])
    return best.decision_function(features)


def _ngram_scores(
    counts: scipy.sparse.csr_matrix, labels: NDArray, train: NDArray, folds: Folds
) -> NDArray[np.float64]:
    totals = np.zeros(len(TEXT_STRENGTHS))
    for fit, held_out in folds:
        seen, unseen = _tfidf(counts, fit, held_out)
        for i, C in enumerate(TEXT_STRENGTHS):
            model = LogisticRegression(C=C, solver="liblinear").fit(seen, labels[fit])
            totals[i] += auroc(model.decision_function(unseen), labels[held_out])
    seen, everything = _tfidf(counts, train, np.arange(len(labels)))
    best = TEXT_STRENGTHS[int(np.argmax(totals))]
    model = LogisticRegression(C=best, solver="liblinear").fit(seen, labels[train])
    return model.decision_function(everything)


def _tfidf(counts: scipy.sparse.csr_matrix, train: NDArray, other: NDArray) -> tuple[Any, Any]:
    """Features of both sets of rows, with the vocabulary and document frequencies of the training rows."""
    vocabulary = np.flatnonzero(np.asarray(counts[train].sum(0)).ravel())
    transformer = TfidfTransformer().fit(counts[train][:, vocabulary])
    seen, unseen = (transformer.transform(counts[rows][:, vocabulary]) for rows in (train, other))
    return seen, unseen
