"""Models whose activations can be read and pushed: one protocol, three libraries behind it."""

from __future__ import annotations

from typing import Any, Literal, get_args

from probes.errors import InputError
from probes.models.protocol import HookedModel, Intervention, Pool, PositionMask, TokenBatch
from probes.models.sites import KINDS, Site, SiteKind, expand

__all__ = [
    "KINDS",
    "BackendName",
    "HookedModel",
    "Intervention",
    "Pool",
    "PositionMask",
    "Site",
    "SiteKind",
    "TokenBatch",
    "expand",
    "hooked",
]

BackendName = Literal["transformers", "transformer_lens", "nnsight"]
BACKENDS: tuple[str, ...] = get_args(BackendName)


def hooked(stage_or_loaded: Any, backend: BackendName = "transformers") -> HookedModel:
    """The model of a stage, ready to be read and pushed.

    Parameters
    ----------
    stage_or_loaded : a `Stage` (which is loaded), a `LoadedStage`, any object with `.model` and `.tokenizer`,
        or what this function returned before. The model is put in evaluation mode and its parameters are
        frozen.
    backend : "transformers" (plain hooks, the fast one), "transformer_lens" (which switches the model it
        wraps to eager attention, in place) or "nnsight".

    Raises InputError for an unknown backend, CheckpointError for a model that is not a causal decoder whose
    blocks can be found.
    """
    if backend not in BACKENDS:
        raise InputError(f"backend {backend!r} is not known: expected one of {', '.join(BACKENDS)}")
    if isinstance(stage_or_loaded, HookedModel):
        return stage_or_loaded
    loaded = stage_or_loaded
    if not (hasattr(loaded, "model") and hasattr(loaded, "tokenizer")):
        loaded = loaded.load()
    loaded.model.eval().requires_grad_(False)
    if backend == "transformers":
        from probes.models.transformers_backend import TransformersBackend as Backend
    elif backend == "transformer_lens":
        from probes.models.lens_backend import LensBackend as Backend
    else:
        from probes.models.nnsight_backend import NNsightBackend as Backend
    return Backend(loaded.model, loaded.tokenizer)
