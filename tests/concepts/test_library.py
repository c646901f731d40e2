"""The packaged concepts: what they promise beyond what the lint asks of any concept."""

from __future__ import annotations

import re
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from probes.concepts import (
    list_concepts,
    load_concept,
)

READINGS_OF = {
    "affordability": ("attribute", "norm"),
    "candor": ("norm",),
    "domestic": ("attribute", "norm"),
    "fairness": ("norm",),
    "harmlessness": ("norm",),
    "oversight": ("norm",),
    "privacy": ("norm",),
    "uncertainty": ("norm",),
}
LIBRARY_VALUES = {
    "wording": {"paraphrase", "indirect", "bundled"},
    "domain": {
        "healthcare_triage",
        "legal_assistant",
        "internal_copilot",
        "customer_service",
        "enterprise_support",
    },
    "language": {"es", "fr", "de", "zh"},
    "pressure": {"flattery", "authority", "urgency", "ambiguity", "adversarial"},
}


FUNCTION_WORDS = set(
    re.findall(
        r"\w+",
        """
    a an the of to in on at for than and or by with from it its was were is are be that his her their my
    your our as any every each one two no not had has have up so who which he she they we i me us them
    him himself herself then under over out into beside behind near before while within inside through
    above down off again still all once this there how what would should could do does did if between
    about along against until after both same most other some something someone well three four five six
    nine ten am pair outside here
    """,
    )
)


def words(text):
    return {w for w in re.findall(r"[a-z']+", text.lower().replace("'s", "")) if w not in FUNCTION_WORDS}


def texts_of(concept, split):
    """Everything of one split that a model reads, but for the closing question of a choice prompt."""
    options = [o for c in concept.choices if c.split == split for o in (c.positive, c.negative)]
    return [e.text for e in concept.examples if e.split == split] + options


def evidence_words(concept, split):
    """Marked words of the pairs, and words of choice options that are on one side only."""
    marked = (e.text[a:b] for e in concept.examples if e.split == split for a, b in e.evidence)
    differing = (words(c.positive) ^ words(c.negative) for c in concept.choices if c.split == split)
    return set().union(*map(words, marked), *differing)


@pytest.fixture(params=["affordability", "domestic"])
def packaged(request):
    return load_concept(f"{request.param}/attribute").canonical


def test_library_holds_exactly_these_concepts_under_their_own_names():
    assert list_concepts() == sorted(READINGS_OF)
    assert [load_concept(name).name for name in list_concepts()] == list_concepts()


@pytest.mark.parametrize("name", READINGS_OF)
def test_library_has_every_reading_and_axis_and_enough_pairs_of_each(name):
    concept = load_concept(name)
    assert concept.readings == READINGS_OF[name]
    for reading in concept.readings:
        canonical = concept.canonical.read_as(reading)
        assert canonical.n_pairs >= 120, reading
        assert canonical.select(split="test").n_pairs >= 40, reading
        assert len(set(canonical.templates)) >= 12, reading
    assert len(concept) == 2 * concept.n_pairs
    assert len(concept.choices) >= 100
    for axis in ("wording", "domain", "language", "horizon", "pressure"):
        assert concept.shift(axis).n_pairs >= 40, axis
    for axis, values in LIBRARY_VALUES.items():
        assert set(concept.axes[axis]) == values, axis
    assert all(len(e.messages or ()) >= 8 for e in concept.examples if e.shift == "horizon")
    assert all(e.evidence or e.messages or e.unmatched for e in concept.examples)
    assert {e.split for e in concept.examples} == {"train", "select", "test"}
    assert concept.definition
    assert concept.clause
    assert concept.meta.licence == "Apache-2.0"


def test_library_counts(packaged):
    pairs = {split: packaged.select(split=split).n_pairs for split in ("train", "select", "test")}
    items = {split: sum(c.split == split for c in packaged.choices) for split in ("select", "test")}
    assert (pairs["train"] >= 60, pairs["select"] >= 20, pairs["test"] >= 40) == (True, True, True), pairs
    assert (items["select"] >= 30, items["test"] >= 80) == (True, True), items
    assert packaged.labels.sum() == packaged.n_pairs
    assert len(set(packaged.texts())) == len(packaged)
    assert len(set(packaged.templates)) >= 12
    assert len({c.template for c in packaged.choices}) >= 8
    assert {e.domain for e in packaged.examples} == {c.domain for c in packaged.choices}
    assert all(c.orders == ("positive_first", "negative_first") for c in packaged.choices)


def test_library_sides_differ_only_in_the_evidence(packaged):
    def frame(example):
        text = example.text
        for start, end in reversed(example.evidence):
            text = f"{text[:start]}[]{text[end:]}"
        return text

    for one, other in zip(packaged.examples[::2], packaged.examples[1::2], strict=True):
        assert one.pair == other.pair
        assert frame(one) == frame(other)
        assert len(one.text.split()) == len(other.text.split())
        assert 10 <= len(one.text.split()) <= 22
        assert words(one.text) != words(other.text)


def test_library_options_are_matched(packaged):
    for item in packaged.choices:
        sizes = len(item.positive.split()), len(item.negative.split())
        assert sizes[0] == sizes[1], item
        assert 3 <= sizes[0] <= 7, item
    assert len({(c.positive, c.negative) for c in packaged.choices}) == len(packaged.choices)


def test_library_length_does_not_tell_the_label(packaged):
    for split in ("train", "select", "test"):
        sides = {
            label: [len(e.text) for e in packaged.select(split=split).examples if e.label == label]
            for label in (0, 1)
        }
        assert abs(np.mean(sides[1]) - np.mean(sides[0])) < 3


def test_library_splits_share_no_template(packaged):
    kept = {t: {e.split for e in packaged.examples if e.template == t} for t in set(packaged.templates)}
    kept |= {
        c.template: {d.split for d in packaged.choices if d.template == c.template} for c in packaged.choices
    }
    assert {t: s for t, s in kept.items() if len(s) > 1} == {}


def test_library_splits_share_no_content_word(packaged):
    """Evidence, object nouns and the rest: beyond function words no split holds a word of another."""
    held = {s: set().union(*map(words, texts_of(packaged, s))) for s in ("train", "select", "test")}
    for one, other in combinations(held, 2):
        assert held[one] & held[other] == set(), (one, other)


def test_library_bans_the_evidence_words_of_each_split(packaged):
    for split in ("train", "select", "test"):
        assert set(packaged.meta.banned_evidence_words[split]) <= evidence_words(packaged, split)
    carried = [evidence_words(packaged, split) for split in ("train", "select", "test")]
    for one, other in combinations(carried, 2):
        assert one.isdisjoint(other)


def test_every_packaged_concept_is_a_clause_of_the_spec():
    spec = (Path(__file__).parents[2] / "docs" / "spec.md").read_text()
    rows = dict(re.findall(r"^\| `(\w+)` \| (.+) \|$", spec, re.M))
    for name in list_concepts():
        assert rows.get(name) == load_concept(name).clause, name
