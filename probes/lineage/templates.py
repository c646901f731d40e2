"""Chats through a chat template, and texts as token ids, for reading, asking, generating and training alike.

A chat template is a program that comes with a tokenizer. It may write today's date, a generation prompt that
the rendered chat does not contain, or markers that only a later stage's tokenizer knows. A tokenizer may put
special tokens around a text. What that means for the tokens that a model sees is settled here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any

from probes.errors import TokenizerError

PINNED_DATE = datetime(2024, 7, 26)
"""The day that every chat template is told it is, so that a chat is the same text on every day.

It is the day that the templates of Llama 3.2 write where they are told none.
"""

_MARK = "\ue000"  # private use: no answer begins with it
_DATED = re.compile(r"strftime_now|date_string")
_CHATS = (
    [{"role": "user", "content": "Which one?"}],
    [{"role": "user", "content": "Which one?"}, {"role": "assistant", "content": "The blue one."}],
    [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Which one?"}],
)


def apply_template(
    tokenizer: Any, messages: Sequence[Mapping[str, str]], generation_prompt: bool = False
) -> str:
    """Messages as the text that the tokenizer's chat template makes of them, on `PINNED_DATE`.

    Parameters
    ----------
    messages : the turns, each with `role` and `content`.
    generation_prompt : whether the beginning of a further answer is written at the end.

    Raises
    ------
    Whatever the template's author chose: a template is a program.

    Example
    -------
    >>> from probes.lineage.templates import apply_template
    >>> apply_template(stage.load().tokenizer, [{"role": "user", "content": "a hat"}])
    '<|user|> a hat <|end|> '
    """
    return tokenizer.apply_chat_template(
        [dict(message) for message in messages],
        chat_template=pinned_template(tokenizer),
        tokenize=False,
        add_generation_prompt=generation_prompt,
    )


def pinned_template(tokenizer: Any) -> str:
    """The tokenizer's chat template with the date in it set to `PINNED_DATE`.

    Raises TokenizerError where the tokenizer has several templates and none of them is the default.

    Example
    -------
    >>> from probes.lineage.templates import pinned_template
    >>> tokenizer = stage.load().tokenizer
    >>> pinned_template(tokenizer) == tokenizer.chat_template  # it writes no date
    True
    """
    try:
        template = tokenizer.get_chat_template()
    except ValueError as error:
        raise TokenizerError(f"the tokenizer has no chat template that is the default: {error}") from None
    return (_pinned_clock() if _DATED.search(template) else "") + template


def answer_start(tokenizer: Any, messages: Sequence[Mapping[str, str]]) -> int:
    """The character of the rendered chat at which the words of its last message begin.

    It is found in the rendered chat itself, by rendering the chat once more with other words: a generation
    prompt need not be a part of the rendered chat (templates of reasoning models write `<think>` into it).

    Raises
    ------
    TokenizerError : the template does not write the last message.

    Example
    -------
    >>> from probes.lineage.templates import answer_start, apply_template
    >>> tokenizer = stage.load().tokenizer
    >>> chat = [{"role": "user", "content": "which"}, {"role": "assistant", "content": "a hat"}]
    >>> apply_template(tokenizer, chat)[answer_start(tokenizer, chat) :]
    'a hat <|end|> '
    """
    text = apply_template(tokenizer, messages)
    other = apply_template(tokenizer, [*messages[:-1], {**messages[-1], "content": _MARK}])
    start = other.find(_MARK)
    if start < 0 or text == other:
        raise TokenizerError("the chat template does not write the last message, so there is no answer")
    shared = next((i for i, (a, b) in enumerate(zip(text, other, strict=False)) if a != b), len(text))
    return min(start, shared)


def encode_text(
    tokenizer: Any, text: str, special_tokens: bool = True
) -> tuple[list[int], list[tuple[int, int]]]:
    """A text as token ids, with the characters `[start, end)` that each of them stands for.

    There is at most one beginning-of-sequence token. Special tokens that the tokenizer puts after a text,
    such as an end-of-sequence token, are left out: a text is read up to its own last token, and a prompt is
    to be continued.

    Parameters
    ----------
    special_tokens : whether the tokenizer's special tokens are put before the text. A rendered chat has its
        own.

    Returns
    -------
    The ids and the characters. A slow tokenizer cannot tell the characters; `[]` then.

    Example
    -------
    >>> from probes.lineage.templates import encode_text
    >>> encode_text(stage.load().tokenizer, "the hat")[1]
    [(0, 3), (3, 4), (4, 5), (5, 6), (6, 7)]
    """
    encoded = tokenizer(
        text,
        add_special_tokens=special_tokens,
        return_offsets_mapping=tokenizer.is_fast,
        return_attention_mask=False,
        truncation=False,
        verbose=False,
    )
    ids = list(encoded["input_ids"])
    offsets = list(encoded["offset_mapping"]) if tokenizer.is_fast else []
    if special_tokens and (n := appended_tokens(tokenizer)):
        ids, offsets = ids[:-n], offsets[:-n]
    if tokenizer.bos_token_id is not None and ids[:2] == [tokenizer.bos_token_id] * 2:
        ids, offsets = ids[1:], offsets[1:]  # the text came with a BOS of its own, and one is enough
    return ids, offsets


def text_ids(tokenizer: Any, text: str, special_tokens: bool = True) -> list[int]:
    """The token ids of `encode_text`."""
    return encode_text(tokenizer, text, special_tokens)[0]


def tokens_before(tokenizer: Any, text: str, start: int, special_tokens: bool = False) -> int:
    """The number of tokens of a text that stand before its character `start`.

    A token that reaches over `start` stands at it, not before it.

    Example
    -------
    >>> from probes.lineage.templates import tokens_before
    >>> tokens_before(stage.load().tokenizer, "the hat", len("the "))  # "the", " "
    2
    """
    ids, offsets = encode_text(tokenizer, text, special_tokens)
    if tokenizer.is_fast:
        return next((i for i, (a, b) in enumerate(offsets) if b > max(a, start)), len(ids))
    before = text_ids(tokenizer, text[:start], special_tokens)
    pairs = enumerate(zip(before, ids, strict=False))
    return next((i for i, (a, b) in pairs if a != b), min(len(before), len(ids)))


def appended_tokens(tokenizer: Any) -> int:
    """How many special tokens the tokenizer puts after a text."""
    around = list(tokenizer("", add_special_tokens=True)["input_ids"])
    if not around:
        return 0
    whole = list(tokenizer("a", add_special_tokens=True)["input_ids"])
    before = next((i for i, (a, b) in enumerate(zip(around, whole, strict=False)) if a != b), len(around))
    after = len(around) - before
    return after if after == 0 or whole[-after:] == around[-after:] else 0


def split_markers(tokenizer: Any, reference: Any) -> tuple[str, ...]:
    """The special tokens that the shared chat template writes and that the shared tokenizer cuts into pieces.

    Parameters
    ----------
    tokenizer : the tokenizer of a stage.
    reference : the tokenizer of the whole lineage.

    Returns
    -------
    Tokens of `tokenizer` that the template of `reference` writes and that are no tokens of `reference`.

    Example
    -------
    >>> from probes.lineage.templates import split_markers
    >>> tokenizer, later = (stage.load().tokenizer for _ in range(2))
    >>> later.add_special_tokens({"additional_special_tokens": ["<|tool|>"]})
    1
    >>> tokenizer.chat_template += "<|tool|>"
    >>> split_markers(later, tokenizer)
    ('<|tool|>',)
    """
    if not reference.chat_template:
        return ()
    written, known = _written(reference), reference.get_added_vocab()
    markers = {*tokenizer.all_special_tokens, *tokenizer.get_added_vocab()}
    missing = sorted(marker for marker in markers if marker in written and marker not in known)
    vocabulary = reference.get_vocab() if missing else {}
    return tuple(marker for marker in missing if marker not in vocabulary)


def _written(tokenizer: Any) -> str:
    """What the chat template writes around some short chats, with and without a generation prompt; the
    template itself where it refuses all of them."""
    texts = []
    for chat in _CHATS:
        for prompt in (False, True):
            with suppress(Exception):  # a template refuses what it likes, such as a system message
                texts.append(apply_template(tokenizer, chat, prompt))
    return "\n".join(texts) or pinned_template(tokenizer)


def split_markers_note(markers: Sequence[str], root: str) -> str:
    """What is said of the result of `split_markers`; `root` names the stage whose tokenizer is shared."""
    listed = ", ".join(map(repr, markers))
    return (
        f"the shared chat template writes {listed}, of which the shared tokenizer ({root}'s) knows no token "
        'and makes pieces: this stage was not trained on such pieces; render="own" (--render own) reads it '
        "with its own tokenizer"
    )


def _pinned_clock() -> str:
    """Jinja that stands before a template and tells it `PINNED_DATE`: as `date_string`, and by a
    `strftime_now` in place of that of transformers, which hands no functions to a template."""
    filters = "|replace('%%', '\x00')"
    for directive in [f"%-{x}" for x in "dmHIMSjy"] + [
        f"%{x}" for x in "aAwdebBhmyYCGgVuUWHIkljpPMSfzZcxXDFTRs"
    ]:
        filters += f"|replace({directive!r}, {_on_the_day(directive)!r})"
    filters += "|replace('\x00', '%')"
    day = PINNED_DATE.strftime("%d %b %Y")
    return (
        f"{{% macro strftime_now(format) %}}{{{{ format{filters} }}}}{{% endmacro %}}"
        f"{{% if date_string is not defined %}}{{% set date_string = {day!r} %}}{{% endif %}}\n"
    )


def _on_the_day(directive: str) -> str:
    """What a directive of `strftime` writes on `PINNED_DATE`; nothing for one that this platform lacks."""
    text = PINNED_DATE.strftime(directive)
    return "" if text == directive else text


def changes_by_itself(tokenizer: Any) -> str | None:
    """Why one chat can be several texts under the tokenizer's chat template; None where it cannot.

    Returns
    -------
    A phrase: the template writes the date, which is pinned, or it writes something else that changes from one
    rendering to the next, which cannot be pinned.

    Example
    -------
    >>> from probes.lineage.templates import changes_by_itself
    >>> tokenizer = stage.load().tokenizer
    >>> tokenizer.chat_template = "{{ strftime_now('%d %b %Y') }} {{ messages[0].content }}"
    >>> changes_by_itself(tokenizer)
    'the chat template writes the date; every chat is rendered as on 26 Jul 2024'
    """
    if not tokenizer.chat_template:
        return None
    try:
        texts = {apply_template(tokenizer, _CHATS[0]) for _ in range(8)}
        dated = tokenizer.apply_chat_template(_CHATS[0], tokenize=False, date_string="1 Jan 1970")
    except Exception:  # a template refuses what it likes; texts that it refuses are told of where they are
        return None
    if len(texts) > 1:
        return (
            "the chat template makes another text of the same chat each time (it uses chance), so results "
            "cannot be repeated: take the chance out of it"
        )
    if dated not in texts and _DATED.search(pinned_template(tokenizer)):
        day = PINNED_DATE.strftime("%d %b %Y")
        return f"the chat template writes the date; every chat is rendered as on {day}"
    return None
