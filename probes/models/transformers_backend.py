"""The fast backend: PyTorch forward hooks on a transformers model, there only while they are needed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from typing import Any, Unpack
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from probes.errors import CheckpointError, InputError
from probes.models.architecture import Block, find_architecture, first_tensor
from probes.models.base import Backend
from probes.models.batching import TOKEN_BUDGET, TokenBatch
from probes.models.fanning import AddEach, repeated_from
from probes.models.forward import in_order, keep
from probes.models.packing import packed_logprobs, packing_is_exact
from probes.models.plain import NESTED
from probes.models.protocol import Continuation, GenerateOptions, Intervention, Pool
from probes.models.sites import Site

_packs: WeakKeyDictionary[Any, dict[str, bool]] = WeakKeyDictionary()
"""For each model and attention implementation, whether packed rows give exact results."""


class _Read(Exception):
    """Leaves the forward when all sites have been read."""


class TransformersBackend(Backend):
    """Reads and changes the activations of a transformers decoder in place.

    Hooks are on the model only inside `intervene` and during `read` and `logits`. Interventions also apply to
    forwards that are made on `native` directly.
    """

    def __init__(self, model: Any, tokenizer: Any = None):
        super().__init__(model, tokenizer, find_architecture(model), native=model)
        self._handles: list[Any] = []
        self._n_variants = 0  # of the `fan_out` that is active

    def read_packed(
        self, ids: Tensor, depth: Tensor, visible: Tensor, sites: Sequence[Site], pool: Pool | None = None
    ) -> dict[Site, Tensor]:
        """As `PackedModel` says, in one forward; exact for sequences of a length that `can_pack`."""
        batch = TokenBatch(ids, torch.ones_like(ids))
        self._check_ids(batch)
        self._check_sites(sites)
        with self._lock:
            return self._read_forward(batch, sites, pool, self._packed_inputs(ids, depth, visible))

    def _read(self, batch: TokenBatch, sites: Sequence[Site], pool: Pool | None) -> dict[Site, Tensor]:
        return self._read_forward(batch, sites, pool, self._inputs(batch))

    def _read_forward(
        self, batch: TokenBatch, sites: Sequence[Site], pool: Pool | None, inputs: dict[str, Any]
    ) -> dict[Site, Tensor]:
        kept: dict[Site, Tensor] = {}
        with ExitStack() as hooks:
            hooks.callback(self._running.watch().remove)
            for site in sites:
                self._on_read(hooks, site, kept, batch, pool)
            deepest = max(site.layer or 0 for site in sites)
            block = self.architecture.blocks[deepest].module
            ahead = all(s.kind in ("embed", "resid_pre") for s in sites if (s.layer or 0) == deepest)
            register = block.register_forward_pre_hook if ahead else block.register_forward_hook
            hooks.callback(register(_stop).remove)
            with suppress(_Read):
                self.model(**inputs)
        return kept

    def _logits(self, batch: TokenBatch, at: Tensor | None) -> Tensor:
        if at is None:
            logits = self.model(**self._inputs(batch)).logits.float()
            return logits.unflatten(0, (self._n_variants, -1)) if self._n_variants else logits
        return self._logits_at(at, lambda: self.model(**self._inputs(batch)))

    def trie_logprobs(
        self, groups: Sequence[Sequence[Continuation]], token_budget: int = TOKEN_BUDGET, join: bool = False
    ) -> list[list[Tensor]]:
        """As `PackedModel` says. Each group runs as one packed row, its shared beginnings once, where that is
        exact: with eager or sdpa attention, every sequence within the narrowest attention window, and no
        intervention whose positions depend on the row. The other groups run the plain way."""
        with self._lock:
            return self._packed_or_alone(groups, token_budget, join)

    def _packed_or_alone(
        self, groups: Sequence[Sequence[Continuation]], token_budget: int, join: bool
    ) -> list[list[Tensor]]:
        whole = all(intervention.positions == "all" for intervention in self._active)
        longest = [max((len(p) + len(o) for p, o in group), default=0) for group in groups]
        packed = [i for i, length in enumerate(longest) if whole and self.can_pack(length)]
        alone = [i for i in range(len(groups)) if i not in set(packed)]
        results: dict[int, list[Tensor]] = {}
        results.update(
            zip(packed, packed_logprobs(self, [groups[i] for i in packed], token_budget, join), strict=True)
        )
        results.update(
            zip(alone, super().trie_logprobs([groups[i] for i in alone], token_budget), strict=True)
        )
        return [results[i] for i in range(len(groups))]

    def generate(
        self, batch: TokenBatch, max_new_tokens: int, **options: Unpack[GenerateOptions]
    ) -> list[list[int]]:
        prompts, arguments = self._generation(batch, max_new_tokens, options)
        with self._lock:
            output = self.model.generate(**arguments)
        return self._new_tokens(output, prompts.input_ids.shape[1], options)

    def logits_from(self, layer: int, states: Tensor, batch: TokenBatch, at: Tensor) -> Tensor:
        """As `PackedModel` says: the blocks up to `layer` hand on what they are given, and do not run."""
        self._check_ids(batch)
        self._check_sites([Site("resid_post", layer)])
        if self._active or self._n_variants:
            raise InputError("logits_from inside intervene or fan_out: expected the model as it is")
        with self._lock, self._handing_on(layer, states):
            return self._logits(batch, at)

    def packed_logits_from(
        self, layer: int, states: Tensor, ids: Tensor, depth: Tensor, visible: Tensor, at: Tensor
    ) -> Tensor:
        """`logits_from` of packed rows; `ids`, `depth` and `visible` are those of `read_packed`."""
        self._check_sites([Site("resid_post", layer)])
        if self._active or self._n_variants:
            raise InputError("packed_logits_from inside intervene or fan_out: expected the model as it is")
        with self._lock, self._handing_on(layer, states):
            return self.packed_logits(ids, depth, visible, at)

    @contextmanager
    def _handing_on(self, layer: int, states: Tensor) -> Iterator[None]:
        """Inside, the blocks below `layer` return their input, and block `layer` returns `states`."""
        blocks = [block.module for block in self.architecture.blocks[: layer + 1]]
        output = self._block_output(blocks[0])

        def hand_on(*args: Any, **kwargs: Any) -> Any:
            values = first_tensor(args, kwargs)
            assert values is not None
            return _in_place_of(output, values)

        def give(*args: Any, **kwargs: Any) -> Any:
            return _in_place_of(output, states.to(first_tensor(args, kwargs)))

        before = [block.__dict__.get("forward") for block in blocks]
        try:
            for block in blocks:
                block.forward = give if block is blocks[-1] else hand_on
            yield
        finally:
            for block, forward in zip(blocks, before, strict=True):
                if forward is None:
                    del block.forward
                else:
                    block.forward = forward

    def _block_output(self, block: nn.Module) -> Any:
        """What a block returns, which is a tensor in some families and a tuple in others."""
        outputs: list[Any] = []

        def keep_and_stop(_module: nn.Module, _args: Any, output: Any) -> None:
            outputs.append(output)
            raise _Read

        handle = block.register_forward_hook(keep_and_stop)
        try:
            with torch.no_grad(), suppress(_Read):
                self.model(**self._inputs(TokenBatch.pad([[0]])))
        finally:
            handle.remove()
        return outputs[0]

    @contextmanager
    def fan_out(self, site: Site, vectors: Tensor) -> Iterator[None]:
        """As `PackedModel` says, in one forward: the blocks below the site run once for all variants."""
        with self._lock:
            yield from self._fanned_out(site, vectors)

    def _fanned_out(self, site: Site, vectors: Tensor) -> Iterator[None]:
        if self._n_variants:
            raise InputError(NESTED)
        self._packing_works()  # tried now, because it has to be tried without variants
        blocks = [block.module for block in self.architecture.blocks]
        layer = site.layer or 0
        try:
            with (
                repeated_from(blocks, layer, len(vectors), self._running),
                self.intervene(AddEach(site, vectors)),
            ):
                self._n_variants = len(vectors)
                yield
        finally:
            self._n_variants = 0

    def packed_logits(self, ids: Tensor, depth: Tensor, visible: Tensor, at: Tensor) -> Tensor:
        """The logits at `at` of packed rows, `[k, vocab]`, or inside `fan_out` `[variant, k, vocab]`.

        `ids`, `depth` and `visible` are those of `read_packed`."""
        return self._logits_at(at, lambda: self.model(**self._packed_inputs(ids, depth, visible)))

    def _packed_inputs(self, ids: Tensor, depth: Tensor, visible: Tensor) -> dict[str, Any]:
        dtype = next(p.dtype for p in self.model.parameters() if p.is_floating_point())
        mask = torch.zeros(visible.shape, dtype=dtype).masked_fill_(~visible, torch.finfo(dtype).min)
        inputs = {"input_ids": ids, "attention_mask": mask[:, None], "position_ids": depth}
        return {**{name: tensor.to(self.device) for name, tensor in inputs.items()}, "use_cache": False}

    def can_pack(self, length: int) -> bool:
        """As `PackedModel` says: the sequences must lie within the narrowest attention window, and packing
        must work with this model, which is tried once on a few tokens."""
        window = self.architecture.window
        return (window is None or length <= window) and self._packing_works()

    def _packing_works(self) -> bool:
        """Whether this model takes position ids and a ready 4D mask, and gives exact results with them."""
        with self._lock:
            return self._packing_tried()

    def _packing_tried(self) -> bool:
        attention = getattr(self.model.config, "_attn_implementation", None)
        if not self._takes_positions or attention not in ("eager", "sdpa"):
            return False
        exact = _packs.setdefault(self.model, {})
        if attention not in exact:
            active = list(self._active)
            self._activate([])
            exact[attention] = True  # while it is tried
            try:
                exact[attention] = packing_is_exact(self, super().trie_logprobs)
            finally:
                self._activate(active)
        return exact[attention]

    def _logits_at(self, at: Tensor, forward: Any) -> Tensor:
        """Run `forward` with the head given only the states at `at`, so that whatever the family does after
        its head (soft-capping, scaling) is done by the family's own code."""
        n_variants = max(1, self._n_variants)

        def gather(_module: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...]:
            where = at.to(args[0].device)
            states = args[0].unflatten(0, (n_variants, -1))[:, where[:, 0], where[:, 1]]
            return (states.flatten(0, 1)[None], *args[1:])

        handle = self.model.get_output_embeddings().register_forward_pre_hook(gather)
        try:
            logits = forward().logits
        finally:
            handle.remove()
        if logits.shape[:2] != (1, n_variants * len(at)):
            raise CheckpointError(
                f"{self.architecture.name}: its head is not called once on the final states"
            )
        logits = logits[0].float()
        return logits.unflatten(0, (n_variants, -1)) if self._n_variants else logits

    def _on_read(
        self, hooks: ExitStack, site: Site, kept: dict[Site, Tensor], batch: TokenBatch, pool: Pool | None
    ) -> None:
        block = self.architecture.block(site)

        def save(values: Tensor) -> None:
            kept[site] = keep(values, batch, pool)

        if site.kind == "resid_mid":
            held: list[Tensor] = []
            hooks.callback(_on_input(block.module, held.append).remove)
            assert block.attn_out is not None

            def save_sum(values: Tensor) -> None:
                save(held.pop() + self._running.shaped(values))

            hooks.callback(_on_output(block.attn_out, save_sum).remove)
        else:
            module, is_input = _place(block, site)
            register = _on_input if is_input else _on_output
            hooks.callback(register(module, lambda values: save(self._running.shaped(values))).remove)

    def _activate(self, interventions: list[Intervention]) -> None:
        """Put the interventions' hooks on the model, in an order that does not depend on their nesting."""
        for handle in self._handles:
            handle.remove()
        self._active, self._handles = interventions, []
        if interventions:
            self._handles.append(self._running.watch())
        for intervention in in_order(interventions):
            self._handles.extend(self._on_change(intervention))

    def _on_change(self, intervention: Intervention) -> list[Any]:
        block = self.architecture.block(intervention.site)
        if intervention.site.kind != "resid_mid":
            module, is_input = _place(block, intervention.site)
            register = _on_input if is_input else _on_output
            return [register(module, lambda values: self._running.apply(intervention, values))]
        held: list[Tensor] = []
        assert block.attn_out is not None
        return [
            _on_input(block.module, held.append),
            _on_output(block.attn_out, lambda values: self._running.apply(intervention, values, held.pop())),
        ]


def _place(block: Block, site: Site) -> tuple[nn.Module, bool]:
    """The module behind a site, and whether the site is its input (else its output)."""
    module = {
        "embed": block.module,
        "resid_pre": block.module,
        "resid_post": block.module,
        "attn_out": block.attn_out,
        "mlp_out": block.mlp_out,
        "z": block.projection,
    }[site.kind]
    assert module is not None
    return module, site.kind in ("embed", "resid_pre", "z")


def _on_input(module: nn.Module, function: Any) -> Any:
    """Call `function` on the hidden states a module is given; what it returns, if anything, replaces them."""

    def hook(_module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        values = first_tensor(args, kwargs)
        new = function(values)
        if new is None:
            return None
        if args and args[0] is values:
            return (new, *args[1:]), kwargs
        return args, {**kwargs, "hidden_states": new}

    return module.register_forward_pre_hook(hook, with_kwargs=True)


def _on_output(module: nn.Module, function: Any) -> Any:
    """Call `function` on the hidden states a module returns; what it returns, if anything, replaces them."""

    def hook(_module: nn.Module, _args: tuple[Any, ...], output: Any) -> Any:
        new = function(first_tensor(output))
        if new is None or isinstance(output, Tensor):
            return new
        return type(output)((new, *output[1:]))

    return module.register_forward_hook(hook)


def _in_place_of(output: Any, values: Tensor) -> Any:
    """`values` in the form in which a block returned `output`."""
    return values if isinstance(output, Tensor) else type(output)((values, *output[1:]))


def _stop(*_: Any) -> None:
    raise _Read
