"""Documents and chats from files, in the formats of the MSM paper's code and data sets (arXiv 2605.02087)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from probes.errors import RecipeError


def read_documents(path: str | Path) -> Iterator[dict[str, str]]:
    """Rows of a JSONL file of documents, `{"text": ..., ...}`; other fields are ignored.

    Raises:
        RecipeError: naming the file and line: not JSON, or no non-empty `text`.
    """
    for number, row in _rows(path):
        if not isinstance(row.get("text"), str) or not row["text"].strip():
            raise RecipeError(f'{path}, line {number}: expected {{"text": "..."}}, got keys {sorted(row)}')
        yield {"text": row["text"]}


def read_chats(path: str | Path) -> Iterator[dict[str, Any]]:
    """Rows of a JSONL file of chats, `{"messages": [{"role", "content"}, ...], ...}`.

    Raises:
        RecipeError: naming the file and line: not JSON, no messages, or no turn of the assistant.
    """
    for number, row in _rows(path):
        messages = _messages(row.get("messages"))
        if messages is None or not any(turn["role"] == "assistant" for turn in messages):
            raise RecipeError(
                f'{path}, line {number}: expected {{"messages": [{{"role", "content"}}, ...]}} '
                "with an assistant turn"
            )
        yield {"messages": messages}


def read_pairs(path: str | Path) -> Iterator[dict[str, Any]]:
    """Rows of a JSONL file of preference pairs, `{"prompt", "chosen", "rejected"}`, each a list of messages.

    Raises:
        RecipeError: naming the file and line: not JSON, or one of the three is missing, empty or malformed.
    """
    for number, row in _rows(path):
        pair = {key: _messages(row.get(key)) for key in ("prompt", "chosen", "rejected")}
        if wrong := next((key for key, messages in pair.items() if not messages), None):
            raise RecipeError(f'{path}, line {number}: expected "{wrong}": [{{"role", "content"}}, ...]')
        yield pair


def _messages(value: Any) -> list[dict[str, str]] | None:
    """The role and content of each turn; None where `value` is no list of messages."""
    fits = isinstance(value, list) and all(
        isinstance(turn, dict) and isinstance(turn.get("role"), str) and isinstance(turn.get("content"), str)
        for turn in value
    )
    return [{"role": turn["role"], "content": turn["content"]} for turn in value] if fits else None


def _rows(path: str | Path) -> Iterator[tuple[int, dict[str, Any]]]:
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path}: cannot be read ({error}); expected a JSONL file") from None
    found = False
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise RecipeError(f"{path}, line {number}: not JSON: {error}") from None
        if not isinstance(row, dict):
            raise RecipeError(f"{path}, line {number}: expected a JSON object, got {type(row).__name__}")
        found = True
        yield number, row
    if not found:
        raise RecipeError(f"{path}: no rows; expected a JSONL file with one row a line")
