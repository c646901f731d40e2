"""The fast backend: plain PyTorch forward hooks on a transformers model, there only while needed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

import torch
from torch import Tensor, nn

from probes.errors import CheckpointError
from probes.models.architecture import Block, find_architecture, first_tensor
from probes.models.base import TOKEN_BUDGET, Backend, Sequence2, keep
from probes.models.packing import fits_window, packed_logprobs, packing_is_exact
from probes.models.protocol import Intervention, Pool, TokenBatch
from probes.models.pushing import in_order
from probes.models.sites import Site


class _Read(Exception):
    """Leaves the forward once everything asked for has been read."""


class TransformersBackend(Backend):
    """Reads and pushes a transformers decoder in place. Hooks are on the model only inside `intervene`
    and during `read` and `logits`."""

    def __init__(self, model: Any, tokenizer: Any = None):
        super().__init__(model, tokenizer, find_architecture(model), native=model)
        self._handles: list[Any] = []
        self._packs: bool | None = None

    def read(self, batch: TokenBatch, sites: Sequence[Site], pool: Pool | None = None) -> dict[Site, Tensor]:
        self._check_ids(batch)
        self._check_sites(sites)
        kept: dict[Site, Tensor] = {}
        wanted = list(dict.fromkeys(sites))
        if not wanted:
            return kept
        with ExitStack() as hooks:
            hooks.callback(self._running.watch().remove)
            for site in wanted:
                self._on_read(hooks, site, kept, batch, pool)
            deepest = max(site.layer or 0 for site in wanted)
            block = self.architecture.blocks[deepest].module
            ahead = all(s.kind in ("embed", "resid_pre") for s in wanted if (s.layer or 0) == deepest)
            register = block.register_forward_pre_hook if ahead else block.register_forward_hook
            hooks.callback(register(_stop).remove)
            with suppress(_Read):
                self.model(**self._inputs(batch))
        return {site: kept[site] for site in wanted}

    def logits(self, batch: TokenBatch, at: Tensor | None = None) -> Tensor:
        self._check_ids(batch)
        if at is None:
            return self.model(**self._inputs(batch)).logits.float()
        return self._logits_at(at, lambda: self.model(**self._inputs(batch)))

    def trie_logprobs(
        self, groups: Sequence[Sequence[Sequence2]], token_budget: int = TOKEN_BUDGET
    ) -> list[list[Tensor]]:
        """As in the base class; each group runs as one packed row, its shared beginnings once, where that is
        exact: eager or sdpa attention, every sequence within the narrowest attention window, and no
        intervention whose positions depend on the row."""
        whole = all(intervention.positions == "all" for intervention in self._active)
        if not whole or not self._packing_works():
            return super().trie_logprobs(groups, token_budget)
        packed = [i for i, group in enumerate(groups) if fits_window(group, self.architecture.window)]
        alone = [i for i in range(len(groups)) if i not in set(packed)]
        results: dict[int, list[Tensor]] = {}
        results.update(
            zip(packed, packed_logprobs(self, [groups[i] for i in packed], token_budget), strict=True)
        )
        results.update(
            zip(alone, super().trie_logprobs([groups[i] for i in alone], token_budget), strict=True)
        )
        return [results[i] for i in range(len(groups))]

    def generate(self, batch: TokenBatch, max_new_tokens: int, **options: Any) -> list[list[int]]:
        prompt, arguments = self._generation(batch, max_new_tokens, options)
        return self._new_tokens(self.model.generate(**arguments), prompt.input_ids.shape[1], options)

    @contextmanager
    def intervene(self, *interventions: Intervention) -> Iterator[None]:
        """Apply interventions to every forward inside the `with`; contexts may be nested. Also forwards made
        on `native` directly are changed."""
        self._check_sites([intervention.site for intervention in interventions])
        before = list(self._active)
        try:
            self._install([*before, *interventions])
            yield
        finally:
            self._install(before)

    def packed_logits(self, ids: Tensor, depth: Tensor, visible: Tensor, at: Tensor) -> Tensor:
        """Logits `[k, vocab]` at `at` of packed rows: `ids` and `depth` (the position id) `[batch, width]`,
        `visible` bool `[batch, width, width]`, True where a token (row) sees another (column)."""
        dtype = next(p.dtype for p in self.model.parameters() if p.is_floating_point())
        mask = torch.zeros(visible.shape, dtype=dtype).masked_fill_(~visible, torch.finfo(dtype).min)
        return self._logits_at(
            at,
            lambda: self.model(
                input_ids=ids.to(self.device),
                attention_mask=mask[:, None].to(self.device),
                position_ids=depth.to(self.device),
                use_cache=False,
            ),
        )

    def _packing_works(self) -> bool:
        """Whether this model takes position ids and a ready 4D mask, tried once on a small trie."""
        if self._packs is None:
            attention = getattr(self.model.config, "_attn_implementation", None)
            possible = self._takes_positions and attention in ("eager", "sdpa")
            active = list(self._active)
            self._install([])
            try:
                self._packs = possible and packing_is_exact(self, super().trie_logprobs)
            finally:
                self._install(active)
        return self._packs

    def _logits_at(self, at: Tensor, forward: Any) -> Tensor:
        """Run `forward` with the head given only the states at `at`, so that whatever the family does after
        its head (soft-capping, scaling) is done by its own code."""

        def gather(_module: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...]:
            where = at.to(args[0].device)
            return (args[0][where[:, 0], where[:, 1]][None], *args[1:])

        handle = self.model.get_output_embeddings().register_forward_pre_hook(gather)
        try:
            logits = forward().logits
        finally:
            handle.remove()
        if logits.shape[:2] != (1, len(at)):
            raise CheckpointError(
                f"{self.architecture.name}: its head is not called once on the final states"
            )
        return logits[0].float()

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

    def _install(self, interventions: list[Intervention]) -> None:
        """Make `interventions` the ones that are applied, by hooks in one order whatever the nesting."""
        for handle in self._handles:
            handle.remove()
        self._active, self._handles = interventions, []
        if interventions:
            self._handles.append(self._running.watch())
        for intervention in in_order(interventions):
            self._handles.extend(self._on_push(intervention))

    def _on_push(self, intervention: Intervention) -> list[Any]:
        block = self.architecture.block(intervention.site)
        if intervention.site.kind != "resid_mid":
            module, is_input = _place(block, intervention.site)
            register = _on_input if is_input else _on_output
            return [register(module, lambda values: self._running.push(intervention, values))]
        held: list[Tensor] = []
        assert block.attn_out is not None
        return [
            _on_input(block.module, held.append),
            _on_output(block.attn_out, lambda values: self._running.push(intervention, values, held.pop())),
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


def _stop(*_: Any) -> None:
    raise _Read
