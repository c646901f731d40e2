"""A concept's columns, its parts, its digest and its texts."""

from __future__ import annotations

import hashlib

import pytest

from probes.concepts import (
    ChoiceItem,
    Concept,
    Example,
    load_concept,
)
from probes.errors import ConceptError, TokenizerError
from tests.concepts.makers import GOOD, both_sides, shifted
from tests.makers import tiny_tokenizer


def test_digest_is_of_the_content_alone():
    content = '[[{"label":1,"pair":"a","text":"é"},{"label":0,"pair":"a","text":"n"}],[]]'
    examples = (Example(pair="a", label=1, text="é"), Example(text="n", label=0, pair="a"))
    assert Concept(name="x", examples=examples).digest == hashlib.sha256(content.encode()).hexdigest()
    concept = load_concept("domestic")
    assert concept.model_copy(update={"name": "x", "clause": "y"}).digest == concept.digest
    first, *rest = concept.examples
    assert (
        Concept(name="x", examples=(*rest, first)).digest
        != Concept(name="x", examples=concept.examples).digest
    )
    retagged = first.model_copy(update={"split": "test"})
    assert (
        Concept(name="x", examples=(retagged, *rest)).digest
        != Concept(name="x", examples=(first, *rest)).digest
    )
    assert Concept(name="x", examples=concept.examples).digest != concept.digest  # the choices are gone


def test_chats_are_rendered_by_the_tokenizer():
    turns = [{"role": "user", "content": "hi"}]
    concept = Concept(
        name="x",
        examples=[Example(pair="1", label=1, messages=turns), Example(pair="1", label=0, text="plain")],
    )

    tokenizer = tiny_tokenizer()
    tokenizer.chat_template = "{% for m in messages %}{{ m.role }}:{{ m.content }}{% endfor %}"
    assert concept.texts(tokenizer) == ["user:hi", "plain"]
    tokenizer.chat_template = "{{ raise_exception('roles must alternate') }}"
    with pytest.raises(TokenizerError, match="row 1: the chat template refused it: roles must alternate"):
        concept.texts(tokenizer)
    tokenizer.chat_template = None
    with pytest.raises(TokenizerError, match=r"row 1 is a chat and the tokenizer \(\w+\) has no chat"):
        concept.texts(tokenizer)


def test_select_by_fields():
    concept = load_concept("affordability").core
    test = concept.select(split="test")
    assert set(test.splits) == {"test"}
    assert {item.split for item in test.choices} == {"test"}
    both = concept.select(split=["select", "test"], domain={"art", "music"})
    assert {e.domain for e in both.examples} == {c.domain for c in both.choices} == {"art", "music"}
    assert {e.split for e in both.examples} == {"select", "test"}
    assert concept.select(split=("train", "select", "test")) == concept
    with pytest.raises(ConceptError, match=r"select\(spilt=...\) is not a field"):
        concept.select(spilt="test")
    with pytest.raises(ConceptError, match=r"select\(label=1\) leaves .*only label 1 among 120 rows"):
        concept.select(label=1)
    with pytest.raises(ConceptError, match=r"select\(domain='opera'\) leaves .*no example"):
        concept.select(domain="opera")


def test_canonical_pairs_and_shifts_are_parts():
    concept = shifted()
    assert concept.readings == ("attribute", "norm")
    assert concept.axes == {"language": ("de", "fr"), "horizon": ("10",)}
    assert list(dict.fromkeys(concept.canonical.groups)) == ["a1", "a2", "n1"]
    assert [c.id for c in concept.canonical.choices] == ["c1", "c3"]
    language = concept.shift("language")
    assert (set(language.groups), [c.id for c in language.choices]) == ({"s1"}, ["c2"])
    assert concept.shift("language", "fr").choices == ()
    assert set(concept.shift("horizon", 10).groups) == {"s2"}
    with pytest.raises(ConceptError, match=r"made: shift\('pressure'\) leaves .*no example"):
        concept.shift("pressure")
    with pytest.raises(ConceptError, match=r"shift\('size'\): expected one of wording, domain"):
        concept.shift("size")
    with pytest.raises(ConceptError, match=r"canonical leaves .*no example"):
        language.canonical  # noqa: B018


def test_what_is_measured_by_default_is_canonical_and_of_one_reading():
    concept = shifted()
    assert concept.splits.tolist() == ["train"] * 2 + ["test"] * 2 + [None] * 6
    norm = concept.read_as("norm")
    assert norm.name == "made/norm"
    assert norm.splits.tolist() == ["test"] * 2 + [None] * 2
    assert [c.id for c in norm.choices] == ["c1", "c2", "c3"]
    assert [c.id for c in concept.read_as("attribute").choices] == ["c1", "c2"]
    with pytest.raises(ConceptError, match="no pairs of reading 'attribute': its readings are norm"):
        norm.read_as("attribute")
    with pytest.raises(ConceptError, match="its readings are none that is marked"):
        Concept(name="x", examples=both_sides("p")).read_as("norm")


def test_one_reading_by_name(tmp_path):
    path = shifted().to_folder(tmp_path / "made")
    assert load_concept(path) == shifted()
    assert load_concept(f"{path}/norm") == shifted().read_as("norm")
    assert load_concept("affordability/attribute").name == "affordability/attribute"
    with pytest.raises(ConceptError, match="no concept 'nobody'"):
        load_concept("nobody/norm")
    with pytest.raises(ConceptError, match="no concept 'affordability/role'"):
        load_concept("affordability/role")


def test_core_is_the_canonical_part_of_the_first_reading():
    def pair(name, **fields):
        return [Example(pair=name, label=k, text=f"{name} {k}", **fields) for k in (0, 1)]

    examples = [*pair("n", reading="norm"), *pair("a", reading="attribute")]
    moved = pair("w", reading="attribute", shift="wording", wording="paraphrase", split="test")
    items = [
        ChoiceItem(id="c", prompt="{first} or {second}?", positive="a", negative="b"),
        ChoiceItem(
            id="f", prompt="?", positive="a", negative="b", shift="language", language="fr", split="test"
        ),
    ]
    concept = Concept(name="both", examples=(*examples, *moved), choices=tuple(items))
    assert concept.core.groups.tolist() == ["a", "a"]
    assert [item.id for item in concept.core.choices] == ["c"]
    assert concept.read_as("norm").core.groups.tolist() == ["n", "n"]
    plain = Concept(name="plain", examples=tuple(pair("p")))
    assert plain.core is plain


def test_frame_and_summary(concept_folder):
    frame = load_concept(concept_folder()).frame()
    assert frame.columns == ["pair", "label", "split", "text", "evidence"]
    assert frame["text"].to_list() == [row["text"] for row in GOOD]
    shown = load_concept("affordability").core._repr_html_()
    assert "<td>split</td><td>train</td><td>120</td><td>0</td>" in shown
    assert "<td>split</td><td>test</td><td>80</td><td>80</td>" in shown
    assert "&lt;b&gt;" in Concept(name="<b>", examples=GOOD)._repr_html_()
