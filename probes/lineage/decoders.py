"""Whether a model is a decoder that can be read block by block, and where its blocks are.

Names are not asked: three tokens are sent through the model, and what its blocks take and return decides.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from probes.errors import CheckpointError
from probes.lineage.quiet import one_line

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

CAUSAL_TOLERANCE = 1e-5
"""How much earlier states may change with a later token in float32: the norm of the change divided by the
norm of the states. In a decoder nothing changes."""
CONTEXT_NAMES = ("max_position_embeddings", "n_positions", "max_seq_len", "max_sequence_length", "n_ctx")
"""The names that families have for the number of tokens that a model takes."""
_HALF_TOLERANCE = 1e-2


def decoder_blocks(model: Any) -> list[nn.Module]:
    """The blocks of a transformers causal language model, after checking that it is one.

    Raises
    ------
    CheckpointError
        The model is an encoder or an encoder-decoder, has no attention heads (state-space and recurrent
        models), its blocks cannot be found, are not called once each, or pass on something else than hidden
        states `[batch, seq, d_model]`, or a later token changes the states of earlier ones. The message names
        the class.

    Example
    -------
    >>> len(decoder_blocks(stage.load(device="cpu").model))
    3
    """
    import torch

    blocks = find_blocks(model)
    name, width = type(model).__name__, model.config.get_text_config(decoder=True).hidden_size
    ids = torch.arange(3, device=input_device(model))[None] % model.get_input_embeddings().weight.shape[0]
    other = ids.clone()
    other[0, -1] = (ids[0, -1] + 1) % model.get_input_embeddings().weight.shape[0]
    first, second = _states(model, blocks, ids, width), _states(model, blocks, other, width)
    change = float((first[:, :-1] - second[:, :-1]).norm() / first[:, :-1].norm().clamp_min(1e-30))
    half = model.dtype in (torch.float16, torch.bfloat16)
    if not change <= (_HALF_TOLERANCE if half else CAUSAL_TOLERANCE):
        raise CheckpointError(
            f"{name} is not causal: a later token changes the states of earlier ones, as in BERT-like "
            "encoders and masked language models; expected a decoder-only causal language model"
        )
    return blocks


def context_window(config: Any) -> int | None:
    """How many tokens a model takes, by its text config; None if the config sets no limit.

    Example
    -------
    >>> context_window(stage.load(device="cpu").model.config)
    128
    """
    given = (getattr(config, key, None) for key in CONTEXT_NAMES)
    return min((number for number in given if isinstance(number, int) and number > 0), default=None)


def first_tensor(value: Any, kwargs: Mapping[str, Any] | None = None) -> Tensor | None:
    """The hidden states among a module's arguments or in its output: looked for by position, then by name."""
    from torch import Tensor

    if isinstance(value, Tensor):
        return value
    if isinstance(value, (tuple, list)) and value and isinstance(value[0], Tensor):
        return value[0]
    by_name = (kwargs or {}).get("hidden_states")
    return by_name if isinstance(by_name, Tensor) else None


def input_device(model: Any) -> torch.device:
    """The device that token ids go to: that of the input embeddings, also when weights are offloaded."""
    import torch

    embedding = model.get_input_embeddings()
    device = embedding.weight.device
    if device.type == "meta":
        device = torch.device(embedding._hf_hook.execution_device)
    return device


def find_blocks(model: Any) -> list[nn.Module]:
    """The list of blocks that is nearest to the top and outside any vision or audio tower."""
    from torch import nn
    from transformers import PreTrainedModel

    name = type(model).__name__
    if not isinstance(model, PreTrainedModel) or getattr(model, "config", None) is None:
        merge = " (merge a PEFT adapter first: model.merge_and_unload())" if name.startswith("Peft") else ""
        raise CheckpointError(f"{name}: expected a transformers causal language model{merge}")
    if getattr(model.config, "is_encoder_decoder", False):
        raise CheckpointError(f"{name} is an encoder-decoder: expected a decoder-only causal language model")
    if model.get_output_embeddings() is None or not model.can_generate():
        raise CheckpointError(f"{name} has no causal language-model head: expected a ...ForCausalLM class")
    config = model.config.get_text_config(decoder=True)
    if not isinstance(getattr(config, "num_attention_heads", None), int):
        raise CheckpointError(
            f"{name} (model type {config.model_type}) has no attention heads: state-space and recurrent "
            "models are not supported; expected a decoder with attention"
        )
    n_layers = config.num_hidden_layers
    lists = [
        ("encoder" in path, path.count("."), path, module)  # an encoder only if there is nothing else
        for path, module in model.named_modules()
        if isinstance(module, nn.ModuleList)
        and len(module) == n_layers
        and not any(tower in path for tower in ("vision", "visual", "audio"))
    ]
    if not lists:
        raise CheckpointError(
            f"{name}: found no list of {n_layers} decoder blocks (config.num_hidden_layers)"
        )
    return list(min(lists, key=lambda item: item[:3])[3])


class _Done(Exception):
    """Leaves the forward when the last block is done."""


def _states(model: Any, blocks: list[nn.Module], ids: Tensor, width: int) -> Tensor:
    """What the last block returns, `[1, seq, d_model]`, after checking what every block takes and returns."""
    import torch

    name = type(model).__name__
    kept: list[Any] = []
    handles: list[Any] = []
    given: list[Tensor | None] = []

    def before(_module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        given.append(first_tensor(args, kwargs))

    def after(module: nn.Module, _args: tuple[Any, ...], output: Any) -> None:
        for values in (given[-1], first_tensor(output)):
            shape = None if values is None else list(values.shape)
            if shape != [*ids.shape, width]:
                raise CheckpointError(
                    f"{name} is not supported: its {type(module).__name__} takes or returns {shape} for "
                    f"{list(ids.shape)} tokens, expected hidden states [batch, seq, {width}]"
                )
        kept.append(first_tensor(output))
        if len(kept) == len(blocks):
            raise _Done

    try:
        for block in blocks:
            handles.append(block.register_forward_pre_hook(before, with_kwargs=True))
            handles.append(block.register_forward_hook(after))
        with torch.no_grad():
            model(input_ids=ids, attention_mask=torch.ones_like(ids), use_cache=False)
    except _Done:
        pass
    except CheckpointError:
        raise
    except Exception as error:  # whatever the model's own code runs into
        raise CheckpointError(f"{name}: a forward of three tokens fails: {one_line(error)}") from error
    finally:
        for handle in handles:
            handle.remove()
    if len(kept) != len(blocks):
        raise CheckpointError(f"{name}: its list of blocks is not called once each in a forward")
    return kept[-1].float()
