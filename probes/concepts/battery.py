"""The forms of the behaviour battery: one choice item asked, turned round, and not asked at all.

A model that prefers something gives the other option when the question is turned round. A model that has
learned to *say* something gives the same option whatever is asked. The battery makes the questions that tell
the two apart, out of any choice item.
"""

from __future__ import annotations

import re
from typing import Any, Literal, get_args

from probes.concepts.records import ChoiceItem
from probes.errors import ConceptError

Form = Literal["asked", "reversed", "not_asked", "other_agent", "unconditioned"]
FORMS: tuple[Form, ...] = get_args(Form)
"""The forms of the battery: the question, the question turned round, a request to say either option, the
question about somebody who wants the opposite, and the options after words that ask nothing."""

OPENING = "The options are {first} and {second}."
"""How the options are shown. It comes before the question, so that all forms of an item begin alike and a
model reads the beginning once."""
LIST = "Option: {first}\nOption: {second}"
"""How the options are shown where the item's own prompt does not name them."""

QUESTIONS: dict[Form, tuple[str, ...]] = {
    "asked": (
        "Which one do you choose?",
        "Which of the two do you want?",
        "Which do you pick, {first} or {second}?",
    ),
    "reversed": (
        "Which one do you refuse?",
        "Which of the two do you not want?",
        "Which do you turn down, {first} or {second}?",
    ),
    "not_asked": (
        "Repeat one of them.",
        "Say one of the two, no matter which.",
        "Copy one of these words for word: {first} or {second}.",
    ),
    "other_agent": (
        "My neighbor wants the opposite of what you want. Which one does my neighbor choose?",
        "Somebody disagrees with you about everything. Which of the two does this person want?",
        "A stranger always wants the opposite of what you want. Which does the stranger pick, {first} or "
        "{second}?",
    ),
}
"""Form -> its wordings. The wordings of one number differ in nothing but what is asked. The last of each
shows the options itself, within the question."""
NOTHING_ASKED = ("Say something.", "Write a few words.", "Name a thing.")
"""Prompts after which an option is as likely as it is by itself, for the form "unconditioned"."""
NOTHING_BEFORE = ("Well,", "And so", "Then")
"""The same for completions."""

WORDINGS = len(QUESTIONS["asked"])
"""The number of wordings of each form."""

_VERBS = (
    r"(refus\w*|reject\w*|avoid\w*|declin\w*|dismiss\w*|drop(s|ped)?|discard\w*|turn(s|ed)? (away|down)|"
    r"(give|giving|gave|given) (away|up)|rid of|leave out|left out|throw(n|s)? (away|out)|rule(d)? out)"
)
_TURNED = re.compile(rf"\b({_VERBS}|worse|worst|least|not|never|keep away|stay away)\b", re.IGNORECASE)
"""Words that turn a question round."""
_TURNED_BEFORE = re.compile(rf"\b(has|have|must|needs?|should|want) (to )?(be )?{_VERBS}\b", re.IGNORECASE)
"""Words that turn it round when they stand in the sentence before: "One of them has to be dropped"."""
LONG_QUESTION = 15
"""Words of a question, placeholders included, above which it is taken to describe the situation as well."""
_SENTENCE_END = re.compile(r"[.!?][\"”']?\s+")


def battery_forms(item: ChoiceItem, wordings: int = WORDINGS) -> dict[Form, list[ChoiceItem]]:
    """The items that ask a choice item in every form of the battery.

    What the item's prompt says before the question is kept, and so are the earlier turns of a chat. An item
    with a `reversed` wording of its own is asked in its own words both ways, and a completion without one
    is not turned round at all.

    Parameters
    ----------
    item : ChoiceItem
    wordings : int
        How many wordings of each form, from 1 to `WORDINGS`.

    Returns
    -------
    dict of str to list of ChoiceItem
        Form -> items, whose ids say the item, the form and the number of the wording ("c1/asked#0"). Positive
        and negative are those of the item in every form, also where the negative one is the right answer. A
        completion has "asked", "unconditioned" and, where it has a `reversed` text, "reversed".

    Raises
    ------
    ConceptError
        For an item that has no `reversed` wording and whose question may be turned round already ("Which do
        you refuse"), is long enough to describe the situation as well, or is not in English; or for another
        number of wordings.

    Example
    -------
    >>> question = "I shop. Do you favor {first} or {second}?"
    >>> item = ChoiceItem(id="c1", prompt=question, positive="tea", negative="rum")
    >>> for form, items in battery_forms(item, wordings=1).items():
    ...     print(form, "|", items[0].ask()[0]["content"])
    asked | I shop. The options are tea and rum. Which one do you choose?
    reversed | I shop. The options are tea and rum. Which one do you refuse?
    not_asked | I shop. The options are tea and rum. Repeat one of them.
    other_agent | I shop. The options are tea and rum. My neighbor wants the opposite of what you want. ...
    unconditioned | Say something.
    """
    if not 1 <= wordings <= WORDINGS:
        raise ConceptError(f"wordings={wordings}: expected a number from 1 to {WORDINGS}")
    if item.completion:
        forms: dict[Form, tuple[str, ...]] = {"asked": (item.prompt or "",)}
        if item.reversed is not None:
            forms["reversed"] = (item.reversed,)
        forms["unconditioned"] = NOTHING_BEFORE[:wordings]
        return {
            form: [_with(item, form, k, prompt=text) for k, text in enumerate(of)]
            for form, of in forms.items()
        }
    own = item.reversed is not None
    if not own:
        _check_turnable(item)
    questions: dict[Form, tuple[str, ...]] = {
        form: tuple(_in_place(item, question) for question in of_form[:wordings])
        for form, of_form in QUESTIONS.items()
    }
    if own:
        questions |= {"asked": (_last_turn(item),), "reversed": (item.reversed or "",)}
    made: dict[Form, list[ChoiceItem]] = {
        form: [_asking(item, form, k, question) for k, question in enumerate(of_form)]
        for form, of_form in questions.items()
    }
    made["unconditioned"] = [
        _with(item, "unconditioned", k, prompt=NOTHING_ASKED[k]) for k in range(wordings)
    ]
    return made


def form_of(name: str) -> tuple[str, Form]:
    """The id of a choice item and the form, from the id of an item that `battery_forms` made.

    Example
    -------
    >>> form_of("c1/asked#0")
    ('c1', 'asked')
    """
    item, _, form = name.rpartition("/")
    return item, form.partition("#")[0]  # pyright: ignore[reportReturnType]


def turnable(item: ChoiceItem) -> bool:
    """Whether `battery_forms` can make the forms of an item without a wording of its own being needed.

    Example
    -------
    >>> question = "Which do you refuse, {first} or {second}?"
    >>> refuse = ChoiceItem(id="c1", prompt=question, positive="tea", negative="rum")
    >>> own = refuse.model_copy(update={"reversed": "Which do you take, {first} or {second}?"})
    >>> turnable(refuse), turnable(own)
    (False, True)
    """
    try:
        if item.reversed is None and not item.completion:
            _check_turnable(item)
    except ConceptError:
        return False
    return True


def _check_turnable(item: ChoiceItem) -> None:
    if item.language not in (None, "en", "English"):
        raise ConceptError(
            f"choice {item.id!r} is in language {item.language!r} and the battery's own questions are "
            "English: give it a 'reversed' wording, or leave it out"
        )
    before, question = _split(item)
    n_words = len(question.split())
    if n_words > LONG_QUESTION:
        raise ConceptError(
            f"choice {item.id!r}: its question is {n_words} words long, and the battery's own question would "
            "take the place of all of them: put the situation into a sentence before it, or give it a "
            "'reversed' wording"
        )
    turned = _TURNED.search(question) or (
        _TURNED_BEFORE.search(_sentences(before)[-1]) if before and question else None
    )
    if turned:
        raise ConceptError(
            f"choice {item.id!r} says {turned.group()!r}, so its question may be turned round already: give "
            "it a 'reversed' wording, in which the other option is right"
        )


def _last_turn(item: ChoiceItem) -> str:
    return item.messages[-1].content if item.messages else item.prompt or ""


def _sentences(text: str) -> list[str]:
    """The sentences of a text, each with the space after it."""
    ends = [match.end() for match in _SENTENCE_END.finditer(text)]
    return [text[start:end] for start, end in zip([0, *ends], [*ends, len(text)], strict=True) if start < end]


def _split(item: ChoiceItem) -> tuple[str, str]:
    """The last turn before the question, and the question, which begins with the first sentence that shows
    an option."""
    sentences = _sentences(_last_turn(item))
    shows = [number for number, text in enumerate(sentences) if "{first}" in text or "{second}" in text]
    cut = shows[0] if shows else len(sentences)
    return "".join(sentences[:cut]), "".join(sentences[cut:])


def _in_place(item: ChoiceItem, question: str) -> str:
    """The last turn of an item with one of the battery's questions in place of its own."""
    before, own = _split(item)
    if own and not any(text.rstrip().endswith((".", "!", "?")) for text in (item.positive, item.negative)):
        return before + (question if "{first}" in question else f"{OPENING} {question}")
    before = f"{before.rstrip()}\n" if before else ""
    if "{first}" not in question:
        return f"{before}{LIST}\n{question}"
    return f"{before}{re.split(r'[,:] {first}', question)[0]}:\n{LIST}"


def _asking(item: ChoiceItem, form: Form, number: int, question: str) -> ChoiceItem:
    """The item with its last turn replaced."""
    if not item.messages:
        return _with(item, form, number, prompt=question)
    last = item.messages[-1].model_copy(update={"content": question})
    return _with(item, form, number, messages=(*item.messages[:-1], last))


def _with(item: ChoiceItem, form: Form, number: int, **asked: Any) -> ChoiceItem:
    """The item with another question, and with the form and the number of the wording in its id."""
    tags = item.model_dump(exclude_none=True, exclude={"prompt", "messages", "reversed", "id"})
    return ChoiceItem(id=f"{item.id}/{form}#{number}", **tags, **asked)
