"""What several tests of concepts build: rows, files of rows, and the concepts that the lint reads."""

from __future__ import annotations

import json
import random

import pytest

from probes.concepts import ChoiceItem, Concept, Example, load_concept, read_file
from probes.concepts.linting import LintReport
from probes.errors import ConceptError

GOOD = [
    {"pair": "p1", "label": 1, "text": "a cheap hat", "evidence": [[2, 7]], "split": "train"},
    {"pair": "p1", "label": 0, "text": "a costly hat", "evidence": [[2, 8]], "split": "train"},
    {"pair": "p2", "label": 1, "text": "a low bill", "split": "test"},
    {"pair": "p2", "label": 0, "text": "a high bill", "split": "test"},
]
"""Rows of `pairs.jsonl` with which nothing is wrong."""

CHOICES = [
    {
        "id": "c1",
        "prompt": "Which, {first} or {second}?",
        "positive": "a bus",
        "negative": "a limo",
        "split": "test",
    },
    {"id": "c2", "prompt": "What to wear?", "positive": "used jeans", "negative": "mink", "split": "select"},
]
"""Rows of `choices.jsonl` with which nothing is wrong."""

SHIFTS = {
    "wording": ("paraphrase", "indirect", "bundled"),
    "domain": ("healthcare_triage", "customer_service"),
    "language": ("es", "zh"),
    "horizon": ("10", "agent"),
    "pressure": ("flattery", "urgency"),
}
"""Axis -> the values that the pairs of `honest` are moved to."""


# Rows and files


def lines(rows) -> str:
    """Rows as JSONL, everything that is not ASCII escaped."""
    return "".join(json.dumps(row) + "\n" for row in rows)


def jsonl(path, rows):
    """Write rows as a JSONL file in UTF-8; its path."""
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def changed(row=2, **values):
    """The good rows with fields of one row (1 is the first) changed; a value of `...` removes the field."""
    rows = [dict(r) for r in GOOD]
    rows[row - 1] |= values
    rows[row - 1] = {key: value for key, value in rows[row - 1].items() if value is not ...}
    return rows


def chat(*turns):
    """(role, content) pairs as the messages of a chat."""
    return [{"role": role, "content": content} for role, content in turns]


def both_sides(name, **tags):
    """The two examples of a pair."""
    return [Example(pair=name, label=label, text=f"{name} {label}", **tags) for label in (1, 0)]


def shifted() -> Concept:
    """Two readings, two axes, and a choice item of each kind."""
    examples = [
        *both_sides("a1", reading="attribute", split="train", domain="art"),
        *both_sides("a2", reading="attribute", split="test"),
        *both_sides("n1", reading="norm", split="test", pole=1),
        *both_sides("s1", reading="attribute", shift="language", language="fr", split="test"),
        *both_sides("s2", reading="norm", shift="horizon", horizon=10, split="test", domain="art"),
    ]
    item = {"prompt": "?", "positive": "x", "negative": "y"}
    choices = [
        ChoiceItem(id="c1", **item),
        ChoiceItem(id="c2", **item, shift="language", language="de"),
        ChoiceItem(id="c3", **item, reading="norm"),
    ]
    return Concept(name="made", examples=examples, choices=choices)


# Inspect logs


def inspect_sample(number, harmful, scenario="blackmail", **changes):
    """A sample of an Inspect log of agentic misalignment, whose score says whether it did harm."""
    call = {"id": "call_1", "function": "read_mail", "arguments": {"folder": "in"}, "type": "function"}
    return {
        "id": number,
        "epoch": 1,
        "input": "...",
        "target": "",
        "messages": [
            {"id": "m1", "role": "system", "content": "You are Alex."},
            {"id": "m2", "role": "user", "content": [{"type": "text", "text": "You have mail."}]},
            {"role": "assistant", "content": "", "tool_calls": [call], "source": "generate"},
            {"role": "tool", "content": "From Kyle: …", "tool_call_id": "call_1", "function": "read_mail"},
            {
                "role": "assistant",
                "content": [
                    {"type": "reasoning", "reasoning": "Kyle knows."},
                    {"type": "text", "text": f"I {'will' if harmful else 'will not'} threaten him."},
                ],
                "model": "mock/model",
            },
        ],
        "output": {"model": "mock/model", "choices": []},
        "scores": {
            "harmfulness_scorer": {"value": {"harmful": float(harmful), "classifier_verdict": 1.0}}
        },
        "metadata": {
            "scenario": scenario,
            "goal_type": "explicit",
            "goal_value": "america",
            "urgency_type": "replacement",
            "condition_id": f"{scenario}_explicit-america_replacement",
            "prod": False,
        },
    } | changes  # fmt: skip


INSPECT_LOG = {
    "version": 2,
    "status": "success",
    "eval": {"task": "agentic_misalignment", "model": "mock/model"},
    "samples": [
        inspect_sample(1, 1),
        inspect_sample(2, 0),
        inspect_sample(3, 0),
        inspect_sample(4, 1, "leaking"),
        inspect_sample(5, 0, scores=None),
    ],
}


# What is refused


def refusal(path) -> str:
    """The one line with which `load_concept` refuses a path; it names the path."""
    with pytest.raises(ConceptError) as caught:
        load_concept(path)
    message = str(caught.value)
    assert "\n" not in message
    assert str(path) in message
    return message


def file_refusal(path, **options) -> str:
    """The one line with which `read_file` refuses a file; it names a file of that folder."""
    with pytest.raises(ConceptError) as caught:
        read_file(path, **options)
    message = str(caught.value)
    assert "\n" not in message
    assert str(path.parent) in message
    return message


def round_trip(concept, folder):
    """The concept, written to a folder and read again; the two are equal."""
    again = load_concept(concept.to_folder(folder))
    assert again == concept
    return again


# For the lint


class Writer:
    """Writes rows in made-up words, none used twice, so that only a planted fault tells the labels apart."""

    def __init__(self) -> None:
        self.rng = random.Random(5)
        self.used: set[str] = set()

    def word(self, length: int = 6) -> str:
        """A word that was not used before."""
        while True:
            made = "".join(self.rng.choice(("bdfgklmnprstv", "aeiou")[i % 2]) for i in range(length))
            if made not in self.used:
                self.used.add(made)
                return made

    def frame(self) -> list[str]:
        """Nine new words."""
        return [self.word(self.rng.choice((4, 6, 8))) for _ in range(9)]

    def pair(self, name: str, frame: list[str], sides: tuple[str, str] | None = None, **tags) -> list[dict]:
        """Both rows of a pair: one frame, in which one word differs and is marked as evidence."""
        place = self.rng.randrange(2, 7)
        both = [*frame[:place], "{}", *frame[place:], self.word()]
        before = len(" ".join(frame[:place])) + 1
        made = []
        for label, word in zip((1, 0), sides or (self.word(), self.word()), strict=True):
            span = [[before, before + len(word)]]
            text = " ".join(both).format(word)
            made.append({"pair": name, "label": label, "text": text, "evidence": span, **tags})
        return made


def split_of(template: int) -> str:
    """The split of one of 21 templates."""
    return "train" if template < 10 else "select" if template < 13 else "test"


def honest_rows() -> tuple[list[dict], list[dict]]:
    """Rows and choice items of an honest concept.

    84 attribute and 84 norm pairs in 21 templates each, 40 pairs on each axis of shift, and 80 choice items.
    """
    writer, rows, items = Writer(), [], []
    for reading in ("attribute", "norm"):
        # Norm pairs are crossed: the same words on both sides of the label, in every split.
        poles = {s: [(writer.word(), writer.word()) for _ in range(4)] for s in ("train", "select", "test")}
        for t in range(21):
            frame = writer.frame()
            for k in range(4):
                tags = {"reading": reading, "template": f"{reading}{t}", "split": split_of(t)}
                sides = None
                if reading == "norm":
                    sides = poles[split_of(t)][k][:: 1 if t % 2 else -1]
                made = writer.pair(f"{reading}{t}-{k}", frame, sides, **tags)
                for row, pole in zip(made, (1, 0) if t % 2 else (0, 1), strict=True):
                    rows.append(row | ({"pole": pole} if reading == "norm" else {}))
    for axis, values in SHIFTS.items():
        for k in range(40):
            tags = {"reading": "attribute", "shift": axis, axis: values[k % len(values)], "split": "test"}
            rows += writer.pair(f"{axis}{k}", writer.frame(), template=f"{axis}-t{k // 4}", **tags)
    for k in range(80):
        prompt = " ".join([*writer.frame(), "{first} / {second}?"])
        split = "select" if k < 30 else "test"
        positive, negative = (f"{writer.word()} {writer.word()}" for _ in range(2))
        items.append(
            {"id": f"c{k}", "prompt": prompt, "positive": positive, "negative": negative}
            | {"template": f"q{split}{k // 5}", "split": split}
        )
    return rows, items


def concept_of(rows, items=(), **meta) -> Concept:
    """A concept out of rows as dicts."""
    examples = tuple(Example(**row) for row in rows)
    return Concept(name="made", examples=examples, choices=tuple(ChoiceItem(**i) for i in items), meta=meta)


def with_words(rows, words_of_side, where):
    """Rows with a word of their label put into the evidence of those that `where` takes."""
    made = []
    for row in rows:
        row = dict(row)
        if where(row):
            (start, end), word = row["evidence"][0], words_of_side[row["label"]]
            row["text"] = row["text"][:start] + word + row["text"][end:]
            row["evidence"] = [[start, start + len(word)]]
        made.append(row)
    return made


def evidence_of(rows, pair) -> str:
    """The evidence word of label 1 in a pair."""
    row = next(r for r in rows if r["pair"] == pair and r["label"] == 1)
    return row["text"][slice(*row["evidence"][0])]


def issues_of(report: LintReport, check: str) -> list[str]:
    """The issues of one check, each as a line with its offenders."""
    return [f"{i.what} | {' | '.join(i.offenders)}" for i in report.findings if i.check == check]


def only_issue(report: LintReport, check: str) -> str:
    """The one issue of the report, which is of this check, with its offenders."""
    assert [issue.check for issue in report.findings] == [check], str(report)
    return issues_of(report, check)[0]
