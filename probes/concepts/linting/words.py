"""The words of a text in any script, and those of them that carry content."""

from __future__ import annotations

import re

_HAN = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff"
_WORD = re.compile(rf"[{_HAN}]|[^\W_{_HAN}]+(?:['’\-][^\W_{_HAN}]+)*")

_ENGLISH = """
a an the this that these those of to in on at for from with by as into onto over under out off up down
about above after against along among around before behind below beneath beside between beyond during
inside near outside past since through toward towards until upon within without and or but nor so yet
if then than though although because while when where which who whom whose what why how there here
i me my mine we us our ours you your yours he him his she her hers it its they them their theirs one
myself yourself himself herself itself ourselves themselves each every either neither both all any some
no not none such same other another most more less few many much own only just also too very again once
is am are was were be been being do does did doing done have has had having will would shall should
can could may might must ought
"""
FUNCTION_WORDS = frozenset(_ENGLISH.split())


def words(text: str) -> list[str]:
    """The words of a text in order, in lower case; each Chinese or Japanese character is a word.

    Example
    -------
    >>> words("Don't buy 便宜 hats!")
    ["don't", 'buy', '便', '宜', 'hats']
    """
    return _WORD.findall(text.lower())


def content_words(text: str) -> set[str]:
    """The words of a text that are not English function words.

    Example
    -------
    >>> sorted(content_words("The artist's own lamp"))
    ['artist', 'lamp']
    """
    return {word.removesuffix("'s").removesuffix("’s") for word in words(text)} - FUNCTION_WORDS
