"""Near-duplicates across splits are found."""

from __future__ import annotations

from probes.concepts.linting import lint
from tests.concepts.makers import concept_of, issues_of, only_issue


def test_near_duplicates_across_splits_are_found_unless_restated(honest, quick):
    rows, items = honest
    source = next(r for r in rows if r["pair"] == "attribute15-1" and r["label"] == 1)
    copy = {k: v for k, v in source.items() if k not in ("template", "reading")} | {
        "reading": "attribute",
        "shift": "wording",
        "wording": "paraphrase",
        "template": "copies",
    }
    sides = [copy | {"pair": "copy", "label": label} for label in (1, 0)]
    sides[1] |= {"text": next(r["text"] for r in rows if r["pair"] == "attribute15-1" and r["label"] == 0)}
    line = only_issue(lint(concept_of([*rows, *sides], items)), "duplicates")
    assert "attribute15-1 (test) and copy (wording): overlap 1.00" in line
    named = [side | {"restates": "attribute15-1"} for side in sides]
    assert lint(concept_of([*rows, *named], items)).passed
    trained = [side | {"restates": "attribute2-1"} for side in sides]
    report = lint(concept_of([*rows, *trained], items))
    assert "copy: restates 'attribute2-1', which is in split train" in issues_of(report, "structure")[0]
    unknown = [side | {"restates": "nobody"} for side in sides]
    assert "is no canonical row" in issues_of(lint(concept_of([*rows, *unknown], items)), "structure")[0]
    twice = [i if i["id"] != "c79" else items[3] | {"id": "c79", "split": "test"} for i in items]
    assert "c3 (select) and c79 (test)" in "".join(issues_of(lint(concept_of(rows, twice)), "duplicates"))


def test_texts_with_both_labels_are_named():
    rows = [
        {"pair": f"p{i}", "label": i % 2, "text": f"a {'big' if i % 2 else 'small'} hat {i}"}
        for i in range(40)
    ]
    rows += [{"pair": "again", "label": 1, "text": "A small hat 0."}]
    (line,) = issues_of(lint(rows), "duplicates")
    assert "1 texts have both labels" in line
    assert "again (label 1) and p0 (label 0)" in line


def test_many_copies_make_few_lines():
    rows = [{"pair": f"p{i}", "label": i % 2, "text": f"a hat {i % 2}", "split": "test"} for i in range(60)]
    rows += [{"pair": f"q{i}", "label": i % 2, "text": f"hat a {i % 2}", "split": "train"} for i in range(60)]
    (issue,) = (one for one in lint(rows).findings if one.check == "duplicates")
    assert len(issue.offenders) < 4 * 60
