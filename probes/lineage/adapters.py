"""A PEFT adapter is merged into the weights it was trained on; the result is what PEFT itself computes."""

from __future__ import annotations

import warnings
from collections import defaultdict
from pathlib import Path
from typing import Any, NamedTuple

from probes.errors import CheckpointError
from probes.lineage.adapter_faults import check_complete, explain_failure
from probes.lineage.adapter_rows import fit_rows
from probes.lineage.quiet import one_line, quiet_transformers
from probes.lineage.safety import check_finite, check_weight_files, read_header

MERGE_TOLERANCE = 1e-4
"""How far the logits after merging may be from PEFT's before it, in float32 or wider: the norm of the
difference divided by the norm of the logits."""
HALF_TOLERANCE = 0.2
"""The same in bfloat16 and float16, where the sum of two weights is rounded."""
_N_TOKENS = 16


class Merged(NamedTuple):
    """A model with an adapter in its weights, and what has to be said about it."""

    model: Any
    notes: tuple[str, ...]


def merge_adapter(model: Any, folder: Path, who: str, onto: str, *, allow_pickle: bool = False) -> Merged:
    """Merge an adapter into the weights of a model.

    Embeddings are enlarged if the adapter enlarged them, and layers that it trained in full
    (`modules_to_save`) are replaced. A weight that two layers share (tied embeddings and head) is separated
    if the adapter changes only one of them. The result is compared with what PEFT computes without merging.

    Parameters
    ----------
    model : a transformers model. It is changed, and must not be used afterwards.
    folder : the adapter's folder, as PEFT saves it.
    who, onto : the adapter's stage and the name of the stage it goes onto, for error messages.
    allow_pickle : also read pickled weights, which can run any code when they are opened.

    Raises
    ------
    CheckpointError
        The adapter does not fit the model (the message names the first mismatch), is damaged, holds NaN or
        tensors that its config does not name, or is of a kind that cannot be merged, such as prompt tuning.
    """
    from peft import PeftModel, set_peft_model_state_dict
    from peft.utils import load_peft_weights

    files = check_weight_files(folder, "adapter_model", who, allow_pickle=allow_pickle)
    header = {name: tuple(row["shape"]) for file in files for name, row in read_header(file, who).items()}
    config = adapter_config(folder, who)
    check_kind(config, who)
    for file in files:
        _check_values(file, who)
    target = f"stage {onto} ({type(model).__name__})"
    notes = fit_rows(header, config, model, who, onto)
    shared = list(model.parameters())
    try:
        with quiet_transformers(), warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            adapted = PeftModel.from_pretrained(model, str(folder))
            # PEFT has loaded the tensors already; loading them again tells which of them have no place.
            tensors = load_peft_weights(
                str(folder), device="cpu", key_mapping=getattr(model, "_checkpoint_conversion_mapping", None)
            )
            unplaced = set_peft_model_state_dict(adapted, tensors).unexpected_keys
    except Exception as error:  # PEFT raises whatever building the layers runs into
        raise explain_failure(error, header, model, who, folder, target) from error
    check_complete(header, unplaced, [str(item.message) for item in caught], model, who, folder, target)
    merged = merge_loaded(adapted, shared, f"{who}: the adapter in {folder} ({_kind(config)})", target)
    return Merged(merged, notes)


def merge_loaded(adapted: Any, shared: list[Any], what: str, target: str) -> Any:
    """The model of a `PeftModel` with its active adapter merged into the weights, in place.

    Parameters
    ----------
    adapted : the `PeftModel`.
    shared : parameters of the model; those that several modules share are separated where an adapter layer
        changes one of them.
    what, target : the adapter and the model it goes into, for error messages.

    Raises
    ------
    CheckpointError
        PEFT cannot merge the adapter, or the merged model computes something else than PEFT.
    """
    adapted.eval()
    try:
        with quiet_transformers():
            expected = _logits(adapted)
            _separate(adapted, shared)
            merged = adapted.merge_and_unload()
            difference = float((_logits(merged) - expected).norm() / expected.norm())
    except Exception as error:  # PEFT raises whatever its layers run into
        raise CheckpointError(f"{what} cannot be merged into {target}: {one_line(error)}") from error
    exact = merged.dtype.itemsize >= 4
    if not difference <= (MERGE_TOLERANCE if exact else HALF_TOLERANCE):
        raise CheckpointError(
            f"{what} cannot be merged into {target}: merged, the logits differ from those of PEFT without "
            f"merging by {difference:.2g} (relative)"
        )
    _tie_again(merged)
    return merged


def adapter_config(folder: Path, who: str) -> Any:
    """PEFT's configuration in an adapter's folder. Raises CheckpointError if it cannot be read."""
    from peft import PeftConfig

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return PeftConfig.from_pretrained(str(folder))
    except Exception as error:  # a damaged file, an unknown kind of adapter, a value of the wrong type
        unknown = f"peft_type {error} is not known to this version of PEFT"
        reason = unknown if isinstance(error, KeyError) else one_line(error)
        raise CheckpointError(
            f"{who}: {folder / 'adapter_config.json'} is not a PEFT configuration: {reason}"
        ) from error


def _kind(config: Any) -> str:
    return str(getattr(config.peft_type, "value", config.peft_type))


def check_kind(config: Any, who: str) -> None:
    """Raise CheckpointError for an adapter of a kind that has no equal as weights."""
    if config.is_prompt_learning or config.is_adaption_prompt:
        raise CheckpointError(
            f"{who}: {_kind(config)} adapters change the prompt and cannot be merged into weights; "
            "expected LoRA or another weight adapter"
        )
    if getattr(config, "alora_invocation_tokens", None):
        raise CheckpointError(
            f"{who}: an activated LoRA (alora_invocation_tokens in adapter_config.json) acts only after "
            "those tokens and cannot be merged into weights; expected LoRA or another weight adapter"
        )


def _check_values(file: Path, who: str) -> None:
    from safetensors import safe_open

    with safe_open(file, framework="pt") as tensors:
        check_finite(((name, tensors.get_tensor(name)) for name in tensors.keys()), f"{who}: {file.name}")  # noqa: SIM118


def _logits(model: Any) -> Any:
    """`[token, vocabulary]`, on tokens from all over the vocabulary."""
    import torch

    embeddings = model.get_input_embeddings().weight
    ids = torch.linspace(0, embeddings.shape[0] - 1, _N_TOKENS, device=embeddings.device).long()[None]
    with torch.inference_mode():
        return model(input_ids=ids, use_cache=False).logits[0].float().cpu()


def _separate(adapted: Any, shared: list[Any]) -> None:
    """Give each module a copy of its own of a weight that modules share and that an adapter layer changes.

    PEFT adds to the weight in place, and so the others would change with it. `shared` are the parameters of
    the model without the adapter.
    """
    import torch
    from peft.tuners.tuners_utils import BaseTunerLayer

    layers: list[Any] = [module for module in adapted.modules() if isinstance(module, BaseTunerLayer)]
    inside = {id(part) for layer in layers for part in layer.modules()}
    wanted = {id(parameter) for parameter in shared}
    owners: dict[int, list[tuple[Any, str]]] = defaultdict(list)
    for module in adapted.modules():
        for name, parameter in module.named_parameters(recurse=False, remove_duplicate=False):
            if id(parameter) in wanted:
                owners[id(parameter)].append((module, name))
    for places in owners.values():
        if any(id(module) in inside for module, _ in places):
            for module, name in places[1:]:
                copy = getattr(module, name).detach().clone()
                setattr(module, name, torch.nn.Parameter(copy, requires_grad=False))


def _tie_again(merged: Any) -> None:
    """Let embeddings and head share a weight again if they were tied and are equal; else mark them untied."""
    import torch

    head, embeddings = merged.get_output_embeddings(), merged.get_input_embeddings()
    if head is None or head.weight is embeddings.weight:
        return
    tied = merged.config.tie_word_embeddings or merged.config.get_text_config().tie_word_embeddings
    if tied and torch.equal(head.weight, embeddings.weight):
        head.weight = embeddings.weight
    else:
        merged.config.tie_word_embeddings = False
