"""`LoadedStage`: a checkpoint in memory, identified, as every measuring function takes it."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from probes.errors import InputError
from probes.lineage.stages import Stage

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from probes.lineage.stages import Lineage


@dataclass(frozen=True, eq=False)
class LoadedStage:
    """A model in eval mode without gradients, adapter merged, with its tokenizer and identity."""

    name: str
    model: PreTrainedModel
    """The native transformers causal language model."""
    tokenizer: PreTrainedTokenizerBase
    fingerprint: str
    """64 hex digits: the content of weights, config, tokenizer and chat template."""
    stage: Stage | None = None
    """Where it came from; None for a model given by hand."""
    ignored_weights: tuple[str, ...] = ()
    """Tensors of the checkpoint that the architecture has no place for."""
    load_options: dict[str, Any] = field(default_factory=dict, repr=False)

    @classmethod
    def from_model(cls, model: Any, tokenizer: Any, name: str = "model") -> LoadedStage:
        """A stage around a transformers causal language model that is already in memory.

        The model itself is used, not a copy: it is put in eval mode and its gradients are switched off.
        Raises TokenizerError when the tokenizer has more ids than the model has embeddings, InputError for
        something that is not a transformers model with a language-model head.
        """
        from probes.lineage.fingerprint import model_fingerprint
        from probes.lineage.tokenizers import check_vocabulary

        if not hasattr(model, "config") or getattr(model, "get_output_embeddings", lambda: None)() is None:
            raise InputError(
                f"from_model got {type(model).__name__}: expected a transformers causal language model "
                "(merge a PEFT adapter first: model.merge_and_unload())"
            )
        check_vocabulary(tokenizer, model, name)
        model.eval().requires_grad_(False)
        return cls(name, model, tokenizer, model_fingerprint(model, tokenizer))

    @property
    def lineage(self) -> Lineage | None:
        """The lineage the stage belongs to, None for a model given by hand."""
        return self.stage.lineage if self.stage is not None else None

    @cached_property
    def reference_tokenizer(self) -> PreTrainedTokenizerBase:
        """The lineage's one tokenizer for `render="shared"`; its own for a model given by hand. Read once:
        a vocabulary takes as long to read as some hundred tokens of a small model's forward."""
        return self.lineage.reference_tokenizer() if self.lineage is not None else self.tokenizer

    def to_transformer_lens(self, **options: Any) -> Any:
        """A TransformerLens `TransformerBridge` around a copy of the model (`options` go to its boot).

        A copy because the bridge switches the model it wraps to eager attention, in place: the stage is
        loaded once more, or a model given by hand is copied in memory.
        """
        from probes.lineage.native import bridge

        return bridge(self._copy(), self.tokenizer, **options)

    def to_nnsight(self, **options: Any) -> Any:
        """An nnsight `TransformersModel` around this very model (`options` go to its constructor)."""
        from probes.lineage.native import nnsight_model

        return nnsight_model(self.model, self.tokenizer, **options)

    def _copy(self) -> Any:
        if self.stage is not None:
            return self.stage.load(**self.load_options).model
        return copy.deepcopy(self.model)


def as_loaded(stage: Stage | LoadedStage, **load_options: Any) -> LoadedStage:
    """A loaded stage as it is, or a stage loaded with `load_options`. Raises InputError for anything else."""
    if isinstance(stage, LoadedStage):
        return stage
    if isinstance(stage, Stage):
        return stage.load(**load_options)
    raise InputError(
        f"expected a stage (lineage['name']) or a loaded stage, got {type(stage).__name__}; "
        "wrap a model with probes.LoadedStage.from_model(model, tokenizer)"
    )
