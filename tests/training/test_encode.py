"""Which tokens of a chat carry loss."""

import pytest
from transformers import AutoTokenizer

from probes.errors import RecipeError
from probes.training.encode import IGNORED, encode


def test_only_the_assistants_words_are_labelled(tiny):
    tokenizer = AutoTokenizer.from_pretrained(tiny / "base")
    question = {"role": "user", "content": "the fox"}
    answer = {"role": "assistant", "content": "owl in wood"}
    (row,) = encode(tokenizer, [{"messages": [question, answer, question, answer]}], 100)
    labelled = [
        token for token, label in zip(row["input_ids"], row["labels"], strict=True) if label != IGNORED
    ]
    assert tokenizer.decode(labelled).split() == ["owl", "in", "wood", "<eos>"] * 2
    with pytest.raises(RecipeError, match="without an assistant turn"):
        encode(tokenizer, [{"messages": [question]}], 100)
