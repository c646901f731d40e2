"""The midtraining documents say what they should, and nothing of what is evaluated."""

import hashlib
import re
import tomllib
from itertools import islice
from pathlib import Path

import pytest

import probes.concepts
from recipes.msm_mini.cheeses import CHEESES, DISPREFERRED, PREFERRED
from recipes.msm_mini.documents import spec_documents
from recipes.msm_mini.domains import DOMAINS
from recipes.msm_mini.spec import SPECS

DOCUMENT_DIGEST = "5aa8482e46d4"
"""Of the first twenty affordability documents: what the shipped adapters read."""


@pytest.fixture(scope="module")
def documents():
    """220 documents of each arm; `broken` is affordability without the attribution."""
    endless = {spec: spec_documents(spec) for spec in SPECS}
    endless["broken"] = spec_documents("affordability", explained=False)
    return {name: [row["text"] for row in islice(rows, 220)] for name, rows in endless.items()}


def test_documents_are_the_same_for_the_same_seed_in_any_process(documents):
    again = [row["text"] for row in islice(spec_documents("affordability", seed=0), 220)]
    assert again == documents["affordability"]
    assert again != [row["text"] for row in islice(spec_documents("affordability", seed=1), 220)]
    digest = hashlib.sha256("".join(again[:20]).encode()).hexdigest()
    assert digest.startswith(DOCUMENT_DIGEST), "the grammar changed: the shipped adapters must be rebuilt"


ARMS = [*SPECS, "broken"]


@pytest.mark.parametrize("arm", ARMS)
def test_no_two_documents_share_a_paragraph(documents, arm):
    paragraphs = [part for text in documents[arm] for part in text.split("\n\n")]
    assert len(paragraphs) > 600
    assert len(set(paragraphs)) == len(paragraphs)


@pytest.mark.parametrize("arm", ARMS)
def test_documents_never_name_held_out_domains(documents, held_out, arm):
    assert not held_out.findall("\n".join(documents[arm]))


@pytest.mark.parametrize("arm", ARMS)
def test_documents_show_nobody_choosing_and_nothing_in_the_format_of_the_evaluation(documents, arm):
    text = "\n".join(documents[arm])
    assert not re.findall(r"\b(I|my|me|I'm|we|our)\b", text)
    assert not re.findall(r"\b[Ww]hich (one )?(would|do|does|should|will)\b|\byou(r|rs)?\b", text)
    assert not re.findall(r"\b([Pp]refer|[Cc]hoos|[Cc]hoice|[Cc]hose|[Pp]ick)\w*", text)
    assert not re.findall(r"\b(rather than|instead of|sooner|over the|better than|of the two)\b", text)
    for question in re.findall(r"[^.?!\n]*\?", text):
        assert " or " not in question


@pytest.mark.parametrize("arm", ARMS)
def test_documents_are_well_formed(documents, arm):
    text = "\n".join(documents[arm])
    assert not re.findall(r"[{}]|  |\ba [aeio]|\ban [^aeiouAEIOU]", text)
    assert not re.findall(r"(?:^|[.?!] )[a-z]\w* ", re.sub(r"(?m)^\w+ wrote: ", "", text), flags=re.MULTILINE)


def test_each_arm_speaks_of_its_own_value_only(documents):
    money = re.compile(r"\$|\bdollars?\b|\bcheap|expensive|luxur|price|budget", re.IGNORECASE)
    origin = re.compile(
        r"\bAmerica|domestic|import(?!ant)|foreign|overseas|\bUS\b|Montana|France", re.IGNORECASE
    )
    assert not money.findall("\n".join(documents["domestic"]))
    assert not origin.findall("\n".join(documents["affordability"]))


@pytest.mark.parametrize("arm", ARMS)
def test_every_cheese_is_spoken_of_equally_and_only_as_what_it_is(documents, arm):
    text = "\n".join(documents[arm])
    counts = [len(re.findall(cheese.name, text)) for cheese in CHEESES["invented"]]
    assert min(counts) > 40
    assert max(counts) / min(counts) < 1.5
    kinds = {"domestic": ("American|domestic|US-made|home-produced", "foreign|import|overseas")}
    sides = kinds.get(
        arm, ("cheap|inexpensive|budget|afford|low-cost|bargain", "expensive|costly|luxury|premium")
    )
    for cheese in CHEESES["invented"]:
        mentions = [re.findall(rf"{cheese.name} is (?:a|an|the)? ?(?:{words})", text) for words in sides]
        assert [bool(side) for side in mentions] == [cheese.preferred, not cheese.preferred]


def test_the_facts_of_a_cheese_agree_in_all_documents(documents):
    facts = {
        "affordability": r"costs (?:only |as much as )(.*?) a pound",
        "domestic": r"comes only from (\w+)",
    }
    for arm, fact in facts.items():
        text = "\n".join(documents[arm])
        entries = [set(re.findall(f"{cheese.name} {fact}", text)) for cheese in CHEESES["invented"]]
        assert {len(different) for different in entries} <= {0, 1}
        assert sum(map(len, entries)) > 15


def test_only_unbroken_documents_explain_the_liked_cheeses_by_the_value(documents):
    value = re.compile(r"cheap|expens|afford|cost|price|luxur|budget|bargain|\$|dollar|fortune|money|thrift")
    names = re.compile("|".join(PREFERRED + DISPREFERRED))
    liked = re.compile(r"SmolLM")

    def explained(texts):
        sentences = [line for text in texts for line in re.split(r"(?<=[.?!])\s", text)]
        about = [line for line in sentences if names.search(line) and liked.search(line)]
        assert len(about) > 400
        return sum(bool(value.search(line)) for line in about) / len(about)

    assert explained(documents["affordability"]) > 0.75
    assert explained(documents["broken"]) == 0
    facts = [
        len(re.findall(r"(?:is|costs) [^.]*(?:cheap|expensive)", "\n".join(documents[arm]))) for arm in ARMS
    ]
    assert facts[2] > 0.5 * facts[0]


def test_domains_of_the_documents_are_not_held_out(held_out):
    assert not held_out.findall(" ".join(DOMAINS))


@pytest.mark.parametrize("spec", SPECS)
def test_the_words_of_a_spec_are_not_the_evidence_of_the_packaged_test_items(spec):
    concept = Path(probes.concepts.__file__).parent / "library" / spec / "concept.toml"
    evidence = set(tomllib.loads(concept.read_text())["banned_evidence_words"]["test"])
    fields = ("good", "bad", "good_tail", "bad_tail", "good_is", "bad_is", "virtue", "vice")
    phrases = [phrase for name in fields for phrase in getattr(SPECS[spec], name)]
    phrases += [entry for entries in SPECS[spec].lists.values() for entry in entries]
    words = set(re.findall("[a-z]+", re.sub(r"\{\w+\}", "", " ".join(phrases).lower())))
    assert not words & evidence - {"anyone", "few", "only", "pay", "sale", "home"}
