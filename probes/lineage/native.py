"""The objects of TransformerLens and nnsight around a transformers model that is already loaded."""

from __future__ import annotations

import copy
from typing import Any

from probes.errors import InputError
from probes.lineage.quiet import quiet_transformers


def bridge(model: Any, tokenizer: Any, **options: Any) -> Any:
    """A TransformerLens `TransformerBridge` around `model`.

    TransformerLens switches `model` itself to eager attention, in place; hand it a copy to keep the original
    as it is. Weights are not folded or centred. `tokenizer` is copied, as TransformerLens gives it special
    tokens, and encodes in the bridge as it does outside. Raises InputError for an architecture it does not
    know.
    """
    from transformer_lens.model_bridge import TransformerBridge

    # Without this mark TransformerLens reads the tokenizer again from where it once came from, made to add a
    # BOS to every text; `cfg.tokenizer_prepends_bos` is found by encoding, so it stays true either way.
    tokenizer = copy.deepcopy(tokenizer)
    tokenizer.init_kwargs = {"name_or_path": "", **tokenizer.init_kwargs, "add_bos_token": True}
    parameter = next(model.parameters())
    options = {"dtype": parameter.dtype, **options}
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
            f"TransformerLens cannot wrap {type(model).__name__}: {str(error).splitlines()[0]}; "
            'use backend="transformers" or "nnsight"'
        ) from error


def nnsight_model(model: Any, tokenizer: Any, **options: Any) -> Any:
    """An nnsight `TransformersModel` around `model` itself; it does not touch the attention implementation.

    nnsight left-pads and sets a padding token on the tokenizer it is given, so it gets a copy.
    """
    from nnsight import TransformersModel

    with quiet_transformers():
        return TransformersModel(model, tokenizer=copy.deepcopy(tokenizer), **options)
