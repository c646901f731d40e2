"""Choice prompts through a model, the orders and options of an item sharing what they have in common."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from probes.errors import InputError
from probes.models import HookedModel, Site
from probes.models.fanning import ArmwiseAdd
from probes.steering.prompts import ChoicePrompt

ARMS_AT_ONCE = 16
"""Pushes that share a forward: enough for the shared blocks to cost little, few enough for memory."""


def option_logprobs(
    model: HookedModel, prompts: Sequence[ChoicePrompt], batch_tokens: int
) -> list[list[Tensor]]:
    """Log-probability of each token of each option, `[prompt][sequence]` -> `[len(option)]`; differentiable.

    The backends here take all sequences of an item as one group (`trie_logprobs`); any other HookedModel is
    asked for one prompt after the other.
    """
    if hasattr(model, "trie_logprobs"):
        return model.trie_logprobs([p.sequences for p in prompts], batch_tokens)  # pyright: ignore
    by_prompt = []
    for prompt in prompts:
        contexts = [context for context, _ in prompt.sequences[0::2]]
        options = [ids for _, ids in prompt.sequences]
        pairs = [options[2 * order : 2 * order + 2] for order in range(len(contexts))]
        by_prompt.append([option for pair in model.choice_logprobs(contexts, pairs) for option in pair])
    return by_prompt


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


def score_prompts(model: HookedModel, prompts: Sequence[ChoicePrompt], batch_tokens: int) -> Tensor:
    """`order_logits` of `prompts` under whatever interventions are on, without a graph, on the CPU."""
    with torch.inference_mode():
        return order_logits(option_logprobs(model, prompts, batch_tokens)).double().cpu()


def score_pushes(
    model: HookedModel, prompts: Sequence[ChoicePrompt], site: Site, vectors: Tensor, batch_tokens: int
) -> Tensor:
    """`[score, arm, item, order]`: `score_prompts` with each row of `vectors` `[arm, width]` added at every
    token of `site`. The fast backend runs the blocks below the site once for all arms."""
    scores = []
    for some in vectors.split(ARMS_AT_ONCE if hasattr(model, "fan_out") else 1):
        if hasattr(model, "fan_out"):
            with model.fan_out(site, some):  # pyright: ignore[reportAttributeAccessIssue]
                scores.append(score_prompts(model, prompts, max(1, batch_tokens // len(some))))
        else:
            with model.intervene(ArmwiseAdd(site, some)):
                scores.append(score_prompts(model, prompts, batch_tokens)[:, None])
    return torch.cat(scores, 1)
