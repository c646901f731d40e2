"""From examples to token ids, and to the tokens at which activations are read.

Texts are rendered in one way for a whole lineage, or in each stage's own. This stands apart from extraction,
because a change of the chat template must never be mistaken for a change of representation.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from probes.concepts import Concept, Example
from probes.errors import ConceptError, InputError, TokenizerError
from probes.lineage import LoadedStage, answer_start, check_same_tokens, encode_text, tokens_before

POSITIONS = ("last", "mean", "decision", "answer", "span", "outside", "all")
"""Where in a text activations are read.

- `last`: the last token.
- `mean`: the mean of all tokens but the first, which is an attention sink in most decoders.
- `decision`: the token before the words of the assistant's answer, in a chat that ends with one.
- `answer`: the mean of all tokens from the first word of that answer on; in a plain text the same as `mean`.
- `span`: the mean of the tokens that overlap the evidence.
- `outside`: the mean of all tokens but the first that do not overlap the evidence, so that what is read is
  the model's state and not the words themselves.
- `all`: every token, each a row of its own.

Two more forms name one token: `token:N` is the token of that number (0 is the first, -1 the last), and
`text:WORDS` the last token of the last place in the rendered text where WORDS stand.
"""


@dataclass(frozen=True)
class Rendered:
    """One example as the model reads it."""

    text: str
    """The text after the chat template."""
    ids: tuple[int, ...]
    """Its token ids."""
    reads: dict[str, tuple[int, ...]]
    """Position -> the indices of the tokens that are read there (averaged, except for `all`)."""


def render(
    loaded: LoadedStage,
    concept: Concept,
    positions: Sequence[str] = ("last",),
    render: str = "shared",
    max_positions: int | None = None,
    truncate: bool = False,
    tokenizer: Any = None,
) -> list[Rendered]:
    """Render and tokenise every example of a concept.

    Parameters
    ----------
    loaded : the stage whose tokenizer, or whose lineage's tokenizer, is used.
    concept : the concept.
    positions : where in the text activations will be read, each as `POSITIONS` says.
    render : "shared" uses the tokenizer and chat template of the whole lineage, and checks that every token
        id that is used means the same in the stage's own vocabulary. "own" uses the stage's tokenizer.
    max_positions : the context window in tokens; None for no limit.
    truncate : whether the end of a longer text is cut; otherwise it raises ConceptError.
    tokenizer : a tokenizer that is used instead of what `render` says.

    Returns
    -------
    A `Rendered` for each example, in the order of the concept.

    Raises
    ------
    InputError : `positions` or `render` has no such value.
    ConceptError : a text is too long, has no tokens, or lacks what a position needs.
    TokenizerError : there is no chat template for a chat, or a token id means another token at this stage.

    Example
    -------
    >>> rendered = render(stage.load(), concept, ["last", "span"])[0]
    >>> rendered.text
    'the cheap chair was sold in Ohio red'
    >>> rendered.reads["last"] == (len(rendered.ids) - 1,), len(rendered.reads["span"]) >= 1
    (True, True)
    """
    if render not in ("shared", "own"):
        raise InputError(f'render={render!r}: expected "shared" or "own"')
    tokenizer = tokenizer or (loaded.tokenizer if render == "own" else loaded.reference_tokenizer)
    rendered = render_with(tokenizer, concept, positions, max_positions, truncate)
    if loaded.tokenizer is not tokenizer:
        check_same_tokens(loaded.name, loaded.tokenizer, tokenizer, {i for r in rendered for i in r.ids})
    return rendered


def render_with(
    tokenizer: Any,
    concept: Concept,
    positions: Sequence[str] = ("last",),
    max_positions: int | None = None,
    truncate: bool = False,
) -> list[Rendered]:
    """`render` for a tokenizer instead of a stage.

    Example
    -------
    >>> from probes.activations.rendering import render_with
    >>> tokenizer = stage.load().tokenizer
    >>> rows = render_with(tokenizer, concept, ["token:-1", "text:sold in"])  # "... was sold in Ohio red"
    >>> rows[0].reads["token:-1"] == (len(rows[0].ids) - 1,), len(rows[0].reads["text:sold in"])
    (True, 1)
    """
    for position in positions:
        _check_position(position)
    texts = concept.texts(tokenizer)
    rendered = []
    for index, (example, text) in enumerate(zip(concept.examples, texts, strict=True)):
        where = f"concept {concept.name!r}, row {index + 1} (pair {example.pair!r})"
        ids, offsets = encode_text(tokenizer, text, special_tokens=example.messages is None)
        if not ids:
            raise ConceptError(f"{where}: the text has no tokens: give it some words")
        if max_positions is not None and len(ids) > max_positions:
            if not truncate:
                raise ConceptError(
                    f"{where}: {len(ids)} tokens, but the model's context window is {max_positions}: "
                    "shorten the text, or cut it with truncate=True (--truncate)"
                )
            ids, offsets = ids[:max_positions], offsets[:max_positions]
        reads = {p: _read_indices(p, example, text, offsets, tokenizer, len(ids), where) for p in positions}
        rendered.append(Rendered(text, tuple(ids), reads))
    return rendered


def _check_position(position: str) -> None:
    """Raises InputError for a position that does not exist."""
    kind, colon, value = position.partition(":")
    if colon and kind == "token" and re.fullmatch(r"-?\d+", value):
        return
    if not (colon and kind == "text" and value) and position not in POSITIONS:
        raise InputError(
            f"position {position!r} is not known: expected one of {', '.join(POSITIONS)}, token:N (the token "
            "of that number, -1 for the last) or text:WORDS (the last token of these words)"
        )


def _answer_token(example: Example, text: str, tokenizer: Any, position: str, where: str) -> int:
    """The number of tokens of a chat before the words of its last turn."""
    messages = example.messages
    if not messages or messages[-1].role != "assistant" or len(messages) < 2:
        raise ConceptError(
            f'{where}: position "{position}" needs messages that end with the assistant\'s answer: '
            "give messages, or read another position"
        )
    turns = [message.model_dump() for message in messages]
    try:
        return tokens_before(tokenizer, text, answer_start(tokenizer, turns))
    except Exception as error:  # a chat template is a program, and raises whatever its author chose
        raise TokenizerError(f"{where}: {error}") from error


def _last_token_of(words: str, text: str, offsets: list[tuple[int, int]], tokenizer: Any, where: str) -> int:
    """The number of the last token of the last place where `words` stand."""
    if not tokenizer.is_fast:
        raise TokenizerError(
            f'{where}: position "text:{words}" needs a fast tokenizer, got {type(tokenizer).__name__}'
        )
    start = text.rfind(words)
    tokens = [i for i, (a, b) in enumerate(offsets) if a < start + len(words) and b > max(a, start)]
    if start < 0:
        raise ConceptError(f"{where}: {words!r} does not stand in the text {text!r:.120}")
    if not tokens or offsets[-1][1] < start + len(words.rstrip()):
        raise ConceptError(f"{where}: {words!r} was cut off, so it cannot be read: shorten the text")
    return tokens[-1]


def _read_indices(
    position: str,
    example: Example,
    text: str,
    offsets: list[tuple[int, int]],
    tokenizer: Any,
    n_tokens: int,
    where: str,
) -> tuple[int, ...]:
    """The indices of the tokens that are read at a position; `where` names the example in errors."""
    if position == "last":
        return (n_tokens - 1,)
    if position == "mean" or (position == "answer" and example.messages is None):
        return tuple(range(1, n_tokens)) or (0,)
    if position == "all":
        return tuple(range(n_tokens))
    kind, colon, value = position.partition(":")
    if colon and kind == "token":
        if not -n_tokens <= int(value) < n_tokens:
            raise ConceptError(f"{where}: there is no token {value}: the text has {n_tokens} tokens")
        return (int(value) % n_tokens,)
    if colon:
        return (_last_token_of(value, text, offsets, tokenizer, where),)
    if position in ("decision", "answer"):
        start = _answer_token(example, text, tokenizer, position, where)
        if start > n_tokens - (position == "answer"):
            raise ConceptError(
                f"{where}: the answer was cut off, so there is no {position} to read: shorten the text"
            )
        return (start - 1,) if position == "decision" else tuple(range(start, n_tokens))
    if not example.evidence or example.text is None:
        raise ConceptError(
            f'{where}: position "{position}" needs a plain text with evidence spans: add `evidence`'
        )
    if not tokenizer.is_fast:
        raise TokenizerError(
            f'{where}: position "{position}" needs a fast tokenizer, got {type(tokenizer).__name__}'
        )
    inside = {
        i
        for i, (start, end) in enumerate(offsets)
        if end > start and any(start < stop and end > begin for begin, stop in example.evidence)
    }
    if not inside:
        raise ConceptError(
            f"{where}: no token overlaps the evidence spans {example.evidence}: correct `evidence`"
        )
    if position == "span":
        return tuple(sorted(inside))
    outside = tuple(i for i in range(1, n_tokens) if i not in inside)
    if not outside:
        raise ConceptError(
            f"{where}: the evidence spans are the whole text, so nothing is outside them: "
            "read another position"
        )
    return outside
