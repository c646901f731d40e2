"""What several test files build: a tiny tokenizer and model, an adapter, a concept, scores of pairs."""

from __future__ import annotations

import numpy as np
import torch
from peft import LoraConfig, get_peft_model
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from probes.concepts import Concept

WORDS = (
    "the a cheap costly plain fancy chair table book lamp was is sold made bought in for of and by near far "
    "which would you choose or old new red blue green small large Ohio Texas Lyon Kyoto user system ."
)
CHAT_TEMPLATE = (
    "{% for m in messages %}<|{{ m['role'] }}|> {{ m['content'] }} <|end|> {% endfor %}"
    "{% if add_generation_prompt %}<|assistant|> {% endif %}"
)


def tiny_tokenizer() -> PreTrainedTokenizerFast:
    """Bytes-level BPE over a few words, with a chat template."""
    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    special = ["<|pad|>", "<|end|>", "<|user|>", "<|assistant|>", "<|system|>"]
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    raw.train_from_iterator([WORDS] * 4, trainer)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=raw, pad_token="<|pad|>", eos_token="<|end|>")
    tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer


def tiny_llama(seed: int = 0, n_layers: int = 3, vocab_size: int = 400) -> LlamaForCausalLM:
    """A Llama with random weights: 3 blocks, d_model 32, 4 heads of 8, 2 KV heads, context of 128."""
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=vocab_size,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=n_layers,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=128,
        initializer_range=0.2,
        pad_token_id=0,
        bos_token_id=None,
        eos_token_id=1,
    )
    return LlamaForCausalLM(config).eval().requires_grad_(False)


def price_concept():
    """24 pairs in 12 templates (12 train, 4 select, 8 test) and 10 choice items, in the tiny vocabulary."""
    nouns = ["chair", "table", "book", "lamp"]
    places = ["Ohio", "Texas", "Lyon", "Kyoto", "near", "far"]
    colours = ["red", "blue", "green"]
    examples = []
    for i in range(24):
        split = "train" if i < 12 else "select" if i < 16 else "test"
        for label, word in ((1, "cheap"), (0, "costly")):
            text = f"the {word} {nouns[i % 4]} was sold in {places[i % 6]} {colours[i % 3]}"
            example = {
                "pair": f"p{i}",
                "label": label,
                "text": text,
                "split": split,
                "template": f"t{i // 2}",
            }
            examples.append(example | {"evidence": [(4, 4 + len(word))]})
    choices = [
        {
            "id": f"c{i}",
            "prompt": "which would you choose {first} or {second}",
            "positive": f"a cheap {nouns[i % 4]} for {places[i % 6]}",
            "negative": f"a costly {nouns[i % 4]} for {places[i % 6]}",
            "split": "select" if i < 2 else "test",
        }
        for i in range(10)
    ]
    return Concept(name="prices", definition="costs little", examples=examples, choices=choices)


def lora_adapter(folder, model, seed: int = 0) -> None:
    """A PEFT LoRA adapter with random, non-zero weights, saved to `folder`."""
    torch.manual_seed(seed)
    config = LoraConfig(r=2, target_modules=["q_proj", "v_proj", "down_proj"], init_lora_weights=False)
    get_peft_model(model, config).save_pretrained(folder)


def paired(n_pairs):
    """Labels `[example]`, 1 and 0 in turn, and the pair of each example `[example]`."""
    return np.tile([1, 0], n_pairs), np.repeat(np.arange(n_pairs), 2)


def scored(rng, n_pairs, gap, pair=0.7):
    """Scores `[example]` whose classes lie `gap` apart and whose pairs have something in common."""
    labels, groups = paired(n_pairs)
    return pair * rng.normal(size=n_pairs)[groups] + rng.normal(size=labels.size) + gap * labels
