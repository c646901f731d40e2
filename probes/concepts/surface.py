"""Classifiers of a text's surface (n-grams, length, punctuation): the baselines of every probe, and what the
lint measures leaks with."""

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
"""Values of C tried on n-gram features, whose rows have length 1."""

VECTORIZERS = {
    "word_ngrams": {"ngram_range": (1, 2), "token_pattern": r"(?u)\w+|[^\w\s]"},
    "char_ngrams": {"ngram_range": (2, 5), "analyzer": "char"},
}


def text_scores(texts: Sequence[str], labels: NDArray, groups: NDArray, train: NDArray) -> dict[str, NDArray]:
    """Scores of every text by classifiers of its surface, fitted on the training rows.

    `word_ngrams` (1-2, punctuation marks count as words) and `char_ngrams` (2-5): tf-idf and L2 logistic
    regression; `length`: length and punctuation counts, logistic. Strengths are chosen on inner grouped
    folds. Parameters: texts `[example]`; labels and groups `[example]`; train, row indices.
    Returns name -> `[example]`.
    """
    scores = {name: _ngram_scores(texts, labels, groups, train, name) for name in VECTORIZERS}
    return scores | {"length": _length_scores(texts, labels, groups, train)}


def length_features(texts: Sequence[str]) -> NDArray[np.float64]:
    """`[example, feature]`: characters, words, mean word length, capitals, digits, lines, each punctuation
    mark."""
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
    """Features with the vocabulary and document frequencies of the training rows alone."""
    known = np.flatnonzero(np.asarray(counts[train].sum(0)).ravel())
    transformer = TfidfTransformer().fit(counts[train][:, known])
    return transformer.transform(counts[train][:, known]), transformer.transform(counts[other][:, known])
