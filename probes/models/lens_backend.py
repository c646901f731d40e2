"""The TransformerLens backend: the same sites, by way of the hook points of a TransformerBridge.

The bridge replaces modules of the model it wraps and switches it to eager attention, in place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Unpack

from torch import Tensor

from probes.errors import SiteError, TokenizerError
from probes.lineage.native import bridge
from probes.models.architecture import find_architecture
from probes.models.base import Backend
from probes.models.batching import TokenBatch
from probes.models.forward import in_order, keep
from probes.models.protocol import GenerateOptions, Intervention, Pool
from probes.models.sites import Site

POINTS = {
    "embed": "blocks.0.hook_resid_pre",
    "resid_pre": "blocks.{}.hook_resid_pre",
    "resid_mid": "blocks.{}.hook_resid_mid",
    "resid_post": "blocks.{}.hook_resid_post",
    "attn_out": "blocks.{}.hook_attn_out",
    "mlp_out": "blocks.{}.hook_mlp_out",
    "z": "blocks.{}.attn.hook_z",
}


class _Read(Exception):
    """Leaves the forward when all sites have been read."""


class LensBackend(Backend):
    """Reads and changes activations at TransformerLens's hook points.

    Interventions apply to the methods here, but not to calls that are made on `native` directly.
    """

    def __init__(self, model: Any, tokenizer: Any):
        architecture = find_architecture(model)
        if tokenizer is None:
            raise TokenizerError(
                'no tokenizer: TransformerLens needs one; give one or use backend="transformers"'
            )
        model.config.architectures = model.config.architectures or [architecture.name]
        super().__init__(model, tokenizer, architecture, native=bridge(model, tokenizer))

    def _read(self, batch: TokenBatch, sites: Sequence[Site], pool: Pool | None) -> dict[Site, Tensor]:
        kept: dict[Site, Tensor] = {}

        def reader(site: Site) -> Callable[..., None]:
            def save(values: Tensor, hook: Any) -> None:
                kept[site] = keep(self._running.shaped(values), batch, pool)
                if len(kept) == len(sites):
                    raise _Read

            return save

        with suppress(_Read), self._hooked([(self._point(site), reader(site)) for site in sites]):
            self._forward(batch)
        return kept

    def _logits(self, batch: TokenBatch, at: Tensor | None) -> Tensor:
        with self._hooked([]):
            logits = self._forward(batch).float()
        return logits if at is None else logits[at[:, 0].to(logits.device), at[:, 1].to(logits.device)]

    def generate(
        self, batch: TokenBatch, max_new_tokens: int, **options: Unpack[GenerateOptions]
    ) -> list[list[int]]:
        prompts, arguments = self._generation(batch, max_new_tokens, options)
        with self._hooked([]):
            output = self.model.generate(**arguments)
        return self._new_tokens(output, prompts.input_ids.shape[1], options)

    def _check_sites(self, sites: Sequence[Site]) -> None:
        super()._check_sites(sites)
        for site in sites:
            if self._point(site) not in self.native.hook_dict:
                raise SiteError(
                    f"{site}: no hook point {self._point(site)} in TransformerLens's {self.architecture.name}"
                )

    def _point(self, site: Site) -> str:
        return POINTS[site.kind].format(site.layer)

    def _forward(self, batch: TokenBatch) -> Tensor:
        inputs = self._inputs(batch)
        return self.native.forward(inputs.pop("input_ids"), return_type="logits", **inputs)

    @contextmanager
    def _hooked(self, readers: list[tuple[str, Callable[..., Any]]]) -> Iterator[None]:
        """Put the hooks of the active interventions, and then `readers`, on the bridge."""
        hooks = [hook for intervention in in_order(self._active) for hook in self._changes(intervention)]
        watching = self._running.watch()
        try:
            with self.native.hooks(fwd_hooks=[*hooks, *readers]):
                yield
        finally:
            watching.remove()

    def _changes(self, intervention: Intervention) -> list[tuple[str, Callable[..., Any]]]:
        """An intervention's hooks. `hook_resid_mid` is only what the MLP reads, so an intervention at
        `resid_mid` acts on the attention's output."""
        site = intervention.site
        if site.kind != "resid_mid":
            return [(self._point(site), lambda values, hook: self._running.apply(intervention, values))]
        held: list[Tensor] = []
        return [
            (POINTS["resid_pre"].format(site.layer), lambda values, hook: held.append(values)),
            (
                POINTS["attn_out"].format(site.layer),
                lambda values, hook: self._running.apply(intervention, values, held.pop()),
            ),
        ]
