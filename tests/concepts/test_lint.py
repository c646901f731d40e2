"""The lint: it lets an honest concept pass, and finds each fault that is planted in it, where it is."""

from __future__ import annotations

import json
import random
import re
from pathlib import Path

import numpy as np
import pytest

import probes
from probes.cli import main
from probes.concepts import ChoiceItem, Concept, Example, list_concepts, load_concept
from probes.concepts.linting import LintReport, lint, read_tokenizer
from probes.concepts.linting.sides import unmatched_sides
from probes.concepts.linting.words import content_words, words
from probes.errors import ConceptError, TokenizerError

VALUES = {
    "wording": ("paraphrase", "indirect", "bundled"),
    "domain": ("healthcare_triage", "customer_service"),
    "language": ("es", "zh"),
    "horizon": ("10", "agent"),
    "pressure": ("flattery", "urgency"),
}


class Writer:
    """Writes rows in made-up words, none used twice, so that only a planted fault tells the labels apart."""

    def __init__(self) -> None:
        self.rng = random.Random(5)
        self.used: set[str] = set()

    def word(self, length: int = 6) -> str:
        while True:
            made = "".join(self.rng.choice(("bdfgklmnprstv", "aeiou")[i % 2]) for i in range(length))
            if made not in self.used:
                self.used.add(made)
                return made

    def frame(self) -> list[str]:
        return [self.word(self.rng.choice((4, 6, 8))) for _ in range(9)]

    def pair(self, name: str, frame: list[str], sides: tuple[str, str] | None = None, **tags) -> list[dict]:
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
    return "train" if template < 10 else "select" if template < 13 else "test"


@pytest.fixture(scope="module")
def honest():
    """Rows of an honest concept: 84 attribute and 84 norm pairs in 21 templates each, 40 pairs on each axis
    of shift, 80 choice items and more on the axes."""
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
    for axis, values in VALUES.items():
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
    examples = tuple(Example(**row) for row in rows)
    return Concept(name="made", examples=examples, choices=tuple(ChoiceItem(**i) for i in items), meta=meta)


@pytest.fixture
def quick(monkeypatch):
    """Leaves out the surface classifiers, which take all the time."""
    monkeypatch.setattr("probes.concepts.linting.checks.separation", lambda *_, **__: ([], [], []))


def found(report: LintReport, check: str) -> list[str]:
    return [f"{f.what} | {' | '.join(f.offenders)}" for f in report.findings if f.check == check]


def only(report: LintReport, check: str) -> str:
    """The one finding of the report, which is of this check, with its offenders."""
    assert [f.check for f in report.findings] == [check], str(report)
    return found(report, check)[0]


def test_an_honest_concept_passes(honest):
    report = probes.lint(concept_of(*honest))
    assert report.passed, str(report)
    assert str(report) == "made: passed"
    table = report.table
    assert set(table["rows"]) == {"attribute pairs", "norm pairs", "choice options"}
    assert set(table["axis"]) == {"canonical", *VALUES}
    assert set(table["surface"]) == {"word_ngrams", "char_ngrams", "length"}
    values = table.filter(rows="attribute pairs", axis="language")["value"]
    assert set(values) == {None, "es", "zh"}
    assert (table["ci_low"] <= table["auroc"]).all()
    assert (table["auroc"] <= table["ci_high"]).all()


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
    shared = found(report, "evidence")
    assert any("train and test" in line and "cheap (positive side)" in line for line in shared)
    assert any("dear (negative side): attribute0-0" in line for line in shared)
    surface = found(report, "surface")
    assert any("attribute pairs, canonical: word_ngrams" in line and "cheap" in line for line in surface)
    assert "attribute13-0" in "".join(surface)
    assert {f.check for f in report.findings} == {"evidence", "surface"}


def test_one_train_word_in_one_pair_of_a_shift_is_named(honest, quick):
    rows, items = honest
    told = next(r for r in rows if r["pair"] == "attribute3-2" and r["label"] == 1)
    word = told["text"][slice(*told["evidence"][0])]
    leaky = with_words(rows, {1: word}, lambda r: r["pair"] == "pressure7" and r["label"] == 1)
    line = only(lint(concept_of(leaky, items)), "evidence")
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
    (line,) = found(lint(concept_of(rows)), "evidence")
    assert line.endswith(
        "kindly (positive side): p0, p3, p6 and 2 more in train, p15, p18, p21 and 2 more in test"
    )
    rows[0]["messages"] = chat(("user", "x"), ("assistant", writer.word()))
    assert not found(lint(concept_of(rows)), "evidence")


def test_a_word_on_the_other_side_or_on_both_is_no_evidence(honest, quick):
    rows, items = honest
    told = next(r for r in rows if r["pair"] == "attribute3-2" and r["label"] == 1)
    word = told["text"][slice(*told["evidence"][0])]
    crossed = with_words(rows, {0: word}, lambda r: r["pair"] == "pressure7" and r["label"] == 0)
    assert not found(lint(concept_of(crossed, items)), "evidence")


def test_an_axis_that_leaks_alone_is_found_with_its_value(honest):
    rows, items = honest
    leaky = with_words(
        rows, {1: "cheap", 0: "dear"}, lambda r: r["reading"] == "attribute" and "shift" not in r
    )
    leaky = with_words(leaky, {1: "cheap", 0: "dear"}, lambda r: r.get("language") == "es")
    leaky = with_words(
        leaky, {1: "plain", 0: "fancy"}, lambda r: r.get("split") == "test" and "shift" not in r
    )
    report = lint(concept_of(leaky, items))
    leaks = {tuple(row) for row in report.table.filter("leaks")["axis", "value"].iter_rows()}
    assert leaks == {("language", None), ("language", "es")}


def test_length_is_found_by_its_mean_and_by_the_classifier(honest):
    rows, items = honest
    longer = [
        r | {"text": r["text"] + " and more of the same again"}
        if r["label"] == 1 and r["reading"] == "norm"
        else r
        for r in rows
    ]
    report = lint(concept_of(longer, items))
    assert any("norm pairs, canonical: label 1 is longer by" in line for line in found(report, "balance"))
    assert any("norm pairs, canonical: length tells" in line for line in found(report, "surface"))
    assert any("norm0-0:" in line for line in found(report, "sides"))


def test_poles_that_give_the_norm_away_are_found(honest, quick):
    rows, items = honest
    plain = [r | {"pole": r["label"]} if "pole" in r else r for r in rows]
    line = only(lint(concept_of(plain, items)), "balance")
    assert (
        "the attribute gives the label away | canonical: pole 1 in 100% of the rows of label 1 and 0%" in line
    )


def test_options_of_unlike_length_are_found(honest):
    rows, items = honest
    unlike = [i | {"positive": i["positive"] + ", as far as I can tell"} for i in items]
    report = lint(concept_of(rows, unlike))
    assert any("choice options, canonical: label 1 is longer" in line for line in found(report, "balance"))
    assert any("choice options, canonical: length tells" in line for line in found(report, "surface"))


def test_options_in_a_fixed_order_are_found(honest, quick):
    rows, items = honest
    fixed = [
        i | {"prompt": i["prompt"].format(first=i["positive"], second=i["negative"])} if n > 4 else i
        for n, i in enumerate(items)
    ]
    line = only(lint(concept_of(rows, fixed)), "balance")
    assert line.startswith("choice items: the positive option comes first in 100% of 75 items | c5 | c6")
    letters = [i | {"positive": "(B)", "negative": "(A)", "prompt": i["prompt"][:40]} for i in items]
    assert any("first in 0% of 80" in line for line in found(lint(concept_of(rows, letters)), "balance"))


def test_templates_of_one_label_are_found(quick):
    rows = [
        {"pair": f"p{n}", "label": int(n % 10 < 8), "text": f"{n} is a number", "template": str(n // 10)}
        for n in range(40)
    ]
    report = lint(concept_of(rows))
    assert any("template 0: 8 rows of label 1, 2 of label 0" in line for line in found(report, "balance"))


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
    line = only(lint(concept_of([*rows, *sides], items)), "duplicates")
    assert "attribute15-1 (test) and copy (wording): overlap 1.00" in line
    named = [side | {"restates": "attribute15-1"} for side in sides]
    assert lint(concept_of([*rows, *named], items)).passed
    trained = [side | {"restates": "attribute2-1"} for side in sides]
    report = lint(concept_of([*rows, *trained], items))
    assert "copy: restates 'attribute2-1', which is in split train" in found(report, "structure")[0]
    unknown = [side | {"restates": "nobody"} for side in sides]
    assert "is no canonical row" in found(lint(concept_of([*rows, *unknown], items)), "structure")[0]
    twice = [i if i["id"] != "c79" else items[3] | {"id": "c79", "split": "test"} for i in items]
    assert "c3 (select) and c79 (test)" in "".join(found(lint(concept_of(rows, twice)), "duplicates"))


def test_sides_that_differ_outside_their_evidence_are_found(honest, quick):
    rows, items = honest
    edited = [
        r | {"text": r["text"] + "!"} if r["pair"] == "attribute4-1" and r["label"] == 0 else r for r in rows
    ]
    line = only(lint(concept_of(edited, items)), "sides")
    assert line.startswith("pairs whose sides differ outside the evidence | attribute4-1: ")
    free = [r | {"unmatched": True} if r["pair"] == "attribute4-1" else r for r in edited]
    assert lint(concept_of(free, items)).passed
    tagged = [r | {"domain": "art"} if r["pair"] == "attribute4-1" and r["label"] else r for r in rows]
    assert "attribute4-1: domain is 'art' and None" in only(lint(concept_of(tagged, items)), "sides")
    alone = [r for r in rows if r["pair"] != "attribute4-1" or r["label"]]
    assert "attribute4-1: only label 1" in "".join(found(lint(concept_of(alone, items)), "sides"))


def chat(*turns):
    return [{"role": role, "content": content} for role, content in turns]


def test_chats_differ_in_their_last_turn_alone(quick):
    one = chat(("user", "which lamp?"), ("assistant", "the plain one"))
    other = chat(("user", "which lamp?"), ("assistant", "the gilded one"))
    rephrased = chat(("user", "what lamp?"), ("assistant", "the gilded one"))
    rows = [{"pair": "a", "label": 1, "messages": one}, {"pair": "a", "label": 0, "messages": other}]
    assert not found(lint(concept_of(rows)), "sides")
    rows[1]["messages"] = rephrased
    assert "a: turn 1 (user): 'which lamp?' and 'what lamp?'" in found(lint(concept_of(rows)), "sides")[0]
    rows[1]["messages"] = [*other, *one]
    assert "a: 2 turns and 4" in found(lint(concept_of(rows)), "sides")[0]
    rows[1] = {"pair": "a", "label": 0, "text": "plain"}
    assert "one side is a text and the other a chat" in found(lint(concept_of(rows)), "sides")[0]


def test_structure_of_splits_and_axes(honest, quick):
    rows, items = honest
    moved = [
        r | {"template": "attribute2"} if r["pair"].startswith(("attribute15-", "horizon1")) else r
        for r in rows
    ]
    line = only(lint(concept_of(moved, items)), "structure")
    assert line.endswith("| attribute attribute2: horizon, test, train")
    torn = [r | {"split": "test"} if r["pair"] == "attribute2-1" and r["label"] else r for r in rows]
    told = "".join(found(lint(concept_of(torn, items)), "structure"))
    assert "pairs in more than one split | attribute attribute2-1: test, train" in told
    unsaid = [r | {"language": "fr"} if r["pair"] == "attribute15-1" else r for r in rows]
    assert "attribute15-1: language = 'fr'" in only(lint(concept_of(unsaid, items)), "structure")


def test_banned_words_are_kept_out_of_the_evidence_of_other_splits(honest, quick):
    rows, items = honest
    told = next(r for r in rows if r["pair"] == "attribute15-2" and r["label"] == 1)
    word = told["text"][slice(*told["evidence"][0])]
    for split, expected in (("train", [f"attribute15-2 (test) holds {word}: banned by train"]), ("test", [])):
        report = lint(concept_of(rows, items, banned_evidence_words={split: (word,)}))
        assert [line for f in report.findings for line in f.offenders] == expected


def test_people_s_own_tables_are_read_on_folds():
    rng = np.random.default_rng(0)
    nouns = [f"thing{n}" for n in range(60)]
    leaky = [{"text": f"the {n} is {('no ', '')[k % 2]}good", "label": k % 2} for k, n in enumerate(nouns)]
    report = lint(leaky)
    assert "pairs: no train and test splits, so surface AUROCs are out of fold" in report.notes
    assert {f.check for f in report.findings} >= {"surface", "balance"}
    assert report.table.filter(surface="word_ngrams")["auroc"].item() > 0.95
    fair = [{"text": f"the {n} is good", "label": int(rng.integers(2))} for n in nouns]
    assert not found(lint(fair), "surface")
    few = lint(leaky[:4])
    assert any("were not fitted" in note or "too few" in note for note in few.notes)
    with pytest.raises(ConceptError, match="only label 1"):
        lint([{"text": "a", "label": 1}])


def test_texts_that_a_tokenizer_cuts(tiny_llama_dir, quick):
    rows = [
        {"pair": "a", "label": 1, "text": "the chair " * 80},
        {"pair": "a", "label": 0, "text": "the lamp"},
    ]
    tokenizer, context = read_tokenizer(tiny_llama_dir)
    assert context == 128
    report = lint(concept_of(rows), tokenizer=tokenizer, context=context)
    n_tokens = len(tokenizer(rows[0]["text"])["input_ids"])
    assert found(report, "length") == [
        f"1 texts are longer than the context window of 128 tokens | a, label 1: {n_tokens} tokens"
    ]
    assert any("knows no context window" in n for n in lint(concept_of(rows), tokenizer=tokenizer).notes)
    with pytest.raises(TokenizerError, match="no tokenizer"):
        read_tokenizer(tiny_llama_dir.parent)


def test_words_of_any_script():
    assert words("Don't stop: l'été, 3rd—便宜的 lamp_x") == [
        "don't",
        "stop",
        "l'été",
        "3rd",
        "便",
        "宜",
        "的",
        "lamp",
        "x",
    ]
    assert content_words("The artist's own lamp") == {"artist", "lamp"}


def test_report_counts_the_rest_and_is_json(honest, quick):
    rows, items = honest
    edited = [r | {"text": r["text"] + "!"} if r["label"] == 0 and "shift" in r else r for r in rows]
    report = lint(concept_of(edited, items))
    sides = next(f for f in report.findings if f.check == "sides")
    assert len(sides.offenders) == 200
    text = report.text()
    assert "    and 195 more\n  " in text
    assert "    do: make them the same there" in text
    told = json.loads(json.dumps(report.to_dict()))
    assert told["passed"] is False
    assert len(next(f for f in told["findings"] if f["check"] == "sides")["offenders"]) == 200
    assert len(told["surface"]) == report.table.height
    assert "made" in report._repr_html_()
    assert repr(report) == f"LintReport('made', {len(report.findings)} findings)"


def test_command(capsys, tmp_path, honest):
    good = concept_of(*honest).to_folder(tmp_path / "good")
    bad = tmp_path / "bad.csv"
    bad.write_text("text,label\n" + "".join(f"{'yes' if n % 2 else 'no'} {n},{n % 2}\n" for n in range(40)))
    assert main(["concepts", "lint", str(good)]) == 0
    assert capsys.readouterr().out.startswith("made: passed")
    assert main(["concepts", "lint", str(good), str(bad), "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert [(r["concept"], r["passed"]) for r in told] == [("made", True), ("bad", False)]
    assert main(["concepts", "lint", "nobody"]) == 2
    assert re.match(r"error: no concept 'nobody'", capsys.readouterr().err)


def test_rows_shown_to_authors_are_what_they_say():
    page = (Path(__file__).parents[2] / "docs" / "writing-concepts.md").read_text(encoding="utf-8")
    rows = [json.loads(r) for b in re.findall(r"```json\n(.+?)```", page, re.DOTALL) for r in b.splitlines()]
    examples = [Example(**row) for row in rows if "pair" in row]
    items = [ChoiceItem(**row) for row in rows if "id" in row]
    assert {e.shift for e in examples} == {None, *VALUES}
    assert {e.reading for e in examples} == {"attribute", "norm"}
    assert all(len(e.messages or ()) >= 8 for e in examples if e.shift == "horizon")
    assert len(items) == 2
    whole = [e for e in examples if sum(o.pair == e.pair for o in examples) == 2]
    shown = Concept(name="shown", examples=tuple(whole))
    assert shown.n_pairs == 4
    assert unmatched_sides(shown) == ([], [])


@pytest.mark.parametrize("name", list_concepts())
def test_packaged_concepts_pass(name):
    report = lint(load_concept(name))
    assert report.passed, str(report)
