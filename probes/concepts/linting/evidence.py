"""Words that mark the same label in training and in testing, so that a probe need only know the words."""

from __future__ import annotations

from collections import defaultdict
from itertools import product

from probes.concepts.concept import Concept
from probes.concepts.linting.report import LintIssue
from probes.concepts.linting.views import View, row_id
from probes.concepts.linting.words import content_words, words
from probes.concepts.records import AXES, SPLITS, ChoiceItem, Example

DECISIVE = 3
"""Where one side of a pair has at most this many content words of its own, each of them carries the label."""

RECURRENT = 5
"""A word of a longer difference carries the label once it stands on one side only in this many pairs."""

LEAN = 0.9
"""A word marks a side when it stands there in at least this share of the pairs that it tells apart."""

Marks = dict[str, dict[int, list[str]]]
"""Word -> label -> the pairs or items in which the word stands on that side only."""


def shared_evidence(view: View, choices: View | None) -> list[LintIssue]:
    """Evidence words that two splits share, or that train or select shares with a shift axis.

    The words of a side are those of its evidence spans, of its last turn, or of its option. A word carries
    the label when it stands on one side of a pair only, and is either one of at most `DECISIVE` such words of
    that pair or does so in at least `RECURRENT` pairs. It marks the label of the side on which it stands in
    `LEAN` of those pairs. The options of the choice items are compared with the pairs of every reading.
    """
    marks: dict[str, Marks] = defaultdict(lambda: defaultdict(lambda: {0: [], 1: []}))
    decisive: dict[str, set[str]] = defaultdict(set)
    for source in (view, choices):
        for part, group, sides in _sides(source) if source else ():
            for label, own, other in ((1, sides[1], sides[0]), (0, sides[0], sides[1])):
                only = own - other
                for word in only:
                    marks[part][word][label].append(group)
                if len(only) <= DECISIVE:
                    decisive[part] |= only
    carried = {part: _carried(marks[part], decisive[part]) for part in marks}
    issues = []
    pairs_of_parts = [("train", "select"), ("train", "test"), ("select", "test")]
    pairs_of_parts += list(product(("train", "select"), AXES))
    for one, other in pairs_of_parts:
        shared = carried.get(one, set()) & carried.get(other, set())
        if shared:
            lines = [
                f"{word} ({'positive' if label else 'negative'} side): {_some(marks[one][word][label])} in "
                f"{one}, {_some(marks[other][word][label])} in {other}"
                for word, label in sorted(shared)
            ]
            issues.append(
                LintIssue(
                    "evidence",
                    f"{view.name}: {len(shared)} evidence words mark the same label in {one} and {other}",
                    f"say it in other words in {other}, or use the word on both sides of the label in {one}",
                    tuple(lines),
                )
            )
    return issues


def banned_words(concept: Concept) -> list[LintIssue]:
    """Evidence with words that `concept.toml` keeps for another split; shifted rows count as test."""
    lines: list[str] = []
    for split, listed in concept.meta.banned_evidence_words.items():
        banned = {word.lower() for word in listed}
        for row in (*concept.examples, *concept.choices):
            part = row.shift or row.split
            if part in (None, split) or (row.shift and split == "test"):
                continue
            present = sorted(banned & set(words(_marked(row))))
            if present:
                lines.append(f"{row_id(row)} ({part}) holds {', '.join(present)}: banned by {split}")
    if not lines:
        return []
    return [
        LintIssue(
            "evidence",
            f"{len(lines)} rows hold evidence words that concept.toml keeps for another split",
            "use another word, or take it off the list of the split it does not belong to",
            tuple(lines),
        )
    ]


def _marked(row: Example | ChoiceItem) -> str:
    if isinstance(row, ChoiceItem):
        return f"{row.positive} {row.negative}"
    return " ".join((row.text or "")[start:end] for start, end in row.evidence or ())


def _sides(view: View) -> list[tuple[str, str, dict[int, set[str]]]]:
    """(part, pair, label -> content words of its evidence) of each pair whose two sides have evidence."""
    sides: dict[tuple[str, str], dict[int, set[str]]] = defaultdict(dict)
    for row, text, label, part, group in zip(
        view.rows, view.texts, view.labels, view.parts, view.groups, strict=True
    ):
        if part not in (*SPLITS, *AXES):
            continue
        if isinstance(row, ChoiceItem):
            sides[part, str(group)][int(label)] = content_words(text)
        elif row.messages:
            sides[part, str(group)][int(label)] = content_words(row.messages[-1].content)
        elif row.evidence:
            sides[part, str(group)][int(label)] = content_words(_marked(row))
    return [(part, group, both) for (part, group), both in sides.items() if len(both) == 2]


def _carried(marks: Marks, decisive: set[str]) -> set[tuple[str, int]]:
    """The words that carry a label, each with the label that it marks."""
    carried = set()
    for word, sides in marks.items():
        total = len(sides[0]) + len(sides[1])
        if word in decisive or total >= RECURRENT:
            carried |= {(word, label) for label in (0, 1) if len(sides[label]) >= LEAN * total}
    return carried


def _some(groups: list[str]) -> str:
    return ", ".join(groups[:3]) + (f" and {len(groups) - 3} more" if len(groups) > 3 else "")
