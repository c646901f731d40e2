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

VECTORIZERS = {
    "word_ngrams": {"ngram_range": (1, 2), "token_pattern": r"(?u)\w+|[^\w\s]"},
    "char_ngrams": {"ngram_range": (2, 5), "analyzer": "char"},
}


def text_scores(texts: Sequence[str], labels: NDArray, groups: NDArray, train: NDArray) -> dict[str, NDArray]:
    """Scores of every text by three classifiers of its surface, which are fitted on the training rows.

    `word_ngrams` sees sequences of 1 to 2 words, where punctuation marks count as words; `char_ngrams` sees
    sequences of 2 to 5 characters. Both are logistic regressions with an L2 penalty on tf-idf features.
    `length` is a logistic regression on `length_features`. The strength of each penalty is chosen by
    cross-validation inside the training rows.

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
    scores = {name: _ngram_scores(texts, labels, groups, train, name) for name in VECTORIZERS}
    return scores | {"length": _length_scores(texts, labels, groups, train)}


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


def _length_scores(
    texts: Sequence[str], labels: NDArray, groups: NDArray, train: NDArray
) -> NDArray[np.float64]:
    features = length_features(texts)
    models = [
        make_pipeline(StandardScaler(), LogisticRegression(C=C, tol=1e-8, max_iter=1000))
        for C in LENGTH_STRENGTHS
    ]
    totals = np.zeros(len(models))
    for fit, held_out in grouped_folds(labels[train], groups[train]):
        if len(np.unique(labels[train][held_out])) == 2:
            for i, model in enumerate(models):
                model.fit(features[train[fit]], labels[train[fit]])
                scores = model.decision_function(features[train[held_out]])
                totals[i] += auroc(scores, labels[train[held_out]])
    best = models[int(np.argmax(totals))].fit(features[train], labels[train])
    return best.decision_function(features)


def _ngram_scores(
    texts: Sequence[str], labels: NDArray, groups: NDArray, train: NDArray, name: str
) -> NDArray[np.float64]:
    counts = scipy.sparse.csr_matrix(CountVectorizer(**VECTORIZERS[name]).fit_transform(texts))
    totals = np.zeros(len(TEXT_STRENGTHS))
    for fit, held_out in grouped_folds(labels[train], groups[train]):
        if len(np.unique(labels[train][held_out])) == 2:
            seen, unseen = _tfidf(counts, train[fit], train[held_out])
            for i, C in enumerate(TEXT_STRENGTHS):
                model = LogisticRegression(C=C, solver="liblinear").fit(seen, labels[train[fit]])
                totals[i] += auroc(model.decision_function(unseen), labels[train[held_out]])
    seen, everything = _tfidf(counts, train, np.arange(len(texts)))
    best = TEXT_STRENGTHS[int(np.argmax(totals))]
    model = LogisticRegression(C=best, solver="liblinear").fit(seen, labels[train])
    return model.decision_function(everything)


def _tfidf(counts: scipy.sparse.csr_matrix, train: NDArray, other: NDArray) -> tuple[Any, Any]:
    """Features of both sets of rows, with the vocabulary and document frequencies of the training rows."""
    vocabulary = np.flatnonzero(np.asarray(counts[train].sum(0)).ravel())
    transformer = TfidfTransformer().fit(counts[train][:, vocabulary])
    seen, unseen = (transformer.transform(counts[rows][:, vocabulary]) for rows in (train, other))
    return seen, unseen
