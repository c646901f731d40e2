"""Splits, templates and axes that let a test use what was trained on are found."""

from __future__ import annotations

from probes.concepts.linting import lint
from tests.concepts.makers import concept_of, issues_of, only_issue


def test_structure_of_splits_and_axes(honest, quick):
    rows, items = honest
    moved = [
        r | {"template": "attribute2"} if r["pair"].startswith(("attribute15-", "horizon1")) else r
        for r in rows
    ]
    line = only_issue(lint(concept_of(moved, items)), "structure")
    assert line.endswith("| attribute attribute2: horizon, test, train")
    torn = [r | {"split": "test"} if r["pair"] == "attribute2-1" and r["label"] else r for r in rows]
    lines = "".join(issues_of(lint(concept_of(torn, items)), "structure"))
    assert "pairs in more than one split | attribute attribute2-1: test, train" in lines
    unsaid = [r | {"language": "fr"} if r["pair"] == "attribute15-1" else r for r in rows]
    assert "attribute15-1: language = 'fr'" in only_issue(lint(concept_of(unsaid, items)), "structure")
