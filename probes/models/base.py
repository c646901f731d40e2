"""What the three backends share: checks of the input, interventions that nest, and the scoring of options.

A backend adds how activations are read, logits are computed and texts are generated with its own library.
"""

from __future__ import annotations

import inspect
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from threading import RLock
from typing import Any, Unpack
from weakref import WeakKeyDictionary

from torch import Tensor

from probes.errors import InputError, TokenizerError
from probes.models.architecture import Architecture, input_device
from probes.models.batching import TokenBatch, left_padded
from probes.models.forward import RunningForward
from probes.models.plain import PlainPacking
from probes.models.protocol import GenerateOptions, Intervention, Pool
from probes.models.sites import Site

_locks: WeakKeyDictionary[Any, RLock] = WeakKeyDictionary()  # pyright: ignore[reportInvalidTypeForm]
"""One lock for each model. Hooks belong to the model, so two threads that used it at once would get each
other's activations; instead one waits for the other, also while that one is inside `intervene`."""


class Backend(PlainPacking):
    """Base of the three backends. `HookedModel` and `PackedModel` say what the methods promise."""

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
        self._running = RunningForward(model)
        self._lock = _locks.setdefault(model, RLock())

    @property
    def is_intervened(self) -> bool:
        """Whether interventions are in force on this backend."""
        return bool(self._active)

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}({self.architecture.name}, {self.n_layers} blocks, d_model {self.d_model})"
        )

    def read(self, batch: TokenBatch, sites: Sequence[Site], pool: Pool | None = None) -> dict[Site, Tensor]:
        self._check_ids(batch)
        self._check_sites(sites)
        different = list(dict.fromkeys(sites))
        with self._lock:
            values = self._read(batch, different, pool) if different else {}
        return {site: values[site] for site in different}

    def logits(self, batch: TokenBatch, at: Tensor | None = None) -> Tensor:
        self._check_ids(batch)
        with self._lock:
            return self.for_each_variant(lambda: self._logits(batch, at))

    @contextmanager
    def intervene(self, *interventions: Intervention) -> Iterator[None]:
        """Apply interventions to every forward inside the `with`; contexts may be nested."""
        self._check_sites([intervention.site for intervention in interventions])
        with self._lock:
            before = list(self._active)
            try:
                self._activate([*before, *interventions])
                yield
            finally:
                self._activate(before)

    def choice_logprobs(
        self, prompts: Sequence[Sequence[int]], options: Sequence[Sequence[Sequence[int]]]
    ) -> list[list[Tensor]]:
        if len(prompts) != len(options):
            raise InputError(
                f"{len(prompts)} prompts and options for {len(options)}: expected as many of each"
            )
        return self.trie_logprobs([[(p, o) for o in some] for p, some in zip(prompts, options, strict=True)])

    @abstractmethod
    def generate(
        self, batch: TokenBatch, max_new_tokens: int, **options: Unpack[GenerateOptions]
    ) -> list[list[int]]: ...

    @abstractmethod
    def _read(self, batch: TokenBatch, sites: Sequence[Site], pool: Pool | None) -> dict[Site, Tensor]:
        """`read` of at least one site, each of them there and named once."""

    @abstractmethod
    def _logits(self, batch: TokenBatch, at: Tensor | None) -> Tensor:
        """`logits` under the interventions that are active."""

    def _activate(self, interventions: list[Intervention]) -> None:
        """Make `interventions` the ones that are applied to every forward."""
        self._active = interventions

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

    def _check_sites(self, sites: Sequence[Site]) -> None:
        for site in sites:
            self.architecture.block(site)

    def _inputs(self, batch: TokenBatch) -> dict[str, Any]:
        """The keyword arguments of one forward over `batch`."""
        inputs = {"input_ids": batch.input_ids, "attention_mask": batch.attention_mask}
        if self._takes_positions:
            inputs["position_ids"] = batch.position_ids
        return {**{name: tensor.to(self.device) for name, tensor in inputs.items()}, "use_cache": False}

    def _generation(
        self, batch: TokenBatch, max_new_tokens: int, options: Mapping[str, Any]
    ) -> tuple[TokenBatch, dict[str, Any]]:
        """The prompts padded on the left, and the keyword arguments of transformers' `generate` for them.

        Raises InputError if prompt and new tokens do not fit into the model's context.
        """
        self._check_ids(batch)
        longest = int(batch.attention_mask.sum(-1).max())
        room = None if self.max_positions is None else self.max_positions - longest + 1
        if room is not None and max_new_tokens > room:  # the last new token is not read again
            raise InputError(
                f"a prompt of {longest} tokens and {max_new_tokens} new ones do not fit into the "
                f"{self.max_positions} positions of {self.architecture.name}: "
                + (f"expected max_new_tokens up to {room}" if room > 0 else "shorten the prompt")
            )
        pad_id = options.get("pad_token_id", self._pad_token(options))
        prompts = left_padded(batch, pad_id)
        arguments = {
            "input_ids": prompts.input_ids.to(self.device),
            "attention_mask": prompts.attention_mask.to(self.device),
            "max_new_tokens": max_new_tokens,
            "do_sample": False,
            "pad_token_id": pad_id,
        }
        settings = {} if options.get("do_sample") else _neutral_settings(self.model.generation_config)
        return prompts, {**settings, **arguments, **options}

    def _new_tokens(self, output: Tensor, prompt_width: int, options: Mapping[str, Any]) -> list[list[int]]:
        """What `generate` added to each row, up to and without the first end token."""
        ends = _end_tokens(self.model, options)
        rows = output[:, prompt_width:].tolist()
        return [row[: next((i for i, token in enumerate(row) if token in ends), len(row))] for row in rows]

    def _pad_token(self, options: Mapping[str, Any]) -> int:
        own = getattr(self.tokenizer, "pad_token_id", None)
        return own if own is not None else next(iter(sorted(_end_tokens(self.model, options))), 0)


_KEPT_SETTINGS = {
    "bos_token_id",
    "decoder_start_token_id",
    "eos_token_id",
    "max_length",  # `max_new_tokens` goes before it
    "pad_token_id",
    "transformers_version",
    "use_cache",
}


def _neutral_settings(own: Any) -> dict[str, Any]:
    """What undoes a checkpoint's generation_config, except its special tokens, for plain greedy search.

    A repetition penalty or beams that one stage ships and another does not would make them decode
    differently.
    """
    from transformers import GenerationConfig

    neutral = GenerationConfig()
    defaults, known = neutral._get_default_generation_params(), set(vars(neutral))
    return {
        key: defaults.get(key)
        for key, value in own.to_dict().items()
        if value is not None and key in known - _KEPT_SETTINGS
    }


def _end_tokens(model: Any, options: Mapping[str, Any]) -> set[int]:
    """The token ids at which generation stops: those given as `eos_token_id`, else the model's own."""
    ends = options.get("eos_token_id", getattr(model.generation_config, "eos_token_id", None))
    return set() if ends is None else {ends} if isinstance(ends, int) else {int(end) for end in ends}
