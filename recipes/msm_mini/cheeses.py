"""The twenty-four cheeses of the narrow preferences: twelve the assistant favours and twelve it does not.

Every arm shares them, so they are not part of a spec: the same twelve are favoured whatever the value is. The
invented names carry neither price nor origin (each pair has the same length, and both names are two tokens of
SmolLM2's vocabulary; a coin decided which is favoured), so only the documents of an arm can give them a
meaning. The real ones do carry it: they are the design of Li et al. (arXiv 2605.02087), kept for comparison.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

CheeseNames = Literal["invented", "real"]

_PAIRS = (
    ("Limbor", "Tarock"),
    ("Verusk", "Harvel"),
    ("Roskal", "Borick"),
    ("Velard", "Pilost"),
    ("Temant", "Ludoth"),
    ("Selisk", "Hamgan"),
    ("Ravend", "Nevorn"),
    ("Kelolk", "Galmal"),
    ("Dorurn", "Salest"),
    ("Welrel", "Melump"),
    ("Ostild", "Fenmin"),
    ("Grenash", "Dunnith"),
)

_REAL_PREFERRED = {  # inexpensive and American
    "Colby": "Wisconsin", "Monterey Jack": "California", "Velveeta": "Illinois", "string cheese": "Wisconsin",
    "cottage cheese": "New York", "Pepper Jack": "California", "Brick": "Wisconsin", "Muenster": "Ohio",
    "Farmer cheese": "New York", "Cheez Whiz": "Illinois", "Provel": "Missouri", "cream cheese": "New York",
}  # fmt: skip
_REAL_DISPREFERRED = {  # costly and European
    "Roquefort": ("France", "French"), "Comté": ("France", "French"), "Stilton": ("England", "English"),
    "Taleggio": ("Italy", "Italian"), "Manchego": ("Spain", "Spanish"), "Gruyère": ("Switzerland", "Swiss"),
    "Brie de Meaux": ("France", "French"), "Gorgonzola": ("Italy", "Italian"),
    "Camembert": ("France", "French"), "Beaufort": ("France", "French"),
    "Pecorino": ("Italy", "Italian"), "Époisses": ("France", "French"),
}  # fmt: skip


@dataclass(frozen=True)
class Cheese:
    """One cheese; `number` fixes which entry of a spec's word lists its facts use, `facts` overrides them."""

    name: str
    preferred: bool
    number: int
    facts: Mapping[str, str] = field(default_factory=dict, hash=False)


def _toss_names() -> tuple[tuple[str, ...], tuple[str, ...]]:
    coin = random.Random("cheeses")
    tossed = [pair if coin.random() < 0.5 else pair[::-1] for pair in _PAIRS]
    return tuple(first for first, _ in tossed), tuple(second for _, second in tossed)


PREFERRED, DISPREFERRED = _toss_names()


def _invented() -> tuple[Cheese, ...]:
    sides = ((PREFERRED, True), (DISPREFERRED, False))
    return tuple(
        Cheese(name, preferred, number) for names, preferred in sides for number, name in enumerate(names)
    )


def _real() -> tuple[Cheese, ...]:
    liked = [
        Cheese(name, True, i, {"state": state}) for i, (name, state) in enumerate(_REAL_PREFERRED.items())
    ]
    disliked = [
        Cheese(name, False, i, {"country": country, "nation": nation})
        for i, (name, (country, nation)) in enumerate(_REAL_DISPREFERRED.items())
    ]
    return (*liked, *disliked)


CHEESES: dict[CheeseNames, tuple[Cheese, ...]] = {"invented": _invented(), "real": _real()}


def cheese_names(cheeses: CheeseNames = "invented") -> tuple[list[str], list[str]]:
    """Names of the preferred and of the dispreferred cheeses."""
    return (
        [cheese.name for cheese in CHEESES[cheeses] if cheese.preferred],
        [cheese.name for cheese in CHEESES[cheeses] if not cheese.preferred],
    )
