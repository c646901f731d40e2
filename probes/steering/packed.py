"""Choice prompts through a model. The orders and options of an item share the tokens they have in common."""

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
    model: PackedModel, prompts: Sequence[ChoicePrompt], batch_tokens: int, join: bool = False
) -> list[list[Tensor]]:
    """The log-probabilities of each option's tokens; `result[prompt][sequence]` is `[len(option)]`.

    They can be differentiated; with `join`, where items share tokens, only as a whole.
    """
    return model.trie_logprobs([p.sequences for p in prompts], batch_tokens, join)


def order_logits(logprobs: Sequence[Sequence[Tensor]]) -> Tensor:
    """The scores of choice items: log P(positive option) - log P(negative option).

    Parameters
    ----------
    logprobs : `logprobs[item][sequence]` is `[..., len(option)]`, the log-probabilities of the option's
        tokens. The sequences of an item are (positive, negative) in the first order of presentation, then in
        the second if there is one; `...` are any leading dimensions, such as one for each intervention.

    Returns
    -------
    `[score, ..., item, order]`. Score 0 sums the log-probabilities over an option's tokens, score 1 averages
    them. It is NaN for an order that an item does not have.

    Raises
    ------
    InputError : the model's log-probabilities are not finite.

    Example
    -------
    >>> one_order = [torch.tensor([-1.0, -1.0]), torch.tensor([-5.0])]
    >>> order_logits([one_order]).tolist()
    [[[3.0, nan]], [[4.0, nan]]]
    """
    options = [option for item in logprobs for option in item]
    sums = torch.stack([option.sum(-1) for option in options], -1)
    lengths = sums.new_tensor([option.shape[-1] for option in options])
    scores = torch.stack([sums, sums / lengths])
    differences = scores[..., 0::2] - scores[..., 1::2]
    if not bool(torch.isfinite(differences).all()):
        raise InputError(
            "the model's log-probabilities are not finite: take a smaller dose, or load it in float32"
        )
    item = torch.tensor([i for i, of_item in enumerate(logprobs) for _ in range(len(of_item) // 2)])
    order = torch.tensor([o for of_item in logprobs for o in range(len(of_item) // 2)])
    result = differences.new_full((*differences.shape[:-1], len(logprobs), 2), torch.nan)
    result[..., item, order] = differences
    return result


def score_prompts(model: PackedModel, prompts: Sequence[ChoicePrompt], batch_tokens: int) -> Tensor:
    """`order_logits` of prompts under the interventions that are on, without gradients, on the CPU."""
    with torch.inference_mode():
        return order_logits(option_logprobs(model, prompts, batch_tokens, join=True)).double().cpu()


def score_additions(
    model: PackedModel, prompts: Sequence[ChoicePrompt], site: Site, vectors: Tensor, batch_tokens: int
) -> Tensor:
    """`score_prompts` with vectors added one at a time at every token of a site.

    The fast backend runs the blocks below the site once for all vectors.

    Parameters
    ----------
    vectors : `[vector, width]`, each row an addition of its own.

    Returns
    -------
    `[score, vector, item, order]`, as `order_logits` gives them.
    """
    scores = []
    for chunk in vectors.split(VECTORS_AT_ONCE):
        with model.fan_out(site, chunk):
            scores.append(score_prompts(model, prompts, max(1, batch_tokens // len(chunk))))
    return torch.cat(scores, 1)
