"""What all backends share: checks on what is given, the scoring of options, and what is kept of a read.

A backend adds `read`, `logits`, `intervene` and `generate` for its own library.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor

from probes.errors import InputError, TokenizerError
from probes.models.architecture import Architecture, input_device
from probes.models.protocol import Intervention, Pool, TokenBatch
from probes.models.pushing import RunningBatch
from probes.models.sites import Site

Sequence2 = tuple[Sequence[int], Sequence[int]]
"""A prompt and an option to be scored after it, as token ids."""

TOKEN_BUDGET = 2048
"""Tokens of one forward, padding included."""


class Backend:
    """Base of the three backends; see `probes.models.protocol.HookedModel` for what the methods promise."""

    def __init__(self, model: Any, tokenizer: Any, architecture: Architecture, native: Any):
        self.model = model
        self.tokenizer = tokenizer
        self.architecture = architecture
        self.native = native
        self.n_layers = len(architecture.blocks)
        self.d_model = architecture.d_model
        self.n_heads = architecture.n_heads
        self.d_head = architecture.d_head
        self.max_positions = architecture.max_positions
        self.device = input_device(model)
        self.n_tokens = int(model.get_input_embeddings().weight.shape[0])
        self._takes_positions = "position_ids" in inspect.signature(model.forward).parameters
        self._active: list[Intervention] = []
        self._running = RunningBatch(model)

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}({self.architecture.name}, {self.n_layers} blocks, d_model {self.d_model})"
        )

    def read(self, batch: TokenBatch, sites: Sequence[Site], pool: Pool | None = None) -> dict[Site, Tensor]:
        raise NotImplementedError

    def logits(self, batch: TokenBatch, at: Tensor | None = None) -> Tensor:
        raise NotImplementedError

    def intervene(self, *interventions: Intervention) -> AbstractContextManager[None]:
        raise NotImplementedError

    def can_pack(self, length: int) -> bool:
        """Whether sequences of up to `length` tokens may share a row (`read_packed`, `trie_logprobs`)."""
        return False

    def choice_logprobs(
        self, prompts: Sequence[Sequence[int]], options: Sequence[Sequence[Sequence[int]]]
    ) -> list[list[Tensor]]:
        """Log-probability of each option token after its prompt: `result[i][j]` is `[len(option)]`."""
        if len(prompts) != len(options):
            raise InputError(
                f"{len(prompts)} prompts and options for {len(options)}: expected as many of each"
            )
        return self.trie_logprobs([[(p, o) for o in some] for p, some in zip(prompts, options, strict=True)])

    def trie_logprobs(
        self, groups: Sequence[Sequence[Sequence2]], token_budget: int = TOKEN_BUDGET
    ) -> list[list[Tensor]]:
        """Log-probability of each token of each option after its prompt; `result[g][j]` is `[len(option)]`,
        float32, differentiable. A group is what shares a beginning, for example both orders and both
        options of one choice; the fast backend runs the shared tokens once (and inside its `fan_out` gives
        `[arm, len(option)]`).

        Raises InputError for an empty prompt or option.
        """
        rows = [row for group in groups for row in group]
        check_scorable(rows)
        results: list[Tensor | None] = [None] * len(rows)
        lengths = [len(prompt) + len(option) for prompt, option in rows]
        for chosen in batches_by_length(lengths, token_budget):
            batch = TokenBatch.pad([[*rows[i][0], *rows[i][1]] for i in chosen])
            at = [(k, len(rows[i][0]) + j - 1) for k, i in enumerate(chosen) for j in range(len(rows[i][1]))]
            targets = torch.tensor([token for i in chosen for token in rows[i][1]])
            scores = token_logprobs(self.logits(batch, torch.tensor(at)), targets)
            for i, part in zip(chosen, scores.split([len(rows[i][1]) for i in chosen], -1), strict=True):
                results[i] = part
        flat = iter(results)
        return [[next(flat) for _ in group] for group in groups]  # pyright: ignore[reportReturnType]

    def generate(self, batch: TokenBatch, max_new_tokens: int, **options: Any) -> list[list[int]]:
        raise NotImplementedError

    def _check_ids(self, batch: TokenBatch) -> None:
        if batch.input_ids.shape != batch.attention_mask.shape or batch.input_ids.ndim != 2:
            raise InputError(
                f"input_ids {list(batch.input_ids.shape)} and attention_mask "
                f"{list(batch.attention_mask.shape)}: expected [batch, seq] for both"
            )
        low, high = int(batch.input_ids.min()), int(batch.input_ids.max())
        if low < 0 or high >= self.n_tokens:
            raise TokenizerError(
                f"token id {high if low >= 0 else low}: {self.architecture.name} has {self.n_tokens} tokens; "
                "was the text encoded with another model's tokenizer?"
            )

    def _inputs(self, batch: TokenBatch) -> dict[str, Any]:
        """Keyword arguments of one forward over `batch`."""
        inputs = {"input_ids": batch.input_ids, "attention_mask": batch.attention_mask}
        if self._takes_positions:
            inputs["position_ids"] = batch.position_ids
        return {**{name: tensor.to(self.device) for name, tensor in inputs.items()}, "use_cache": False}

    def _generation(
        self, batch: TokenBatch, max_new_tokens: int, options: dict[str, Any]
    ) -> tuple[TokenBatch, dict[str, Any]]:
        """The left-padded prompt and the keyword arguments of transformers' `generate` for it."""
        self._check_ids(batch)
        pad_id = options.get("pad_token_id", self._pad_token(options))
        prompt = left_padded(batch, pad_id)
        arguments = {
            "input_ids": prompt.input_ids.to(self.device),
            "attention_mask": prompt.attention_mask.to(self.device),
            "max_new_tokens": max_new_tokens,
            "do_sample": False,
            "pad_token_id": pad_id,
        }
        return prompt, {**arguments, **options}

    def _check_sites(self, sites: Sequence[Site]) -> None:
        for site in sites:
            self.architecture.block(site)

    def _new_tokens(self, output: Tensor, prompt_width: int, options: dict[str, Any]) -> list[list[int]]:
        """What `generate` added to each row, up to and without the first end token."""
        ends = end_tokens(self.model, options)
        rows = output[:, prompt_width:].tolist()
        return [row[: next((i for i, token in enumerate(row) if token in ends), len(row))] for row in rows]

    def _pad_token(self, options: dict[str, Any]) -> int:
        own = getattr(self.tokenizer, "pad_token_id", None)
        return own if own is not None else next(iter(sorted(end_tokens(self.model, options))), 0)


def end_tokens(model: Any, options: dict[str, Any]) -> set[int]:
    """Ids at which generation stops: those given as `eos_token_id`, else the model's own."""
    ends = options.get("eos_token_id", getattr(model.generation_config, "eos_token_id", None))
    return set() if ends is None else {ends} if isinstance(ends, int) else {int(end) for end in ends}


def left_padded(batch: TokenBatch, pad_id: int) -> TokenBatch:
    """The same rows with the padding on the left, as generation needs it."""
    rows = [
        ids[mask.bool()].tolist() for ids, mask in zip(batch.input_ids, batch.attention_mask, strict=True)
    ]
    return TokenBatch.pad(rows, pad_id, side="left")


def keep(values: Tensor, batch: TokenBatch, pool: Pool | None) -> Tensor:
    """What is kept of `[batch, seq, width]`: pooled where the values are, then float32 on the CPU, and never
    a view that would hold the whole activation in memory."""
    kept = values
    if pool is not None:
        local = TokenBatch(batch.input_ids.to(values.device), batch.attention_mask.to(values.device))
        kept = pool(values, local)
    if (
        kept.dtype == torch.float32
        and kept.untyped_storage().data_ptr() == values.untyped_storage().data_ptr()
    ):
        kept = kept.clone()
    return kept.to("cpu", torch.float32)


def check_scorable(rows: Sequence[Sequence2]) -> None:
    """Raises InputError when a prompt or an option has no tokens."""
    for prompt, option in rows:
        if not len(prompt) or not len(option):
            what = "prompt" if not len(prompt) else "option"
            raise InputError(f"an empty {what}: expected at least one token (a BOS token will do as prompt)")


def token_logprobs(logits: Tensor, targets: Tensor) -> Tensor:
    """`[..., k, vocab]` logits and `[k]` token ids -> `[..., k]` log-probabilities."""
    rows = torch.arange(len(targets), device=logits.device)
    return logits[..., rows, targets.to(logits.device)] - logits.logsumexp(-1)


def batches_by_length(lengths: Sequence[int], token_budget: int) -> Iterator[list[int]]:
    """Indices in batches of like length, longest first, each padded batch within `token_budget` tokens
    (one row may exceed it alone)."""
    chosen: list[int] = []
    for index in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        if chosen and lengths[chosen[0]] * (len(chosen) + 1) > token_budget:
            yield chosen
            chosen = []
        chosen.append(index)
    if chosen:
        yield chosen
