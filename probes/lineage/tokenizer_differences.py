"""How two tokenizers differ, in words."""

from __future__ import annotations

from itertools import zip_longest
from typing import Any

TEXT = "The committee met on Tuesday and wrote down what it had decided: 17 rules, none of them new."
"""A text that tokenizers encode and models read when they are compared."""


def tokenizer_differences(own: Any, other: Any) -> list[str]:
    """How a tokenizer differs from another one.

    Returns
    -------
    One phrase for each difference in tokens, special tokens, the ids of a text, or the chat template; an
    empty list if there is none.

    Example
    -------
    >>> tokenizer, changed = (lineage["base"].load(device="cpu").tokenizer for _ in range(2))
    >>> changed.eos_token = "<|user|>"
    >>> tokenizer_differences(changed, tokenizer)
    ["eos_token is '<|user|>', not '<|end|>'"]
    """
    differences = []
    here, there = own.get_vocab(), other.get_vocab()
    if differing := [
        token for token in sorted(here.keys() | there.keys()) if here.get(token) != there.get(token)
    ]:
        differences.append(f"{len(differing)} tokens differ (first {differing[0]!r})")
    for role in ("bos_token", "eos_token", "unk_token", "pad_token"):
        if getattr(own, role) != getattr(other, role):
            differences.append(f"{role} is {getattr(own, role)!r}, not {getattr(other, role)!r}")
    if own(TEXT).input_ids != other(TEXT).input_ids:
        differences.append("the same text gives other token ids")
    if own.chat_template != other.chat_template:
        differences.append(_template_difference(own.chat_template, other.chat_template))
    return differences


def _template_difference(own: Any, other: Any) -> str:
    if own is None or other is None:
        return "it has no chat template" if own is None else "it has a chat template and the other none"
    lines = zip_longest(str(own).splitlines(), str(other).splitlines(), fillvalue="")
    number, (line, its) = next((i, pair) for i, pair in enumerate(lines, 1) if pair[0] != pair[1])
    pairs = enumerate(zip(line, its, strict=False))
    at = next((i for i, (a, b) in pairs if a != b), min(len(line), len(its)))
    shown = line[max(0, at - 10) : at + 30]
    return f"chat template differs (first at line {number}, column {at + 1}: {shown!r})"
