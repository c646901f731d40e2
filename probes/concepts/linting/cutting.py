"""Texts that are longer than a model's context window, which extraction would refuse."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from probes.concepts.concept import Concept
from probes.concepts.linting.report import LintIssue
from probes.errors import TokenizerError
from probes.lineage import load_lineage, text_ids

UNLIMITED = 1_000_000
"""transformers sets `model_max_length` to at least this much when a tokenizer knows no limit."""


def read_tokenizer(path: str | Path) -> tuple[Any, int | None]:
    """The tokenizer of a lineage or of a Hugging Face folder, and the context window where it is stated.

    Parameters
    ----------
    path : str or Path
        A lineage's folder (its reference tokenizer is taken), or one that `save_pretrained` wrote.

    Returns
    -------
    tokenizer : transformers tokenizer
    context : int or None
        The window in tokens that the folder's `config.json` states.

    Raises
    ------
    TokenizerError
        When there is no tokenizer.

    Example
    -------
    >>> from probes.concepts.linting import read_tokenizer
    >>> stage.load().tokenizer.save_pretrained(folder) and None
    >>> tokenizer, context = read_tokenizer(folder)
    >>> context is None  # there is no config.json beside this tokenizer
    True
    """
    folder = Path(path)
    if (folder / "lineage.toml").is_file():
        return load_lineage(folder).reference_tokenizer(), None
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError) as error:
        reason = str(error).partition("\n")[0]
        raise TokenizerError(
            f"{folder}: no tokenizer ({reason}): expected a lineage or a folder that save_pretrained wrote"
        ) from None
    config = folder / "config.json"
    stated = json.loads(config.read_text(encoding="utf-8")) if config.is_file() else {}
    return tokenizer, stated.get("max_position_embeddings")


def cut_texts(concept: Concept, tokenizer: Any, context: int | None) -> tuple[list[LintIssue], list[str]]:
    """An issue that lists examples with more than `context` tokens, and a note when there is no limit.

    When `context` is None the limit is the tokenizer's own. Raises TokenizerError when a chat cannot be
    rendered.
    """
    limit = context or getattr(tokenizer, "model_max_length", UNLIMITED)
    if limit >= UNLIMITED:
        return [], ["the tokenizer knows no context window, so lengths were not checked: give context="]
    lines = []
    for example, text in zip(concept.examples, concept.texts(tokenizer), strict=True):
        plain = example.text is not None
        n_tokens = len(text_ids(tokenizer, text, plain))
        if n_tokens > limit:
            lines.append(f"{example.pair}, label {example.label}: {n_tokens} tokens")
    if not lines:
        return [], []
    what = f"{len(lines)} texts are longer than the context window of {limit} tokens"
    return [LintIssue("length", what, "shorten them, or leave them out", tuple(lines))], []
