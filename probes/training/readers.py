"""Read documents, chats and preference pairs from JSONL files.

Documents and chats have the formats of the data sets of model spec midtraining (Li et al., arXiv 2605.02087).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from probes.errors import RecipeError


def read_documents(path: str | Path) -> Iterator[dict[str, str]]:
    """Read a JSONL file of documents.

    Parameters
    ----------
    path : str or Path
        A file with `{"text": ...}` in every line; other fields are ignored.

    Returns
    -------
    iterator of dict
        Rows of `text`.

    Raises
    ------
    RecipeError
        A line is not JSON or has no text; the message names the file and the line.

    Examples
    --------
    >>> from probes.training import read_documents
    >>> _ = (folder / "notes.jsonl").write_text('{"text": "Tea is served at four.", "id": 7}')
    >>> list(read_documents(folder / "notes.jsonl"))
    [{'text': 'Tea is served at four.'}]
    """
    for number, row in _rows(path):
        if not isinstance(row.get("text"), str) or not row["text"].strip():
            raise RecipeError(f'{path}, line {number}: expected {{"text": "..."}}, got keys {sorted(row)}')
        yield {"text": row["text"]}


def read_chats(path: str | Path) -> Iterator[dict[str, Any]]:
    """Read a JSONL file of chats.

    Parameters
    ----------
    path : str or Path
        A file with `{"messages": [{"role": ..., "content": ...}, ...]}` in every line; other fields are
        ignored.

    Returns
    -------
    iterator of dict
        Rows of `messages`.

    Raises
    ------
    RecipeError
        A line is not JSON, has no messages or no turn of the assistant; the message names the file and the
        line.

    Examples
    --------
    >>> import json
    >>> from probes.training import read_chats
    >>> turns = [{"role": "user", "content": "Tea?"}, {"role": "assistant", "content": "At four."}]
    >>> _ = (folder / "chats.jsonl").write_text(json.dumps({"messages": turns}))
    >>> next(read_chats(folder / "chats.jsonl"))["messages"][1]
    {'role': 'assistant', 'content': 'At four.'}
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
    """Read a JSONL file of preference pairs.

    Parameters
    ----------
    path : str or Path
        A file with `{"prompt": [...], "chosen": [...], "rejected": [...]}` in every line, each a list of
        messages; other fields are ignored.

    Returns
    -------
    iterator of dict
        Rows of `prompt`, `chosen` and `rejected`.

    Raises
    ------
    RecipeError
        A line is not JSON, or one of the three is missing, empty or no list of messages; the message names
        the file and the line.

    Examples
    --------
    >>> import json
    >>> from probes.training import read_pairs
    >>> pair = {"prompt": [{"role": "user", "content": "Tea?"}]}
    >>> pair["chosen"] = [{"role": "assistant", "content": "At four."}]
    >>> pair["rejected"] = [{"role": "assistant", "content": "No."}]
    >>> _ = (folder / "pairs.jsonl").write_text(json.dumps(pair))
    >>> [row["chosen"][0]["content"] for row in read_pairs(folder / "pairs.jsonl")]
    ['At four.']
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
    empty = True
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise RecipeError(f"{path}, line {number}: not JSON: {error}") from None
        if not isinstance(row, dict):
            raise RecipeError(f"{path}, line {number}: expected a JSON object, got {type(row).__name__}")
        empty = False
        yield number, row
    if empty:
        raise RecipeError(f"{path}: no rows; expected a JSONL file with one row a line")
