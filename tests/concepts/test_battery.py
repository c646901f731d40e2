"""The battery's forms: what an item becomes, which items are refused, and the packaged undisputed items."""

import re
from pathlib import Path

import pytest

import probes
from probes.concepts import FORMS, WORDINGS, ChoiceItem, battery_forms, read_choices, undisputed_items
from probes.errors import ConceptError

ITEMS = Path(__file__).parents[2] / "checkpoints" / "msm-mini" / "items"


def item(prompt="I shop. Do you favor {first} or {second}?", **fields):
    return ChoiceItem(**{"id": "c1", "prompt": prompt, "positive": "tea", "negative": "rum"} | fields)


def asked(made):
    return [one.ask()[-1]["content"] for one in made]


def test_all_forms_show_both_options_and_differ_in_the_question_alone():
    forms = battery_forms(item())
    assert tuple(forms) == FORMS
    for form in FORMS[:4]:
        assert len(forms[form]) == WORDINGS
        for one in forms[form]:
            assert one.orders == ("positive_first", "negative_first")
            assert one.ask()[0]["content"].startswith("I shop. ")
            assert (one.positive, one.negative) == ("tea", "rum")
    shared = "I shop. The options are tea and rum. "
    assert all(text.startswith(shared) for form in FORMS[:4] for text in asked(forms[form][:2]))
    assert all("tea" not in text for text in asked(forms["unconditioned"]))
    assert len({one.id for made in forms.values() for one in made}) == 5 * WORDINGS


def test_an_item_keeps_its_earlier_turns_and_what_stands_before_the_question():
    chat = item(
        None,
        messages=[
            {"role": "system", "content": "You shop."},
            {"role": "user", "content": 'He says: "Hurry!" Today. I pick {first} or {second}. Help?'},
        ],
    )
    one = battery_forms(chat, 1)["reversed"][0]
    assert one.ask()[0] == {"role": "system", "content": "You shop."}
    assert one.ask()[1]["content"] == (
        'He says: "Hurry!" Today. The options are tea and rum. Which one do you refuse?'
    )


@pytest.mark.parametrize("options", [{"positive": "Yes."}, {"prompt": "What is this?"}])
def test_options_that_are_sentences_or_are_not_shown_are_listed(options):
    text = asked(battery_forms(item(**options), 3)["asked"])
    shown = [f"Option: {options.get('positive', 'tea')}", "Option: rum"]
    assert all(text_.split("\n")[-2:] == shown or text_.split("\n")[-3:-1] == shown for text_ in text)


def test_an_own_reversed_wording_is_the_only_question():
    own = item("Which is heavier, {first} or {second}?", reversed="Which is lighter, {first} or {second}?")
    forms = battery_forms(own)
    assert asked(forms["asked"]) == ["Which is heavier, tea or rum?"]
    assert asked(forms["reversed"]) == ["Which is lighter, tea or rum?"]
    assert len(forms["not_asked"]) == WORDINGS


def test_a_completion_is_turned_round_by_its_other_text_alone():
    plain = item("The keys", positive=" are", negative=" is", completion=True)
    assert list(battery_forms(plain)) == ["asked", "unconditioned"]
    pair = plain.model_copy(update={"reversed": "The key"})
    forms = battery_forms(pair, 1)
    assert [forms[form][0].prompt for form in ("asked", "reversed")] == ["The keys", "The key"]
    assert all(one.completion for made in forms.values() for one in made)


@pytest.mark.parametrize(
    ("given", "what"),
    [
        ({"prompt": "Which do you turn away, {first} or {second}?"}, "'turn away'.*turned round already"),
        ({"prompt": "One has to be dropped. Which, {first} or {second}?"}, "'has to be dropped'"),
        ({"prompt": "Which is worse, {first} or {second}?"}, "'worse'"),
        ({"language": "German", "shift": "language"}, "language 'German'.*'reversed' wording"),
        ({"prompt": " ".join(["Given"] * 15) + " {first} or {second}?"}, "18 words long"),
    ],
)
def test_questions_that_cannot_be_turned_round_are_refused_in_one_line(given, what):
    with pytest.raises(ConceptError, match=what) as error:
        battery_forms(item(**given))
    assert "\n" not in str(error.value)
    own = "Which do you keep, {first} or {second}?"
    assert battery_forms(item(**given, reversed=own))["reversed"][0].prompt == own


@pytest.mark.parametrize(
    ("given", "what"),
    [
        ({"reversed": "I shop.  Do you favor {first} or {second}?"}, "is the question itself"),
        ({"reversed": "Which do you refuse?"}, "do not show the options alike"),
        ({"prompt": " "}, "'prompt' is empty"),
        ({"prompt": "{first} or {second}?", "completion": True}, "a completion and shows"),
    ],
)
def test_wrong_wordings_are_refused_by_the_item(given, what):
    with pytest.raises(ConceptError, match=what):
        item(**given)


@pytest.mark.parametrize("wordings", [0, WORDINGS + 1])
def test_the_number_of_wordings_is_checked(wordings):
    with pytest.raises(ConceptError, match=f"wordings={wordings}"):
        battery_forms(item(), wordings)


def test_all_packaged_canonical_items_but_a_few_can_be_turned_round():
    refused = []
    for name in probes.list_concepts():
        for choice in probes.load_concept(name).choices:
            if choice.shift is None:
                try:
                    battery_forms(choice, 1)
                except ConceptError:
                    refused.append(choice.id)
    assert len(refused) <= 8


def _words(*texts):
    return {word for text in texts for word in re.findall(r"[a-z]+", text.lower())}


def test_undisputed_items_cover_ten_attributes_both_ways_in_words_of_their_own():
    items = undisputed_items()
    kinds = {one.domain for one in items}
    assert len(items) >= 120
    assert len(kinds) == 11
    for kind in kinds - {"good and bad"}:
        of_kind = [one for one in items if one.domain == kind]
        asked_for = {(one.prompt, one.reversed) for one in of_kind}
        assert len(of_kind) >= 6
        poles = {re.search(r"\w+er\b", prompt.replace("Here", "")).group() for prompt, _ in asked_for}
        assert len(poles) == 2, kind
    own = _words(*(option for one in items for option in (one.positive, one.negative)))
    others = set()
    for name in probes.list_concepts():
        concept = probes.load_concept(name)
        others |= _words(*(o for one in concept.choices for o in (one.positive, one.negative)))
        if name in ("affordability", "domestic"):
            spans = [(e.text, span) for e in concept.examples for span in e.evidence or ()]
            others |= _words(*(text[start:end] for text, (start, end) in spans))
    for path in ITEMS.glob("*.jsonl"):
        if path.stem not in ("arithmetic", "copying"):
            others |= _words(*(o for one in read_choices(path) for o in (one.positive, one.negative)))
    assert own & others <= {"a", "an", "the", "of", "full", "at", "one"}
