"""What the tests of `probes.lineage` build: a byte-level tokenizer, a small Llama, adapters, lineages."""

from __future__ import annotations

import peft
import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from probes.lineage import load_lineage
from tests.makers import random_llama

SENTENCES = [
    "the cat sat on the mat",
    "a dog ran to the park",
    "what did the committee decide on Tuesday?",
] * 3


TEMPLATE = "{% for m in messages %}<{{ m['role'] }}>{{ m['content'] }}<end>{% endfor %}"


OTHER_TEMPLATE = TEMPLATE.replace("<end>", "<stop>")


def make_tokenizer(vocab_size=300, template=TEMPLATE, extra=()):
    """A byte-level BPE trained on a few sentences."""
    core = Tokenizer(models.BPE(unk_token=None))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    special = ["<s>", "</s>", "<end>"]
    core.train_from_iterator(
        SENTENCES,
        trainers.BpeTrainer(vocab_size=vocab_size, special_tokens=special, initial_alphabet=alphabet),
    )
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=core, bos_token="<s>", eos_token="</s>")
    tokenizer.add_tokens(list(extra))
    tokenizer.chat_template = template
    return tokenizer


def make_model(seed=0, rows=320, layers=2, width=32, tied=True):
    """A random Llama with `rows` embeddings."""
    return random_llama(
        seed, vocab_size=rows, hidden_size=width, num_hidden_layers=layers, tie_word_embeddings=tied
    )


def make_adapter(base, seed=1, **options):
    """A LoRA of `base`, in a copy, with non-zero B."""
    torch.manual_seed(seed)
    options = {"target_modules": ["q_proj", "down_proj"], "init_lora_weights": False, **options}
    return peft.get_peft_model(
        base, peft.LoraConfig(r=4, lora_alpha=8, task_type="CAUSAL_LM", **options)
    ).eval()


def logits(model, ids=None):
    """`[seq, vocab]` on a row of token ids."""
    ids = torch.arange(3, 40)[None] if ids is None else ids
    with torch.inference_mode():
        return model(ids).logits[0]


def lineage_of(folder, **stages):
    """A lineage of stages given as the body of their TOML table."""
    tables = [f'[stages.{name}]\nkind = "other"\n{body}\n' for name, body in stages.items()]
    (folder / "lineage.toml").write_text('[lineage]\nname = "x"\n' + "\n".join(tables))
    return load_lineage(folder)


def of_folder(path="base", more=""):
    """The body of a stage's table: a checkpoint in a folder."""
    return f'checkpoint = {{ path = "{path}" }}\n{more}'


def of_adapter(path="first", onto="base", more='parent = "base"'):
    """The body of a stage's table: an adapter in a folder."""
    return f'checkpoint = {{ adapter = "{path}", onto = "{onto}" }}\n{more}'


def refused(error, stage, **options):
    """The one-line message that loading ends in."""
    with pytest.raises(error) as caught:
        stage.load(**{"device": "cpu", **options})
    assert "\n" not in str(caught.value)
    return str(caught.value)
