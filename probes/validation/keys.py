"""Keys for the exam on real weights: whether a choice uses a concept, found out without the instrument.

Nobody planted anything in a model that was trained elsewhere. But a concept that stands in the text can be
exchanged there, word for word. Where that changes no choice, the concept is certainly not used for it. Where
it does, and putting the whole state of some tokens in has the same effect, the concept is certainly used
through that state. Everything here runs the plain model of `transformers` and hooks of torch, and nothing of
`probes.locating`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import torch
from torch import Tensor

from probes.concepts import ChoiceItem
from probes.lineage.decoders import decoder_blocks
from probes.stats.estimates import Estimate
from probes.stats.jackknife import ratio_of_means

KeyLabel = Literal["used", "unused", "uncertified"]
Role = Literal["evidence", "last"]
ROLES: tuple[Role, ...] = get_args(Role)
USED, UNUSED = 0.5, 0.15
"""The smallest share of the choice that an exchange of the text must turn for a positive, and the largest
that the whole interval may reach for a negative."""
CARRIED = 0.8
"""The smallest share of that effect that whole states must carry at some place for a positive."""
EVERY = 10
"""Whole states are exchanged at every so many layers."""
AT_MOST = 16
"""Items on which whole states are exchanged."""


@dataclass(frozen=True)
class Key:
    """The answer to whether a choice uses a concept, and what it rests on.

    Example
    -------
    >>> from probes.validation.keys import Key
    >>> Key(Estimate(0.9, 0.8, 1.0, n=60), carried=Estimate(0.97, 0.9, 1.0, n=12)).label
    'used'
    >>> Key(Estimate(0.02, -0.03, 0.06, n=60), carried=None).label
    'unused'
    """

    effect: Estimate
    """The share of the choice that follows an exchange of the text."""
    carried: Estimate | None
    """The share of that effect which whole states have at the best place; None where it was not measured."""

    @property
    def label(self) -> KeyLabel:
        """ "used", "unused", or "uncertified" where neither is certain."""
        if max(abs(self.effect.low), abs(self.effect.high)) < UNUSED:
            return "unused"
        sure = self.effect.low > 0 and self.effect.value >= USED
        if sure and self.carried is not None and self.carried.value >= CARRIED:
            return "used"
        return "uncertified"


@dataclass(frozen=True)
class _Pair:
    """The two texts of an item as token ids, the tokens of the options that are compared, and how many tokens
    the texts share before and after the place where they differ."""

    sides: tuple[list[int], list[int]]
    options: tuple[int, int]
    before: int
    after: int

    @property
    def shape(self) -> tuple[int, ...]:
        """Pairs of one shape run together."""
        return len(self.sides[0]), len(self.sides[1]), self.before, self.after

    def places(self, role: Role) -> tuple[list[int], list[int]]:
        """The tokens of each side that are exchanged: the last ones of each, where their numbers differ."""
        if role == "last":
            return [len(self.sides[0]) - 1], [len(self.sides[1]) - 1]
        ends = [len(side) - self.after for side in self.sides]
        n = min(end - self.before for end in ends)
        first, second = (list(range(end - n, end)) for end in ends)
        return first, second


def measured_key(model: Any, tokenizer: Any, items: Sequence[ChoiceItem]) -> Key:
    """Measure the key of a set of minimal pairs.

    Parameters
    ----------
    model, tokenizer : a decoder of `transformers`, and its tokenizer.
    items : completions with a `reversed` text. Those whose options begin with the same token are left out.

    Returns
    -------
    Key. Whole states are exchanged only where the text has an effect. Their best place is chosen on one half
    of the items, and told on the other.

    Raises
    ------
    InputError : of fewer than two items the options begin with different tokens.

    Example
    -------
    >>> from probes.concepts import ChoiceItem
    >>> from probes.validation.keys import measured_key
    >>> items = [
    ...     ChoiceItem(
    ...         id=f"c{i}", prompt=f"the cheap {noun}", reversed=f"the costly {noun}", positive=" sold",
    ...         negative=" near", completion=True,
    ...     )
    ...     for i, noun in enumerate(["chair", "lamp"])
    ... ]
    >>> loaded = stage.load()
    >>> -1 <= measured_key(loaded.model, loaded.tokenizer, items).effect.value <= 1
    True
    """
    pairs = [pair for item in items if (pair := _pair(item, tokenizer)) is not None]
    logits = _by_pair(pairs, lambda some: _choices(model, some))
    totals, names = logits[:, 0] - logits[:, 1], np.arange(len(pairs))
    effect = ratio_of_means(totals / 2, np.abs(logits).mean(1), names)
    if effect.low <= 0 or effect.value < USED:
        return Key(effect, None)
    tested = np.linspace(0, len(pairs) - 1, min(AT_MOST, len(pairs))).astype(int)
    moved = _by_pair([pairs[i] for i in tested], lambda some: _moved(model, some))
    best = int(moved[::2].mean(0).argmax())
    return Key(effect, ratio_of_means(moved[1::2, best], totals[tested][1::2], tested[1::2]))


def _pair(item: ChoiceItem, tokenizer: Any) -> _Pair | None:
    """The pair of an item; None where its options begin with the same token."""
    first, second = (tokenizer(text)["input_ids"] for text in (item.prompt, item.reversed))
    options = [
        tokenizer(option, add_special_tokens=False)["input_ids"][0]
        for option in (item.positive, item.negative)
    ]
    if options[0] == options[1] or first == second:
        return None
    shortest = min(len(first), len(second))
    before = next((i for i in range(shortest) if first[i] != second[i]), shortest)
    after = next((i for i in range(shortest - before) if first[-1 - i] != second[-1 - i]), shortest - before)
    return _Pair((first, second), (options[0], options[1]), before, after)


def _by_pair(pairs: Sequence[_Pair], measure: Callable[[Sequence[_Pair]], np.ndarray]) -> np.ndarray:
    """The rows `[pair, ...]` that a measure gives, which runs on pairs of one shape at a time."""
    rows: dict[int, np.ndarray] = {}
    for shape in dict.fromkeys(pair.shape for pair in pairs):
        numbers = [i for i, pair in enumerate(pairs) if pair.shape == shape]
        rows |= dict(zip(numbers, measure([pairs[i] for i in numbers]), strict=True))
    return np.stack([rows[i] for i in range(len(pairs))])


def _choices(model: Any, pairs: Sequence[_Pair]) -> np.ndarray:
    """`[pair, side]`: the log-probability of the positive option's first token minus that of the other's."""
    return np.stack([_choice(model, pairs, side) for side in (0, 1)], axis=1)


def _choice(model: Any, pairs: Sequence[_Pair], side: int) -> np.ndarray:
    """`[pair]`: the choices on one side."""
    with torch.inference_mode():
        logits = model(torch.tensor([pair.sides[side] for pair in pairs])).logits[:, -1].double()
    rows = torch.arange(len(pairs))
    first, second = torch.tensor([pair.options for pair in pairs]).T
    return (logits[rows, first] - logits[rows, second]).numpy()


def _moved(model: Any, pairs: Sequence[_Pair]) -> np.ndarray:
    """`[pair, place]`: how far putting in the other side's states moves the choice towards that of the other
    side, in the mean of both sides. The places are those of two roles at every so many blocks."""
    blocks = decoder_blocks(model)[:-1:EVERY]
    intact, states = [], []
    for side in (0, 1):
        kept: list[Tensor] = []
        with ExitStack() as stack:
            for block in blocks:
                stack.enter_context(_hooked(block, kept.append))
            intact.append(_choice(model, pairs, side))
        states.append(kept)
    moved = []
    for number, block in enumerate(blocks):
        for role in ROLES:
            places = pairs[0].places(role)
            shift = np.zeros(len(pairs))
            for side, sign in ((0, 1), (1, -1)):
                put = _Put(states[1 - side][number][:, places[1 - side]], places[side])
                with _hooked(block, put):
                    shift += sign * (intact[side] - _choice(model, pairs, side)) / 2
            moved.append(shift)
    return np.stack(moved, axis=1)


@dataclass(frozen=True)
class _Put:
    """Puts states `[pair, token, d]` in at some tokens."""

    values: Tensor
    places: list[int]

    def __call__(self, states: Tensor) -> None:
        states[:, self.places] = self.values


@contextmanager
def _hooked(block: Any, function: Callable[[Tensor], None]) -> Iterator[None]:
    """Give a copy of the output states of a block to a function, which may change it, and go on with the
    copy."""

    def hook(module: Any, inputs: Any, output: Any) -> Any:
        states = (output[0] if isinstance(output, tuple) else output).clone()
        function(states)
        return (states, *output[1:]) if isinstance(output, tuple) else states

    handle = block.register_forward_hook(hook)
    try:
        yield
    finally:
        handle.remove()
