"""The rows of a concept: labelled examples and choice items, each of which checks itself.

They stand apart from `Concept` so that a row can be checked before the file or table around it is known.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import Annotated, Literal, Self, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, model_validator

from probes.concepts.fields import Identifier, Label, MaybeEmpty, Record, Text, invalid
from probes.errors import ConceptError

Order = Literal["positive_first", "negative_first"]
ORDERS: tuple[Order, ...] = get_args(Order)
Split = Literal["train", "select", "test"]
SPLITS: tuple[Split, ...] = get_args(Split)
Reading = Literal["attribute", "norm"]
READINGS: tuple[Reading, ...] = get_args(Reading)
Axis = Literal["wording", "domain", "language", "horizon", "pressure"]
AXES: tuple[Axis, ...] = get_args(Axis)
"""The shift axes. Each is also the name of the field that says where on the axis a row was moved to."""


class Message(BaseModel):
    """One turn of a chat.

    Parameters
    ----------
    role : str
        "system", "user", "assistant" or "tool".
    content : str
        What is said in this turn.

    Example
    -------
    >>> Message(role="user", content="Which hat?")
    Message(role='user', content='Which hat?')
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    role: Literal["system", "user", "assistant", "tool"]
    content: Text


class Tagged(Record):
    """The tags that an example and a choice item may both carry; every tag is optional.

    A row without `shift` is canonical. A row with `shift = "language"` was moved along that one axis, and the
    field of the same name says where to. Shifted rows are used for testing only. `domain` alone, without
    `shift`, is the subject of a row.

    Parameters
    ----------
    template : str, optional
        The sentence frame that the row was written from. Splits keep all rows of a template together.
    split : str, optional
        "train", "select" or "test".
    reading : str, optional
        "attribute" (a text shows the concept) or "norm" (a text follows the clause of the spec).
    shift : str, optional
        The axis that the row was moved along, one of `AXES`.
    wording, domain, language, horizon, pressure : str, optional
        Where on each axis the row lies; `horizon` is a number of turns, or "agent".
    restates : str, optional
        The id of the canonical pair or item that a shifted row says again in another way.

    Raises
    ------
    ConceptError
        For a shift whose value is missing, that moves along two axes, or that stands in a split which
        trains or selects.
    """

    template: Identifier | None = None
    split: Split | None = None
    reading: Reading | None = None
    shift: Axis | None = None
    wording: Text | None = None
    domain: Text | None = None
    language: Text | None = None
    horizon: Identifier | None = None
    pressure: Text | None = None
    restates: Identifier | None = None

    @model_validator(mode="after")
    def _check_shift(self) -> Self:
        if self.shift is None:
            return self
        if getattr(self, self.shift) is None:
            raise invalid(
                f"field 'shift' is {self.shift!r} and field {self.shift!r} is missing: expected its value"
            )
        also = [a for a in AXES if a not in (self.shift, "domain") and getattr(self, a) is not None]
        if also:
            raise invalid(
                f"field 'shift' is {self.shift!r} and field {also[0]!r} is set too: expected one axis to move"
            )
        if self.split in ("train", "select"):
            raise invalid(
                f"field 'shift' is {self.shift!r} and field 'split' is {self.split!r}: expected 'test', as a "
                "shift only tests"
            )
        return self


class Example(Tagged):
    """One labelled text or chat: one side of a pair.

    The two sides of a pair carry the same pair id and opposite labels. They should differ in nothing but the
    concept, so that nothing else tells the labels apart. Tags are those of `Tagged`.

    Parameters
    ----------
    pair : str
        Id of the pair. Pairs are the independent units of every split and of every confidence interval.
    label : int
        1 where the concept is present, 0 where it is absent.
    text : str, optional
        Plain text. Exactly one of `text` and `messages` is given.
    messages : sequence of Message, optional
        A chat, which each stage renders through its own chat template.
    evidence : sequence of (int, int), optional
        Spans `[start, end)` of characters of `text` that carry the label, in ascending order and without
        overlap.
    unmatched : bool, optional
        True says that the two sides of the pair were not written to match.
    pole : int, optional
        For the norm reading: 1 where the act described has the concept's attribute, 0 where it has the
        opposite. The lint uses it to check that the attribute does not give the label away.

    Raises
    ------
    ConceptError
        For a value that does not fit, or when neither or both of `text` and `messages` are given.

    Example
    -------
    >>> example = Example(pair="hat", label=1, text="a cheap hat", evidence=[(2, 7)], split="train")
    >>> example.evidence
    ((2, 7),)
    >>> Example(pair="hat", label=2, text="a hat")
    Traceback (most recent call last):
    probes.errors.ConceptError: field 'label' got 2: expected 0 or 1
    """

    pair: Identifier
    label: Label
    text: Text | None = None
    messages: tuple[Message, ...] | None = None
    evidence: tuple[tuple[int, int], ...] | None = None
    unmatched: Literal[True] | None = None
    pole: Label | None = None

    @model_validator(mode="after")
    def _check(self) -> Example:
        if (self.text is None) == (not self.messages):
            both = "both 'text' and 'messages'" if self.messages else "neither 'text' nor 'messages'"
            raise invalid(f"holds {both}: expected exactly one of them")
        if self.evidence is not None and self.text is None:
            raise invalid("holds 'evidence' beside 'messages': evidence spans index 'text'")
        previous = 0
        for start, end in self.evidence or ():
            if not previous <= start < end <= len(self.text or ""):
                size = len(self.text or "")
                raise invalid(
                    f"field 'evidence' got span [{start}, {end}): expected ascending spans, not empty, "
                    f"inside the {size} characters of the text"
                )
            previous = end
        return self


def _true_or_none(value: bool | None) -> bool | None:
    """None for False, so that items that say nothing and items that say no are the same."""
    return value or None


class ChoiceItem(Tagged):
    """A question with two options, one of which the concept's clause favours.

    A prompt that holds the placeholders `{first}` and `{second}` shows both options and is asked in both
    orders, so that a preference for the first option cancels out. A prompt without placeholders does not show
    the options, and there is one way to ask it. Tags are those of `Tagged`.

    Parameters
    ----------
    id : str
        Identifies the item within its concept.
    prompt : str, optional
        What the user asks. Exactly one of `prompt` and `messages` is given.
    messages : sequence of Message, optional
        A whole chat that ends with the question.
    positive : str
        The option that the clause favours.
    negative : str
        The other option.
    completion : bool, optional
        True makes the prompt plain text that the options continue as they are written (" are" and " is"): no
        chat template, no "Answer:" and no capital letter. It is the form for models without a template and
        for minimal pairs. With an empty prompt the options are whole texts, scored from their first word on.
    reversed : str, optional
        The question turned round, so that a model which goes by the meaning now gives the negative option:
        "Which one is lighter" beside "Which one is heavier". Of a completion it is the other text of the
        minimal pair. It takes the place of the prompt, or of the last turn of `messages`, and shows the
        options as that does. Without it `probes.concepts.battery_forms` writes one.

    Raises
    ------
    ConceptError
        For a value that does not fit, for two options that are the same, for a prompt with only one of the
        two placeholders, for a completion that is a chat or has placeholders, or for a reversed wording that
        is the prompt itself or shows the options where the prompt does not.

    Example
    -------
    >>> item = ChoiceItem(id="c1", prompt="{first} or {second}?", positive="a bus", negative="a limousine")
    >>> item.orders
    ('positive_first', 'negative_first')
    >>> item.ask("negative_first")
    [{'role': 'user', 'content': 'a limousine or a bus?'}]
    """

    id: Identifier
    prompt: MaybeEmpty | None = None
    messages: tuple[Message, ...] | None = None
    positive: Text
    negative: Text
    completion: Annotated[bool | None, AfterValidator(_true_or_none)] = None
    reversed: Text | None = None

    @model_validator(mode="after")
    def _check(self) -> ChoiceItem:
        if (self.prompt is None) == (not self.messages):
            both = "both 'prompt' and 'messages'" if self.messages else "neither 'prompt' nor 'messages'"
            raise invalid(f"holds {both}: expected exactly one of them")
        if self.prompt is not None and not self.prompt.strip() and not self.completion:
            raise invalid("field 'prompt' is empty: expected text, which only a completion can do without")
        if self.positive.strip() == self.negative.strip():
            raise invalid(
                f"fields 'positive' and 'negative' are both {self.positive!r}: expected two options"
            )
        shown = [mark for mark in ("{first}", "{second}") if mark in self._written()]
        if self.completion and (shown or self.messages):
            what = f"shows {shown[0]}" if shown else "holds 'messages'"
            raise invalid(
                f"is a completion and {what}: expected a plain 'prompt' that the options continue; leave out "
                "'completion' to ask it as a chat"
            )
        if len(shown) == 1:
            raise invalid(
                f"shows {shown[0]} alone: expected both {{first}} and {{second}} in the prompt, or neither"
            )
        self._check_reversed()
        return self

    def _check_reversed(self) -> None:
        if self.reversed is None:
            return
        asked = self._turns()[-1]["content"]
        if self.reversed.split() == asked.split():
            raise invalid(
                f"field 'reversed' is the question itself, {self.reversed!r}: expected it turned round, so "
                "that the other option is right"
            )
        marks = ("{first}", "{second}")
        if {mark in asked for mark in marks} != {mark in self.reversed for mark in marks}:
            raise invalid(
                "field 'reversed' and the question do not show the options alike: expected both {first} and "
                "{second} in each, or in neither"
            )

    def _turns(self) -> list[dict[str, str]]:
        if self.messages:
            return [{"role": m.role, "content": m.content} for m in self.messages]
        return [{"role": "user", "content": self.prompt or ""}]

    def _written(self) -> str:
        return "\n".join(turn["content"] for turn in self._turns())

    @property
    def orders(self) -> tuple[Order, ...]:
        """The orders of presentation to ask in: both when the prompt shows the options, otherwise one.

        Example
        -------
        >>> ChoiceItem(id="c1", prompt="What to wear?", positive="jeans", negative="mink").orders
        ('positive_first',)
        """
        return ORDERS if "{first}" in self._written() else ORDERS[:1]

    def ask(self, order: Order = "positive_first") -> list[dict[str, str]]:
        """The chat that asks the question, with the options in place of `{first}` and `{second}`.

        Parameters
        ----------
        order : str
            "positive_first" or "negative_first": which option takes the place of `{first}`.

        Returns
        -------
        list of dict
            One `{"role": ..., "content": ...}` a turn, as chat templates take them.

        Raises
        ------
        ConceptError
            For another order.

        Example
        -------
        >>> concept.choices[0].ask()[0]["content"]
        'which would you choose a cheap chair for Ohio or a costly chair for Ohio'
        """
        if order not in ORDERS:
            raise ConceptError(f"order={order!r}: expected one of {', '.join(ORDERS)}")
        first, second = (
            (self.positive, self.negative) if order == ORDERS[0] else (self.negative, self.positive)
        )
        # The prompt is split at {second} before {first} is filled in, because an option may hold a brace.
        return [
            {
                **turn,
                "content": second.join(
                    part.replace("{first}", first) for part in turn["content"].split("{second}")
                ),
            }
            for turn in self._turns()
        ]

    def answer(self, which: Literal["positive", "negative"]) -> str:
        """What the assistant says to choose an option: the option with its first letter a capital, or of a
        completion the option as it is written.

        Parameters
        ----------
        which : str
            "positive" or "negative".

        Raises
        ------
        ConceptError
            For another value of `which`.

        Example
        -------
        >>> concept.choices[0].answer("positive")
        'A cheap chair for Ohio'
        """
        if which not in ("positive", "negative"):
            raise ConceptError(f"which={which!r}: expected 'positive' or 'negative'")
        option = self.positive if which == "positive" else self.negative
        return option if self.completion else option[:1].upper() + option[1:]


def first_repeat(keys: Iterable[Hashable]) -> tuple[int, int] | None:
    """The first row whose key an earlier row has too, and that earlier row; None when all keys differ.

    Rows are counted from 1.

    Example
    -------
    >>> first_repeat(["a", "b", "a"])
    (3, 1)
    """
    rows: dict[Hashable, int] = {}
    for row, key in enumerate(keys, 1):
        earlier = rows.setdefault(key, row)
        if earlier != row:
            return row, earlier
    return None
