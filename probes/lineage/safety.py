"""Checks before weights are used: files are complete, hold no pickles and no NaN, and run no code."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from probes.errors import CheckpointError

_INDEX = ".safetensors.index.json"
_PICKLED = {"model": "pytorch_model", "adapter_model": "adapter_model"}


def weight_files(folder: Path, stem: str) -> list[Path]:
    """The files that transformers or PEFT would read weights from: one safetensors file, else an index and
    its shards, else pickles. `stem` is `model` or `adapter_model`. Nothing is checked.

    Example
    -------
    >>> [file.name for file in weight_files(lineage.path.parent / "base", "model")]
    ['model.safetensors']
    """
    single, index = folder / f"{stem}.safetensors", folder / (stem + _INDEX)
    if single.is_file():
        return [single]
    if index.is_file():
        return [index, *sorted(folder.glob(f"{stem}-*.safetensors"))]
    return sorted(folder.glob(f"{_PICKLED[stem]}*.bin"))


def check_weight_files(folder: Path, stem: str, who: str, *, allow_pickle: bool = False) -> list[Path]:
    """The safetensors files of a checkpoint folder, after checking that they are complete.

    Parameters
    ----------
    folder : a folder as transformers or PEFT saves it.
    stem : `model` or `adapter_model`.
    who : the stage, for error messages.
    allow_pickle : accept pickled weights.

    Returns
    -------
    The files with tensors; an empty list if the weights are pickles and that is allowed.

    Raises
    ------
    CheckpointError
        There are no weights, or they are pickles and that is not allowed, or a shard is missing, or a file is
        cut short or damaged.
    """
    index = folder / (stem + _INDEX)
    single = folder / f"{stem}.safetensors"
    if single.is_file():
        read_header(single, who)
        return [single]
    if index.is_file():
        return _shards(index, who)
    patterns = (f"{_PICKLED[stem]}*.bin", "*.pt", "*.pth")
    pickles = sorted(file.name for pattern in patterns for file in folder.glob(pattern))
    if not pickles:
        raise CheckpointError(f"{who}: {folder} holds no weights: expected {single.name} or {index.name}")
    if not allow_pickle:
        raise CheckpointError(
            f"{who}: {folder / pickles[0]} is a pickle, which can run any code when opened; convert it to "
            "safetensors, or load the stage with allow_pickle=True if you trust it"
        )
    return []


def read_header(file: Path, who: str) -> dict[str, Any]:
    """The table of tensors at the start of a safetensors file: `{name: {"dtype", "shape", "data_offsets"}}`.

    Raises CheckpointError when the file is not safetensors, is a git-lfs pointer, or does not have the size
    that its header promises.
    """
    size = file.stat().st_size
    with open(file, "rb") as handle:
        start = handle.read(8)
        if start == b"version ":
            raise CheckpointError(f"{who}: {file} is a git-lfs pointer, not the weights; run `git lfs pull`")
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else size
        if length > size - 8:
            raise CheckpointError(f"{who}: {file} is not a safetensors file, or cut short in its header")
        try:
            header = json.loads(handle.read(length))
            header.pop("__metadata__", None)
            end = max((tensor["data_offsets"][1] for tensor in header.values()), default=0)
        except (ValueError, KeyError, TypeError, AttributeError):
            raise CheckpointError(
                f"{who}: {file} is damaged: its safetensors header cannot be read"
            ) from None
    if size != 8 + length + end:
        state = "cut short" if size < 8 + length + end else "damaged"
        raise CheckpointError(
            f"{who}: {file} is {state}: {size:,} bytes, its header promises {8 + length + end:,}; copy or "
            "download it again"
        )
    return header


def check_remote_code(config: dict[str, Any], who: str, folder: Path) -> None:
    """Raise CheckpointError if transformers can build the model only by running the repository's own code."""
    from transformers import CONFIG_MAPPING

    if config.get("auto_map") and config.get("model_type") not in CONFIG_MAPPING:
        raise CheckpointError(
            f"{who}: {folder} runs its own code ({next(iter(config['auto_map'].values()))}); load the stage "
            "with trust_remote_code=True if you have read and trust it"
        )


def check_finite(tensors: Iterable[tuple[str, Any]], who: str) -> None:
    """Raise a CheckpointError that names the first of the `(name, tensor)` pairs with a NaN or infinity."""
    import torch

    for name, tensor in tensors:
        if tensor.is_meta or not tensor.is_floating_point() or tensor.numel() == 0:
            continue
        low, high = torch.aminmax(tensor.detach())
        if not (torch.isfinite(high) and torch.isfinite(low)):
            kind = "NaN" if torch.isnan(high) or torch.isnan(low) else "infinity"
            raise CheckpointError(
                f"{who}: weights hold {kind} in {name} ({tensor.dtype}): the checkpoint is broken"
            )


def _shards(index: Path, who: str) -> list[Path]:
    try:
        where = json.loads(index.read_text(encoding="utf-8"))["weight_map"]
        names = sorted(set(where.values()))
    except (ValueError, KeyError, TypeError, AttributeError):
        raise CheckpointError(f"{who}: {index} is damaged: no weight_map can be read from it") from None
    files = [index.parent / name for name in names]
    for file in files:
        if not file.is_file():
            raise CheckpointError(f"{who}: {file} is missing: {index.name} lists {len(files)} files")
        header = read_header(file, who)
        missing = [tensor for tensor, name in where.items() if name == file.name and tensor not in header]
        if missing:
            raise CheckpointError(
                f"{who}: {file} does not hold {missing[0]}, which {index.name} says it does"
            )
    return files
