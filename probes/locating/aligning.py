"""What is exchanged: two prompts whose right answers are opposite, with their tokens aligned by role.

A state can only be exchanged between tokens that correspond. So the two texts of a minimal pair, the two
orders of a question's options, or a question and the same question turned round are lined up token by token,
and every token gets the role that it has in the item.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from probes.activations import RunContext
from probes.concepts import ChoiceItem, battery_forms
from probes.errors import ConceptError
from probes.steering.prompts import ChoicePrompt, option_tokens, prompts_of

Exchanged = Literal["text", "options", "question"]
EXCHANGED: tuple[Exchanged, ...] = get_args(Exchanged)
"""What the two prompts of an item differ in. "text": the two texts of a minimal pair (a completion with its
`reversed` text). "options": the same question with the options in either order. "question": the question and
the question turned round."""

Role = Literal["evidence", "options", "after", "last"]
ROLES: tuple[Role, ...] = get_args(Role)
"""The roles of tokens. "evidence": the words that differ between the two prompts. "options": the words of
both options. "after": what stands between those and the end. "last": the last token, after which the answer
begins."""

Sides = tuple[tuple[int, ...], tuple[int, ...]]
TokenPair = tuple[int, int, int]
"""A token of side 0, the token of side 1 that it corresponds to, and the sign of the concept at it: 1 where
side 0 has the positive one, -1 where side 1 has."""


@dataclass(frozen=True)
class Exchange:
    """Two prompts whose tokens correspond.

    The answer to side 0 is option 0 of side 0, if the model goes by what is exchanged; on side 1 it is option
    0 of side 1 with "options", and option 1 otherwise.
    """

    id: str
    """The name of the item."""
    prompts: Sides
    """The token ids of both prompts."""
    options: tuple[Sides, Sides]
    """For each side the token ids of its two options."""
    roles: Mapping[Role, tuple[TokenPair, ...]]
    whole: bool
    """Whether all words that differ correspond. Otherwise they are of different lengths, and only as many of
    their last tokens are exchanged as both have."""


@dataclass(frozen=True)
class Aligned:
    """The exchanges of items, and the items that have none."""

    exchanges: tuple[Exchange, ...]
    left_out: Mapping[str, str]
    """Item -> why its prompts cannot be aligned."""

    @property
    def note(self) -> str:
        """How many items were aligned, and how, in words."""
        ids = {one.id for one in self.exchanges}
        partly = {one.id for one in self.exchanges if not one.whole}
        parts = [f"{len(ids)} items aligned"]
        if partly:
            parts.append(f"{len(partly)} of them by the last tokens of words of different lengths")
        if self.left_out:
            reason = next(iter(self.left_out.values()))
            parts.append(f"{len(self.left_out)} left out (the first: {reason})")
        return "; ".join(parts)


def exchanged_by(items: Sequence[ChoiceItem]) -> Exchanged:
    """What `align` exchanges by default: the texts of completions, else the options.

    Raises
    ------
    ConceptError : there are no items, some are completions and some are not, or completions without a
        `reversed` text, or items that do not present their options.

    Example
    -------
    >>> exchanged_by(concept.choices)
    'options'
    """
    if not items:
        raise ConceptError("no choice items: expected some, as a choice is what states are used for")
    completions = [item for item in items if item.completion]
    if completions and len(completions) < len(items):
        raise ConceptError(
            f"{len(completions)} of {len(items)} choice items are completions: expected all of them or none, "
            "as they are exchanged in different ways"
        )
    if completions:
        return "text"
    return "options"


def align(items: Sequence[ChoiceItem], context: RunContext, exchanged: Exchanged | None = None) -> Aligned:
    """Line up the two prompts of every item.

    Parameters
    ----------
    items : choice items.
    context : the model and the tokenizer.
    exchanged : one of `EXCHANGED`; by default as `exchanged_by` says.

    Raises
    ------
    ConceptError : no item can be aligned, or as `exchanged_by`.

    Example
    -------
    >>> aligned = align(concept.choices, probes.run_context(stage, progress=False))
    >>> aligned.note, sorted(aligned.exchanges[0].roles)
    ('10 items aligned', ['after', 'last', 'options'])
    """
    kind = exchanged or exchanged_by(items)
    if kind not in EXCHANGED:
        raise ConceptError(f"exchanged={kind!r}: expected one of {', '.join(EXCHANGED)}")
    exchanges: list[Exchange] = []
    left_out: dict[str, str] = {}
    for item in items:
        try:
            if kind == "options":
                exchanges.append(_of_options(item, context))
            else:
                exchanges += _of_texts(item, context, kind)
        except ConceptError as error:
            left_out[item.id] = str(error)
    if not exchanges:
        raise ConceptError(f"no item can be aligned: {next(iter(left_out.values()))}")
    return Aligned(tuple(exchanges), left_out)


def _of_texts(item: ChoiceItem, context: RunContext, kind: Exchanged) -> list[Exchange]:
    """The exchanges of a minimal pair, or of a question that is turned round in each order of its options."""
    if kind == "text":
        if not item.completion or item.reversed is None:
            raise ConceptError(
                f"choice {item.id!r} has one text: expected a completion with a 'reversed' text, so that "
                "there is something to exchange"
            )
        turned = item.model_copy(update={"prompt": item.reversed, "reversed": None})
        sides = prompts_of([item, turned], context)
    else:
        forms = battery_forms(item, 1)
        sides = prompts_of([forms["asked"][0], forms["reversed"][0]], context)
    return [_lined_up(item.id, a, b) for a, b in zip(_by_order(sides[0]), _by_order(sides[1]), strict=True)]


def _by_order(prompt: ChoicePrompt) -> list[tuple[tuple[int, ...], Sides]]:
    """For each order of the options: the prompt, and the positive and the negative option."""
    halves = zip(prompt.sequences[0::2], prompt.sequences[1::2], strict=True)
    return [(positive[0], (positive[1], negative[1])) for positive, negative in halves]


def _lined_up(
    name: str, first: tuple[tuple[int, ...], Sides], second: tuple[tuple[int, ...], Sides]
) -> Exchange:
    """Two prompts that are alike but for some words in one place, lined up from both ends."""
    (a, options), (b, other_options) = first, second
    n, m = len(a), len(b)
    if a == b:
        raise ConceptError(f"choice {name!r}: its two texts are the same tokens: expected them to differ")
    size = min(n, m)
    start = next((i for i in range(size) if a[i] != b[i]), size)
    end = next((i for i in range(size - start) if a[n - 1 - i] != b[m - 1 - i]), size - start)
    middles = range(start, n - end), range(start, m - end)
    size = min(map(len, middles))
    pairs = [(i, j, 1) for i, j in zip(middles[0][-size:], middles[1][-size:], strict=True)] if size else []
    differing = [(i, j, 1) for i, j, _ in pairs if a[i] != b[j]] if n == m else pairs
    last = (n - 1, m - 1, 1)
    evidence = tuple(pair for pair in differing if pair != last)
    after = tuple((n - k, m - k, 1) for k in range(end, 1, -1))
    roles: dict[Role, tuple[TokenPair, ...]] = {"evidence": evidence, "after": after, "last": (last,)}
    if not evidence and last not in differing:
        raise ConceptError(
            f"choice {name!r}: one of its texts only adds words, so that no token corresponds to them: "
            "expected words in the place of others"
        )
    return Exchange(name, (a, b), (options, other_options), {r: p for r, p in roles.items() if p}, n == m)


def _of_options(item: ChoiceItem, context: RunContext) -> Exchange:
    """The question in both orders of its options; the first option presented corresponds to the first."""
    spans = [option_tokens(item, order, context.tokenizer) for order in item.orders]
    (a, options), (b, turned) = _by_order(prompts_of([item], context)[0])
    pairs: list[TokenPair] = []
    whole = True
    for place, sign in ((0, 1), (1, -1)):
        here, there = spans[0][place], spans[1][place]
        size = min(len(here), len(there))
        whole = whole and len(here) == len(there)
        pairs += [(i, j, sign) for i, j in zip(here[-size:], there[-size:], strict=True)]
    end = min(len(a) - spans[0][1][-1], len(b) - spans[1][1][-1]) - 1
    after = tuple((len(a) - k, len(b) - k, 1) for k in range(end, 1, -1))
    roles: dict[Role, tuple[TokenPair, ...]] = {"options": tuple(pairs), "after": after}
    roles["last"] = ((len(a) - 1, len(b) - 1, 1),)
    presented = options, (turned[1], turned[0])
    return Exchange(item.id, (a, b), presented, {r: p for r, p in roles.items() if p}, whole)
