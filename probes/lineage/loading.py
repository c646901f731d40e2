"""The files of a stage are read, checked and put together into a model and its tokenizer."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypedDict

from probes.errors import CheckpointError, InputError
from probes.lineage.adapters import merge_adapter
from probes.lineage.entries import Entry
from probes.lineage.fingerprint import files_fingerprint
from probes.lineage.quiet import one_line, quiet_transformers
from probes.lineage.safety import check_finite, check_remote_code, check_weight_files
from probes.lineage.sources import adapter_folder, weights_folder
from probes.lineage.tokenizers import check_vocabulary, load_tokenizer

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


class LoadOptions(TypedDict, total=False):
    """How a stage is loaded; `Stage.load` says what each option means."""

    device: str
    dtype: str | torch.dtype
    attn_implementation: str | None
    device_map: Any
    allow_pickle: bool
    trust_remote_code: bool


class LoadedFiles(NamedTuple):
    """What the files of a stage come to."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    fingerprint: str
    ignored_weights: tuple[str, ...]
    notes: tuple[str, ...]
    """What else has to be said of the weights, one sentence each."""


def load_files(
    entry: Entry,
    *,
    device: str = "auto",
    dtype: str | torch.dtype = "float32",
    attn_implementation: str | None = None,
    device_map: Any = None,
    allow_pickle: bool = False,
    trust_remote_code: bool = False,
) -> LoadedFiles:
    """The model of a stage with its adapters merged, in evaluation mode and without gradients, its tokenizer
    and its identity. `Stage.load` says what the options mean and what is raised.

    Example
    -------
    >>> files = load_files(lineage["mid"].entry, device="cpu")
    >>> type(files.model).__name__, len(files.tokenizer)
    ('LlamaForCausalLM', 383)
    """
    place = None if device_map is not None else pick_device(device)
    precision = pick_dtype(dtype)
    base, adapters = entry.adapter_chain()
    folder = weights_folder(base, allow_pickle=allow_pickle, trust_remote_code=trust_remote_code)
    adapter_folders = [adapter_folder(adapter, allow_pickle=allow_pickle) for adapter in adapters]
    who = f"stage {base.name}"
    config = read_config(folder, who)
    if not trust_remote_code:
        check_remote_code(config, who, folder)
    kind = model_class(config, who, folder)
    files = check_weight_files(folder, "model", who, allow_pickle=allow_pickle)
    fingerprint = files_fingerprint(entry)
    tokenizer = load_tokenizer(entry, trust_remote_code=trust_remote_code)
    model, ignored = _load_weights(
        kind,
        folder,
        who,
        dtype=precision,
        attn_implementation=attn_implementation,
        device_map=device_map,
        trust_remote_code=trust_remote_code,
        use_safetensors=bool(files),
    )
    notes: list[str] = []
    for adapter, its_folder in zip(adapters, adapter_folders, strict=True):
        onto = adapter.onto
        assert onto is not None
        model, said = merge_adapter(
            model, its_folder, f"stage {adapter.name}", onto.name, allow_pickle=allow_pickle
        )
        notes += said
    check_vocabulary(tokenizer, model, entry.name)
    if place is not None:
        model.to(place)
    model.eval().requires_grad_(False)
    return LoadedFiles(model, tokenizer, fingerprint, ignored, tuple(notes))


def pick_device(device: str | torch.device) -> torch.device:
    """The device that a name means; "auto" is CUDA, else MPS, else the CPU.

    Raises InputError for a device that this machine does not have.

    Example
    -------
    >>> pick_device("cpu").type
    'cpu'
    """
    import torch

    if device == "auto":
        mps = torch.backends.mps.is_available()
        return torch.device("cuda" if torch.cuda.is_available() else "mps" if mps else "cpu")
    try:
        place = torch.device(device)
        torch.empty(0, device=place)
    except (RuntimeError, AssertionError, NotImplementedError):
        raise InputError(
            f"device {str(device)!r} is not available here: expected auto, cpu, cuda, cuda:N or mps"
        ) from None
    return place


def pick_dtype(dtype: str | torch.dtype) -> torch.dtype:
    """The torch dtype that a name means. Raises InputError for anything that is not a floating-point dtype.

    Example
    -------
    >>> pick_dtype("bfloat16")
    torch.bfloat16
    """
    import torch

    precision = getattr(torch, dtype, None) if isinstance(dtype, str) else dtype
    if not isinstance(precision, torch.dtype) or not precision.is_floating_point:
        raise InputError(f"dtype {dtype!r}: expected float32, bfloat16, float16 or float64")
    return precision


def model_class(config: dict[str, Any], who: str, folder: Path) -> Any:
    """The class of transformers that loads a folder: of a decoder, or of a decoder with images around it.

    Raises CheckpointError for encoders and encoder-decoders, before their weights are read.
    """
    from transformers import CONFIG_MAPPING, AutoModelForCausalLM, AutoModelForImageTextToText
    from transformers.models.auto import modeling_auto as known

    kind = config.get("model_type")
    name = next(iter(config.get("architectures") or ()), "a model")
    if not config.get("is_encoder_decoder"):
        if kind not in CONFIG_MAPPING or kind in known.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES:
            return AutoModelForCausalLM
        if kind in known.MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES:
            return AutoModelForImageTextToText
    what = "an encoder-decoder" if config.get("is_encoder_decoder") else "no causal language model"
    raise CheckpointError(
        f"{who}: {folder} holds {name} (model type {kind}), which is {what}: expected a decoder-only causal "
        "language model"
    )


def _load_weights(kind: Any, folder: Path, who: str, **options: Any) -> tuple[Any, tuple[str, ...]]:
    """The model in `folder`, and the names of the tensors that it has no place for."""
    options = {key: value for key, value in options.items() if value is not None}
    try:
        with quiet_transformers():
            loaded: Any = kind.from_pretrained(
                folder, output_loading_info=True, ignore_mismatched_sizes=True, **options
            )
    except Exception as error:  # building and filling a model fails in too many ways to list
        raise CheckpointError(f"{who}: the model in {folder} cannot be loaded: {one_line(error)}") from error
    model, report = loaded
    mismatched = sorted(report["mismatched_keys"])
    if mismatched:
        raise mismatch(mismatched, type(model).__name__, who, folder)
    missing = sorted(report["missing_keys"])
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise CheckpointError(
            f"{who}: {folder} lacks {missing[0]}{more}, which {type(model).__name__} needs: "
            "transformers would fill it with random numbers"
        )
    check_finite(model.named_parameters(), who)
    return model, tuple(sorted(report["unexpected_keys"]))


def mismatch(
    tensors: Sequence[tuple[str, Sequence[int], Sequence[int]]], model: str, who: str, folder: Path
) -> CheckpointError:
    """The error for weights that do not have the shapes that their config makes.

    `tensors` are (name, shape in the weights, shape in the model) of each that differs.
    """
    key, given, expected = tensors[0]
    more = f" (and {len(tensors) - 1} more tensors)" if len(tensors) > 1 else ""
    return CheckpointError(
        f"{who}: {folder} cannot be loaded: {key} is {list(given)} in the weights, but {model} expects "
        f"{list(expected)} by config.json{more}: weights and config.json belong to different models"
    )


def read_config(folder: Path, who: str) -> dict[str, Any]:
    """The `config.json` of a model's folder. Raises CheckpointError if there is none or it is not JSON."""
    file = folder / "config.json"
    try:
        return dict(json.loads(file.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise CheckpointError(
            f"{who}: {folder} has no config.json: expected a Hugging Face model folder"
        ) from None
    except (ValueError, TypeError):
        raise CheckpointError(f"{who}: {file} is not valid JSON: download or save it again") from None
