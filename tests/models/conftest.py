"""Fixtures of the tests of `probes.models`: a small Llama, a tokenizer, and what transformers computes."""

import pytest
import torch
import transformers as hf
from tokenizers import Tokenizer
from tokenizers.models import WordLevel

from tests.model_families import ROWS, hook_up, make_model, make_native, reference


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    """A tokenizer of 100 words, as the other libraries need one."""
    words = Tokenizer(WordLevel({f"w{i}": i for i in range(100)}, unk_token="w0"))
    folder = tmp_path_factory.mktemp("tokenizer")
    hf.PreTrainedTokenizerFast(
        tokenizer_object=words, pad_token="w0", bos_token="w1", eos_token="w2", unk_token="w0"
    ).save_pretrained(folder)
    return hf.AutoTokenizer.from_pretrained(folder)


@pytest.fixture(scope="module")
def references():
    """A function from a family to each site's values and the logits, row by row, from transformers itself."""
    cache = {}

    def of(name: str):
        if name not in cache:
            model = make_model(name)
            logits = [model(input_ids=torch.tensor([row])).logits[0].detach() for row in ROWS]
            cache[name] = [reference(model, name, row) for row in ROWS], logits
        return cache[name]

    return of


@pytest.fixture
def native():
    """A transformers Llama, new in each test."""
    return make_native()


@pytest.fixture
def model(native):
    """`native` in the fast backend."""
    return hook_up(native)
