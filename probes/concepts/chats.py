"""Chats as the text that a model reads, through the chat template of a tokenizer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from probes.concepts.records import Message
from probes.errors import TokenizerError
from probes.lineage import apply_template


def chat_text(messages: Sequence[Message], tokenizer: Any, where: str) -> str:
    """A chat rendered by the tokenizer's chat template, without a prompt for a further answer.

    Parameters
    ----------
    messages : sequence of Message
        The turns.
    tokenizer : transformers tokenizer
        Its chat template renders them.
    where : str
        Where the chat stands, for error messages.

    Raises
    ------
    TokenizerError
        When the tokenizer has no chat template, or its template refuses the chat.

    Example
    -------
    >>> tokenizer = stage.load().tokenizer
    >>> chat_text([Message(role="user", content="a hat")], tokenizer, "row 1")
    '<|user|> a hat <|end|> '
    """
    if getattr(tokenizer, "chat_template", None) is None:
        raise TokenizerError(
            f"{where} is a chat and the tokenizer ({type(tokenizer).__name__}) has no chat template: "
            "give a tokenizer that has one, or examples with 'text'"
        )
    turns = [message.model_dump() for message in messages]
    try:
        return apply_template(tokenizer, turns)
    except Exception as error:  # a chat template is a program, and raises whatever its author chose
        raise TokenizerError(f"{where}: the chat template refused it: {error}") from error
