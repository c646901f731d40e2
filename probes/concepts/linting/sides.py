"""Pairs whose two sides differ in more than the evidence, which is what carries the label."""

from __future__ import annotations

from collections import defaultdict

from probes.concepts.concept import Concept
from probes.concepts.linting.report import LintIssue
from probes.concepts.records import Example, Tagged
from probes.concepts.units import same_text

ALIKE = tuple(field for field in Tagged.model_fields if field != "restates")
"""Fields in which the two sides of a pair must agree."""


def unmatched_sides(concept: Concept) -> tuple[list[LintIssue], list[str]]:
    """Issues, and notes on pairs of texts without `evidence` or `unmatched`, and on pairs without an id.

    The two texts of a pair must be the same outside their evidence spans, and two chats in every turn but
    the last, unless the pair is marked as `unmatched`. Both sides of a pair must carry the same tags. Where
    most pairs have two sides, all must.
    """
    pairs: dict[str, list[Example]] = defaultdict(list)
    for example in concept.examples:
        pairs[example.pair].append(example)
    complete = {name: sides for name, sides in pairs.items() if len(sides) == 2}
    lines: dict[str, list[str]] = defaultdict(list)
    unmarked = 0
    if len(complete) > len(pairs) / 2:
        lines["side"] = [
            f"{name}: only label {sides[0].label}" for name, sides in pairs.items() if name not in complete
        ]
    for name, (one, other) in complete.items():
        tags = [field for field in ALIKE if getattr(one, field) != getattr(other, field)]
        if tags:
            lines["tags"].append(
                f"{name}: {tags[0]} is {getattr(one, tags[0])!r} and {getattr(other, tags[0])!r}"
            )
        if one.unmatched or other.unmatched:
            continue
        if one.text and other.text and not (one.evidence or other.evidence):
            unmarked += 1
        elif difference := _difference(one, other):
            lines["span"].append(f"{name}: {difference}")
    issues = [
        LintIssue("sides", what, fix, tuple(lines[kind]))
        for kind, what, fix in (
            ("side", "pairs that lack a side", "write the other side, or take the pair out"),
            ("tags", "pairs whose sides carry different tags", "give both sides the same tags"),
            (
                "span",
                "pairs whose sides differ outside the evidence",
                'make them the same there, mark what differs as evidence, or say "unmatched": true for pairs '
                "that were not written to match",
            ),
        )
        if lines[kind]
    ]
    notes = []
    if unmarked:
        notes.append(f"{unmarked} pairs of texts have no evidence spans, so their sides were not compared")
    if twins := _twins(concept):
        notes.append(
            f"{twins} pairs of texts were joined that have opposite labels and differ in a few words; name "
            "the pairs in a column pair to decide it yourself"
        )
    return issues, notes


def _twins(concept: Concept) -> int:
    """How many units hold two texts of opposite labels that no pair id joins."""
    texts: dict[str, dict[str, int]] = defaultdict(dict)
    ids: dict[str, set[str]] = defaultdict(set)
    for unit, example in zip(concept.groups, concept.examples, strict=True):
        texts[unit].setdefault(same_text(example), example.label)
        ids[unit].add(example.pair)
    return sum(len(ids[unit]) > 1 and {0, 1} == set(labels.values()) for unit, labels in texts.items())


def _difference(one: Example, other: Example) -> str | None:
    """Where the sides differ though they should not, or None."""
    if (one.text is None) != (other.text is None):
        return "one side is a text and the other a chat"
    if one.text is not None and other.text is not None:
        frame, beside = _frame(one), _frame(other)
        return None if frame == beside else f"{_apart(frame, beside)} ([] stands for the evidence)"
    turns = [side.messages or () for side in (one, other)]
    if len(turns[0]) != len(turns[1]):
        return f"{len(turns[0])} turns and {len(turns[1])}"
    for number, (a, b) in enumerate(zip(*turns, strict=True), 1):
        last = number == len(turns[0])
        if a.role != b.role or (a.content != b.content and not last):
            return f"turn {number} ({a.role}): {_apart(a.content, b.content)}"
    return None


def _frame(side: Example) -> str:
    """The text with `[]` in place of each evidence span."""
    text = side.text or ""
    for start, end in reversed(side.evidence or ()):
        text = f"{text[:start]}[]{text[end:]}"
    return text


def _apart(one: str, other: str, width: int = 30) -> str:
    """Both texts from shortly before the first character that differs."""
    same = next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), None)
    start = max(0, (min(len(one), len(other)) if same is None else same) - 10)
    return f"{one[start : start + width]!r} and {other[start : start + width]!r}"
