"""Weights, tokenizer and adapters of a stage, checked and put together into a `LoadedStage`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from transformers import AutoModelForCausalLM

from probes.errors import CheckpointError, InputError
from probes.lineage.adapters import merge_adapter
from probes.lineage.fingerprint import stage_fingerprint
from probes.lineage.loaded import LoadedStage
from probes.lineage.quiet import quiet_transformers
from probes.lineage.records import AdapterCheckpoint
from probes.lineage.safety import check_finite, check_remote_code, check_weight_files
from probes.lineage.sources import adapter_chain, adapter_folder, weights_folder
from probes.lineage.tokenizers import check_vocabulary, load_tokenizer

if TYPE_CHECKING:
    from probes.lineage.stages import Stage


def load_stage(
    stage: Stage,
    *,
    device: str = "auto",
    dtype: Any = "float32",
    attn_implementation: str | None = None,
    device_map: Any = None,
    allow_pickle: bool = False,
    trust_remote_code: bool = False,
) -> LoadedStage:
    """What `Stage.load` documents."""
    options = {
        "device": device,
        "dtype": dtype,
        "attn_implementation": attn_implementation,
        "device_map": device_map,
        "allow_pickle": allow_pickle,
        "trust_remote_code": trust_remote_code,
    }
    place = None if device_map is not None else pick_device(device)
    number = pick_dtype(dtype)
    base, adapters = adapter_chain(stage)
    folder = weights_folder(base, allow_pickle=allow_pickle, trust_remote_code=trust_remote_code)
    folders = [adapter_folder(adapter, allow_pickle=allow_pickle) for adapter in adapters]
    who = f"stage {base.name}"
    if not trust_remote_code:
        check_remote_code(_read_config(folder, who), who, folder)
    files = check_weight_files(folder, "model", who, allow_pickle=allow_pickle)
    fingerprint = stage_fingerprint(stage)
    tokenizer = load_tokenizer(stage, trust_remote_code=trust_remote_code)
    model, ignored = _load_weights(
        folder,
        who,
        dtype=number,
        attn_implementation=attn_implementation,
        device_map=device_map,
        trust_remote_code=trust_remote_code,
        use_safetensors=bool(files),
    )
    for adapter, files_folder in zip(adapters, folders, strict=True):
        assert isinstance(adapter.checkpoint, AdapterCheckpoint)
        onto = adapter.checkpoint.onto
        model = merge_adapter(model, files_folder, f"stage {adapter.name}", onto, allow_pickle=allow_pickle)
    check_vocabulary(tokenizer, model, stage.name)
    if place is not None:
        model.to(place)  # pyright: ignore[reportArgumentType]
    model.eval().requires_grad_(False)
    return LoadedStage(stage.name, model, tokenizer, fingerprint, stage, ignored, options)


def pick_device(device: str | torch.device) -> torch.device:
    """ "auto" is CUDA, else MPS, else the CPU. Raises InputError for a device this machine does not have."""
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
    """ "float32", "bfloat16", "float16" or a torch dtype. Raises InputError for anything else."""
    found = getattr(torch, dtype, None) if isinstance(dtype, str) else dtype
    if not isinstance(found, torch.dtype) or not found.is_floating_point:
        raise InputError(f"dtype {dtype!r}: expected float32, bfloat16, float16 or float64")
    return found


def _load_weights(folder: Path, who: str, **options: Any) -> tuple[Any, tuple[str, ...]]:
    """The model in `folder` and the names of the tensors it has no place for."""
    options = {key: value for key, value in options.items() if value is not None}
    try:
        with quiet_transformers():
            loaded: Any = AutoModelForCausalLM.from_pretrained(folder, output_loading_info=True, **options)
    except Exception as error:  # building and filling a model fails in too many ways to list
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise CheckpointError(f"{who}: the model in {folder} cannot be loaded: {reason}") from error
    model, report = loaded
    missing = sorted(report["missing_keys"])
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise CheckpointError(
            f"{who}: {folder} lacks {missing[0]}{more}, which {type(model).__name__} needs: "
            "transformers would fill it with random numbers"
        )
    check_finite(model.named_parameters(), who)
    return model, tuple(sorted(report["unexpected_keys"]))


def _read_config(folder: Path, who: str) -> dict[str, Any]:
    file = folder / "config.json"
    try:
        return dict(json.loads(file.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise CheckpointError(
            f"{who}: {folder} has no config.json: expected a Hugging Face model folder"
        ) from None
    except (ValueError, TypeError):
        raise CheckpointError(f"{who}: {file} is not valid JSON: download or save it again") from None
