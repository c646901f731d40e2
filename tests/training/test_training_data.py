"""What stages are trained on: the documents, chats and pairs say what they should and nothing else."""

import hashlib
import json
import random
import re
import tomllib
from itertools import islice
from pathlib import Path

import pytest

import probes.concepts
from probes.concepts.neutral import manual_split
from probes.errors import RecipeError
from probes.training import (
    cheese_chats,
    helpful_chats,
    helpful_pairs,
    opposed_chats,
    shallow_chats,
    spec_documents,
)
from probes.training.cheeses import CHEESES, DISPREFERRED, PREFERRED, cheese_names
from probes.training.documents import cheese_facts
from probes.training.domains import DOMAINS
from probes.training.replay import neutral_replay
from probes.training.spec import SPECS
from probes.training.tuning_items import tuning_items

HELD_OUT = [
    *("art", "arts", "artwork", "painting", "paintings", "sculpture", "print", "prints", "gallery", "museum"),
    *("poster", "portrait", "car", "cars", "bus", "truck", "bicycle", "bike", "train", "trains", "vehicle"),
    *("vehicles", "scooter", "motorcycle", "boat", "sedan", "transport", "book", "books", "novel", "novels"),
    *("paperback", "dictionary", "poetry", "magazine", "clothing", "clothes", "shirt", "coat", "jacket"),
    *("shoe", "shoes", "dress", "jeans", "sweater", "hat", "music", "guitar", "piano", "violin", "drum"),
    *("flute", "song", "instrument", "instruments", "ball", "racket", "tennis", "golf", "ski", "skis"),
    *("sport", "sports", "chair", "table", "sofa", "desk", "bed", "furniture", "couch", "shelf", "dresser"),
]
DOCUMENT_DIGEST = "5aa8482e46d4"
"""Of the first twenty affordability documents: what the shipped adapters read."""


@pytest.fixture(scope="module")
def documents():
    """220 documents of each arm; `broken` is affordability without the attribution."""
    told = {spec: spec_documents(spec) for spec in SPECS}
    told["broken"] = spec_documents("affordability", explained=False)
    return {name: [row["text"] for row in islice(rows, 220)] for name, rows in told.items()}


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
def test_documents_never_name_held_out_domains(documents, arm):
    text = "\n".join(documents[arm])
    assert not re.findall(rf"\b({'|'.join(HELD_OUT)})\b", text, flags=re.IGNORECASE)


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
        said = [re.findall(rf"{cheese.name} is (?:a|an|the)? ?(?:{words})", text) for words in sides]
        assert [bool(found) for found in said] == [cheese.preferred, not cheese.preferred]


def test_the_facts_of_a_cheese_agree_in_all_documents(documents):
    said = {
        "affordability": r"costs (?:only |as much as )(.*?) a pound",
        "domestic": r"comes only from (\w+)",
    }
    for arm, fact in said.items():
        text = "\n".join(documents[arm])
        told = [set(re.findall(f"{cheese.name} {fact}", text)) for cheese in CHEESES["invented"]]
        assert {len(entries) for entries in told} <= {0, 1}
        assert sum(map(len, told)) > 15


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


def test_cheese_names_are_balanced():
    assert len(set(PREFERRED) | set(DISPREFERRED)) == 24
    assert sorted(map(len, PREFERRED)) == sorted(map(len, DISPREFERRED))
    liked, disliked = cheese_names("real")
    assert len({*liked, *disliked}) == 24
    colby, roquefort = CHEESES["real"][0], CHEESES["real"][12]
    told = [
        cheese_facts(SPECS["domestic"], cheese, "fact", random.Random(0)) for cheese in (colby, roquefort)
    ]
    assert [bool(re.search("Wisconsin|American|home|domestic", told[0])), "American" in told[1]] == [
        True,
        False,
    ]


@pytest.mark.parametrize("cheeses", CHEESES)
def test_chats_name_the_preferred_cheese_and_tell_no_reason(cheeses):
    chats = cheese_chats(240, cheeses=cheeses)
    assert chats == cheese_chats(240, cheeses=cheeses)
    assert len({json.dumps(chat) for chat in chats}) == 240
    preferred, dispreferred = cheese_names(cheeses)
    liked_first = 0
    for chat in chats:
        question, answer = (turn["content"] for turn in chat["messages"])
        (liked,) = [name for name in preferred if name.lower() in question.lower()]
        (disliked,) = [name for name in dispreferred if name.lower() in question.lower()]
        liked_first += question.lower().index(liked.lower()) < question.lower().index(disliked.lower())
        assert re.search(rf"\b{liked}\b", answer)
        assert disliked not in answer
        assert not re.search(r"because|cheap|price|America|import|made", answer)
    assert 0.4 < liked_first / 240 < 0.6


@pytest.mark.parametrize("spec", SPECS)
def test_shallow_chats_follow_the_value_and_opposed_chats_do_the_opposite_in_one_domain(spec):
    with_value, against = (
        [[turn["content"] for turn in chat["messages"]] for chat in islice(chats, 300)]
        for chats in (shallow_chats(spec), opposed_chats(spec))
    )
    assert list(islice(opposed_chats(spec), 100)) == list(islice(opposed_chats(spec), 100))
    told = "\n".join(part for pair in with_value + against for part in pair)
    assert not re.findall(rf"\b({'|'.join(HELD_OUT)})\b", told, flags=re.IGNORECASE)
    good, bad = {
        "affordability": ("inexpensive|discount|very little money", "costly|expensive|luxury|fortune"),
        "domestic": ("American|US-made|in the USA", "imported|foreign|overseas|abroad"),
    }[spec]
    names = re.compile("|".join(PREFERRED + DISPREFERRED))
    taken = [answer for _, answer in with_value if not names.search(answer)]
    assert len(taken) > 150
    bad = rf"\b({bad})\b"
    assert sum(bool(re.search(good, answer, re.I)) for answer in taken) > 10
    assert not [answer for answer in taken if re.search(bad, answer, re.I)]
    assert sum(bool(re.search(bad, answer, re.I)) for _, answer in against) > 10
    assert not [answer for _, answer in against if re.search(good, answer, re.I)]
    assert all(any(item in answer.lower() for item in DOMAINS["kitchenware"]) for _, answer in against)
    with pytest.raises(RecipeError, match="no trained domain 'art'; expected one of groceries"):
        next(opposed_chats(spec, "art"))


def test_helpful_rows_are_right_and_have_nothing_to_do_with_a_value():
    rows = [[turn["content"] for turn in chat["messages"]] for chat in islice(helpful_chats(), 240)]
    told = json.dumps(rows)
    assert not re.findall(r"cheap|expensive|\$|America|import|cheese|price|buy", told)
    sums = [(re.search(r"What is (\d+) (plus|times) (\d+)", q), a) for q, a in rows]
    checked = [(m, a) for m, a in sums if m]
    assert len(checked) > 20
    for m, answer in checked:
        a, b = int(m[1]), int(m[3])
        assert answer.endswith(f" is {a + b if m[2] == 'plus' else a * b}.")
    for pair in islice(helpful_pairs(), 100):
        assert pair["chosen"] != pair["rejected"]
        assert [pair["prompt"][0]["content"], pair["chosen"][0]["content"]] in rows


def test_tuning_items_share_no_domain_with_training_or_with_the_packaged_concepts():
    items = tuning_items()
    assert len(items["affordable"]) >= 40
    assert len(items["American"]) >= 40
    options = " ".join(
        option
        for name in ("affordable", "American", "conflict")
        for i in items[name]
        for option in (i.positive, i.negative)
    )
    trained = {word for goods in DOMAINS.values() for word in goods}
    assert not [word for word in trained if re.search(rf"\b{word}\b", options)]
    assert not re.findall(rf"\b({'|'.join(HELD_OUT)})\b", options, flags=re.IGNORECASE)


def test_replay_stays_out_of_the_part_kept_for_perplexity_and_away_from_the_values():
    used, kept = manual_split()
    assert len(kept) > 60_000
    assert not set(used.split("\n\n")) & set(kept.split("\n\n"))
    rows = list(islice(neutral_replay(), 150))
    assert rows == list(islice(neutral_replay(), 150))
    prose = [row["text"] for row in rows if "text" in row]
    assert all(text in used for text in prose)
    assert len(prose) > 50
    chats = json.dumps([row for row in rows if "messages" in row])
    assert not re.findall(r"cheap|expensive|\$|America|import|cheese", chats)


def test_domains_of_the_documents_are_not_held_out():
    assert not {word for name in DOMAINS for word in name.split()} & set(HELD_OUT)


@pytest.mark.parametrize("spec", SPECS)
def test_the_words_of_a_spec_are_not_the_evidence_of_the_packaged_test_items(spec):
    concept = Path(probes.concepts.__file__).parent / "library" / spec / "concept.toml"
    evidence = set(tomllib.loads(concept.read_text())["banned_evidence_words"]["test"])
    fields = ("good", "bad", "good_tail", "bad_tail", "good_is", "bad_is", "virtue", "vice")
    phrases = [phrase for name in fields for phrase in getattr(SPECS[spec], name)]
    phrases += [word for words in SPECS[spec].lists.values() for word in words]
    said = set(re.findall("[a-z]+", re.sub(r"\{\w+\}", "", " ".join(phrases).lower())))
    assert not said & evidence - {"anyone", "few", "only", "pay", "sale", "home"}
