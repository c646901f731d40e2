"""Aligning: which tokens of two prompts correspond, in which role, and which items are left out."""

import pytest

import probes
from probes.concepts import ChoiceItem
from probes.errors import ConceptError
from probes.locating import align, exchanged_by
from tests.makers import price_concept


@pytest.fixture(scope="module")
def context(tiny_lineage_dir):
    return probes.run_context(probes.load_lineage(tiny_lineage_dir)["mid"], progress=False)


def pair(prompt, reversed, name="k1"):
    options = {"positive": " sold", "negative": " lamp", "completion": True}
    return ChoiceItem(id=name, prompt=prompt, reversed=reversed, **options)


def words(context, exchange, role, side):
    ids = [exchange.prompts[side][tokens[side]] for tokens in exchange.roles.get(role, ())]
    return context.tokenizer.decode(ids).split()


def test_the_words_that_differ_are_the_evidence_and_the_rest_corresponds(context):
    aligned = align([pair("a cheap chair for Ohio", "a costly chair for Ohio")], context)
    [exchange] = aligned.exchanges
    assert exchange.whole
    assert words(context, exchange, "evidence", 0) != words(context, exchange, "evidence", 1)
    for role in ("after", "last"):
        assert words(context, exchange, role, 0) == words(context, exchange, role, 1)
    taken = [tokens[0] for role in ("evidence", "after", "last") for tokens in exchange.roles[role]]
    assert len(taken) == len(set(taken))
    assert max(taken) == len(exchange.prompts[0]) - 1


def test_words_of_different_lengths_are_aligned_at_their_ends(context):
    aligned = align([pair("a chair for Ohio", "a plain costly lamp for Ohio")], context)
    [exchange] = aligned.exchanges
    assert not exchange.whole
    n, m = map(len, exchange.prompts)
    assert exchange.roles["last"] == ((n - 1, m - 1, 1),)
    assert all(n - i == m - j for i, j, _ in (*exchange.roles["evidence"], *exchange.roles["after"]))
    assert "by the last tokens" in aligned.note


def test_a_last_word_that_differs_is_the_last_token_alone(context):
    [exchange] = align([pair("for Ohio the chair", "for Ohio the lamp")], context).exchanges
    assert [*exchange.roles] == ["last"]


def test_options_correspond_by_the_place_in_which_they_are_presented(context):
    [exchange] = align(price_concept().choices[:1], context).exchanges
    item = price_concept().choices[0]
    signs = [sign for *_, sign in exchange.roles["options"]]
    assert signs == sorted(signs, reverse=True)
    assert set(signs) == {1, -1}
    decode = context.tokenizer.decode
    positive, negative = item.positive.split(), item.negative.split()
    first = decode([exchange.prompts[0][t[0]] for t in exchange.roles["options"] if t[2] == 1]).split()
    there = decode([exchange.prompts[1][t[1]] for t in exchange.roles["options"] if t[2] == 1]).split()
    assert first == positive[-len(first) :]
    assert there == negative[-len(there) :]
    # The first option of each side is the one that is presented first there.
    assert exchange.options[0] == exchange.options[1][::-1]


def test_a_question_is_exchanged_with_itself_turned_round_in_both_orders(context):
    aligned = align(price_concept().choices[:2], context, "question")
    assert [one.id for one in aligned.exchanges] == ["c0", "c0", "c1", "c1"]
    assert all(one.options[0] == one.options[1] for one in aligned.exchanges)


@pytest.mark.parametrize(
    ("items", "what"),
    [
        ([], "no choice items"),
        ([pair("a chair", "a lamp"), price_concept().choices[0]], "1 of 2 choice items are completions"),
        ([pair("a chair for Ohio", None)], "has one text"),
        ([pair("a chair", "a plain chair")], "only adds words"),
        ([ChoiceItem(id="c", prompt="what", positive="a", negative="b")], "does not present its options"),
    ],
)
def test_what_cannot_be_aligned_is_said_in_one_line(context, items, what):
    with pytest.raises(ConceptError, match=what) as error:
        align(items, context)
    assert "\n" not in str(error.value)


def test_one_that_cannot_be_aligned_is_left_out_by_name(context):
    items = [pair("a cheap chair", "a costly chair"), pair("a chair", "a plain chair", "k2")]
    aligned = align(items, context)
    assert list(aligned.left_out) == ["k2"]
    assert "1 left out" in aligned.note


def test_kinds(context):
    assert exchanged_by([pair("a chair", "a lamp")]) == "text"
    with pytest.raises(ConceptError, match="exchanged='all'"):
        align([pair("a chair", "a lamp")], context, "all")
