"""Copies of one text and twins are one unit, and the packaged concepts' units are their pairs."""

import numpy as np
import pytest

import probes
from probes.concepts import Concept
from probes.concepts.units import units_of_examples

WORDS = ["chair", "table", "book", "lamp", "Ohio", "Texas", "red", "blue", "green", "old", "new"]


def units(texts: list[str], labels: list[int], pairs: list[str] | None = None) -> list[str]:
    names = pairs or [f"row{i}" for i in range(len(texts))]
    rows = [{"pair": p, "label": y, "text": t} for p, y, t in zip(names, labels, texts, strict=True)]
    return Concept(name="c", examples=rows).groups.tolist()


@pytest.mark.parametrize("name", probes.list_concepts())
def test_units_of_packaged_concepts_are_their_pairs(name: str):
    concept = probes.load_concept(name)
    for part in (concept, concept.core):
        assert part.groups.tolist() == [example.pair for example in part.examples]
        assert part.n_pairs == len({example.pair for example in part.examples})


@pytest.mark.parametrize(
    "copy",
    [
        "A cheap hat",
        "a cheap hat.",
        "  a  cheap\that ",
        "A CHEAP HAT!",
        "\ufeffa cheap hat",
        "a cheap ｈａｔ",
    ],
)
def test_copies_of_a_text_are_one_unit(copy: str):
    texts = ["a cheap hat", copy, "rain fell on the old town all night", "nobody was at home"]
    assert units(texts, [1, 1, 0, 1]) == ["row0", "row0", "row2", "row3"]


def test_texts_without_words_are_compared_as_they_are():
    assert units([":)", ":(", ":)"], [1, 0, 1]) == ["row0", "row1", "row0"]


def test_pairs_that_share_a_text_are_one_unit():
    texts = ["a hat", "no hat", "a hat", "some coat"]
    assert units(texts, [1, 0, 1, 0], ["p", "p", "q", "q"]) == ["p"] * 4


def test_chats_are_compared_turn_by_turn():
    def chat(answer: str) -> list[dict]:
        return [{"role": "user", "content": "Brie?"}, {"role": "assistant", "content": answer}]

    rows = [{"messages": chat(a), "label": y, "pair": a} for a, y in (("Yes.", 1), ("yes", 1), ("No.", 0))]
    assert probes.load_concept(rows).groups.tolist() == ["Yes.", "Yes.", "No."]


@pytest.mark.parametrize("order", ["side by side", "one half after the other", "shuffled"])
def test_twins_without_pair_ids_are_paired(order: str):
    rng = np.random.default_rng(0)
    frames = [
        f"{rng.choice(WORDS)} {i} was sold in {rng.choice(WORDS)} {rng.choice(WORDS)}" for i in range(60)
    ]
    rows = [
        (f"the {word} {frame}", y, i)
        for i, frame in enumerate(frames)
        for y, word in ((1, "cheap"), (0, "dear"))
    ]
    if order != "side by side":
        rows = (
            sorted(rows, key=lambda row: row[1])
            if order.startswith("one")
            else [rows[i] for i in rng.permutation(120)]
        )
    concept = Concept.from_frame([{"text": text, "label": y} for text, y, _ in rows])
    assert concept.n_pairs == 60
    partners: dict[str, set[int]] = {}
    for unit, (_, _, number) in zip(concept.groups, rows, strict=True):
        partners.setdefault(unit, set()).add(number)
    assert all(len(numbers) == 1 for numbers in partners.values())


def test_a_concept_with_pairs_gets_no_others():
    texts = [
        "the cheap hat was sold in Ohio",
        "the costly hat was sold in Ohio",
        "the cheap lamp was sold in Ohio",
    ]
    assert units([*texts, "the costly lamp was sold in Ohio"], [1, 0, 1, 0], ["p", "p", "q", "r"]) == [
        "p",
        "p",
        "q",
        "r",
    ]


def test_texts_that_share_few_words_are_no_twins():
    assert units(["rain fell on the town", "nobody was at home then"], [1, 0]) == ["row0", "row1"]


def test_random_labels_of_repeated_texts_are_no_independent_evidence():
    rng = np.random.default_rng(1)
    texts = [f"{' '.join(rng.choice(WORDS, 5))} {i}" for i in range(60)]
    rows = [
        {"text": t, "label": int(y)}
        for t, y in zip(texts, rng.integers(0, 2, 60), strict=True)
        for _ in range(3)
    ]
    concept = Concept.from_frame(rows)
    same_text = np.array(concept.texts())
    assert all(len(set(concept.groups[same_text == text])) == 1 for text in texts)
    row = probes.lint(concept).table.filter(surface="word_ngrams")
    assert row["ci_low"].item() < 0.5 < row["ci_high"].item()


def test_units_are_found_anew_for_another_choice_of_examples():
    rows = [
        {"pair": f"p{i // 2}", "label": i % 2, "text": f"a {'hat' if i % 2 else 'coat'} {i // 4}"}
        for i in range(8)
    ]
    concept = Concept(name="c", examples=rows)
    assert concept.groups.tolist() == ["p0"] * 4 + ["p2"] * 4
    assert units_of_examples(concept.examples[:2]).tolist() == ["p0", "p0"]
    assert concept.model_copy(update={"examples": concept.examples[4:]}).groups.tolist() == ["p2"] * 4
