"""Texts that are longer than the context window are found."""

from __future__ import annotations

import pytest

from probes.concepts.linting import lint, read_tokenizer
from probes.errors import TokenizerError
from tests.concepts.makers import concept_of, issues_of


def test_texts_that_a_tokenizer_cuts(tiny_llama_dir, quick):
    rows = [
        {"pair": "a", "label": 1, "text": "the chair " * 80},
        {"pair": "a", "label": 0, "text": "the lamp"},
    ]
    tokenizer, context = read_tokenizer(tiny_llama_dir)
    assert context == 128
    report = lint(concept_of(rows), tokenizer=tokenizer, context=context)
    n_tokens = len(tokenizer(rows[0]["text"])["input_ids"])
    assert issues_of(report, "length") == [
        f"1 texts are longer than the context window of 128 tokens | a, label 1: {n_tokens} tokens"
    ]
    assert any("knows no context window" in n for n in lint(concept_of(rows), tokenizer=tokenizer).notes)
    with pytest.raises(TokenizerError, match="no tokenizer"):
        read_tokenizer(tiny_llama_dir.parent)
