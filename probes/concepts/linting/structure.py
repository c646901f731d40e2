"""Splits, templates and shift axes that would let a test use what was trained on."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from probes.concepts.concept import Concept
from probes.concepts.linting.report import LintIssue
from probes.concepts.linting.views import row_id
from probes.concepts.records import AXES, ChoiceItem, Example


def structure(concept: Concept) -> list[LintIssue]:
    """Templates and pairs in two parts, shifts of trained rows, and canonical rows with a shift's value."""
    issues = []
    for kind, rows in (("pairs", concept.examples), ("choice items", concept.choices)):
        for what, fix, lines in (
            (
                "templates that stand in more than one split, or in train or select and a shift",
                "keep a template in one split; derive shifts from test templates, or write new ones",
                _straddling(rows, "template"),
            ),
            (
                "pairs in more than one split",
                "keep both sides of a pair in one split",
                _straddling(rows, "pair"),
            ),
            (
                "rows that restate what is not a canonical row of the test split",
                "restate rows of the test split only: a probe has seen the others",
                _restated(rows),
            ),
            (
                "canonical rows that differ in a shift field",
                'say "shift": "the axis" on the rows that were moved, or take the field away',
                _unmarked_shifts(rows),
            ),
        ):
            if lines:
                issues.append(LintIssue("structure", f"{kind}: {what}", fix, tuple(lines)))
    return issues


def _straddling(rows: Sequence[Example | ChoiceItem], field: str) -> list[str]:
    """Values of a field (a template, a pair) that occur in more than one split; shifts count as test."""
    parts: dict[tuple[str, str], set[str]] = defaultdict(set)
    for row in rows:
        value, part = getattr(row, field, None), row.shift or row.split
        if value is not None and part is not None:
            parts[row.reading or "", value].add("test" if row.shift else part)
            if row.shift:
                parts[row.reading or "", value].add(part)
    return [
        f"{f'{reading} ' * bool(reading)}{value}: {', '.join(sorted(places))}"
        for (reading, value), places in parts.items()
        if len(places - set(AXES)) > 1
    ]


def _restated(rows: Sequence[Example | ChoiceItem]) -> list[str]:
    splits = {row_id(row): row.split for row in rows if row.shift is None}
    any_split = any(splits.values())
    lines = []
    for name, restated in dict.fromkeys((row_id(row), row.restates) for row in rows if row.restates):
        if restated not in splits:
            lines.append(f"{name}: restates {restated!r}, which is no canonical row")
        elif any_split and splits[restated] != "test":
            lines.append(f"{name}: restates {restated!r}, which is in split {splits[restated]}")
    return lines


def _unmarked_shifts(rows: Sequence[Example | ChoiceItem]) -> list[str]:
    lines = []
    for axis in AXES:
        values = {row_id(row): getattr(row, axis) for row in rows if row.shift is None}
        if axis != "domain" and len(set(values.values())) > 1:
            lines += [f"{name}: {axis} = {value!r}" for name, value in values.items() if value is not None]
    return lines
