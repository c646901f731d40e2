"""Words that mark the same label in training and in testing are found."""

from __future__ import annotations

from probes.concepts.linting import lint
from tests.concepts.makers import Writer, chat, concept_of, evidence_of, issues_of, only_issue, with_words


def test_words_that_tell_the_label_in_train_and_test_are_found_twice(honest):
    rows, items = honest
    leaky = with_words(
        rows,
        {1: "cheap", 0: "dear"},
        lambda r: (
            r["reading"] == "attribute" and r.get("split") and "shift" not in r and r["pair"][-1] in "01"
        ),
    )
    report = lint(concept_of(leaky, items))
    shared = issues_of(report, "evidence")
    assert any("train and test" in line and "cheap (positive side)" in line for line in shared)
    assert any("dear (negative side): attribute0-0" in line for line in shared)
    surface = issues_of(report, "surface")
    assert any("attribute pairs, canonical: word_ngrams" in line and "cheap" in line for line in surface)
    assert "attribute13-0" in "".join(surface)
    assert {f.check for f in report.findings} == {"evidence", "surface"}


def test_one_train_word_in_one_pair_of_a_shift_is_named(honest, quick):
    rows, items = honest
    word = evidence_of(rows, "attribute3-2")
    leaky = with_words(rows, {1: word}, lambda r: r["pair"] == "pressure7" and r["label"] == 1)
    line = only_issue(lint(concept_of(leaky, items)), "evidence")
    assert line == (
        "attribute pairs: 1 evidence words mark the same label in train and pressure | "
        f"{word} (positive side): attribute3-2 in train, pressure7 in pressure"
    )


def test_words_that_recur_in_the_last_turns_of_chats_are_evidence(quick):
    writer, rows = Writer(), []
    for n in range(30):
        for label in (1, 0):
            kind = ("kindly", "")[1 - label] if n % 3 == 0 else ""
            answer = " ".join([*(writer.word() for _ in range(7)), kind])
            messages = chat(("user", writer.word()), ("assistant", answer))
            split = "train" if n < 15 else "test"
            rows.append({"pair": f"p{n}", "label": label, "messages": messages, "split": split})
    (line,) = issues_of(lint(concept_of(rows)), "evidence")
    assert line.endswith(
        "kindly (positive side): p0, p3, p6 and 2 more in train, p15, p18, p21 and 2 more in test"
    )
    rows[0]["messages"] = chat(("user", "x"), ("assistant", writer.word()))
    assert not issues_of(lint(concept_of(rows)), "evidence")


def test_a_word_on_the_other_side_or_on_both_is_no_evidence(honest, quick):
    rows, items = honest
    word = evidence_of(rows, "attribute3-2")
    crossed = with_words(rows, {0: word}, lambda r: r["pair"] == "pressure7" and r["label"] == 0)
    assert not issues_of(lint(concept_of(crossed, items)), "evidence")


def test_banned_words_are_kept_out_of_the_evidence_of_other_splits(honest, quick):
    rows, items = honest
    word = evidence_of(rows, "attribute15-2")
    for split, expected in (("train", [f"attribute15-2 (test) holds {word}: banned by train"]), ("test", [])):
        report = lint(concept_of(rows, items, banned_evidence_words={split: (word,)}))
        assert [line for f in report.findings for line in f.offenders] == expected
