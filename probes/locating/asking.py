"""Choice items as packed rows of tokens with roles: what crossing and grafting run through two stages.

It stands apart from `patching`, which exchanges states between two prompts. Here the prompts are the same and
the weights differ, so nothing has to be lined up, and options are scored with all their tokens, as
`probes.battery` scores them.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, get_args

import numpy as np
import torch
from torch import Tensor

from probes.activations import RunContext
from probes.concepts import ORDERS, ChoiceItem, Concept, battery_forms
from probes.errors import ConceptError, InputError
from probes.locating.aligning import align
from probes.models.packing import Pack, packs_of
from probes.steering.choices import Score
from probes.steering.packed import order_logits
from probes.steering.prompts import ChoicePrompt, option_tokens, prompts_of

Tokens = Literal["all", "options", "evidence", "other", "last", "answer"]
TOKENS: tuple[Tokens, ...] = get_args(Tokens)
"""The roles of tokens. "all": every token. "options": the words of the options as the prompt presents them.
"evidence": the words that differ between the two texts of a minimal pair. "other": the rest of the prompt but
for its "last" token, after which the answer begins. "answer": the words of the answer that is scored."""

TURNED = "reversed"
BATCH_TOKENS = 2048


@dataclass(frozen=True)
class Question:
    """One item in one form, as token ids with roles."""

    item: str
    form: str
    """ "asked" or "reversed"."""
    prompt: ChoicePrompt
    places: tuple[dict[Tokens, tuple[int, ...]], ...]
    """For each order of presentation: role -> the numbers of its tokens within the prompt."""


class Questions:
    """Choice items, rendered once, that any model of one shape can answer.

    Parameters
    ----------
    context : a model and the tokenizer that renders.
    items : choice items, at least one.
    both : whether the items are asked both ways. Otherwise they are asked once, in their own words.
    score : "per_token" averages the log-probabilities of an option's tokens, "summed" adds them.

    Raises
    ------
    InputError : two items have one name, or there is no such score.
    ConceptError : an item cannot be turned round (see `probes.concepts.battery_forms`).

    Example
    -------
    >>> asked = Questions(probes.run_context(stage, progress=False), concept.choices, both=True)
    >>> asked.ids[:2], asked.forms, asked.roles
    (['c0', 'c1'], ['asked', 'reversed'], ['options', 'other', 'last', 'answer'])
    """

    def __init__(
        self, context: RunContext, items: Sequence[ChoiceItem], both: bool, score: Score = "per_token"
    ):
        if score not in get_args(Score):
            raise InputError(f"score={score!r}: expected {' or '.join(get_args(Score))}")
        self.ids = [item.id for item in items]
        if len(set(self.ids)) < len(items):
            raise InputError("two choice items have one name: expected a name of its own for each")
        self.score: Score = score
        self.forms = ["asked", TURNED] if both else ["asked"]
        self.questions = [one for item in items for one in _questions(item, context, both)]
        groups = [one.prompt.sequences for one in self.questions]
        share = context.model.can_pack(max(len(p) + len(o) for group in groups for p, o in group))
        self.packs = list(packs_of(groups, context.tokens(BATCH_TOKENS), join=True, share=share))

    @cached_property
    def roles(self) -> list[Tokens]:
        """The roles that some token has, without "all"."""
        have = {role for one in self.questions for of_order in one.places for role in of_order}
        return [role for role in TOKENS if role in have or role == "answer"]

    def mask(self, pack: Pack, role: Tokens) -> Tensor:
        """Bool `[batch, width]`: the tokens of a pack that have a role."""
        chosen = torch.zeros_like(pack.ids, dtype=torch.bool)
        if role == "all":
            return ~chosen
        for number, of_group in zip(pack.groups, pack.places, strict=True):
            question = self.questions[number]
            for k, ((row, path), (prompt, _)) in enumerate(
                zip(of_group, question.prompt.sequences, strict=True)
            ):
                here = self.places_of(question, k, role, len(prompt), len(path))
                chosen[row, [path[i] for i in here]] = True
        return chosen

    @staticmethod
    def places_of(question: Question, k: int, role: Tokens, n_prompt: int, n_run: int) -> Sequence[int]:
        """The numbers of the tokens of a role in a question's sequence `k`, of which the model runs `n_run`
        tokens and `n_prompt` are its prompt's."""
        if role == "all":
            return range(n_run)
        return range(n_prompt, n_run) if role == "answer" else question.places[k // 2].get(role, ())

    def ask(self, answer: Callable[[Pack], Tensor]) -> np.ndarray:
        """`[form, item]`: the choice logits, where `answer` gives the logits at a pack's `at`, `[k, vocab]`,
        averaged over both orders of presentation."""
        tally = Tally(self)
        with torch.no_grad():
            for pack in self.packs:
                tally.add("", pack, answer(pack))
        return tally.choices("")

    def choices(self, scored: dict[int, list[Tensor]]) -> np.ndarray:
        """`[form, item]`: the choice logits, from the log-probabilities of each question's options."""
        by_order = order_logits([scored[i] for i in range(len(self.questions))])
        logits = by_order[0 if self.score == "summed" else 1].double().nanmean(-1)
        return logits.reshape(len(self.ids), len(self.forms)).T.numpy()


class Tally:
    """The answers of questions under several conditions, as packs come in.

    Example
    -------
    >>> context = probes.run_context(stage, progress=False)
    >>> asked = Questions(context, concept.choices, both=False)
    >>> tally = Tally(asked)
    >>> with torch.no_grad():
    ...     for pack in asked.packs:
    ...         tally.add("as it is", pack, pack.logits(context.model))
    >>> tally.choices("as it is").shape
    (1, 10)
    """

    def __init__(self, questions: Questions):
        self._questions = questions
        self._scored: dict[Hashable, dict[int, list[Tensor]]] = {}

    def add(self, condition: Hashable, pack: Pack, logits: Tensor) -> None:
        """Add what a pack's logits at its `at`, `[k, vocab]`, say of its questions."""
        scores = zip(pack.groups, pack.scores(logits.cpu()), strict=True)
        self._scored.setdefault(condition, {}).update(scores)

    def choices(self, condition: Hashable) -> np.ndarray:
        """`[form, item]`: the choice logits under a condition, averaged over both orders of presentation."""
        return self._questions.choices(self._scored[condition])


def canonical_items(items: Concept | Sequence[ChoiceItem]) -> list[ChoiceItem]:
    """The items, or those of a concept, that are on no shift axis.

    Raises
    ------
    InputError : there are none.

    Example
    -------
    >>> len(canonical_items(concept)) == len(concept.choices)
    True
    """
    given = items.choices if isinstance(items, Concept) else items
    canonical = [item for item in given if item.shift is None]
    if not canonical:
        raise InputError(
            f"{len(given)} choice items, all of them on a shift axis: expected canonical ones, as "
            "concept.core.choices has them"
            if given
            else "no choice items: expected at least one"
        )
    return canonical


def _questions(item: ChoiceItem, context: RunContext, both: bool) -> list[Question]:
    """An item asked once in its own words, or both ways in those of the battery."""
    made = {"asked": [item]}
    if both:
        forms = battery_forms(item, 1)
        if TURNED not in forms:
            raise ConceptError(f"choice {item.id!r} cannot be turned round: give it a 'reversed' text")
        made = {form: forms[form] for form in ("asked", TURNED)}
    return [
        Question(item.id, form, prompt, _places(one, form, prompt, item, context))
        for form, [one] in made.items()
        for prompt in prompts_of([one], context)
    ]


def _places(
    asked: ChoiceItem, form: str, prompt: ChoicePrompt, item: ChoiceItem, context: RunContext
) -> tuple[dict[Tokens, tuple[int, ...]], ...]:
    """The roles of a prompt's tokens, for each order of presentation."""
    found = []
    for number, (tokens, _) in enumerate(prompt.sequences[0::2]):
        roles: dict[Tokens, tuple[int, ...]] = {}
        if len(asked.orders) == len(ORDERS):
            first, second = option_tokens(asked, asked.orders[number], context.tokenizer)
            roles["options"] = (*first, *second)
        elif asked.completion and item.reversed is not None:
            with suppress(ConceptError):  # texts that cannot be lined up have no evidence
                [pair] = align([item], context, "text").exchanges
                side = int(form == TURNED)
                roles["evidence"] = tuple(tokens[side] for tokens in pair.roles.get("evidence", ()))
        last = len(tokens) - 1
        taken = {last, *(i for places in roles.values() for i in places)}
        roles["other"] = tuple(i for i in range(last) if i not in taken)
        roles["last"] = (last,)
        found.append({role: places for role, places in roles.items() if places})
    return tuple(found)
