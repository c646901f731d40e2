"""Surface classifiers find the axis that leaks."""

from __future__ import annotations

import numpy as np

from probes.concepts.linting import lint
from tests.concepts.makers import concept_of, with_words


def test_an_axis_that_leaks_alone_is_found_with_its_value(honest):
    rows, items = honest
    leaky = with_words(
        rows, {1: "cheap", 0: "dear"}, lambda r: r["reading"] == "attribute" and "shift" not in r
    )
    leaky = with_words(leaky, {1: "cheap", 0: "dear"}, lambda r: r.get("language") == "es")
    leaky = with_words(
        leaky, {1: "plain", 0: "fancy"}, lambda r: r.get("split") == "test" and "shift" not in r
    )
    report = lint(concept_of(leaky, items))
    leaks = {tuple(row) for row in report.table.filter("leaks")["axis", "value"].iter_rows()}
    assert leaks == {("language", None), ("language", "es")}


def test_a_classifier_that_is_right_the_wrong_way_round_is_found_too():
    """Tables of twins gave word n-grams an AUROC of .17 on held-out folds, and passed."""
    words = ["chair", "table", "book", "lamp", "Ohio", "Texas", "red", "blue", "green", "old", "new", "big"]
    rng = np.random.default_rng(0)
    rows = []
    for i in range(120):
        part = ("train", "select", "test")[i % 3]
        frame = " ".join(rng.choice(words, 4))
        for label, word in ((1, "cheap"), (0, "dear")) if part != "test" else ((0, "cheap"), (1, "dear")):
            rows.append({"pair": f"p{i}", "label": label, "text": f"{word} {frame} {i}", "split": part})
    report = lint(rows)
    line = report.table.filter(surface="word_ngrams").row(0, named=True)
    assert line["auroc"] < 0.2
    assert line["leaks"]
    (what,) = (issue.what for issue in report.findings if "word_ngrams" in issue.what)
    assert "the wrong way round" in what
    assert "cheap, dear" in what or "dear, cheap" in what


def test_twins_without_a_pair_id_do_not_lie_in_different_folds():
    words = ["chair", "table", "book", "lamp", "Ohio", "Texas", "red", "blue", "green", "old", "new", "big"]
    rng = np.random.default_rng(0)
    signs = np.array(
        [["good", "bad"], ["kind", "mean"], ["calm", "loud"], ["warm", "cold"], ["rich", "poor"]]
    )
    rows = []
    for i in range(60):
        frame, (one, other) = " ".join(rng.choice(words, 5)), rng.permutation(signs[i % 5])
        rows += [{"text": f"{one} {frame} {i}", "label": 1}, {"text": f"{other} {frame} {i}", "label": 0}]
    report = lint(rows)
    row = report.table.filter(surface="word_ngrams").row(0, named=True)
    assert row["n_pairs"] == 60
    assert row["ci_high"] > 0.5
    assert any("60 pairs of texts were joined" in note for note in report.notes)
