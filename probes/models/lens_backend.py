"""The TransformerLens backend: the same sites through the hook points of a TransformerBridge.

The bridge replaces modules of the model it wraps and switches it to eager attention, in place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from torch import Tensor

from probes.errors import SiteError, TokenizerError
from probes.lineage.native import bridge
from probes.models.architecture import find_architecture
from probes.models.base import Backend, keep
from probes.models.protocol import Intervention, Pool, TokenBatch
from probes.models.pushing import in_order
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
    """Leaves the forward once everything asked for has been read."""


class LensBackend(Backend):
    """Reads and pushes through TransformerLens hook points. Interventions apply to the methods here, not to
    calls made on `native` directly."""

    def __init__(self, model: Any, tokenizer: Any):
        architecture = find_architecture(model)
        if tokenizer is None:
            raise TokenizerError(
                'no tokenizer: TransformerLens needs one; give one or use backend="transformers"'
            )
        model.config.architectures = model.config.architectures or [architecture.name]
        super().__init__(model, tokenizer, architecture, native=bridge(model, tokenizer))

    def read(self, batch: TokenBatch, sites: Sequence[Site], pool: Pool | None = None) -> dict[Site, Tensor]:
        self._check_ids(batch)
        self._check_sites(sites)
        wanted = list(dict.fromkeys(sites))
        kept: dict[Site, Tensor] = {}

        def reader(site: Site) -> Callable[..., None]:
            def save(values: Tensor, hook: Any) -> None:
                kept[site] = keep(self._running.shaped(values), batch, pool)
                if len(kept) == len(wanted):
                    raise _Read

            return save

        if wanted:
            try:
                with self._hooked([(self._point(site), reader(site)) for site in wanted]):
                    self._forward(batch)
            except _Read:
                pass
        return {site: kept[site] for site in wanted}

    def logits(self, batch: TokenBatch, at: Tensor | None = None) -> Tensor:
        self._check_ids(batch)
        with self._hooked([]):
            logits = self._forward(batch).float()
        return logits if at is None else logits[at[:, 0].to(logits.device), at[:, 1].to(logits.device)]

    def generate(self, batch: TokenBatch, max_new_tokens: int, **options: Any) -> list[list[int]]:
        prompt, arguments = self._generation(batch, max_new_tokens, options)
        with self._hooked([]):
            output = self.model.generate(**arguments)
        return self._new_tokens(output, prompt.input_ids.shape[1], options)

    @contextmanager
    def intervene(self, *interventions: Intervention) -> Iterator[None]:
        """Apply interventions to every forward inside the `with`; contexts may be nested."""
        self._check_sites([intervention.site for intervention in interventions])
        before = self._active
        self._active = [*before, *interventions]
        try:
            yield
        finally:
            self._active = before

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
        """Hooks of the active interventions, then `readers`, on the bridge."""
        hooks = [hook for intervention in in_order(self._active) for hook in self._pushers(intervention)]
        watching = self._running.watch()
        try:
            with self.native.hooks(fwd_hooks=[*hooks, *readers]):
                yield
        finally:
            watching.remove()

    def _pushers(self, intervention: Intervention) -> list[tuple[str, Callable[..., Any]]]:
        """`hook_resid_mid` is only what the MLP reads, so a push there goes through the attention output."""
        site = intervention.site
        if site.kind != "resid_mid":
            return [(self._point(site), lambda values, hook: self._running.push(intervention, values))]
        held: list[Tensor] = []
        return [
            (POINTS["resid_pre"].format(site.layer), lambda values, hook: held.append(values)),
            (
                POINTS["attn_out"].format(site.layer),
                lambda values, hook: self._running.push(intervention, values, held.pop()),
            ),
        ]
