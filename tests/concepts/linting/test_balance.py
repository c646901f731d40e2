"""Labels that length, poles, options or templates give away are found."""

from __future__ import annotations

from probes.concepts.linting import lint
from tests.concepts.makers import concept_of, issues_of, only_issue


def test_length_is_found_by_its_mean_and_by_the_classifier(honest):
    rows, items = honest
    longer = [
        r | {"text": r["text"] + " and more of the same again"}
        if r["label"] == 1 and r["reading"] == "norm"
        else r
        for r in rows
    ]
    report = lint(concept_of(longer, items))
    assert any("norm pairs, canonical: label 1 is longer by" in line for line in issues_of(report, "balance"))
    assert any("norm pairs, canonical: length tells" in line for line in issues_of(report, "surface"))
    assert any("norm0-0:" in line for line in issues_of(report, "sides"))


def test_poles_that_give_the_norm_away_are_found(honest, quick):
    rows, items = honest
    plain = [r | {"pole": r["label"]} if "pole" in r else r for r in rows]
    line = only_issue(lint(concept_of(plain, items)), "balance")
    assert (
        "the attribute gives the label away | canonical: pole 1 in 100% of the rows of label 1 and 0%" in line
    )


def test_options_of_unlike_length_are_found(honest):
    rows, items = honest
    unlike = [i | {"positive": i["positive"] + ", as far as I can tell"} for i in items]
    report = lint(concept_of(rows, unlike))
    assert "choice options, canonical: label 1 is longer" in " ".join(issues_of(report, "balance"))
    assert any("choice options, canonical: length tells" in line for line in issues_of(report, "surface"))


def test_options_in_a_fixed_order_are_found(honest, quick):
    rows, items = honest
    fixed = [
        i | {"prompt": i["prompt"].format(first=i["positive"], second=i["negative"])} if n > 4 else i
        for n, i in enumerate(items)
    ]
    line = only_issue(lint(concept_of(rows, fixed)), "balance")
    assert line.startswith("choice items: the positive option comes first in 100% of 75 items | c5 | c6")
    letters = [i | {"positive": "(B)", "negative": "(A)", "prompt": i["prompt"][:40]} for i in items]
    assert any("first in 0% of 80" in line for line in issues_of(lint(concept_of(rows, letters)), "balance"))


def test_templates_of_one_label_are_found(quick):
    rows = [
        {"pair": f"p{n}", "label": int(n % 10 < 8), "text": f"{n} is a number", "template": str(n // 10)}
        for n in range(40)
    ]
    report = lint(concept_of(rows))
    assert any("template 0: 8 rows of label 1, 2 of label 0" in line for line in issues_of(report, "balance"))
