"""Surface classifiers find the axis that leaks."""

from __future__ import annotations

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
