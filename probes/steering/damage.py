"""Damage: what an intervention does to the model's predictions on neutral text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Unpack

import numpy as np
import torch
from torch import Tensor

from probes.activations import AnyStage, RunContext, RunOptions, run_context
from probes.concepts.neutral import neutral_texts
from probes.errors import InputError
from probes.lineage import text_ids
from probes.models import Intervention, PackedModel, Site, TokenBatch
from probes.steering.interventions import Add

VARIANTS_AT_ONCE = 4
"""Variants of the model whose predictions over the whole vocabulary are held in memory together."""


@dataclass(frozen=True)
class Damage:
    """What an intervention does to the predictions on neutral text."""

    kl: np.ndarray
    """`[text]`: KL(changed || intact) of the predictions in nats per token, averaged over each text."""
    nats: np.ndarray
    """`[text]`: the mean negative log-likelihood of the text's own tokens under the intervention."""
    nats_intact: np.ndarray
    """`[text]`: the same without the intervention."""

    @property
    def mean_kl(self) -> float:
        """The mean of `kl` over texts, in nats per token."""
        return float(self.kl.mean())

    @property
    def perplexity_ratio(self) -> float:
        """The perplexity under the intervention divided by the intact one; 1 means no damage."""
        return float(np.exp(self.nats.mean() - self.nats_intact.mean()))


def perplexity(
    stage: AnyStage,
    texts: Sequence[str] | None = None,
    interventions: Sequence[Intervention] = (),
    **run: Unpack[RunOptions],
) -> float:
    """The perplexity of a model on texts: exp of the mean negative log-likelihood per token.

    The mean is over texts; each text counts with the mean over its own tokens but the first.

    Parameters
    ----------
    stage : a stage, a loaded stage, a hooked model or a run context.
    texts : the texts; by default `probes.concepts.neutral.neutral_texts()`.
    interventions : what is changed in the model, in this order.
    run : see `probes.activations.RunOptions`.

    Raises
    ------
    As `damage` does.

    Example
    -------
    >>> from probes.steering import perplexity
    >>> perplexity(stage, ["the plain chair was sold", "a book for the table"], progress=False) > 1
    True
    """
    context = run_context(stage, **run)
    with context.model.intervene(*interventions):
        return float(np.exp(nats_per_token(context, neutral_texts() if texts is None else texts).mean()))


def nats_per_token(context: RunContext, texts: Sequence[str]) -> np.ndarray:
    """The mean negative log-likelihood of each text's tokens but the first, `[text]`, in nats.

    Raises
    ------
    InputError : there are no texts, or one is shorter than two tokens.

    Example
    -------
    >>> from probes.steering.damage import nats_per_token
    >>> nats_per_token(probes.run_context(stage), ["the plain chair was sold", "a book"]).shape
    (2,)
    """
    rows = _rows(context, texts)
    groups = [[(ids[:1], ids[1:])] for ids in rows]
    with torch.inference_mode():
        scored = context.model.trie_logprobs(groups, context.tokens(512))
    return np.array([-float(group[0].mean()) for group in scored])


def _rows(context: RunContext, texts: Sequence[str]) -> list[list[int]]:
    """The token ids of texts. Raises InputError as `damage` does."""
    if not texts or isinstance(texts, str):
        raise InputError("no texts to measure damage on: expected a non-empty sequence of strings")
    rows = [text_ids(context.tokenizer, text) for text in texts]
    if short := [text for text, row in zip(texts, rows, strict=True) if len(row) < 2]:
        raise InputError(
            f"text {short[0]!r} is shorter than two tokens, so nothing is predicted in it: give longer texts"
        )
    context.check(token for row in rows for token in row)
    return rows


def damage(
    stage: AnyStage,
    interventions: Sequence[Intervention],
    texts: Sequence[str] | None = None,
    **run: Unpack[RunOptions],
) -> Damage:
    """What interventions, applied together, do to the predictions on neutral texts.

    Parameters
    ----------
    stage : a stage, a loaded stage, a hooked model or a run context.
    interventions : what is changed in the model, in this order.
    texts : the texts; by default `probes.concepts.neutral.neutral_texts()`.
    run : see `probes.activations.RunOptions`; 512 tokens are run at a time unless `batch_tokens` says
        otherwise.

    Raises
    ------
    InputError : there are no texts, or one is shorter than two tokens.
    SiteError : an intervention is at a site, or has a width, that the model does not have.

    Example
    -------
    >>> from probes.steering import damage
    >>> addition = probes.Add(probes.Site("resid_post", 1), np.ones(32), alpha=3.0)
    >>> harm = damage(stage, [addition], ["the plain chair was sold", "a book"], progress=False)
    >>> harm.kl.shape, harm.mean_kl > 0
    ((2,), True)
    """
    return damages(run_context(stage, **run), [interventions], texts)[0]


def damages(
    context: RunContext,
    variants: Sequence[Sequence[Intervention]],
    texts: Sequence[str] | None = None,
) -> list[Damage]:
    """The `damage` of several variants of the model, which share the intact pass.

    Parameters
    ----------
    variants : the interventions of each variant. Variants that add one vector each, all at one site, run
        together.
    texts : as in `damage`.

    Raises
    ------
    As `damage` does.
    """
    texts = neutral_texts() if texts is None else texts
    rows = _rows(context, texts)
    nats_intact: list[float] = []
    kl: list[list[float]] = [[] for _ in variants]
    nats: list[list[float]] = [[] for _ in variants]
    size = max(1, context.tokens(512) // max(map(len, rows)))
    with torch.inference_mode():
        for start in range(0, len(rows), size):
            batch = TokenBatch.pad(rows[start : start + size], context.pad_id)
            intact = _log_probs(context.model, batch)
            nats_intact += _nats(intact, batch)
            for i, changed in enumerate(_under_each(context.model, variants, batch, intact)):
                kl[i] += _per_text((changed.exp() * (changed - intact)).sum(-1), batch)
                nats[i] += _nats(changed, batch)
    return [Damage(np.array(k), np.array(n), np.array(nats_intact)) for k, n in zip(kl, nats, strict=True)]


def _under_each(
    model: PackedModel, variants: Sequence[Sequence[Intervention]], batch: TokenBatch, intact: Tensor
) -> Iterator[Tensor]:
    """The predictions under each variant in turn; `intact` for a variant without interventions.

    Variants that are one `Add` each, all at one site, share a forward, `VARIANTS_AT_ONCE` of them at a time.
    """
    additions = [one[0] for one in variants if len(one) == 1 and isinstance(one[0], Add) and one[0].is_shift]
    alike = len(additions) == sum(map(bool, variants)) > 1 and len({add.site for add in additions}) == 1
    if alike:
        shifts = torch.stack([add.shift for add in additions])
        together = iter(_fanned(model, additions[0].site, shifts, batch))
        yield from (next(together) if variant else intact for variant in variants)
        return
    for variant in variants:
        with model.intervene(*variant):
            changed = _log_probs(model, batch) if variant else intact
        yield changed


def _fanned(model: PackedModel, site: Site, vectors: Tensor, batch: TokenBatch) -> Iterator[Tensor]:
    """The predictions with each row of `vectors` `[variant, width]` added at every token of `site`."""
    for chunk in vectors.split(VARIANTS_AT_ONCE):
        with model.fan_out(site, chunk):
            together = _log_probs(model, batch)
        yield from together


def _log_probs(model: PackedModel, batch: TokenBatch) -> Tensor:
    """`[..., batch, seq - 1, vocab]`: the predictions of every token but the first."""
    return model.logits(batch)[..., :-1, :].log_softmax(-1)


def _nats(log_probs: Tensor, batch: TokenBatch) -> list[float]:
    """The mean negative log-likelihood of each text's own tokens."""
    tokens = batch.input_ids[:, 1:, None].to(log_probs.device)
    return _per_text(-log_probs.gather(-1, tokens).squeeze(-1), batch)


def _per_text(values: Tensor, batch: TokenBatch) -> list[float]:
    """The mean of `values` `[text, seq - 1]` over the real tokens of each text."""
    real = batch.attention_mask[:, 1:].to(values.device)
    return ((values * real).sum(-1) / real.sum(-1)).tolist()
