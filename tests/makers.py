"""What several test files build: a tiny tokenizer and model, an adapter, a concept, a survey's table."""

from __future__ import annotations

import json
import math
import random

import numpy as np
import polars as pl
import torch
from peft import LoraConfig, get_peft_model
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from probes.concepts import Concept
from probes.stats.estimates import Estimate
from probes.tables.schema import tidy
from probes.verdicts import CRITERIA, Finding

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


def random_llama(seed: int = 0, **changes) -> LlamaForCausalLM:
    """A Llama with random weights: 2 blocks, d_model 32, 4 heads of 8, 2 KV heads, but for `changes`."""
    torch.manual_seed(seed)
    config = {
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 128,
        "initializer_range": 0.2,
    }
    return LlamaForCausalLM(LlamaConfig(**config | changes)).eval()


def tiny_llama(
    seed: int = 0, n_layers: int = 3, vocab_size: int = 400, hidden_size: int = 32
) -> LlamaForCausalLM:
    """A random Llama for `tiny_tokenizer`, without gradients."""
    return random_llama(
        seed,
        vocab_size=vocab_size,
        hidden_size=hidden_size,
        intermediate_size=64,
        num_hidden_layers=n_layers,
        pad_token_id=0,
        bos_token_id=None,
        eos_token_id=1,
    ).requires_grad_(False)


def price_concept():
    """24 pairs in 12 templates (12 train, 4 select, 8 test) and 10 choice items, in the tiny vocabulary."""
    nouns = ["chair", "table", "book", "lamp"]
    places = ["Ohio", "Texas", "Lyon", "Kyoto", "near", "far"]
    colours = ["red", "blue", "green"]
    examples = []
    for i in range(24):
        split = "train" if i < 12 else "select" if i < 16 else "test"
        for label, word in ((1, "cheap"), (0, "costly")):
            text = f"the {word} {nouns[i % 4]} was sold in {places[i % 6]} {colours[(i + i // 12) % 3]}"
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


def unmarked_prices():
    """`price_concept` with choice items that mark no split, so that there are enough of each part."""
    concept = price_concept()
    items = [item.model_copy(update={"split": None}) for item in concept.choices]
    return concept.model_copy(update={"choices": tuple(items)})


def many_prices() -> Concept:
    """The price concept with 120 pairs (50 train, 20 select, 50 test), enough for verdicts to be decided.

    The words "cheap" and "costly" give the label away, so that no probe is beyond the surface of the text.
    """
    nouns, places = ["chair", "table", "book", "lamp"], ["Ohio", "Texas", "Lyon", "Kyoto"]
    examples = [
        {
            "pair": f"p{i}",
            "label": label,
            "text": f"the {word} {nouns[i % 4]} {i} was sold in {places[i % 4]}",
            "split": "train" if i < 50 else "select" if i < 70 else "test",
            "template": f"t{i // 2}",
            "evidence": [(4, 4 + len(word))],
        }
        for i in range(120)
        for label, word in ((1, "cheap"), (0, "costly"))
    ]
    return Concept(name="prices", examples=examples, choices=price_concept().choices)


def lora_adapter(folder, model, seed: int = 0) -> None:
    """A PEFT LoRA adapter with random, non-zero weights, saved to `folder`."""
    torch.manual_seed(seed)
    config = LoraConfig(r=2, target_modules=["q_proj", "v_proj", "down_proj"], init_lora_weights=False)
    get_peft_model(model, config).save_pretrained(folder)


def estimate(value: float, half: float = 0.03, n: int = 80) -> Estimate:
    """An estimate whose interval reaches `half` to either side."""
    return Estimate(value, value - half, value + half, n)


def finding(test: str, estimate: Estimate, p: float | None = None, chance: float | None = None) -> Finding:
    """A finding of one test under the default criteria."""
    return Finding(test, estimate, CRITERIA.threshold(test), p, chance=chance)


SURVEY_PARENTS = {
    "base": None,
    "aft": "base",
    "msm_afford": "base",
    "msm_afford_aft": "msm_afford",
    "msm_domestic": "base",
    "msm_domestic_aft": "msm_domestic",
}
SURVEY_CONCEPTS = ("affordability", "domestic")


def survey_table(stages=tuple(SURVEY_PARENTS), concepts=SURVEY_CONCEPTS, layers=30) -> pl.DataFrame:
    """A survey's table with every kind of row that figures and the report show; every number is made up.

    The probe of stage number s is best at layer 2/5 of the depth + s % 3.
    """
    draw_number = random.Random(0)
    rows = []

    def add(measure, variant, estimate, half, **more):
        estimate += draw_number.gauss(0, half / 4)
        if measure in ("auroc", "accuracy", "choice_rate", "cosine", "cosine_whitened"):
            estimate = min(estimate, 0.995)
        ceiling = 1.0 if measure in ("auroc", "accuracy", "choice_rate", "cosine") else math.inf
        rows.append(
            {
                "lineage": "msm-mini", "site": "resid_post", "position": "last", "render": "shared",
                "estimator": "logistic", "estimate": estimate, "ci_low": estimate - half,
                "ci_high": min(estimate + 0.8 * half, ceiling), "n_pairs": 120, "n_seeds": 1, "seed": 0,
                "selected": False, "digest": "ab12", **more, "measure": measure, "variant": variant,
            }
        )  # fmt: skip

    for concept in concepts:
        for s, stage in enumerate(stages):
            matched, chosen = concept[:6] in stage, layers * 2 // 5 + s % 3
            where = {"stage": stage, "concept": concept}
            for layer in range(layers):
                at = {**where, "layer": layer}
                rise = 1 - math.exp(-(layer + 1) / 5)
                level = 0.6 + 0.3 * rise + (0.06 * rise if matched else 0)
                best = layer == chosen
                add("auroc", "probe", level, 0.04, **{**at, "selected": best})
                add("accuracy", "probe", level - 0.08, 0.05, **{**at, "selected": best})
                add("auroc", "random_init", 0.6 + 0.05 * rise, 0.05, **at)
                add("auroc", "shuffled_labels", 0.5, 0.05, **at)
                bump = math.exp(-((layer - 14) ** 2) / 40)
                add("steering_slope", "direction", bump * (0.9 if matched else 0.35), 0.12, **at)
                add("steering_slope", "random_direction", 0.0, 0.15, **at)
            null = {**where, "site": None, "position": None}
            for variant, level in (
                ("word_ngrams", 0.63), ("char_ngrams", 0.66), ("length", 0.53), ("embedding", 0.72),
            ):  # fmt: skip
                add("auroc", variant, level, 0.06, **null)
            add("auroc_gap", "probe_minus_best_surface", 0.2, 0.05, **{**where, "layer": chosen})
            rate = 0.75 if matched else 0.45
            for variant, shift in (("summed", 0.0), ("per_token", -0.04)):
                add("choice_rate", variant, rate + shift, 0.08, **null, n_pairs=130)
                add("choice_logit", variant, 4 * (rate - 0.5) + shift, 0.3, **null, n_pairs=130)
                add("position_bias", variant, 0.1, 0.1, **null, n_pairs=130)
            at = {**where, "layer": chosen}
            for alpha in (-8.0, -4.0, -2.0, -1.0, 0.0, 1.0, 2.0, 4.0, 8.0):
                base = 4 * (rate - 0.5)
                add("choice_logit", "direction", base + 3 * math.tanh(alpha / 5), 0.3, **at, alpha=alpha)
                add("choice_logit", "random_direction", base, 0.1 + 0.05 * abs(alpha), **at, alpha=alpha)
                add("choice_rate", "direction", 0.5 + 0.4 * math.tanh(alpha / 5), 0.05, **at, alpha=alpha)
                add("kl", "direction", 0.004 * alpha**2, 0.001, **at, alpha=alpha)
                add("within_damage_limit", "direction", float(abs(alpha) < 5), 0.0, **at, alpha=alpha)
                add("perplexity_ratio", "direction", 1 + 0.01 * alpha**2, 0.01, **at, alpha=alpha)
            add("cosine", "noise_floor", 0.96, 0.02, **{**at, "source_stage": stage})
            add("cosine_whitened", "noise_floor", 0.9, 0.04, **{**at, "source_stage": stage})
            for p, source in enumerate(stages):
                if source != stage:
                    across = {**at, "source_stage": source}
                    far = 0.03 * abs(p - s)
                    add("auroc", "frozen", 0.93 - far, 0.04, **across)
                    add("cosine", "direction", 0.95 - 2 * far, 0.03, **across)
                    add("cosine_whitened", "direction", 0.85 - 3 * far, 0.05, **across)
                    add("steering_slope", "direction", 0.4 - far, 0.1, **across)
                    add("auroc", "refit", 0.94, 0.03, **{**at, "source_stage": source})
            add("auroc", "refit", 0.94, 0.03, **{**at, "source_stage": stage})
    return tidy(rows)


def rows_of(table, **wanted) -> list[dict]:
    """The rows of a table that have these values."""
    for column, value in wanted.items():
        table = table.filter(pl.col(column).is_null() if value is None else pl.col(column) == value)
    return table.to_dicts()


def traces(figure, **wanted) -> list[dict]:
    """The traces of a figure that have these values, as plain dicts with arrays as lists."""
    every = json.loads(figure.plotly.to_json(engine="json"))["data"]
    assert not any(isinstance(trace.get(axis), dict) for trace in every for axis in "xyz")  # arrays are lists
    return [trace for trace in every if all(trace.get(k) == v for k, v in wanted.items())]


def tiny_trainable(folder, texts) -> None:
    """Save a random two-block Llama to `folder`, with a tokenizer of the words in `texts`, for training.

    Every token is a word, so that rendering a chat turn by turn gives the tokens of the whole chat.
    """
    words = Tokenizer(models.WordLevel(unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    special = ["<unk>", "<eos>", "<user>", "<bot>"]
    words.train_from_iterator(texts, trainers.WordLevelTrainer(vocab_size=400, special_tokens=special))
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, unk_token="<unk>", eos_token="<eos>")
    tokenizer.chat_template = (
        "{% for m in messages %}{{ '<user> ' if m['role'] == 'user' else '<bot> ' }}{{ m['content'] }} <eos> "
        "{% endfor %}{% if add_generation_prompt %}<bot> {% endif %}"
    )
    tokenizer.save_pretrained(folder)
    model = random_llama(
        vocab_size=400,
        max_position_embeddings=256,
        initializer_range=0.02,
        eos_token_id=1,
        bos_token_id=None,
        pad_token_id=1,
    )
    model.save_pretrained(folder)


def paired(n_pairs):
    """Labels `[example]`, 1 and 0 in turn, and the pair of each example `[example]`."""
    return np.tile([1, 0], n_pairs), np.repeat(np.arange(n_pairs), 2)


def scored(rng, n_pairs, gap, pair=0.7):
    """Scores `[example]` whose classes lie `gap` apart and whose pairs have something in common."""
    labels, groups = paired(n_pairs)
    return pair * rng.normal(size=n_pairs)[groups] + rng.normal(size=labels.size) + gap * labels
