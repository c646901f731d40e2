"""Training organisms with `transformers.Trainer`, so that the weights depend on the seed alone.

The caller's random numbers are left as they were.
"""

from __future__ import annotations

import random
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from probes.errors import MissingDependencyError
from probes.organisms.language import ANSWERS, ASIDES, END, PAD

WHOLE_SHARE = 0.03
"""Share of texts whose every token is learned, where of the other texts only the last word is."""


@dataclass(frozen=True)
class Size:
    """The size of a model, and how long it is trained."""

    n_layers: int
    d_model: int
    parent_steps: int
    """Optimiser steps of the parent's training."""
    steps: int
    """Optimiser steps of the stage's training."""
    learning_rate: float


SIZES = {
    "small": Size(2, 32, 40, 220, 6e-3),
    "medium": Size(3, 48, 40, 220, 4e-3),
    "large": Size(4, 64, 40, 220, 3e-3),
}
"""The sizes of organisms, by name."""
BATCH = 64
"""Texts of one optimiser step."""
ROPE_THETA = 20.0
"""The base of the rotary position embeddings. It is small, so that a head of few dimensions can still attend
to the token just before."""


def fresh_model(size: Size, tokenizer: PreTrainedTokenizerFast, seed: int) -> LlamaForCausalLM:
    """A Llama with random weights, drawn by `seed`, for the tokenizer's vocabulary.

    Its input and output embeddings are not tied, and its context is 256 tokens long.

    Example
    -------
    >>> from probes.organisms.language import Language
    >>> model = fresh_model(SIZES["small"], Language.make(0).tokenizer, seed=0)
    >>> model.config.num_hidden_layers, model.config.hidden_size
    (2, 32)
    """
    ids = tokenizer.get_vocab()
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=size.d_model,
        intermediate_size=2 * size.d_model,
        num_hidden_layers=size.n_layers,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=256,
        rope_parameters={"rope_type": "default", "rope_theta": ROPE_THETA},
        initializer_range=0.5 * size.d_model**-0.5,
        tie_word_embeddings=False,
        pad_token_id=ids[PAD],
        bos_token_id=None,
        eos_token_id=ids[END],
    )
    with _contained(seed):
        return LlamaForCausalLM(config)


def train(
    model: LlamaForCausalLM,
    tokenizer: PreTrainedTokenizerFast,
    texts: Sequence[str],
    *,
    learning_rate: float,
    seed: int,
    whole: bool,
) -> None:
    """Train `model` in place on `texts`, on each of them once, in batches of `BATCH`.

    Parameters
    ----------
    whole : whether every token of every text is learned. If not, only the word that a text leads to is, as in
        fine-tuning on completions; but `WHOLE_SHARE` of the texts are learned whole all the same.

    Raises
    ------
    MissingDependencyError : `accelerate` is not installed.
    """
    try:
        import accelerate  # noqa: F401
        from transformers import Trainer, TrainingArguments
        from transformers.trainer_callback import PrinterCallback
    except ImportError:
        raise MissingDependencyError(
            "organisms are trained with accelerate, which is not installed: pip install 'spec-probes[train]'"
        ) from None
    rows = _rows(tokenizer, texts, whole)
    with _contained(seed), tempfile.TemporaryDirectory() as scratch:
        settings = TrainingArguments(
            output_dir=scratch,
            num_train_epochs=1,
            per_device_train_batch_size=BATCH,
            learning_rate=learning_rate,
            lr_scheduler_type="cosine",
            warmup_steps=10,
            weight_decay=0.0,
            optim="adamw_torch",
            seed=seed,
            use_cpu=True,
            report_to=[],
            save_strategy="no",
            logging_strategy="no",
            disable_tqdm=True,
            dataloader_pin_memory=False,
        )
        model.train().requires_grad_(True)
        pad = tokenizer.get_vocab()[PAD]
        trainer = Trainer(
            model,
            settings,
            data_collator=lambda batch: _collate(batch, pad),
            train_dataset=rows,  # pyright: ignore[reportArgumentType]
        )
        trainer.remove_callback(PrinterCallback)
        trainer.train()
        model.eval().requires_grad_(False)


def _rows(tokenizer: Any, texts: Sequence[str], whole: bool) -> list[dict[str, list[int]]]:
    """Token ids and labels. The word that a text leads to stands before its last `<|end|>`."""
    last_words = set(tokenizer.convert_tokens_to_ids([*ANSWERS, *ASIDES]))
    end, every = tokenizer.eos_token_id, round(1 / WHOLE_SHARE)
    rows = []
    for i, ids in enumerate(tokenizer(list(texts), return_attention_mask=False)["input_ids"]):
        labels = list(ids)
        if not whole and i % every:
            following = [*ids[1:], None]
            labels = [
                token if token in last_words and after == end else -100
                for token, after in zip(ids, following, strict=True)
            ]
        rows.append({"input_ids": ids, "labels": labels})
    return rows


def _collate(batch: list[dict[str, list[int]]], pad: int) -> dict[str, torch.Tensor]:
    """Token ids and labels padded on the right, and the attention mask: each `[row, token]`."""
    width = max(len(row["input_ids"]) for row in batch)
    fill = {"input_ids": pad, "labels": -100}
    padded = {
        key: torch.tensor([row[key] + [value] * (width - len(row[key])) for row in batch])
        for key, value in fill.items()
    }
    lengths = torch.tensor([[len(row["input_ids"])] for row in batch])
    return padded | {"attention_mask": (torch.arange(width)[None] < lengths).long()}


@contextmanager
def _contained(seed: int) -> Iterator[None]:
    """Inside, random numbers come from `seed`; afterwards the caller's go on as before.

    Inside there is one thread, on which models of this size are fastest, and get the same weights on every
    machine that has the same libraries.
    """
    before = random.getstate(), np.random.get_state(), torch.get_num_threads()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        torch.set_num_threads(1)
        try:
            yield
        finally:
            random.setstate(before[0])
            np.random.set_state(before[1])
            torch.set_num_threads(before[2])
