"""The objects of TransformerLens and nnsight, made around a transformers model that is already loaded."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

from probes.errors import InputError
from probes.lineage.quiet import one_line, quiet_transformers

if TYPE_CHECKING:
    import torch


class LensOptions(TypedDict, total=False):
    """What TransformerLens can be told of a model that is already loaded: see its `boot_transformers`."""

    device: str
    dtype: torch.dtype
    n_ctx: int


class NNsightOptions(TypedDict, total=False):
    """What nnsight can be told of a model that is already loaded: see its `TransformersModel`."""

    rename: dict[str, str | list[str]]


def bridge(model: Any, tokenizer: Any, **options: Unpack[LensOptions]) -> Any:
    """A TransformerLens `TransformerBridge` around a model.

    Weights are neither folded nor centred. TransformerLens switches the model it wraps to eager attention, in
    place: give it a copy to keep the original as it is.

    Parameters
    ----------
    model : a transformers causal language model.
    tokenizer : it is copied, because TransformerLens gives it special tokens; in the bridge it encodes texts
        as it does outside.
    options : handed to TransformerLens's `boot_transformers`.

    Raises
    ------
    InputError
        TransformerLens does not know the architecture.

    Example
    -------
    >>> loaded = stage.load(device="cpu")
    >>> bridge(loaded.model, loaded.tokenizer).cfg.n_layers
    3
    """
    from transformer_lens.model_bridge import TransformerBridge

    # Without this mark TransformerLens reads the tokenizer once more from where it came from and makes it add
    # a BOS to every text. `cfg.tokenizer_prepends_bos` is found by encoding, so it stays true either way.
    tokenizer = copy.deepcopy(tokenizer)
    tokenizer.init_kwargs = {"name_or_path": "", **tokenizer.init_kwargs, "add_bos_token": True}
    options = {"dtype": next(model.parameters()).dtype, **options}
    try:
        with quiet_transformers():
            return TransformerBridge.boot_transformers(
                model.config.name_or_path or type(model).__name__,
                hf_model=model,
                tokenizer=tokenizer,
                **options,
            )
    except (ValueError, KeyError, NotImplementedError) as error:
        raise InputError(
            f"TransformerLens cannot wrap {type(model).__name__}: {one_line(error)}; "
            'use backend="transformers" or "nnsight"'
        ) from error


def nnsight_model(model: Any, tokenizer: Any, **options: Unpack[NNsightOptions]) -> Any:
    """An nnsight `TransformersModel` around a model; the model's attention implementation stays as it is.

    Parameters
    ----------
    model : a transformers causal language model.
    tokenizer : it is copied, because nnsight makes it pad on the left and gives it a padding token.
    options : handed to nnsight's constructor.

    Example
    -------
    >>> loaded = stage.load(device="cpu")
    >>> type(nnsight_model(loaded.model, loaded.tokenizer)).__name__
    'TransformersModel'
    """
    from nnsight import TransformersModel

    with quiet_transformers():
        return TransformersModel(model, tokenizer=copy.deepcopy(tokenizer), **options)
