"""`LoadedStage`: a checkpoint in memory, with its identity, as every function that measures takes it."""

from __future__ import annotations

import copy
import sys
import zlib
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol, Unpack

from probes.errors import InputError
from probes.lineage.adapters import merge_loaded
from probes.lineage.entries import Entry
from probes.lineage.equality import model_weights_digest, weights_digest
from probes.lineage.fingerprint import model_fingerprint
from probes.lineage.loading import LoadOptions, load_files
from probes.lineage.native import LensOptions, NNsightOptions, bridge, nnsight_model
from probes.lineage.templates import split_markers
from probes.lineage.tokenizers import check_vocabulary

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


class LineageOfOrigin(Protocol):
    """What a loaded stage needs of the `Lineage` that it belongs to."""

    name: str

    @property
    def reference_stage(self) -> str: ...

    def reference_tokenizer(self) -> PreTrainedTokenizerBase: ...


class StageOfOrigin(Protocol):
    """What a loaded stage needs of the `Stage` that it was loaded from."""

    @property
    def lineage(self) -> LineageOfOrigin: ...

    @property
    def entry(self) -> Entry: ...


@dataclass(frozen=True, eq=False, repr=False)
class LoadedStage:
    """A model in memory with its tokenizer and identity: in evaluation mode, adapters merged, no gradients.

    Every function that takes a stage takes a loaded one too.

    Example
    -------
    >>> stage.load(device="cpu")
    LoadedStage('mid', lineage='tiny', model=LlamaForCausalLM, parameters=53,472, fingerprint=...)
    """

    name: str
    model: PreTrainedModel
    """The native transformers causal language model."""
    tokenizer: PreTrainedTokenizerBase
    fingerprint: str
    """64 hex digits that identify weights, config, tokenizer and chat template by their content."""
    stage: StageOfOrigin | None = None
    """The stage it was loaded from; None for a model given by hand."""
    ignored_weights: tuple[str, ...] = ()
    """Names of the checkpoint's tensors that the architecture has no place for."""
    notes: tuple[str, ...] = ()
    """What else has to be said of the weights, such as rows of embeddings that are in no file."""
    load_options: LoadOptions = field(default_factory=lambda: LoadOptions())

    def __post_init__(self) -> None:
        object.__setattr__(self, "_sample", _weights_sample(self.model))

    @property
    def is_edited(self) -> bool:
        """Whether weights were changed since this object was made, so that the fingerprint is not theirs.

        It compares the version counter and a sample of every tensor, which is cheap; an edit through `.data`
        of a few single weights can go unseen.
        """
        return _weights_sample(self.model) != getattr(self, "_sample")  # noqa: B009

    @classmethod
    def from_model(cls, model: Any, tokenizer: Any, name: str = "model") -> LoadedStage:
        """A loaded stage around a model that is already in memory.

        Parameters
        ----------
        model : a transformers causal language model. It is used itself, not a copy: it is put in evaluation
            mode and its gradients are switched off. Of a `PeftModel` a copy is made, with the adapter merged.
        tokenizer : the model's tokenizer.
        name : how tables call the stage.

        Raises
        ------
        TokenizerError
            The tokenizer has more ids than the model has embeddings.
        InputError
            `model` is not a transformers model with a language-model head, or there is no tokenizer.
        CheckpointError
            The adapter of a `PeftModel` cannot be merged.

        Example
        -------
        >>> loaded = stage.load(device="cpu")
        >>> probes.LoadedStage.from_model(loaded.model, loaded.tokenizer, name="mine").name
        'mine'
        """
        from transformers import PreTrainedModel, PreTrainedTokenizerBase

        if not isinstance(tokenizer, PreTrainedTokenizerBase):
            raise InputError(
                f"from_model got {type(tokenizer).__name__} as the tokenizer: expected the model's tokenizer "
                "of transformers, such as AutoTokenizer.from_pretrained(...)"
            )
        model = _merged_copy(model)
        if not isinstance(model, PreTrainedModel) or model.get_output_embeddings() is None:
            raise InputError(
                f"from_model got {type(model).__name__}: expected a transformers causal language model "
                "(merge a PEFT adapter first: model.merge_and_unload())"
            )
        check_vocabulary(tokenizer, model, name)
        model.eval().requires_grad_(False)
        return cls(name, model, tokenizer, model_fingerprint(model, tokenizer))

    def __repr__(self) -> str:
        lineage = f"lineage={self.lineage.name!r}, " if self.lineage is not None else ""
        parameters = sum(parameter.numel() for parameter in self.model.parameters())
        return (
            f"LoadedStage({self.name!r}, {lineage}model={type(self.model).__name__}, "
            f"parameters={parameters:,}, fingerprint={self.fingerprint[:12]})"
        )

    @property
    def lineage(self) -> LineageOfOrigin | None:
        """The lineage that the stage belongs to; None for a model given by hand."""
        return self.stage.lineage if self.stage is not None else None

    @cached_property
    def reference_tokenizer(self) -> PreTrainedTokenizerBase:
        """The tokenizer for `render="shared"`: the lineage's, or the model's own if it was given by hand.

        It is read once, because reading a vocabulary takes as long as a small model's forward of some hundred
        tokens.
        """
        return self.lineage.reference_tokenizer() if self.lineage is not None else self.tokenizer

    @cached_property
    def split_markers(self) -> tuple[str, ...]:
        """Markers of the chat template that are tokens of this stage and that shared rendering cuts up."""
        return split_markers(self.tokenizer, self.reference_tokenizer)

    def weights_digest(self) -> str:
        """The identity of the tensors alone, 64 hex digits: the stage's, or that of a model given by hand."""
        return model_weights_digest(self.model) if self.stage is None else weights_digest(self.stage.entry)

    def to_transformer_lens(self, **options: Unpack[LensOptions]) -> Any:
        """A TransformerLens `TransformerBridge` around a copy of the model.

        It is a copy because the bridge switches the model it wraps to eager attention, in place. The stage is
        loaded once more, or a model given by hand is copied in memory. `options` go to TransformerLens.

        Example
        -------
        >>> stage.load(device="cpu").to_transformer_lens().cfg.n_layers
        3
        """
        if self.stage is not None:
            model = load_files(self.stage.entry, **self.load_options).model
        else:
            model = copy.deepcopy(self.model)
        return bridge(model, self.tokenizer, **options)

    def to_nnsight(self, **options: Unpack[NNsightOptions]) -> Any:
        """An nnsight `TransformersModel` around this very model. `options` go to nnsight."""
        return nnsight_model(self.model, self.tokenizer, **options)


def _merged_copy(model: Any) -> Any:
    """A copy of a `PeftModel` with its adapter merged; any other model as it is."""
    peft = sys.modules.get("peft")  # without it there is no PeftModel
    if peft is None or not isinstance(model, peft.PeftModel):
        return model
    if model.active_peft_config.is_prompt_learning:
        raise InputError(
            f"from_model got a {type(model).__name__} that changes the prompt: it cannot be merged into "
            "weights; expected LoRA or another weight adapter"
        )
    copied = copy.deepcopy(model)
    return merge_loaded(copied, list(copied.parameters()), "from_model: the adapter", "its model")


def _weights_sample(model: Any) -> int:
    """A number that changes when a parameter is edited, from its version counter and some of its values."""
    sample = 0
    for tensor in model.parameters():
        version = 0 if tensor.is_inference() else tensor._version
        flat = tensor.detach().flatten()
        values = flat[:: max(1, flat.numel() // 256)].float().cpu().numpy()
        sample = zlib.crc32(values.tobytes(), zlib.crc32(str(version).encode(), sample))
    return sample
