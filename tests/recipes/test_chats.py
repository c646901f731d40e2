"""The chats and preference pairs say what they should: a preference, a value, its opposite, or neither."""

import json
import random
import re
from itertools import islice

import pytest

from probes.errors import RecipeError
from recipes.msm_mini.chats import cheese_chats
from recipes.msm_mini.cheeses import CHEESES, DISPREFERRED, PREFERRED, cheese_names
from recipes.msm_mini.documents import cheese_facts
from recipes.msm_mini.domains import DOMAINS
from recipes.msm_mini.everyday import CHATS
from recipes.msm_mini.helpful import helpful_chats, helpful_pairs
from recipes.msm_mini.spec import SPECS
from recipes.msm_mini.value_chats import opposed_chats, shallow_chats


def test_cheese_names_are_balanced():
    assert len(set(PREFERRED) | set(DISPREFERRED)) == 24
    assert sorted(map(len, PREFERRED)) == sorted(map(len, DISPREFERRED))
    liked, disliked = cheese_names("real")
    assert len({*liked, *disliked}) == 24
    colby, roquefort = CHEESES["real"][0], CHEESES["real"][12]
    liked_fact, disliked_fact = (
        cheese_facts(SPECS["domestic"], cheese, "fact", random.Random(0)) for cheese in (colby, roquefort)
    )
    assert re.search("Wisconsin|American|home|domestic", liked_fact)
    assert "American" not in disliked_fact


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
def test_shallow_chats_follow_the_value_and_opposed_chats_do_the_opposite_in_one_domain(spec, held_out):
    with_value, against = (
        [[turn["content"] for turn in chat["messages"]] for chat in islice(chats, 300)]
        for chats in (shallow_chats(spec), opposed_chats(spec))
    )
    assert list(islice(opposed_chats(spec), 100)) == list(islice(opposed_chats(spec), 100))
    assert not held_out.findall("\n".join(part for pair in with_value + against for part in pair))
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
    assert not re.findall(r"cheap|expensive|\$|America|import|cheese|price|buy", json.dumps(rows))
    sums = [(re.search(r"What is (\d+) (plus|times) (\d+)", q), a) for q, a in rows]
    checked = [(m, a) for m, a in sums if m]
    assert len(checked) > 20
    for m, answer in checked:
        a, b = int(m[1]), int(m[3])
        assert answer.endswith(f" is {a + b if m[2] == 'plus' else a * b}.")
    for pair in islice(helpful_pairs(), 100):
        assert pair["chosen"] != pair["rejected"]
        assert [pair["prompt"][0]["content"], pair["chosen"][0]["content"]] in rows


def test_everyday_chats_have_nothing_to_do_with_a_value():
    assert len(set(CHATS)) == 40
    assert all(question and answer for question, answer in CHATS)
    assert not re.findall(r"cheap|expensive|\$|America|import|cheese", json.dumps(CHATS))
