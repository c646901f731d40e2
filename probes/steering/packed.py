"""Choice prompts through a model, the orders and options of an item sharing what they have in common."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from probes.errors import InputError
from probes.models import PackedModel, Site
from probes.steering.prompts import ChoicePrompt

VECTORS_AT_ONCE = 16
"""Additions that share a forward: enough for the shared blocks to cost little, few enough for memory."""


def option_logprobs(
    model: PackedModel, prompts: Sequence[ChoicePrompt], batch_tokens: int
) -> list[list[Tensor]]:
    """Log-probability of each option's tokens, `[prompt][sequence]` -> `[len(option)]`; differentiable."""
    return model.trie_logprobs([p.sequences for p in prompts], batch_tokens)


def order_logits(logprobs: Sequence[Sequence[Tensor]]) -> Tensor:
    """`[score, ..., item, order]`: log P(positive) - log P(negative) of each item in each order of
    presentation; `...` are the leading dimensions of `logprobs`, such as one for each intervention.

    Score 0 sums log-probabilities over an option's tokens, score 1 averages them; NaN for an order that an
    item does not have. Raises InputError where the model's log-probabilities are not finite.
    """
    options = [option for item in logprobs for option in item]
    sums = torch.stack([option.sum(-1) for option in options], -1)
    lengths = sums.new_tensor([option.shape[-1] for option in options])
    scores = torch.stack([sums, sums / lengths])
    differences = scores[..., 0::2] - scores[..., 1::2]
    if not bool(torch.isfinite(differences).all()):
        raise InputError("the model's log-probabilities are not finite: push less far, or load it in float32")
    item = torch.tensor([i for i, one in enumerate(logprobs) for _ in range(len(one) // 2)])
    order = torch.tensor([o for one in logprobs for o in range(len(one) // 2)])
    result = differences.new_full((*differences.shape[:-1], len(logprobs), 2), torch.nan)
    result[..., item, order] = differences
    return result


def score_prompts(model: PackedModel, prompts: Sequence[ChoicePrompt], batch_tokens: int) -> Tensor:
    """`order_logits` of `prompts` under whatever interventions are on, without a graph, on the CPU."""
    with torch.inference_mode():
        return order_logits(option_logprobs(model, prompts, batch_tokens)).double().cpu()


def score_additions(
    model: PackedModel, prompts: Sequence[ChoicePrompt], site: Site, vectors: Tensor, batch_tokens: int
) -> Tensor:
    """`[score, vector, item, order]`: `score_prompts` with each row of `vectors` `[vector, width]` added, one
    at a time, at every token of `site`. The fast backend runs the blocks below the site once for all."""
    scores = []
    for some in vectors.split(VECTORS_AT_ONCE):
        with model.fan_out(site, some):
            scores.append(score_prompts(model, prompts, max(1, batch_tokens // len(some))))
    return torch.cat(scores, 1)
