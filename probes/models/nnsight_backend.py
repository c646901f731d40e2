"""The nnsight backend: the same sites, by way of traces of a `TransformersModel`."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Unpack

import torch
from torch import Tensor, nn

from probes.errors import TokenizerError
from probes.lineage.native import nnsight_model
from probes.models.architecture import find_architecture
from probes.models.base import Backend
from probes.models.batching import TokenBatch
from probes.models.forward import keep
from probes.models.protocol import GenerateOptions, Pool
from probes.models.sites import Site


class NNsightBackend(Backend):
    """Reads and changes activations through nnsight's envoys.

    Interventions apply to the methods here, but not to traces that are made on `native` directly.
    """

    def __init__(self, model: Any, tokenizer: Any):
        if tokenizer is None:
            raise TokenizerError('no tokenizer: nnsight needs one; give one or use backend="transformers"')
        super().__init__(model, tokenizer, find_architecture(model), native=nnsight_model(model, tokenizer))
        self._paths = {id(module): path for path, module in model.named_modules()}

    def _read(self, batch: TokenBatch, sites: Sequence[Site], pool: Pool | None) -> dict[Site, Tensor]:
        kept: dict[Site, Tensor] = {}
        inputs = self._inputs(batch)
        with self._watched(), self.native.trace(**inputs) as tracer:
            self._visit(sites, kept, batch, pool)
            tracer.stop()
        return kept

    def _logits(self, batch: TokenBatch, at: Tensor | None) -> Tensor:
        inputs = self._inputs(batch)
        outputs: list[Tensor] = []
        with self._watched(), self.native.trace(**inputs):
            self._visit([], {}, batch, None)
            if at is not None:
                head = self._envoy(self.model.get_output_embeddings())
                states = head.input
                where = at.to(states.device)
                head.input = states[where[:, 0], where[:, 1]][None]
            outputs.append(self.native.output.logits)
        logits = outputs[0].float()
        return logits if at is None else logits[0]

    def generate(
        self, batch: TokenBatch, max_new_tokens: int, **options: Unpack[GenerateOptions]
    ) -> list[list[int]]:
        prompts, arguments = self._generation(batch, max_new_tokens, options)
        width = prompts.input_ids.shape[1]
        if not self._active:
            return self._new_tokens(self.model.generate(**arguments), width, options)
        latest: list[Tensor] = []

        def note(ids: Tensor, _scores: Any, **_: Any) -> Tensor:
            """A stopping criterion that never stops. Code after an open-ended nnsight loop does not run, so
            the tokens leave it this way."""
            latest[:] = [ids]
            return torch.zeros(ids.shape[0], dtype=torch.bool, device=ids.device)

        arguments["stopping_criteria"] = [*arguments.get("stopping_criteria", []), note]
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*was never reached")  # how such a loop ends
            with self._watched(), self.native.generate(**arguments) as tracer:
                for _step in tracer.iter[:]:
                    self._visit([], {}, prompts, None)
        return self._new_tokens(latest[0], width, options)

    @contextmanager
    def _watched(self) -> Iterator[None]:
        watching = self._running.watch()
        try:
            yield
        finally:
            watching.remove()

    def _envoy(self, module: nn.Module | None) -> Any:
        return self.native.get(self._paths[id(module)])

    def _visit(
        self, reads: Sequence[Site], kept: dict[Site, Tensor], batch: TokenBatch, pool: Pool | None
    ) -> None:
        """Inside a trace: apply the active interventions of one forward and read the sites `reads`, in the
        order in which modules run."""
        touched = {*reads, *(intervention.site for intervention in self._active)}
        for layer in sorted({site.layer or 0 for site in touched}):
            block = self.architecture.blocks[layer]
            sites = {site.kind for site in touched if (site.layer or 0) == layer}

            def visit(
                values: Tensor, *kinds: str, residual: Tensor | None = None, layer: int = layer
            ) -> Tensor:
                for kind in kinds:
                    site = Site(kind, None if kind == "embed" else layer)  # pyright: ignore[reportArgumentType]
                    for intervention in self._active:
                        if intervention.site == site:
                            values = self._running.apply(intervention, values, residual)
                    if site in reads:
                        seen = self._running.shaped(values)
                        kept[site] = keep(seen if residual is None else residual + seen, batch, pool)
                return values

            residual = None
            if sites & {"embed", "resid_pre", "resid_mid"}:
                envoy = self._envoy(block.module)
                residual = envoy.input
                changed = visit(residual, *(("embed", "resid_pre") if layer == 0 else ("resid_pre",)))
                if changed is not residual:
                    envoy.input = residual = changed
            if "z" in sites:
                envoy = self._envoy(block.projection)
                values = envoy.input
                changed = visit(values, "z")
                if changed is not values:
                    envoy.input = changed
            if sites & {"attn_out", "resid_mid"}:
                envoy = self._envoy(block.attn_out)
                _change(envoy, lambda v, r=residual, f=visit: f(f(v, "attn_out"), "resid_mid", residual=r))
            if "mlp_out" in sites:
                _change(self._envoy(block.mlp_out), lambda v, f=visit: f(v, "mlp_out"))
            if "resid_post" in sites:
                _change(self._envoy(block.module), lambda v, f=visit: f(v, "resid_post"))


def _change(envoy: Any, function: Any) -> None:
    """Give `function` the hidden states that a module returns and put back what it makes of them."""
    output = envoy.output
    values = output if isinstance(output, Tensor) else output[0]
    new = function(values)
    if new is not values:
        envoy.output = new if isinstance(output, Tensor) else type(output)((new, *output[1:]))
