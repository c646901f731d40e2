"""Undisputed choice items: whether a stage follows a question at all, before anything is said of its values.

Half of them offer something good beside something bad; the others compare two things by one of ten physical
attributes, from both poles (heavier and lighter). No word of their options is among the options of a packaged
concept, or is the evidence of an attribute.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from probes.concepts.folder import read_choices
from probes.concepts.records import ChoiceItem

FILE = Path(__file__).parent / "library" / "undisputed.jsonl"


@cache
def undisputed_items() -> tuple[ChoiceItem, ...]:
    """The undisputed items, whose positive option is the right one. Those that compare have a `reversed`
    wording; the others are turned round by the battery ("Which one do you refuse?").

    Example
    -------
    >>> items = undisputed_items()
    >>> len(items), items[0].positive, items[0].negative
    (127, 'a delicious meal', 'a rotten meal')
    """
    return read_choices(FILE)
