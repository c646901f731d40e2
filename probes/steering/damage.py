"""Damage: what an intervention does to the model's predictions on neutral text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Unpack

import numpy as np
import torch
from torch import Tensor

from probes.activations import RunContext, RunOptions, run_context
from probes.concepts.neutral import neutral_texts
from probes.errors import InputError
from probes.models import Intervention, PackedModel, TokenBatch
from probes.models.sites import Site
from probes.steering.interventions import Add

VARIANTS_AT_ONCE = 4
"""Pushes whose predictions over the whole vocabulary are held together."""


@dataclass(frozen=True)
class Damage:
    """What a push does to predictions on neutral text.

    `kl`: KL(pushed || unpushed) in nats per token, averaged over each text, `[text]`; `nats` and
    `nats_unpushed`: mean negative log-likelihood of the text's own tokens, `[text]`.
    """

    kl: np.ndarray
    nats: np.ndarray
    nats_unpushed: np.ndarray

    @property
    def mean_kl(self) -> float:
        return float(self.kl.mean())

    @property
    def perplexity_ratio(self) -> float:
        """Perplexity pushed over unpushed; 1 is no damage."""
        return float(np.exp(self.nats.mean() - self.nats_unpushed.mean()))


def perplexity(
    stage: Any,
    texts: Sequence[str] | None = None,
    interventions: Sequence[Intervention] = (),
    **run: Unpack[RunOptions],
) -> float:
    """exp of the mean negative log-likelihood per token of `texts` (default: `neutral_texts()`).

    The mean is over texts, each the mean over its own tokens but the first.
    """
    return float(np.exp(damages(run_context(stage, **run), [interventions], texts)[0].nats.mean()))


def damage(
    stage: Any,
    interventions: Sequence[Intervention],
    texts: Sequence[str] | None = None,
    **run: Unpack[RunOptions],
) -> Damage:
    """What `interventions`, applied together, do to predictions on `texts` (default: `neutral_texts()`)."""
    return damages(run_context(stage, **run), [interventions], texts)[0]


def damages(
    context: RunContext,
    variants: Sequence[Sequence[Intervention]],
    texts: Sequence[str] | None = None,
) -> list[Damage]:
    """`damage` of several pushes, the unpushed pass shared between them.

    Predictions over the whole vocabulary are held for 512 tokens (or `batch_tokens`) at a time.
    """
    texts = neutral_texts() if texts is None else texts
    if not texts or isinstance(texts, str):
        raise InputError("no texts to measure damage on: expected a non-empty sequence of strings")
    rows = [context.tokenizer(text)["input_ids"] for text in texts]
    if short := [text for text, row in zip(texts, rows, strict=True) if len(row) < 2]:
        raise InputError(f"text {short[0]!r} is shorter than two tokens: nothing is predicted in it")
    context.check(token for row in rows for token in row)
    unpushed: list[float] = []
    kl: list[list[float]] = [[] for _ in variants]
    nats: list[list[float]] = [[] for _ in variants]
    size = max(1, context.tokens(512) // max(map(len, rows)))
    with torch.inference_mode():
        for start in range(0, len(rows), size):
            batch = TokenBatch.pad(rows[start : start + size], context.pad_id)
            base = _log_probs(context.model, batch)
            unpushed += _nats(base, batch)
            for i, changed in enumerate(_under_each(context.model, variants, batch, base)):
                kl[i] += _per_text((changed.exp() * (changed - base)).sum(-1), batch)
                nats[i] += _nats(changed, batch)
    return [Damage(np.array(k), np.array(n), np.array(unpushed)) for k, n in zip(kl, nats, strict=True)]


def _under_each(
    model: PackedModel, variants: Sequence[Sequence[Intervention]], batch: TokenBatch, base: Tensor
) -> Iterator[Tensor]:
    """The predictions under each variant in turn, `base` where it has no intervention.

    Variants that are one `Add` each, all at one site, share a forward, `VARIANTS_AT_ONCE` of them at a time.
    """
    additions = [one[0] for one in variants if len(one) == 1 and isinstance(one[0], Add) and one[0].is_shift]
    alike = len(additions) == sum(map(bool, variants)) > 1 and len({add.site for add in additions}) == 1
    if alike:
        shifts = torch.stack([add.shift for add in additions])
        together = iter(_fanned(model, additions[0].site, shifts, batch))
        yield from (next(together) if variant else base for variant in variants)
        return
    for variant in variants:
        with model.intervene(*variant):
            changed = _log_probs(model, batch) if variant else base
        yield changed


def _fanned(model: Any, site: Site, vectors: Tensor, batch: TokenBatch) -> Iterator[Tensor]:
    for some in vectors.split(VARIANTS_AT_ONCE):
        with model.fan_out(site, some):
            together = _log_probs(model, batch)
        yield from together


def _log_probs(model: PackedModel, batch: TokenBatch) -> Tensor:
    """`[..., batch, seq - 1, vocab]`: predictions of every token but the first."""
    return model.logits(batch)[..., :-1, :].log_softmax(-1)


def _nats(log_probs: Tensor, batch: TokenBatch) -> list[float]:
    tokens = batch.input_ids[:, 1:, None].to(log_probs.device)
    return _per_text(-log_probs.gather(-1, tokens).squeeze(-1), batch)


def _per_text(values: Tensor, batch: TokenBatch) -> list[float]:
    real = batch.attention_mask[:, 1:].to(values.device)
    return ((values * real).sum(-1) / real.sum(-1)).tolist()
