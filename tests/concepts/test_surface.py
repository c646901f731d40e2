"""Surface classifiers against scikit-learn."""

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from probes.concepts.folds import grouped_folds
from probes.concepts.surface import TEXT_STRENGTHS, text_scores
from probes.probing import (
    split_rows,
)
from tests.probing.makers import simulate


def test_ngram_scores_are_those_of_a_vectoriser_that_saw_the_training_texts_alone():
    _, acts = simulate(n_pairs=30, cue=True)
    rng = np.random.default_rng(0)
    texts = [
        t if rng.random() < 0.5 else t.replace("cheap", "odd").replace("dear", "odd") for t in acts.texts
    ]
    train = split_rows(acts).train
    scores = text_scores(texts, acts.labels, acts.groups, train)
    known = [texts[i] for i in train]
    for name, vectoriser in (
        ("word_ngrams", TfidfVectorizer(ngram_range=(1, 2), token_pattern=r"(?u)\w+|[^\w\s]")),
        ("char_ngrams", TfidfVectorizer(ngram_range=(2, 5), analyzer="char")),
    ):
        search = GridSearchCV(
            make_pipeline(vectoriser, LogisticRegression(solver="liblinear")),
            {"logisticregression__C": TEXT_STRENGTHS},
            cv=grouped_folds(acts.labels[train], acts.groups[train]),
            scoring="roc_auc",
        ).fit(known, acts.labels[train])
        np.testing.assert_allclose(scores[name], search.decision_function(texts), atol=1e-6)
