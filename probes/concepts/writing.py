"""How a concept lies in a folder (`concept.toml`, `pairs.jsonl`, `choices.jsonl`), and the writing of one.

Writing needs only the rows and the header, so this module stands left of `Concept`; the reading of a folder,
which makes a `Concept`, is in `probes.concepts.folder`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from probes.concepts.header import Header
from probes.concepts.records import ChoiceItem, Example, Tagged
from probes.errors import OutputError

HEADER, PAIRS, CHOICES = "concept.toml", "pairs.jsonl", "choices.jsonl"


def write_folder(
    folder: Path, header: Header, examples: Sequence[Example], choices: Sequence[ChoiceItem]
) -> Path:
    """Write the three files of a concept, which `read_folder` reads back as an equal concept.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    OutputError
        When the folder already holds a concept or cannot be written.

    Example
    -------
    >>> rows = [Example(pair="hat", label=k, text=f"hat {k}") for k in (0, 1)]
    >>> sorted(path.name for path in write_folder(folder, Header(name="hats"), rows, []).iterdir())
    ['choices.jsonl', 'concept.toml', 'pairs.jsonl']
    """
    if (folder / HEADER).exists():
        raise OutputError(f"{folder}: already holds a concept: choose another folder, or remove it first")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / PAIRS).write_text(_jsonl(examples), encoding="utf-8", newline="\n")
        (folder / CHOICES).write_text(_jsonl(choices), encoding="utf-8", newline="\n")
        (folder / HEADER).write_text(_toml(header), encoding="utf-8", newline="\n")
    except OSError as error:
        raise OutputError(f"{folder}: cannot be written ({error.strerror}): choose another folder") from error
    return folder


def _jsonl(rows: Sequence[Tagged]) -> str:
    return "".join(json.dumps(r.model_dump(exclude_none=True), ensure_ascii=False) + "\n" for r in rows)


def _toml(header: Header) -> str:
    texts = ("name", "definition", "clause", "not_about", "licence")
    lines = [f"{key} = {_quoted(getattr(header, key))}" for key in texts]
    lines += [f"{key} = {_quoted_list(getattr(header, key))}" for key in ("confounds", "sources")]
    lines += ["", "[banned_evidence_words]"]
    lines += [f"{split} = {_quoted_list(words)}" for split, words in header.banned_evidence_words.items()]
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    """A TOML basic string: JSON's escapes are TOML's, except that TOML wants DEL escaped too."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _quoted_list(texts: Sequence[str]) -> str:
    return f"[{', '.join(_quoted(text) for text in texts)}]"
