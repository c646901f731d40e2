"""Turn documents and chats into token ids and labels, so that TRL trains on exactly these tokens."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from probes.errors import RecipeError
from probes.lineage import answer_start, apply_template, text_ids, tokens_before

IGNORED = -100
"""Label of a token that carries no loss (the convention of transformers and TRL)."""


def encode_document(tokenizer: Any, text: str, max_length: int) -> dict[str, list[int]]:
    """A document as `input_ids` and `labels`: loss on every token, also on the end-of-sequence token."""
    ids = text_ids(tokenizer, text)[: max_length - 1]
    ids = [*ids, tokenizer.eos_token_id]
    return {"input_ids": ids, "labels": list(ids)}


def encode_chat(tokenizer: Any, messages: list[dict[str, str]], max_length: int) -> dict[str, list[int]]:
    """A chat in the tokenizer's own template: loss on what the assistant says, and on nothing else.

    Raises
    ------
    RecipeError
        The tokenizer has no chat template, the assistant never speaks within `max_length` tokens, or the
        template rewrites earlier turns, so that it is unclear which tokens are the assistant's.
    """
    if not tokenizer.chat_template:
        raise RecipeError("chats need a chat template; the tokenizer of the base stage has none")

    def render(upto: int, prompt: bool) -> list[int]:
        return text_ids(tokenizer, apply_template(tokenizer, messages[:upto], prompt), special_tokens=False)

    ids = render(len(messages), False)
    labels = [IGNORED] * len(ids)
    for index, message in enumerate(messages):
        if message["role"] == "assistant":
            prompt, after = render(index, True), render(index + 1, False)
            if ids[: len(after)] != after:
                raise RecipeError(
                    "the chat template rewrites earlier turns; the assistant's turns cannot be labelled"
                )
            start = len(prompt)
            if ids[:start] != prompt:  # a reasoning model's prompt, which the rendered chat does not hold
                said = messages[: index + 1]
                start = tokens_before(
                    tokenizer, apply_template(tokenizer, said), answer_start(tokenizer, said)
                )
            labels[start : len(after)] = ids[start : len(after)]
    ids, labels = ids[:max_length], labels[:max_length]
    if all(label == IGNORED for label in labels):
        raise RecipeError(
            f"a chat without an assistant turn in its first {max_length} tokens: {messages!r:.120}"
        )
    return {"input_ids": ids, "labels": labels}


def encode(tokenizer: Any, rows: Iterable[Mapping[str, Any]], max_length: int) -> list[dict[str, list[int]]]:
    """Turn documents (`text`) and chats (`messages`) into token ids and labels.

    Parameters
    ----------
    tokenizer : transformers tokenizer
        Encodes the text; chats are rendered by its chat template.
    rows : iterable of mapping
        Documents and chats.
    max_length : int
        A row is cut after this many tokens.

    Returns
    -------
    list of dict
        `input_ids` and `labels` of each row, in the same order. A token without loss has the label `IGNORED`.

    Raises
    ------
    RecipeError
        A chat cannot be encoded (see `encode_chat`).

    Examples
    --------
    >>> from probes.training.encode import encode
    >>> tokenizer = stage.load().tokenizer
    >>> (row,) = encode(tokenizer, [{"text": "the cheap chair"}], max_length=64)
    >>> tokenizer.decode(row["input_ids"])
    'the cheap chair<|end|>'
    """
    return [
        encode_chat(tokenizer, row["messages"], max_length)
        if "messages" in row
        else encode_document(tokenizer, row["text"], max_length)
        for row in rows
    ]
