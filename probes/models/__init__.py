"""Models whose activations can be read and changed: one protocol, with three libraries behind it."""

from __future__ import annotations

from typing import Any, Literal, Protocol, runtime_checkable

from probes.errors import InputError
from probes.lineage import Stage
from probes.models.batching import TokenBatch
from probes.models.lens_backend import LensBackend
from probes.models.nnsight_backend import NNsightBackend
from probes.models.plain import PlainModel
from probes.models.protocol import HookedModel, Intervention, PackedModel, Pool, PositionMask
from probes.models.sites import KINDS, Site, SiteKind, expand
from probes.models.transformers_backend import TransformersBackend

__all__ = [
    "KINDS",
    "BackendName",
    "HookedModel",
    "Intervention",
    "PackedModel",
    "Pool",
    "PositionMask",
    "Site",
    "SiteKind",
    "TokenBatch",
    "expand",
    "hooked",
]

BackendName = Literal["transformers", "transformer_lens", "nnsight"]
BACKENDS: dict[BackendName, type[TransformersBackend | LensBackend | NNsightBackend]] = {
    "transformers": TransformersBackend,
    "transformer_lens": LensBackend,
    "nnsight": NNsightBackend,
}


@runtime_checkable
class WithModel(Protocol):
    """Anything that has a transformers model and its tokenizer, such as a `LoadedStage`."""

    @property
    def model(self) -> Any: ...

    @property
    def tokenizer(self) -> Any: ...


def hooked(stage_or_loaded: Any, backend: BackendName = "transformers") -> PackedModel:
    """The model of a stage, ready to have its activations read and changed.

    Parameters
    ----------
    stage_or_loaded : a `Stage` (which is loaded), a `LoadedStage`, any object with `.model` and `.tokenizer`,
        or a `HookedModel`. The model is put in evaluation mode and its parameters are frozen.
    backend : "transformers" (plain hooks, the fast one), "transformer_lens" (which switches the model it
        wraps to eager attention, in place) or "nnsight". It makes no difference to a `HookedModel`.

    Returns
    -------
    The model behind the protocol that all backends share. A `HookedModel` of somebody else's is wrapped if it
    does not offer all of `PackedModel`.

    Raises
    ------
    InputError
        The backend does not exist, or `stage_or_loaded` is none of the above.
    CheckpointError
        The model is not a causal decoder whose blocks can be found.

    Example
    -------
    >>> probes.hooked(stage)
    TransformersBackend(LlamaForCausalLM, 3 blocks, d_model 32)
    """
    if backend not in BACKENDS:
        raise InputError(f"backend {backend!r} is not known: expected one of {', '.join(BACKENDS)}")
    if isinstance(stage_or_loaded, PackedModel):
        return stage_or_loaded
    if isinstance(stage_or_loaded, HookedModel):
        return PlainModel(stage_or_loaded)
    loaded = stage_or_loaded.load() if isinstance(stage_or_loaded, Stage) else stage_or_loaded
    if not isinstance(loaded, WithModel):
        raise InputError(
            f"cannot hook {type(stage_or_loaded).__name__}: expected a stage, a loaded stage, "
            "or an object with .model and .tokenizer"
        )
    loaded.model.eval().requires_grad_(False)
    return BACKENDS[backend](loaded.model, loaded.tokenizer)
