"""The run context: everything that running a model needs, resolved once and handed on together.

Every function that runs a model takes a stage and the same few options (`RunOptions`). `run_context` turns
them into a `RunContext`, which may be given wherever a stage may, so that a caller resolves it only once.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Iterable
from dataclasses import dataclass, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypedDict, Unpack

import numpy as np
import torch

from probes.activations.store import Store
from probes.errors import InputError
from probes.lineage import LoadedStage, Stage, as_loaded, check_same_tokens, split_markers_note
from probes.models import BackendName, HookedModel, PackedModel, hooked
from probes.models.base import Backend
from probes.tables.digests import json_digest

Render = Literal["shared", "own"]
RENDERS: tuple[Render, ...] = ("shared", "own")


class RunOptions(TypedDict, total=False):
    """Options of every function that runs a model. Each of them has a default."""

    backend: BackendName
    """The library behind the hooks: "transformers" (the default, and the fastest), "transformer_lens" or
    "nnsight"."""
    device: str
    """Where a stage that is not loaded yet is loaded: "auto" (the default), "cpu", "cuda", "cuda:1",
    "mps"."""
    device_map: Any
    """How transformers spreads a stage that is not loaded yet over several devices, in place of `device`:
    "auto", or a mapping from module to device; None (the default) does not. It needs the package
    accelerate."""
    dtype: str
    """The precision in which it is loaded: "float32" (the default), "bfloat16" or "float16"."""
    render: Render
    """"shared" (the default) renders texts with the lineage's one tokenizer and chat template, "own" with the
    stage's own."""
    tokenizer: Any
    """A tokenizer to use instead of either."""
    store: Store | str | Path | None
    """The folder in which activations are kept and looked up; None (the default) keeps none."""
    truncate: bool
    """Whether texts that are longer than the context window are cut; False (the default) raises ConceptError
    for them."""
    batch_tokens: int | None
    """The number of tokens of one forward pass, padding included; None (the default) leaves it to the
    function."""
    seed: int
    """The seed of splits, resampling and random controls; 0 by default."""
    progress: bool
    """Whether progress is shown on stderr; True by default."""


@dataclass(frozen=True)
class RunContext:
    """A hooked model with its tokenizer, the names that results carry, and the options of a run.

    It is made by `run_context`, and may be given wherever a stage may.

    Example
    -------
    >>> context = probes.run_context(stage, seed=3, progress=False)
    >>> acts = probes.extract(context, concept, controls=())
    >>> acts.stage, context.columns
    ('mid', {'lineage': 'tiny', 'stage': 'mid'})
    """

    model: PackedModel
    """The model, ready to be read and changed at its sites."""
    tokenizer: Any
    """The tokenizer that texts are rendered with."""
    name: str
    """The name of the stage, or "model" for a hooked model given by hand."""
    loaded: LoadedStage | None = None
    """The loaded stage, or None for a hooked model given by hand."""
    backend: BackendName = "transformers"
    render: Render = "shared"
    store: Store | None = None
    truncate: bool = False
    batch_tokens: int | None = None
    seed: int = 0
    progress: bool = True

    @property
    def lineage(self) -> str | None:
        """The name of the lineage, or None for a model given by hand."""
        lineage = self.loaded.lineage if self.loaded else None
        return lineage.name if lineage else None

    @property
    def pad_id(self) -> int:
        """The token id that padding is filled with."""
        return self.tokenizer.pad_token_id or 0

    @property
    def columns(self) -> dict[str, Any]:
        """The columns of result tables that say at which stage something was measured."""
        return {"lineage": self.lineage, "stage": self.name}

    @property
    def render_name(self) -> str:
        """What the column `render` of result tables says: `render`, or "plain" where there is no chat
        template."""
        return self.render if self.tokenizer.chat_template else "plain"

    def tokens(self, default: int) -> int:
        """The number of tokens of one forward: `batch_tokens`, or `default` where none was given."""
        return default if self.batch_tokens is None else self.batch_tokens

    def require_loaded(self) -> LoadedStage:
        """The loaded stage. Raises InputError for a hooked model given by hand, which has no identity."""
        if self.loaded is None:
            raise InputError(
                "the weights of a hooked model cannot be identified: give a stage, or "
                "probes.LoadedStage.from_model(model, tokenizer)"
            )
        return self.loaded

    def alteration(self) -> str | None:
        """Why the model is not the one that the stage's fingerprint identifies; None where it is.

        Interventions are in force, hooks of the user's own are registered, or weights were edited.
        """
        if self.loaded is None:
            return "the model was given by hand"
        if self.loaded.is_edited:
            return "weights were edited after the stage was loaded"
        hooks = [
            hook
            for module in self.loaded.model.modules()
            for hook in (*module._forward_hooks.values(), *module._forward_pre_hooks.values())
            if not hook.__module__.startswith("transformers.")  # its own, which only collect outputs
        ]
        if self.backend == "transformers" and hooks:
            return "hooks are registered on the model, or an intervention is in force"
        if isinstance(self.model, Backend) and self.model.is_intervened:
            return "an intervention is in force"
        return None

    def check(self, ids: Iterable[int]) -> None:
        """Raises TokenizerError for token ids that mean another token in the stage's own vocabulary."""
        own = self.loaded.tokenizer if self.loaded else self.tokenizer
        if own is not self.tokenizer:
            check_same_tokens(self.name, own, self.tokenizer, ids)

    def digest(self, *inputs: Any) -> str:
        """16 hex digits that identify the weights together with `inputs`.

        The inputs may be anything that JSON can say, dataclasses, tensors and arrays.
        """
        fingerprint = self.loaded.fingerprint if self.loaded else None
        return json_digest([fingerprint, self.name, *inputs], default=_plain)[:16]


AnyStage = Stage | LoadedStage | HookedModel | RunContext
"""What a function that runs a model takes."""


def run_context(stage: AnyStage, **options: Unpack[RunOptions]) -> RunContext:
    """Resolve a stage and the options of a run.

    Parameters
    ----------
    stage : a `Stage` (which is loaded), a `LoadedStage`, a `HookedModel`, or a `RunContext`, of which only
        `store`, `truncate`, `batch_tokens`, `seed` and `progress` may be changed.
    options : see `RunOptions`.

    Raises
    ------
    InputError : an option does not exist or has no such value, or a context was given that cannot change it
        any more.

    Example
    -------
    >>> context = run_context(stage, seed=3, progress=False)
    >>> context.name, context.seed, context.render
    ('mid', 3, 'shared')
    """
    unknown = set(options) - set(RunOptions.__annotations__)
    if unknown:
        names = ", ".join(RunOptions.__annotations__)
        raise InputError(f"{sorted(unknown)[0]!r} is not an option of a run: expected one of {names}")
    free: dict[str, Any] = {
        name: value
        for name, value in options.items()
        if name in ("store", "truncate", "batch_tokens", "seed", "progress")
    }
    if isinstance(free.get("store"), str | Path):
        free["store"] = Store(free["store"])
    if isinstance(stage, RunContext):
        if fixed := set(options) - set(free):
            raise InputError(
                f"{sorted(fixed)[0]!r} cannot be changed in a run context: give a stage instead of a context"
            )
        return replace(stage, **free)
    render, tokenizer = options.get("render", "shared"), options.get("tokenizer")
    if render not in RENDERS:
        raise InputError(f'render={render!r}: expected "shared" or "own"')
    backend = options.get("backend", "transformers")
    if isinstance(stage, HookedModel):
        tokenizer = tokenizer or getattr(stage, "tokenizer", None)
        if tokenizer is None:
            raise InputError("the HookedModel has no attribute tokenizer: give tokenizer=")
        return RunContext(hooked(stage), tokenizer, "model", None, backend, render, **free)
    loaded = as_loaded(
        stage,
        device=options.get("device", "auto"),
        dtype=options.get("dtype", "float32"),
        device_map=options.get("device_map"),
    )
    tokenizer = tokenizer or (loaded.reference_tokenizer if render == "shared" else loaded.tokenizer)
    shared = render == "shared" and options.get("tokenizer") is None
    if shared and loaded.lineage and loaded.split_markers:
        note = split_markers_note(loaded.split_markers, loaded.lineage.reference_stage)
        warnings.warn(f"stage {loaded.name}: {note}", stacklevel=2)
    return RunContext(hooked(loaded, backend), tokenizer, loaded.name, loaded, backend, render, **free)


def _plain(value: Any) -> Any:
    """A value that JSON does not know, as one that it does."""
    if isinstance(value, torch.Tensor):
        value = value.detach().cpu().numpy()
    if isinstance(value, np.ndarray):
        content = hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest()
        return [str(value.dtype), value.shape, content]
    if is_dataclass(value):
        return [type(value).__name__, *(getattr(value, field.name) for field in fields(value))]
    return repr(value)
